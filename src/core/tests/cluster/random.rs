//! Random schedules: at least 200 things that happen, from one seed.

use crate::prng::Prng;
use crate::queue::{MS, S, Us};
use crate::script::{Action, Deed, Line, Name, RedisFault, Script, Step};

/// Which simulation a schedule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Up to 100 nodes, pages as their members, host and fence.
    Wide,
    /// 2–5 nodes with real pages, sessions and links.
    Deep,
}

/// Number of random steps of a schedule, besides those that start it.
const STEPS: usize = 200;
/// When all nodes have their slots: none is given in a generation's first five seconds.
const READY: Us = 7 * S;

struct Schedule {
    prng: Prng,
    now: Us,
    steps: Vec<Step>,
    nodes: Vec<Name>,
    /// Whether a node runs and does not drain.
    serves: Vec<bool>,
    members: Vec<Name>,
    pages: Vec<Name>,
    /// Nodes that start later.
    starts: Vec<(Us, usize)>,
}

/// Returns the schedule of a seed.
pub(crate) fn schedule(seed: u64, kind: Kind) -> Script {
    let mut prng = Prng::new(seed).fork(7);
    let (nodes, members, pages) = match kind {
        Kind::Deep => (prng.range(2, 5), prng.range(2, 8), prng.range(1, 3)),
        Kind::Wide if prng.percent(5) => (prng.range(40, 100), 150, prng.range(50, 150)),
        Kind::Wide => (prng.range(2, 8), prng.range(4, 30), prng.range(1, 12)),
    };
    let name = |prefix: &'static str| move |n: u64| Name::from(format!("{prefix}{n}"));
    let mut schedule = Schedule {
        prng,
        now: 0,
        steps: Vec::new(),
        serves: vec![false; nodes as usize],
        nodes: (0..nodes).map(name("n")).collect(),
        members: (0..members).map(name("m")).collect(),
        pages: (0..pages).map(name("p")).collect(),
        starts: Vec::new(),
    };
    schedule.begin();
    let faults = schedule.prng.range(5, 40);
    let begun = schedule.steps.len();
    while schedule.steps.len() < begun + STEPS {
        schedule.pass();
        if schedule.prng.percent(faults) {
            schedule.fault();
        } else {
            schedule.deed();
        }
    }
    schedule.steps.sort_by_key(|step| step.at);
    Script { seed, steps: schedule.steps }
}

impl Schedule {
    fn add(&mut self, action: Action) {
        self.steps.push(Step { at: self.now, action });
    }

    /// Lets time pass: little between most steps, so that they meet, and now and then enough for
    /// all to heal.
    fn pass(&mut self) {
        self.now += match self.prng.below(100) {
            0..40 => self.prng.below(3 * MS),
            40..80 => self.prng.below(300 * MS),
            80..98 => self.prng.below(1500 * MS),
            98 => 15 * S,
            _ => self.prng.below(6 * S),
        };
        // a node that has started has a slot some seconds later
        let now = self.now;
        for (at, number) in std::mem::take(&mut self.starts) {
            if at + READY < now {
                self.serves[number] = true;
            } else {
                self.starts.push((at, number));
            }
        }
    }

    fn begin(&mut self) {
        let clocks = self.prng.percent(40);
        for node in 0..self.nodes.len() {
            self.now = self.prng.below(500 * MS);
            self.start(node, clocks);
        }
        self.now = READY;
        for member in 0..self.members.len() {
            let deed = self.join();
            let who = self.members[member].clone();
            self.now += self.prng.below(50 * MS);
            self.add(Action::Member { who, does: deed });
        }
    }

    fn start(&mut self, node: usize, clocks: bool) {
        let (mut rate, mut wall_ms) = (0, 0);
        if clocks {
            rate = self.prng.range(0, 200) as i64 - 100;
            wall_ms = self.prng.range(0, 240_000) as i64;
        }
        self.serves[node] = true;
        let node = self.nodes[node].clone();
        self.add(Action::Start { node, rate, wall_ms });
    }

    /// Returns a node that serves.
    fn node(&mut self) -> Name {
        let serving: Vec<_> =
            self.nodes.iter().zip(&self.serves).filter(|(_, serves)| **serves).collect();
        let (node, _) = *self.prng.pick(&serving);
        node.clone()
    }

    fn join(&mut self) -> Deed {
        let page = self.prng.pick(&self.pages).clone();
        Deed::Joins { page, node: self.node() }
    }

