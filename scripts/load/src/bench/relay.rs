//! Measures signalling between two: pairs that keep a number of messages in flight.

use std::io;
use std::time::{Duration, Instant};

use super::contender::{Contender, Running};
use super::crowd::{Crowd, Heard};
use super::message::{Incoming, Outgoing, candidate};
use super::sample::{Metered, Sample};
use super::seats::{PATIENCE, Seat, all_in, gone};

/// Bytes of one message.
const LENGTH: usize = 400;

/// The pairs that talk.
#[derive(Debug, Clone, Copy)]
pub struct Pairs {
    /// Number of pairs of members.
    pub pairs: usize,
    /// Messages in flight of each pair.
    pub under_way: usize,
    /// Number of pages over which the pairs are spread. 0: they name no page.
    pub pages: usize,
}

struct Talker {
    outgoing: Outgoing,
    incoming: Incoming,
}

/// Measures pairs of which each end answers each message by one.
///
/// # Errors
/// Fails if a message is lost.
pub fn run(
    server: &Running,
    Pairs { pairs, under_way, pages }: Pairs,
    length: Duration,
) -> io::Result<Sample> {
    let contender = server.contender;
    let mut crowd = Crowd::new(server.address)?;
    let mut seats: Vec<Seat> = (0..2 * pairs)
        .map(|n| {
            let page = match (contender, pages) {
                (Contender::Matchbox, _) => format!("r{}", n / 2),
                (_, 0) => String::new(),
                _ => format!("p{}", n / 2 % pages),
            };
            Seat { page, id: format!("c{n}") }
        })
        .collect();
    all_in(&mut crowd, contender, &mut seats)?;
    let mut talkers = (0..2 * pairs)
        .map(|n| {
            let text = candidate(LENGTH, |payload| contender.signal(&seats[n ^ 1].id, payload));
            Ok(Talker { outgoing: Outgoing::new(&text)?, incoming: Incoming::default() })
        })
        .collect::<io::Result<Vec<_>>>()?;

    for n in (0..2 * pairs).step_by(2) {
        let mut out = Vec::new();
        (0..under_way).for_each(|_| talkers[n].outgoing.push(&mut out));
        crowd.send(n, &out)?;
    }
    let mut heard_in_all = 0_u64;
    let mut turn = |talkers: &mut [Talker], heard_in_all: &mut u64, answers: bool| {
        crowd.turn(Duration::from_millis(100), |number, heard, out| {
            match heard {
                Heard::Text(text) => {
                    if talkers[number].incoming.hear(text)? {
                        *heard_in_all += 1;
                        if answers {
                            talkers[number].outgoing.push(out);
                        }
                    }
                }
                Heard::Gone(code) => return Err(gone(number, code)),
                Heard::Open => {}
            }
            Ok(())
        })
    };
    // warms all caches and grows all buffers
    let begin = Instant::now() + length / 2;
    while Instant::now() < begin {
        turn(&mut talkers, &mut heard_in_all, true)?;
    }
    let before = heard_in_all;
    let metered = Metered::begin(server.pid)?;
    let end = Instant::now() + length;
    while Instant::now() < end {
        turn(&mut talkers, &mut heard_in_all, true)?;
    }
    let sample = metered.end(heard_in_all - before)?;

    let lost = |talkers: &[Talker]| {
        talkers.iter().map(|talker| talker.outgoing.sent).sum::<u64>() - heard_in(talkers)
    };
    let deadline = Instant::now() + PATIENCE;
    while lost(&talkers) > 0 {
        turn(&mut talkers, &mut heard_in_all, false)?;
        if Instant::now() > deadline {
            return Err(io::Error::other(format!(
                "{contender}: {} messages were lost",
                lost(&talkers)
            )));
        }
    }
    Ok(sample)
}

fn heard_in(talkers: &[Talker]) -> u64 {
    talkers.iter().map(|talker| talker.incoming.heard).sum()
}
