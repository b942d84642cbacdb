//! The language of schedules: one line an action, with the time at which it happens.
//!
//! ```text
//! # comment
//! seed 7
//! t=0 node a starts
//! t=0 node b starts rate 1.1 wall -240s
//! t=1s member ann joins kitchen at a
//! t=3s cut a inbox 8s
//! t=5s node a pauses 6s after deciding
//! t=9s redis forgets 500ms
//! t=20s expect kitchen is well
//! ```
//!
//! What a schedule does not say (delays, choices of pages) comes from its seed. A random schedule
//! is printed in this language, so that it can be read, changed and run again.

use std::fmt;
use std::sync::Arc;

use crate::queue::{MS, S, Us};

/// Name of a node, member or page.
pub(crate) type Name = Arc<str>;

/// What is cut off from what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// Both connections of a node to Redis, by a reset.
    Redis,
    /// The connection of the commands, by a reset.
    Commands,
    /// The connection of the inbox, by a reset.
    Inbox,
    /// Both connections, by silence: nothing arrives, nobody is told.
    Silent,
    /// The inbox alone, by silence.
    Deaf,
}

impl Line {
    const ALL: [(&'static str, Self); 5] = [
        ("redis", Self::Redis),
        ("commands", Self::Commands),
        ("inbox", Self::Inbox),
        ("silently", Self::Silent),
        ("deaf", Self::Deaf),
    ];

    pub(crate) const fn has_commands(self) -> bool {
        matches!(self, Self::Redis | Self::Commands | Self::Silent)
    }

    pub(crate) const fn has_inbox(self) -> bool {
        matches!(self, Self::Redis | Self::Inbox | Self::Silent | Self::Deaf)
    }

    /// Returns whether both ends are told.
    pub(crate) const fn resets(self) -> bool {
        matches!(self, Self::Redis | Self::Commands | Self::Inbox)
    }
}

/// What happens to Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RedisFault {
    /// Refuses connections and commands.
    Refuses(Us),
    /// Executes commands, and answers only when the time is over.
    Hangs(Us),
    /// Executes commands, and never answers those.
    Swallows(Us),
    /// Does nothing until the time is over, and then everything that came meanwhile.
    Pauses(Us),
    /// A replica is promoted that has not heard of the last writes.
    Forgets(Us),
    /// Everything is deleted (`FLUSHALL`): the same process goes on.
    Empties,
    /// The membership alone is deleted.
    LosesMembership,
    /// Is killed, and is back after the time, with its data or without.
    Restarts { after: Us, keeps: bool },
    /// Some nodes talk with a promoted replica, the others with the old master, for a while. Then
    /// only the replica is left.
    Splits { nodes: Vec<Name>, lasts: Us },
}

/// What a member, or its browser, does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Opens the page at a node.
    Joins { page: Name, node: Name },
    /// Loses its socket, and dials that node.
    Moves { node: Name },
    /// Says goodbye.
    Leaves,
    /// Dies without a word: its socket is reset.
    Crashes,
    /// Sends nothing and answers nothing for a while.
    Freezes(Us),
    /// Is out of the network for a while.
    Cut(Us),
    /// Offers another one a connection.
    Offers(Name),
    /// Relays to its host, or as host to all.
    Relays,
    /// Relays to one member.
    RelaysTo(Name),
    /// Says that it hears nothing of its host.
    Suspects,
    /// Says that it hears its host again.
    Trusts,
    /// Gives up being host.
    Resigns,
    /// Asks whether it still hosts.
    Proves,
}

/// What must be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The members of a page agree on one host, which is one of them, and one node has the page.
    Well(Name),
    /// All members of a page believe in this host.
    Host { page: Name, host: Name },
    /// The page has the host and epoch that it had at this time.
    SameSince { page: Name, since: Us },
    /// The page has had no more than that many epochs.
    Epochs { page: Name, most: usize },
    /// The page lives at one of these nodes.
    Lives { page: Name, nodes: Vec<Name> },
    /// A member believes to be connected.
    Connected(Name),
    /// That many living nodes were buried until now, at most.
    Buried(usize),
    /// No member of the page lost its socket since.
    NoSocketLost(Us),
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// A process starts. Its clock runs that much faster (in thousandths), and its wall clock is
    /// that much ahead (in ms).
    Start { node: Name, rate: i64, wall_ms: i64 },
    /// `kill -9`.
    Die(Name),
    /// `SIGTERM`.
    Drain(Name),
    /// `SIGSTOP`, and `SIGCONT` after a while. After deciding: what the node's next step decides is
    /// done only when it goes on.
    Pause { node: Name, lasts: Us, after_deciding: bool },
    /// A cut between a node and Redis.
    Cut { node: Name, line: Line, lasts: Us },
    /// Something happens to Redis.
    Redis(RedisFault),
    /// A member does something.
    Member { who: Name, does: Deed },
    /// Something must be so.
    Expect(Expected),
}

/// An action at its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub at: Us,
    pub action: Action,
}

