//! The works: what is measured, of which servers, and with which aims.

use std::io;
use std::time::Duration;

use super::contender::Contender::{self, Bare, Matchbox, PeerServer, Peerstar, YWebrtc};
use super::contender::{Places, Running};
use super::relay::Pairs;
use super::sample::Sample;
use super::{churn, death, fanout, idle, latency, relay};

/// Unit of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds of the server's processor time.
    Micros,
    /// Bytes of memory or on the wire.
    Bytes,
    /// Milliseconds of wall-clock time.
    Millis,
    /// A ratio without unit.
    Times,
}

/// Aim that peerstar should reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aim {
    /// At most this value, in the unit of the figure.
    Most(f64),
    /// At most this many times what another server needs.
    Of(Contender, f64),
}

/// One line of the table.
#[derive(Debug)]
pub struct Figure {
    /// Key of the figure in files.
    pub key: &'static str,
    /// Name of the figure for readers.
    pub title: &'static str,
    /// Unit of the value.
    pub unit: Unit,
    /// Aim that peerstar should reach.
    pub aims: &'static [Aim],
}

/// Sizes of the works.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Duration of each run.
    pub length: Duration,
    /// Connections in works that are named after 15,000.
    pub crowd: usize,
    /// Members of a page in works that are named after 10,000.
    pub page: usize,
    /// Number of joins and leaves.
    pub comings: usize,
    /// Time for which idle members are measured.
    pub idle: Duration,
}

impl Scale {
    /// Sizes for the document. All idle members are pinged at least once.
    pub const FULL: Self = Self {
        length: Duration::from_millis(1500),
        crowd: 15_000,
        page: 10_000,
        comings: 5000,
        idle: Duration::from_secs(7),
    };
    /// Sizes for a quick look.
    pub const QUICK: Self = Self {
        length: Duration::from_millis(300),
        crowd: 3000,
        page: 2000,
        comings: 1000,
        idle: Duration::from_millis(500),
    };
    /// Sizes for the comparison with the bare relay alone.
    pub const GUARD: Self = Self { crowd: 1500, ..Self::QUICK };
}

/// One run of one server: starts it, puts it to work, returns a sample for each figure.
pub type Run = fn(Contender, &Places, Scale) -> io::Result<Vec<Sample>>;

/// A work that the benchmark can do.
#[derive(Debug)]
pub struct Work {
    /// Key of the work.
    pub key: &'static str,
    /// Servers that can do it.
    pub contenders: &'static [Contender],
    /// Figures that it yields.
    pub figures: &'static [Figure],
    /// Function that runs it.
    pub run: Run,
}

/// Starts a server, puts it to work, and checks that it found no fault in itself.
fn at_work<T>(
    contender: Contender,
    places: &Places,
    work: impl FnOnce(&Running) -> io::Result<T>,
) -> io::Result<T> {
    let server = contender.start(places)?;
    let done = work(&server)?;
    server.is_well().map(|()| done)
}

