//! Measures what it costs that members of a page are on several nodes: the processors of all nodes and
//! of their Redis, beside the same work on one node.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use super::contender::{Contender, Places, Running};
use super::crowd::{Crowd, Heard};
use super::death::Throne;
use super::fanout::Stage;
use super::relay;
use super::sample::{Measured, median};
use super::seats::{Seat, all_in, gone};
use crate::cluster::Redis;

/// Number of nodes.
const NODES: usize = 3;
/// Time after which no member of a finished work is left whose id comes again.
const LEFT: Duration = Duration::from_secs(4);
/// Time between two works whose members have other ids.
const PAUSE: Duration = Duration::from_millis(500);
/// Deaths of hosts in each run.
const DEATHS: usize = 9;

/// Plan of a measurement.
#[derive(Debug)]
pub struct Plan {
    /// Works to measure, by key; all if empty.
    pub only: Vec<String>,
    /// Runs of each work.
    pub rounds: usize,
    /// Duration of each run.
    pub length: Duration,
}

/// What members do.
#[derive(Debug, Clone, Copy)]
enum Work {
    /// Pairs that signal to each other.
    Relay { pairs: usize, under_way: usize, paged: bool },
    /// A host that sends to 500 others.
    FanOut { under_way: u64 },
    /// Deaths of hosts of a page of 1,000.
    Deaths,
}

/// Works by key and title.
const WORKS: [(&str, &str, Work); 8] = [
    (
        "lone",
        "one message in the whole system, page-less",
        Work::Relay { pairs: 1, under_way: 1, paged: false },
    ),
    (
        "relay-1",
        "200 pairs, one under way each, page-less",
        Work::Relay { pairs: 200, under_way: 1, paged: false },
    ),
    (
        "relay-1-paged",
        "the same, a page for each pair",
        Work::Relay { pairs: 200, under_way: 1, paged: true },
    ),
    (
        "relay-8",
        "100 pairs, 8 under way each, page-less",
        Work::Relay { pairs: 100, under_way: 8, paged: false },
    ),
    (
        "relay-8-paged",
        "the same, a page for each pair",
        Work::Relay { pairs: 100, under_way: 8, paged: true },
    ),
    (
        "fan-out-1",
        "a host to 500 members, one under way: a delivery",
        Work::FanOut { under_way: 1 },
    ),
    ("fan-out-4", "the same, 4 under way", Work::FanOut { under_way: 4 }),
    ("death-1000", "a host of 1,000 dies: until the last survivor knows", Work::Deaths),
];

/// Where members are. Pages live on the first node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Site {
    /// All members on the first node.
    One,
    /// One end of each pair, or every other member, on the second node.
    Two,
    /// Both ends on other nodes than the page, or members on all three.
    Three,
}

impl Site {
    const ALL: [Self; 3] = [Self::One, Self::Two, Self::Three];

    /// Returns the nodes at which members take turns.
    fn nodes(self, work: Work) -> &'static [usize] {
        match (self, work) {
            (Self::One, _) => &[0],
            (Self::Two, _) => &[0, 1],
            (Self::Three, Work::Relay { .. }) => &[1, 2],
            (Self::Three, Work::FanOut { .. } | Work::Deaths) => &[0, 1, 2],
        }
    }
}

/// A system of several processes and a Redis.
struct System {
    contender: Contender,
    nodes: Vec<Running>,
    redis: Redis,
    /// Number of works so far.
    works: Cell<usize>,
}

impl System {
    fn start(contender: Contender, places: &Places) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let redis = runtime.block_on(Redis::start())?;
        let nodes = (0..NODES)
            .map(|_| contender.start_on(places, Some(&redis.url())))
            .collect::<io::Result<_>>()?;
        // a new cluster takes its first pages after some seconds
        thread::sleep(Duration::from_secs(8));
        Ok(Self { contender, nodes, redis, works: Cell::default() })
    }

    fn addresses(&self, nodes: &[usize]) -> Vec<SocketAddr> {
        nodes.iter().map(|node| self.nodes[*node].address).collect()
    }

    /// The processes: the nodes, and then Redis.
    fn pids(&self) -> Vec<u32> {
        self.nodes.iter().map(|node| node.pid).chain([self.redis.pid()]).collect()
    }

    /// Does a work once.
    fn run(&self, work: Work, at: Site, length: Duration) -> io::Result<Taken> {
        let mut crowd = Crowd::new(self.nodes[0].address)?;
        let there = self.addresses(at.nodes(work));
        let number = self.works.get();
        self.works.set(number + 1);
        let taken = match work {
            Work::Relay { pairs, under_way, paged } => {
                let page =
                    |pair: usize| if paged { format!("p{number}-{pair}") } else { String::new() };
                // keeps its page on the first node
                let mut stays: Vec<_> = (0..if paged { pairs } else { 1 })
                    .map(|n| Seat { page: page(n), id: format!("stays{number}-{n}") })
                    .collect();
                all_in(&mut crowd, self.contender, &mut stays)?;
                crowd.aim(&there);
                let mut seats: Vec<_> = (0..2 * pairs)
                    .map(|n| Seat { page: page(n / 2), id: format!("c{number}-{n}") })
                    .collect();
                all_in(&mut crowd, self.contender, &mut seats)?;
                let pids = self.pids();
                relay::exchange(&mut crowd, self.contender, &seats, under_way, length, &pids)?
                    .into()
            }
            Work::FanOut { under_way } => {
                let mut stage = Stage::set_at(&mut crowd, self.contender, 500, &there)?;
                stage.play(&mut crowd, under_way, length, &self.pids())?.into()
            }
            Work::Deaths => {
                let mut throne = Throne::set_at(&mut crowd, self.contender, 1000, &there)?;
                let mut times = Vec::new();
                for _ in 0..DEATHS {
                    times.push(throne.death(&mut crowd)?.all.as_secs_f64() * 1e3);
                    while crowd.turn(Duration::from_millis(50), |number, heard, _| match heard {
                        Heard::Gone(code) => Err(gone(number, code)),
                        Heard::Text(_) | Heard::Open => Ok(()),
                    })? {}
                }
                Taken { value: median(times), ..Taken::default() }
            }
        };
        drop(crowd);
        for node in &self.nodes {
            node.is_well()?;
        }
        thread::sleep(if matches!(work, Work::Relay { .. }) { PAUSE } else { LEFT });
        Ok(taken)
    }
}

