//! Measures signalling between two: pairs that keep a number of messages in flight.

use std::io;
use std::time::{Duration, Instant};

use super::contender::{Contender, Running};
use super::crowd::{Crowd, Heard};
use super::message::{Incoming, Outgoing, candidate};
use super::sample::{Measured, Metered, Sample};
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
    exchange(&mut crowd, contender, &seats, under_way, length, &[server.pid])
        .map(|measured| measured.sample)
}

/// Measures the processes `pids` while the last members that came in talk: `seats`, of which two and
/// two are a pair.
///
/// # Errors
/// Fails if a message is lost.
pub fn exchange(
    crowd: &mut Crowd,
    contender: Contender,
    seats: &[Seat],
    under_way: usize,
    length: Duration,
    pids: &[u32],
) -> io::Result<Measured> {
    let first = crowd.count() - seats.len();
    let mut talkers = (0..seats.len())
        .map(|n| {
            let text = candidate(LENGTH, |payload| contender.signal(&seats[n ^ 1].id, payload));
            Ok(Talker { outgoing: Outgoing::new(&text)?, incoming: Incoming::default() })
        })
        .collect::<io::Result<Vec<_>>>()?;

    for n in (0..seats.len()).step_by(2) {
        let mut out = Vec::new();
        (0..under_way).for_each(|_| talkers[n].outgoing.push(&mut out));
        crowd.send(first + n, &out)?;
    }
    let mut heard_in_all = 0_u64;
    let mut turn = |talkers: &mut [Talker], heard_in_all: &mut u64, answers: bool| {
        crowd.turn(Duration::from_millis(100), |number, heard, out| {
            match heard {
                Heard::Text(text) => {
                    let talker = number.checked_sub(first).and_then(|n| talkers.get_mut(n));
                    if let Some(talker) = talker
                        && talker.incoming.hear(text)?
                    {
                        *heard_in_all += 1;
                        if answers {
                            talker.outgoing.push(out);
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
    let metered = Metered::begin(pids)?;
    let end = Instant::now() + length;
    while Instant::now() < end {
        turn(&mut talkers, &mut heard_in_all, true)?;
    }
    let measured = metered.end(heard_in_all - before)?;

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
    Ok(measured)
}

fn heard_in(talkers: &[Talker]) -> u64 {
    talkers.iter().map(|talker| talker.incoming.heard).sum()
}
