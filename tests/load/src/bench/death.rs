//! A host dies.

use std::io;
use std::time::{Duration, Instant};

use super::contender::{Contender, Running};
use super::crowd::{Crowd, Heard};
use super::sample::median;
use super::seats::{PATIENCE, Seat, all_in, gone};

/// A page whose hosts die, one after the other.
#[derive(Debug)]
pub struct Throne {
    first: usize,
    members: usize,
    host: usize,
    deaths: usize,
}

impl Throne {
    /// So many get in.
    ///
    /// # Errors
    /// When they do not.
    pub fn set(crowd: &mut Crowd, contender: Contender, members: usize) -> io::Result<Self> {
        let first = crowd.count();
        let mut seats: Vec<_> = (0..members).map(|n| Seat { page: "throne".into(), id: format!("t{n}") }).collect();
        let (host, others) = seats.split_at_mut(1);
        all_in(crowd, contender, host)?;
        all_in(crowd, contender, others)?;
        while crowd.turn(Duration::from_millis(100), |_, _, _| Ok(()))? {}
        Ok(Self { first, members, host: first, deaths: 0 })
    }

    /// From the close of the host's socket until the last of the others was told of the same new host.
    ///
    /// # Errors
    /// When somebody is not told, or cut off.
    pub fn death(&mut self, crowd: &mut Crowd) -> io::Result<Duration> {
        let survivors = self.members - 1 - self.deaths;
        let (mut told, mut next) = (0, None);
        let died = Instant::now();
        crowd.drop(self.host);
        while told < survivors {
            crowd.turn(Duration::from_millis(100), |number, heard, _| match heard {
                Heard::Text(text) if text.starts_with(br#"{"type":"HOST""#) => {
                    let named = host_in(text).ok_or_else(|| io::Error::other("a HOST without a host"))?;
                    told += 1;
                    if *next.get_or_insert(named) == named { Ok(()) } else { Err(io::Error::other("two hosts at once")) }
                }
                Heard::Gone(code) => Err(gone(number, code)),
                Heard::Text(_) | Heard::Open => Ok(()),
            })?;
            if died.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("only {told} of {survivors} were told who hosts")));
            }
        }
        let took = died.elapsed();
        self.deaths += 1;
        self.host = self.first + next.ok_or_else(|| io::Error::other("nobody was left"))?;
        Ok(took)
    }
}

/// Which of them a `HOST` names.
fn host_in(text: &[u8]) -> Option<usize> {
    const BEFORE: &[u8] = br#""host":"t"#;
    let at = text.windows(BEFORE.len()).position(|window| window == BEFORE)? + BEFORE.len();
    let end = text[at..].iter().position(|byte| *byte == b'"')? + at;
    std::str::from_utf8(&text[at..end]).ok()?.parse().ok()
}

/// The median of so many deaths, in ms.
///
/// # Errors
/// When somebody is not told.
pub fn run(server: &Running, members: usize, deaths: usize) -> io::Result<f64> {
    let mut crowd = Crowd::new(server.address)?;
    let mut throne = Throne::set(&mut crowd, server.contender, members)?;
    let mut times = Vec::new();
    for _ in 0..deaths {
        times.push(throne.death(&mut crowd)?.as_secs_f64() * 1e3);
        while crowd.turn(Duration::from_millis(50), |_, _, _| Ok(()))? {}
    }
    Ok(median(times))
}