/// A schedule: what happens, and the seed of what it does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Script {
    pub seed: u64,
    pub steps: Vec<Step>,
}

struct Ms(Us);

impl fmt::Display for Ms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            us if us % S == 0 => write!(f, "{}s", us / S),
            us if us % MS == 0 => write!(f, "{}ms", us / MS),
            us => write!(f, "{us}us"),
        }
    }
}

impl fmt::Display for RedisFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuses(lasts) => write!(f, "refuses {}", Ms(*lasts)),
            Self::Hangs(lasts) => write!(f, "hangs {}", Ms(*lasts)),
            Self::Swallows(lasts) => write!(f, "swallows {}", Ms(*lasts)),
            Self::Pauses(lasts) => write!(f, "pauses {}", Ms(*lasts)),
            Self::Forgets(last) => write!(f, "forgets {}", Ms(*last)),
            Self::Empties => write!(f, "empties"),
            Self::LosesMembership => write!(f, "loses membership"),
            Self::Restarts { after, keeps: true } => write!(f, "restarts {}", Ms(*after)),
            Self::Restarts { after, keeps: false } => write!(f, "restarts {} empty", Ms(*after)),
            Self::Splits { nodes, lasts } => {
                write!(f, "splits {} {}", Ms(*lasts), nodes.join(" "))
            }
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joins { page, node } => write!(f, "joins {page} at {node}"),
            Self::Moves { node } => write!(f, "moves {node}"),
            Self::Leaves => write!(f, "leaves"),
            Self::Crashes => write!(f, "crashes"),
            Self::Freezes(lasts) => write!(f, "freezes {}", Ms(*lasts)),
            Self::Cut(lasts) => write!(f, "cut {}", Ms(*lasts)),
            Self::Offers(to) => write!(f, "offers {to}"),
            Self::Relays => write!(f, "relays"),
            Self::RelaysTo(to) => write!(f, "relays {to}"),
            Self::Suspects => write!(f, "suspects"),
            Self::Trusts => write!(f, "trusts"),
            Self::Resigns => write!(f, "resigns"),
            Self::Proves => write!(f, "proves"),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well(page) => write!(f, "{page} is well"),
            Self::Host { page, host } => write!(f, "{page} host {host}"),
            Self::SameSince { page, since } => write!(f, "{page} same since {}", Ms(*since)),
            Self::Epochs { page, most } => write!(f, "{page} epochs {most}"),
            Self::Lives { page, nodes } => write!(f, "{page} lives {}", nodes.join(" ")),
            Self::Connected(who) => write!(f, "{who} connected"),
            Self::Buried(most) => write!(f, "buried {most}"),
            Self::NoSocketLost(since) => write!(f, "sockets kept since {}", Ms(*since)),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { node, rate, wall_ms } => {
                write!(f, "node {node} starts")?;
                if *rate != 0 {
                    write!(f, " rate {rate}")?;
                }
                if *wall_ms != 0 {
                    write!(f, " wall {wall_ms}")?;
                }
                Ok(())
            }
            Self::Die(node) => write!(f, "node {node} dies"),
            Self::Drain(node) => write!(f, "node {node} drains"),
            Self::Pause { node, lasts, after_deciding } => {
                let how = if *after_deciding { " after deciding" } else { "" };
                write!(f, "node {node} pauses {}{how}", Ms(*lasts))
            }
            Self::Cut { node, line, lasts } => {
                let name = Line::ALL.iter().find(|(_, one)| one == line).map_or("?", |(n, _)| n);
                write!(f, "cut {node} {name} {}", Ms(*lasts))
            }
            Self::Redis(fault) => write!(f, "redis {fault}"),
            Self::Member { who, does } => write!(f, "member {who} {does}"),
            Self::Expect(expected) => write!(f, "expect {expected}"),
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "t={} {}", Ms(step.at), step.action))
    }
}

/// Reads a script.
///
/// # Errors
/// The first line that is not understood.
pub(crate) fn parse(text: &str) -> Result<Script, String> {
    let mut script = Script::default();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        let read = match &words[..] {
            [] => continue,
            ["seed", seed] => seed.parse().ok().map(|seed| script.seed = seed),
            [at, rest @ ..] => {
                let at = at.strip_prefix("t=").and_then(duration);
                let step = at.zip(action(rest)).map(|(at, action)| Step { at, action });
                step.map(|step| script.steps.push(step))
            }
        };
        read.ok_or_else(|| format!("line {}: {line}", number + 1))?;
    }
    script.steps.sort_by_key(|step| step.at);
    Ok(script)
}

fn duration(text: &str) -> Option<Us> {
    if text == "0" {
        return Some(0);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "us" => 1,
        "ms" => MS,
        "s" => S,
        "m" => 60 * S,
        _ => return None,
    };
    Some((number.parse::<f64>().ok()? * unit as f64).round() as Us)
}

fn name(text: &str) -> Name {
    text.into()
}

