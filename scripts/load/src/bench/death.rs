//! Measures the death of a page's host.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::contender::{Contender, Running};
use super::crowd::{Crowd, Heard};
use super::sample::median;
use super::seats::{PATIENCE, Seat, all_in, gone};

/// Timeout of survivors for news of the next host, from the close of the old host's socket.
#[derive(Debug, Clone, Copy)]
pub struct Death {
    /// Time until the new host has read its own `HOST` with the roster.
    pub host: Duration,
    /// Time until the last survivor has read `HOST`.
    pub all: Duration,
}

/// A page whose hosts die one after the other.
#[derive(Debug)]
pub struct Throne {
    first: usize,
    members: usize,
    host: usize,
    deaths: usize,
}

impl Throne {
    /// Lets this many members join.
    ///
    /// # Errors
    /// Fails if one does not get in.
    pub fn set(crowd: &mut Crowd, contender: Contender, members: usize) -> io::Result<Self> {
        let to = crowd.targets().to_vec();
        Self::set_at(crowd, contender, members, &to)
    }

    /// Lets the host join at the crowd's server, and then the others in turn at those of `to`.
    ///
    /// # Errors
    /// Fails if one does not get in.
    pub fn set_at(
        crowd: &mut Crowd,
        contender: Contender,
        members: usize,
        to: &[SocketAddr],
    ) -> io::Result<Self> {
        let first = crowd.count();
        let mut seats: Vec<_> =
            (0..members).map(|n| Seat { page: "throne".into(), id: format!("t{n}") }).collect();
        let (host, others) = seats.split_at_mut(1);
        all_in(crowd, contender, host)?;
        crowd.aim(to);
        all_in(crowd, contender, others)?;
        while crowd.turn(Duration::from_millis(100), |_, _, _| Ok(()))? {}
        Ok(Self { first, members, host: first, deaths: 0 })
    }

    /// Closes the host's socket and waits until all survivors were told of the same new host.
    ///
    /// # Errors
    /// Fails if a survivor is not told, or loses its socket.
    pub fn death(&mut self, crowd: &mut Crowd) -> io::Result<Death> {
        let survivors = self.members - 1 - self.deaths;
        let (mut told, mut next, mut host) = (0, None, None);
        let died = Instant::now();
        crowd.drop(self.host);
        while told < survivors {
            crowd.turn(Duration::from_millis(100), |number, heard, _| match heard {
                Heard::Text(text) if text.starts_with(br#"{"type":"HOST""#) => {
                    let named =
                        host_in(text).ok_or_else(|| io::Error::other("a HOST without a host"))?;
                    told += 1;
                    if number == self.first + named {
                        host = Some(died.elapsed());
                    }
                    if *next.get_or_insert(named) == named {
                        Ok(())
                    } else {
                        Err(io::Error::other("two hosts at once"))
                    }
                }
                Heard::Gone(code) => Err(gone(number, code)),
                Heard::Text(_) | Heard::Open => Ok(()),
            })?;
            if died.elapsed() > PATIENCE {
                return Err(io::Error::other(format!(
                    "only {told} of {survivors} were told who hosts"
                )));
            }
        }
        let all = died.elapsed();
        self.deaths += 1;
        self.host = self.first + next.ok_or_else(|| io::Error::other("nobody was left"))?;
        let host = host.ok_or_else(|| io::Error::other("the new host itself was not told"))?;
        Ok(Death { host, all })
    }
}

/// Returns the member that a `HOST` names.
fn host_in(text: &[u8]) -> Option<usize> {
    const BEFORE: &[u8] = br#""host":"t"#;
    let at = text.windows(BEFORE.len()).position(|window| window == BEFORE)? + BEFORE.len();
    let end = text[at..].iter().position(|byte| *byte == b'"')? + at;
    std::str::from_utf8(&text[at..end]).ok()?.parse().ok()
}

/// Returns the medians of `deaths` deaths on a page of `members`, in ms: until the new host knows,
/// and until all know.
///
/// # Errors
/// Fails if a survivor is not told.
pub fn run(server: &Running, members: usize, deaths: usize) -> io::Result<[f64; 2]> {
    let mut crowd = Crowd::new(server.address)?;
    let mut throne = Throne::set(&mut crowd, server.contender, members)?;
    let (mut hosts, mut everyone) = (Vec::new(), Vec::new());
    for _ in 0..deaths {
        let Death { host, all } = throne.death(&mut crowd)?;
        hosts.push(host.as_secs_f64() * 1e3);
        everyone.push(all.as_secs_f64() * 1e3);
        while crowd.turn(Duration::from_millis(50), |_, _, _| Ok(()))? {}
    }
    Ok([median(hosts), median(everyone)])
}
