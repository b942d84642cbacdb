//! Measures a host that sends to all members of its page through the server.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::contender::{Contender, Running};
use super::crowd::{Crowd, Heard};
use super::message::{Incoming, Outgoing, state};
use super::sample::{Measured, Metered, Sample};
use super::seats::{PATIENCE, Seat, all_in, gone};

/// Bytes of one message.
const LENGTH: usize = 200;
const PAGE: &str = "stage";

/// A host that keeps a number of messages in flight to all members.
#[derive(Debug)]
pub struct Stage {
    host: usize,
    members: usize,
    outgoing: Outgoing,
    incoming: Vec<Incoming>,
    /// Messages delivered so far.
    pub heard: u64,
}

impl Stage {
    /// Lets the host join, then the others.
    ///
    /// # Errors
    /// Fails if not all get in.
    pub fn set(crowd: &mut Crowd, contender: Contender, members: usize) -> io::Result<Self> {
        let to = crowd.targets().to_vec();
        Self::set_at(crowd, contender, members, &to)
    }

    /// Lets the host join at the crowd's server, and then the others in turn at those of `to`.
    ///
    /// # Errors
    /// Fails if not all get in.
    pub fn set_at(
        crowd: &mut Crowd,
        contender: Contender,
        members: usize,
        to: &[SocketAddr],
    ) -> io::Result<Self> {
        let host = crowd.count();
        // y-webrtc sends a message to its own sender, if that subscribes to the page
        let page = if contender == Contender::YWebrtc { "backstage" } else { PAGE };
        all_in(crowd, contender, &mut [Seat { page: page.into(), id: "host".into() }])?;
        crowd.aim(to);
        let mut seats: Vec<_> =
            (0..members).map(|n| Seat { page: PAGE.into(), id: format!("m{n}") }).collect();
        all_in(crowd, contender, &mut seats)?;
        let outgoing = Outgoing::new(&state(LENGTH, |payload| contender.to_all(PAGE, payload)))?;
        Ok(Self {
            host,
            members,
            outgoing,
            incoming: (0..members).map(|_| Incoming::default()).collect(),
            heard: 0,
        })
    }

    /// Number of messages that are not delivered yet.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.outgoing.sent * self.members as u64 - self.heard
    }

    /// Handles the events of a moment, after the host has filled up its messages in flight.
    ///
    /// # Errors
    /// Fails if a message or a member is lost.
    pub fn turn(&mut self, crowd: &mut Crowd, under_way: u64) -> io::Result<()> {
        let mut out = Vec::new();
        while self.missing() + self.members as u64 <= under_way * self.members as u64 {
            self.outgoing.push(&mut out);
        }
        if !out.is_empty() {
            crowd.send(self.host, &out)?;
        }
        crowd.turn(Duration::from_millis(100), |number, heard, _| {
            match heard {
                Heard::Text(text) => {
                    let member =
                        number.checked_sub(self.host + 1).and_then(|n| self.incoming.get_mut(n));
                    if let Some(member) = member
                        && member.hear(text)?
                    {
                        self.heard += 1;
                    }
                }
                Heard::Gone(code) => return Err(gone(number, code)),
                Heard::Open => {}
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Measures the processes `pids` while the host sends.
    ///
    /// # Errors
    /// Fails if a message is lost.
    pub fn play(
        &mut self,
        crowd: &mut Crowd,
        under_way: u64,
        length: Duration,
        pids: &[u32],
    ) -> io::Result<Measured> {
        let begin = Instant::now() + length / 2;
        while Instant::now() < begin {
            self.turn(crowd, under_way)?;
        }
        let before = self.heard;
        let metered = Metered::begin(pids)?;
        let end = Instant::now() + length;
        while Instant::now() < end {
            self.turn(crowd, under_way)?;
        }
        let measured = metered.end(self.heard - before)?;
        let deadline = Instant::now() + PATIENCE;
        while self.missing() > 0 {
            self.turn(crowd, 0)?;
            if Instant::now() > deadline {
                let lost = self.missing();
                return Err(io::Error::other(format!("{lost} deliveries were lost")));
            }
        }
        Ok(measured)
    }
}

/// Measures a host that sends to `members` others.
///
/// # Errors
/// Fails if a message is lost.
pub fn run(
    server: &Running,
    members: usize,
    under_way: u64,
    length: Duration,
) -> io::Result<Sample> {
    let mut crowd = Crowd::new(server.address)?;
    let mut stage = Stage::set(&mut crowd, server.contender, members)?;
    stage.play(&mut crowd, under_way, length, &[server.pid]).map(|measured| measured.sample)
}