/// Result of one run.
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    /// µs of all processors for each message; of deaths: ms.
    value: f64,
    /// µs of Redis for each message.
    redis: f64,
    /// Messages a second.
    rate: f64,
}

impl From<Measured> for Taken {
    fn from(Measured { sample, each }: Measured) -> Self {
        let redis = each.last().copied().unwrap_or_default();
        Self { value: sample.value, redis, rate: sample.rate }
    }
}

/// Results by work, system and place.
type Results = BTreeMap<(usize, Contender, Site), Vec<Taken>>;

/// Runs the plan, and reports a table.
///
/// # Errors
/// Fails if a system does not start or loses a message.
pub fn run(plan: &Plan, places: &Places, mut say: impl FnMut(&str)) -> io::Result<()> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mut results = Results::new();
    for round in 1..=plan.rounds {
        for contender in [Contender::Peerstar, Contender::SocketIo] {
            if !contender.is_there(places) {
                say(&format!("{contender} is not installed: scripts/bench does that"));
                continue;
            }
            let system = System::start(contender, places)?;
            for (number, (key, _, work)) in WORKS.iter().enumerate() {
                let is_wanted = plan.only.is_empty() || plan.only.iter().any(|only| only == key);
                // socket.io has no hosts, and nothing on it waits for a page's node
                let can = contender == Contender::Peerstar || !matches!(work, Work::Deaths);
                for at in Site::ALL.into_iter().filter(|_| is_wanted && can) {
                    let taken = system.run(*work, at, plan.length).map_err(|e| {
                        io::Error::new(e.kind(), format!("{key}, {at:?}, {contender}: {e}"))
                    })?;
                    let Taken { value, redis, rate } = taken;
                    say(&format!(
                        "{key}, {at:?}, round {round}, {contender}: {value:.2}, Redis {redis:.2}; {rate:.0}/s"
                    ));
                    results.entry((number, contender, at)).or_default().push(taken);
                }
            }
        }
    }
    say(&table(&results));
    Ok(())
}

/// Returns the medians as a table in Markdown, each with its ratio to one node.
fn table(results: &Results) -> String {
    let mut text = String::from(
        "\n| | system | all on one node | one hop; members on two nodes | two hops, Y → P → Z; members on three |\n|---|---|--:|--:|--:|\n",
    );
    let of = |key: &(usize, Contender, Site), what: fn(&Taken) -> f64| {
        results.get(key).map(|taken| median(taken.iter().map(what).collect()))
    };
    let mut rows: Vec<_> = results.keys().map(|(work, contender, _)| (*work, *contender)).collect();
    rows.dedup();
    for (work, contender) in rows {
        let (_, title, kind) = WORKS[work];
        text.push_str(&format!("| {title} | {contender} |"));
        let one = of(&(work, contender, Site::One), |taken| taken.value);
        for at in Site::ALL {
            let key = (work, contender, at);
            let (Some(value), Some(redis)) = (of(&key, |t| t.value), of(&key, |t| t.redis)) else {
                text.push_str(" |");
                continue;
            };
            let ratio = one.map(|one| format!(" ({:.2})", value / one)).unwrap_or_default();
            text.push_str(&match kind {
                Work::Deaths => format!(" {value:.1} ms{ratio} |"),
                Work::Relay { .. } | Work::FanOut { .. } => {
                    format!(" {value:.1} µs{ratio}, Redis {redis:.1} |")
                }
            });
        }
        text.push('\n');
    }
    text
}