fn names(words: &[&str]) -> Vec<Name> {
    words.iter().copied().map(name).collect()
}

fn action(words: &[&str]) -> Option<Action> {
    Some(match words {
        ["node", node, "starts", options @ ..] => {
            let (mut rate, mut wall_ms) = (0, 0);
            for option in options.chunks(2) {
                match option {
                    ["rate", thousandths] => rate = thousandths.parse().ok()?,
                    ["wall", ms] => wall_ms = ms.parse().ok()?,
                    _ => return None,
                }
            }
            Action::Start { node: name(node), rate, wall_ms }
        }
        ["node", node, "dies"] => Action::Die(name(node)),
        ["node", node, "drains"] => Action::Drain(name(node)),
        ["node", node, "pauses", lasts, how @ ..] => {
            let after_deciding = match how {
                [] => false,
                ["after", "deciding"] => true,
                _ => return None,
            };
            Action::Pause { node: name(node), lasts: duration(lasts)?, after_deciding }
        }
        ["cut", node, line, lasts] => {
            let (_, line) = *Line::ALL.iter().find(|(name, _)| name == line)?;
            Action::Cut { node: name(node), line, lasts: duration(lasts)? }
        }
        ["redis", fault @ ..] => Action::Redis(redis_fault(fault)?),
        ["member", who, does @ ..] => Action::Member { who: name(who), does: deed(does)? },
        ["expect", what @ ..] => Action::Expect(expected(what)?),
        _ => return None,
    })
}

fn redis_fault(words: &[&str]) -> Option<RedisFault> {
    Some(match words {
        ["refuses", lasts] => RedisFault::Refuses(duration(lasts)?),
        ["hangs", lasts] => RedisFault::Hangs(duration(lasts)?),
        ["swallows", lasts] => RedisFault::Swallows(duration(lasts)?),
        ["pauses", lasts] => RedisFault::Pauses(duration(lasts)?),
        ["forgets", last] => RedisFault::Forgets(duration(last)?),
        ["empties"] => RedisFault::Empties,
        ["loses", "membership"] => RedisFault::LosesMembership,
        ["restarts", after] => RedisFault::Restarts { after: duration(after)?, keeps: true },
        ["restarts", after, "empty"] => {
            RedisFault::Restarts { after: duration(after)?, keeps: false }
        }
        ["splits", lasts, nodes @ ..] => {
            RedisFault::Splits { nodes: names(nodes), lasts: duration(lasts)? }
        }
        _ => return None,
    })
}

fn deed(words: &[&str]) -> Option<Deed> {
    Some(match words {
        ["joins", page, "at", node] => Deed::Joins { page: name(page), node: name(node) },
        ["moves", node] => Deed::Moves { node: name(node) },
        ["leaves"] => Deed::Leaves,
        ["crashes"] => Deed::Crashes,
        ["freezes", lasts] => Deed::Freezes(duration(lasts)?),
        ["cut", lasts] => Deed::Cut(duration(lasts)?),
        ["offers", to] => Deed::Offers(name(to)),
        ["relays"] => Deed::Relays,
        ["relays", to] => Deed::RelaysTo(name(to)),
        ["suspects"] => Deed::Suspects,
        ["trusts"] => Deed::Trusts,
        ["resigns"] => Deed::Resigns,
        ["proves"] => Deed::Proves,
        _ => return None,
    })
}

fn expected(words: &[&str]) -> Option<Expected> {
    Some(match words {
        ["buried", most] => Expected::Buried(most.parse().ok()?),
        ["sockets", "kept", "since", since] => Expected::NoSocketLost(duration(since)?),
        [page, "is", "well"] => Expected::Well(name(page)),
        [page, "host", host] => Expected::Host { page: name(page), host: name(host) },
        [page, "same", "since", since] => {
            Expected::SameSince { page: name(page), since: duration(since)? }
        }
        [page, "epochs", most] => Expected::Epochs { page: name(page), most: most.parse().ok()? },
        [page, "lives", nodes @ ..] => Expected::Lives { page: name(page), nodes: names(nodes) },
        [who, "connected"] => Expected::Connected(name(who)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_is_printed_is_read_as_the_same() {
        let text = "
            seed 7
            t=0 node a starts
            t=0 node b starts rate 100 wall -240000
            t=1s member ann joins kitchen at a   # the first
            t=1500ms node a pauses 6s after deciding
            t=2s node a pauses 250ms
            t=2s cut a inbox 8s
            t=2s redis splits 1m a b
            t=2s redis restarts 3s empty
            t=2.5s member ann offers bob
            t=3s expect kitchen is well
            t=3s expect kitchen lives a b
        ";
        let script = parse(text).unwrap();
        assert_eq!(script.steps.len(), 11);
        assert_eq!(script.steps[8].action.to_string(), "member ann offers bob");
        assert_eq!(parse(&script.to_string()).unwrap(), script);
        assert!(parse("t=1s member ann dances").is_err());
        assert!(parse("t=x node a dies").is_err());
    }
}