    fn deed(&mut self) {
        let who = self.prng.pick(&self.members).clone();
        let to = self.prng.pick(&self.members).clone();
        let does = match self.prng.below(100) {
            0..12 => self.join(),
            12..24 => Deed::Moves { node: self.node() },
            24..30 => Deed::Leaves,
            30..36 => Deed::Crashes,
            36..40 => Deed::Freezes(self.lasts()),
            40..45 => Deed::Cut(self.lasts()),
            45..60 => Deed::Offers(to),
            60..75 => Deed::Relays,
            75..82 => Deed::RelaysTo(to),
            82..88 => Deed::Suspects,
            88..91 => Deed::Trusts,
            91..94 => Deed::Resigns,
            _ => Deed::Proves,
        };
        self.add(Action::Member { who, does });
    }

    /// Returns how long a fault lasts: often near one of the times that decide something.
    fn lasts(&mut self) -> Us {
        let base = *self.prng.pick(&[300, 1000, 2200, 4000, 5000, 6000, 8000, 20_000]);
        (base + self.prng.below(400)).saturating_sub(200) * MS
    }

    fn fault(&mut self) {
        let lasts = self.lasts();
        let action = match self.prng.below(100) {
            0..12 => {
                let after_deciding = self.prng.percent(50);
                Action::Pause { node: self.node(), lasts, after_deciding }
            }
            12..22 => return self.end_node(true),
            22..30 => return self.end_node(false),
            30..55 => {
                let lines = [Line::Redis, Line::Commands, Line::Inbox, Line::Silent, Line::Deaf];
                let line = *self.prng.pick(&lines);
                Action::Cut { node: self.node(), line, lasts }
            }
            55..61 => Action::Redis(RedisFault::Refuses(lasts)),
            61..67 => Action::Redis(RedisFault::Hangs(lasts)),
            67..71 => Action::Redis(RedisFault::Swallows(lasts)),
            71..76 => Action::Redis(RedisFault::Pauses(lasts)),
            76..82 => Action::Redis(RedisFault::Forgets(self.prng.range(1, 3000) * MS)),
            82..86 => Action::Redis(RedisFault::Empties),
            86..89 => Action::Redis(RedisFault::LosesMembership),
            89..94 => {
                let (after, keeps) = (lasts, self.prng.percent(50));
                Action::Redis(RedisFault::Restarts { after, keeps })
            }
            94..97 => {
                let nodes = self.nodes.clone();
                let nodes = nodes.into_iter().filter(|_| self.prng.percent(50)).collect();
                Action::Redis(RedisFault::Splits { nodes, lasts: 3 * lasts })
            }
            _ => return self.restart_redis(),
        };
        self.add(action);
    }

    /// Redis restarts again and again.
    fn restart_redis(&mut self) {
        for _ in 0..self.prng.range(2, 4) {
            let (after, keeps) = (self.prng.range(1, 1500) * MS, self.prng.percent(50));
            self.add(Action::Redis(RedisFault::Restarts { after, keeps }));
            self.now += self.prng.below(3 * S);
        }
    }

    /// Ends a node, and starts it again a while later. One node is always left: what all nodes and
    /// Redis forget at once, nobody knows.
    fn end_node(&mut self, kills: bool) {
        if self.serves.iter().filter(|serves| **serves).count() < 2 {
            return;
        }
        let node = self.node();
        self.add(if kills { Action::Die(node.clone()) } else { Action::Drain(node.clone()) });
        let number = self.nodes.iter().position(|one| *one == node).unwrap_or_default();
        self.serves[number] = false;
        if self.prng.percent(70) {
            let now = self.now;
            self.now += self.prng.below(10 * S);
            if !kills {
                // the name is free only when the old process has gone
                self.add(Action::Die(node));
                self.now += MS;
            }
            self.start(number, true);
            self.starts.push((self.now, number));
            self.serves[number] = false;
            self.now = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::parse;

    #[test]
    fn a_random_schedule_is_long_and_can_be_printed_and_read() {
        for seed in 0..50 {
            for kind in [Kind::Wide, Kind::Deep] {
                let script = schedule(seed, kind);
                assert!(script.steps.len() >= 200);
                assert_eq!(parse(&script.to_string()).unwrap(), script);
                assert_eq!(schedule(seed, kind), script);
            }
        }
    }
}
