//! Measures the time of a signalling message, alone and beside load.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::contender::{Contender, Running};
use super::crowd::{Crowd, Heard};
use super::death::Throne;
use super::fanout::Stage;
use super::message::{Incoming, Outgoing, candidate};
use super::relay::{self, Pairs};
use super::seats::{PATIENCE, Seat, all_in, gone};
use crate::spread::Spread;

/// Members whose messages are timed. Each pair has a page of its own.
const PAIRS: usize = 50;
/// Members of the page that relays.
const LISTENERS: usize = 500;
const UNDER_WAY: u64 = 4;
/// Time between two deaths of hosts.
const BETWEEN: Duration = Duration::from_millis(300);

/// Returns median and 99th percentile in ms, alone and then beside load: a page of `members` whose
/// host dies again and again, and a
/// page that relays at full speed. The bare relay has no hosts, so it gets only the latter. The
/// pairs send half of what the server can do with as many senders.
///
/// # Errors
/// Fails if a message is lost.
pub fn run(server: &Running, members: usize, length: Duration) -> io::Result<[f64; 4]> {
    let most =
        relay::run(server, Pairs { pairs: PAIRS, under_way: 1, pages: PAIRS }, length / 2)?.rate;
    let mut crowd = Crowd::new(server.address)?;
    let mut probes = Probes::set(&mut crowd, server)?;
    let alone = probes.run(&mut crowd, most / 2.0, length)?;

    let is_over = AtomicBool::new(false);
    let (mut throne_crowd, mut stage_crowd) =
        (Crowd::new(server.address)?, Crowd::new(server.address)?);
    let has_hosts = server.contender == Contender::Peerstar;
    let mut throne = if has_hosts {
        Some(Throne::set(&mut throne_crowd, server.contender, members)?)
    } else {
        None
    };
    let mut stage = Stage::set(&mut stage_crowd, server.contender, LISTENERS)?;
    let beside = thread::scope(|scope| {
        let dying = scope.spawn(|| {
            let Some(throne) = &mut throne else { return Ok(()) };
            while !is_over.load(Ordering::Relaxed) {
                throne.death(&mut throne_crowd)?;
                let next = Instant::now() + BETWEEN;
                while Instant::now() < next {
                    throne_crowd.turn(BETWEEN / 10, |_, _, _| Ok(()))?;
                }
            }
            Ok::<_, io::Error>(())
        });
        let relaying = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                stage.turn(&mut stage_crowd, UNDER_WAY)?;
            }
            while stage.missing() > 0 {
                stage.turn(&mut stage_crowd, 0)?;
            }
            Ok::<_, io::Error>(())
        });
        let spread = probes.run(&mut crowd, most / 2.0, length);
        is_over.store(true, Ordering::Relaxed);
        let ended = [dying.join(), relaying.join()];
        for end in ended {
            end.map_err(|_| io::Error::other("a thread panicked"))??;
        }
        spread
    })?;
    let ms = |spread: &Spread, share| spread.at(share).as_secs_f64() * 1e3;
    Ok([ms(&alone, 0.5), ms(&alone, 0.99), ms(&beside, 0.5), ms(&beside, 0.99)])
}

/// Pairs that send at a steady rate.
struct Probes {
    senders: Vec<Outgoing>,
    incoming: Vec<Incoming>,
    /// When the messages in flight were due.
    sent: Vec<VecDeque<Instant>>,
}

impl Probes {
    fn set(crowd: &mut Crowd, server: &Running) -> io::Result<Self> {
        let contender = server.contender;
        // not the numbers of the members before, which may still be leaving
        let mut seats: Vec<_> = (0..2 * PAIRS)
            .map(|n| Seat { page: format!("q{}", n / 2), id: format!("q{n}") })
            .collect();
        all_in(crowd, contender, &mut seats)?;
        let senders =
            seats.iter().skip(1).step_by(2).map(|to| {
                Outgoing::new(&candidate(400, |payload| contender.signal(&to.id, payload)))
            });
        Ok(Self {
            senders: senders.collect::<io::Result<_>>()?,
            incoming: (0..PAIRS).map(|_| Incoming::default()).collect(),
            sent: vec![VecDeque::new(); PAIRS],
        })
    }

    /// The time of a message counts from when it was due, even if it could not be sent then.
    fn run(&mut self, crowd: &mut Crowd, rate: f64, length: Duration) -> io::Result<Spread> {
        let begin = Instant::now();
        let count = (rate * length.as_secs_f64()) as usize;
        let due = |n: usize| begin + Duration::from_secs_f64(n as f64 / rate);
        let (mut next, mut times) = (0, Vec::with_capacity(count));
        let mut out = Vec::new();
        while times.len() < count {
            while next < count && due(next) <= Instant::now() {
                let pair = next % PAIRS;
                out.clear();
                self.senders[pair].push(&mut out);
                self.sent[pair].push_back(due(next));
                crowd.send(2 * pair, &out)?;
                next += 1;
            }
            let most = if next < count {
                due(next).saturating_duration_since(Instant::now())
            } else {
                PATIENCE
            };
            let (incoming, sent) = (&mut self.incoming, &mut self.sent);
            crowd.turn(most, |number, heard, _| {
                match heard {
                    Heard::Text(text) => {
                        if number % 2 == 1
                            && incoming[number / 2].hear(text)?
                            && let Some(due) = sent[number / 2].pop_front()
                        {
                            times.push(due.elapsed());
                        }
                    }
                    Heard::Gone(code) => return Err(gone(number, code)),
                    Heard::Open => {}
                }
                Ok(())
            })?;
            if begin.elapsed() > length + PATIENCE {
                return Err(io::Error::other(format!(
                    "{} of {count} messages were lost",
                    count - times.len()
                )));
            }
        }
        Ok(times.into_iter().collect())
    }
}
