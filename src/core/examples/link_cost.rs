//! Measures what a link costs: `cargo run --release -p peerstar-core --example link_cost`. Prints
//! microseconds of processor for both ends together: push, bag, read, acknowledgement.

#![allow(clippy::print_stdout, reason = "a measurement prints its figures")]

use std::time::Instant;

use bytes::Bytes;
use peerstar_core::cluster::bag::BadBag;
use peerstar_core::cluster::entry::{Delivery, Entry, Place, ToPage};
use peerstar_core::cluster::link::{Link, LinkEvent, Pushed, window};
use peerstar_core::cluster::{Fence, NodeId};
use peerstar_core::protocol::id::{PageKey, PageName, SessionId};
use peerstar_core::protocol::outgoing::Frame;
use peerstar_core::time::Time;

/// Both ends of a link, and what has crossed it.
struct Ends {
    here: Link,
    there: Link,
    now: Time,
    buffer: Vec<u8>,
    bags: u64,
    bytes: u64,
    entries: u64,
}

impl Ends {
    /// Takes everything across, and acknowledgements back.
    fn cross(&mut self) -> Result<(), BadBag> {
        let Self { here, there, now, buffer, .. } = self;
        for back in [false, true] {
            let (from, to) =
                if back { (&mut *there, &mut *here) } else { (&mut *here, &mut *there) };
            while from.poll_transmit(*now, buffer) {
                self.bags += 1;
                self.bytes += buffer.len() as u64;
                // the bus copies the bytes, as a seal does
                to.receive(*now, Bytes::copy_from_slice(buffer))?;
                while let Some(event) = to.poll_event() {
                    if let LinkEvent::Arrived { bag, entries } = event {
                        self.entries += entries.len() as u64;
                        to.handled(*now, bag);
                    }
                }
            }
        }
        self.now = Time(self.now.0 + 1);
        Ok(())
    }
}

/// Runs `rounds` rounds and prints what one costs.
fn measure(
    what: &str,
    rounds: u32,
    mut push: impl FnMut(&mut Link, Time) -> Pushed,
) -> Result<(), BadBag> {
    let (one, other) = (NodeId(1), NodeId(2));
    let mut ends = Ends {
        here: Link::new(one, other, window(1)),
        there: Link::new(other, one, window(1)),
        now: Time(0),
        buffer: Vec::new(),
        bags: 0,
        bytes: 0,
        entries: 0,
    };
    for _ in 0..rounds / 10 {
        push(&mut ends.here, ends.now);
        ends.cross()?;
    }
    (ends.bags, ends.bytes) = (0, 0);
    let begun = Instant::now();
    for _ in 0..rounds {
        assert_eq!(push(&mut ends.here, ends.now), Pushed::Queued);
        ends.cross()?;
    }
    let each = begun.elapsed().as_secs_f64() * 1e6 / f64::from(rounds);
    let per = |count: u64| count as f64 / f64::from(rounds);
    println!("{what}: {each:.2} µs, {:.2} bags, {:.0} bytes", per(ends.bags), per(ends.bytes));
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let page = PageKey::Named(PageName::parse("a page of some length")?);
    let place = Place { page, fence: Fence(1_700_000_000_000) };
    let text = "x".repeat(400);
    let sessions = (1 << 62) + 1..(1 << 62) + 501;

    measure("400 B to a page, alone", 200_000, |link, now| {
        let (session, frame) = (SessionId(1 << 62), Frame::from(&*text));
        link.push(now, &Entry::ToPage(place.clone(), ToPage::Relay { session, dst: None, frame }))
    })?;
    measure("400 B to a session, alone", 200_000, |link, now| {
        let frame = Frame::from(&*text);
        link.push_frame(now, &place, SessionId(1 << 62), &frame, Delivery::PeerData)
    })?;
    measure("64 times 400 B to sessions", 5000, |link, now| {
        for session in sessions.clone().take(64) {
            let frame = Frame::from(&*text);
            link.push_frame(now, &place, SessionId(session), &frame, Delivery::PeerData);
        }
        Pushed::Queued
    })?;
    measure("400 B to 500 sessions", 5000, |link, now| {
        let frame = Frame::from(&*text);
        for session in sessions.clone() {
            link.push_frame(now, &place, SessionId(session), &frame, Delivery::HostData);
        }
        Pushed::Queued
    })?;
    measure("16 KB to a session, alone", 20_000, |link, now| {
        let frame = Frame::from("x".repeat(16 * 1024));
        link.push_frame(now, &place, SessionId(1 << 62), &frame, Delivery::PeerData)
    })?;
    Ok(())
}