/// All works, in the order of the table.
pub const WORKS: &[Work] = &[
    Work {
        key: "relay-1",
        contenders: &[Peerstar, Bare, PeerServer, Matchbox],
        figures: &[Figure {
            key: "relay-1",
            title: "signalling, 200 pairs with one message under way each: CPU a message",
            unit: Unit::Micros,
            aims: &[Aim::Of(PeerServer, 0.30), Aim::Of(Matchbox, 0.55), Aim::Of(Bare, 1.15)],
        }],
        run: |contender, places, scale| {
            at_work(contender, places, |server| {
                relay::run(server, Pairs { pairs: 200, under_way: 1, pages: 0 }, scale.length)
            })
            .map(|sample| vec![sample])
        },
    },
    Work {
        key: "relay-8",
        contenders: &[Peerstar, Bare, PeerServer, Matchbox],
        figures: &[Figure {
            key: "relay-8",
            title: "signalling, 100 pairs with 8 under way each: CPU a message",
            unit: Unit::Micros,
            aims: &[Aim::Of(Matchbox, 0.7), Aim::Of(Bare, 1.4)],
        }],
        run: |contender, places, scale| {
            at_work(contender, places, |server| {
                relay::run(server, Pairs { pairs: 100, under_way: 8, pages: 0 }, scale.length)
            })
            .map(|sample| vec![sample])
        },
    },
    Work {
        key: "fan-out",
        contenders: &[Peerstar, Bare, YWebrtc],
        figures: &[Figure {
            key: "fan-out",
            title: "a host to 500 members, 4 messages under way: CPU a delivery",
            unit: Unit::Micros,
            aims: &[Aim::Of(YWebrtc, 0.25), Aim::Of(Bare, 1.0)],
        }],
        run: |contender, places, scale| {
            at_work(contender, places, |server| fanout::run(server, 500, 4, scale.length))
                .map(|sample| vec![sample])
        },
    },
    Work {
        key: "memory",
        contenders: &[Peerstar, Bare, PeerServer, Matchbox],
        figures: &[
            Figure {
                key: "memory-base",
                title: "memory before anyone came",
                unit: Unit::Bytes,
                aims: &[Aim::Most(12.0e6)],
            },
            Figure {
                key: "memory",
                title: "memory, 10 to a page, all idle: a connection",
                unit: Unit::Bytes,
                aims: &[Aim::Most(10_000.0), Aim::Most(7000.0)],
            },
        ],
        run: |contender, places, scale| {
            at_work(contender, places, |server| idle::run(server, scale.crowd, scale.idle))
                .map(|samples| samples.map(Sample::from).into())
        },
    },
    Work {
        key: "churn",
        contenders: &[Peerstar, Bare, PeerServer, Matchbox],
        figures: &[Figure {
            key: "churn",
            title: "a join and a leave, 64 at a time: CPU for both",
            unit: Unit::Micros,
            aims: &[Aim::Most(70.0)],
        }],
        run: |contender, places, scale| {
            at_work(contender, places, |server| churn::run(server, 0, scale.comings))
                .map(|sample| vec![sample])
        },
    },
    Work {
        key: "death-1000",
        contenders: &[Peerstar],
        figures: &[Figure {
            key: "death-1000",
            title: "a host of 1,000 dies: from the close of its socket until the last survivor knows the next",
            unit: Unit::Millis,
            aims: &[Aim::Most(10.0)],
        }],
        run: |contender, places, _| {
            at_work(contender, places, |server| death::run(server, 1000, 9))
                .map(|[_, all]| vec![all.into()])
        },
    },
    Work {
        key: "death-10000",
        contenders: &[Peerstar],
        figures: &[Figure {
            key: "death-10000",
            title: "a host of 10,000 dies",
            unit: Unit::Millis,
            aims: &[Aim::Most(80.0)],
        }],
        run: |contender, places, scale| {
            at_work(contender, places, |server| death::run(server, scale.page, 5))
                .map(|[_, all]| vec![all.into()])
        },
    },
    Work {
        key: "host-told",
        contenders: &[Peerstar],
        figures: &[
            Figure {
                key: "host-told-1000",
                title: "a host of 1,000 dies: until the new host itself has read that, and the roster",
                unit: Unit::Millis,
                aims: &[],
            },
            Figure {
                key: "host-told-10000",
                title: "the same on a page of 10,000",
                unit: Unit::Millis,
                aims: &[],
            },
            Figure {
                key: "host-told",
                title: "so it grows",
                unit: Unit::Times,
                aims: &[Aim::Most(1.2)],
            },
        ],
        run: |contender, places, scale| {
            let on = |members, deaths| {
                at_work(contender, places, |server| death::run(server, members, deaths))
                    .map(|[host, _]| Sample::from(host))
            };
            grown(on(1000, 25)?, on(scale.page, 15)?)
        },
    },
    Work {
        key: "connections",
        contenders: &[Peerstar, Bare],
        figures: &[
            Figure {
                key: "connections-100",
                title: "CPU a message, 100 connections that all talk",
                unit: Unit::Micros,
                aims: &[],
            },
            Figure {
                key: "connections-15000",
                title: "CPU a message, 15,000 connections",
                unit: Unit::Micros,
                aims: &[],
            },
            Figure {
                key: "connections",
                title: "so it grows",
                unit: Unit::Times,
                aims: &[Aim::Of(Bare, 1.1)],
            },
        ],
        run: |contender, places, scale| {
            let few = Pairs { pairs: 50, under_way: 1, pages: 0 };
            growth(contender, places, scale, few, Pairs { pairs: scale.crowd / 2, ..few })
        },
    },
    Work {
        key: "pages",
        contenders: &[Peerstar, Bare],
        figures: &[
            Figure {
                key: "pages-1",
                title: "CPU a message, 10,000 connections on one page",
                unit: Unit::Micros,
                aims: &[],
            },
            Figure {
                key: "pages-5000",
                title: "CPU a message, the same on 5,000 pages",
                unit: Unit::Micros,
                aims: &[],
            },
            Figure {
                key: "pages",
                title: "so it grows",
                unit: Unit::Times,
                aims: &[Aim::Of(Bare, 1.1)],
            },
        ],
        run: |contender, places, scale| {
            let one = Pairs { pairs: scale.crowd / 3, under_way: 1, pages: 1 };
            growth(contender, places, scale, one, Pairs { pages: one.pairs, ..one })
        },
    },
    Work {
        key: "joins",
        contenders: &[Peerstar, Bare],
        figures: &[
            Figure {
                key: "joins-10",
                title: "a join and a leave on a page of 10, whose host is told: CPU",
                unit: Unit::Micros,
                aims: &[],
            },
            Figure {
                key: "joins-10000",
                title: "the same on a page of 10,000",
                unit: Unit::Micros,
                aims: &[],
            },
            Figure {
                key: "joins",
                title: "so it grows",
                unit: Unit::Times,
                aims: &[Aim::Most(1.2)],
            },
        ],
        run: |contender, places, scale| {
            let on = |members| {
                at_work(contender, places, |server| churn::run(server, members, scale.comings))
            };
            grown(on(10)?, on(scale.page)?)
        },
    },
    Work {
        key: "latency",
        contenders: &[Peerstar, Bare],
        figures: &[
            Figure {
                key: "latency-p50",
                title: "signalling at half load, 50 pairs: median",
                unit: Unit::Millis,
                aims: &[],
            },
            Figure {
                key: "latency-p99",
                title: "99 of 100 take at most",
                unit: Unit::Millis,
                aims: &[],
            },
            Figure {
                key: "storm-p50",
                title: "the same while a page of 10,000 elects (not for the bare relay) and another relays at full speed: median",
                unit: Unit::Millis,
                aims: &[],
            },
            Figure {
                key: "storm-p99",
                title: "99 of 100 take at most",
                unit: Unit::Millis,
                aims: &[Aim::Most(5.0)],
            },
        ],
        run: |contender, places, scale| {
            at_work(contender, places, |server| latency::run(server, scale.page, 2 * scale.length))
                .map(|samples| samples.map(Sample::from).into())
        },
    },
];

/// Measures signalling among few and among many, each with a fresh server, and how many times
/// dearer the latter is.
fn growth(
    contender: Contender,
    places: &Places,
    scale: Scale,
    few: Pairs,
    many: Pairs,
) -> io::Result<Vec<Sample>> {
    let on = |pairs| at_work(contender, places, |server| relay::run(server, pairs, scale.length));
    grown(on(few)?, on(many)?)
}

fn grown(few: Sample, many: Sample) -> io::Result<Vec<Sample>> {
    Ok(vec![few, many, (many.value / few.value).into()])
}
