//! Measures joins and leaves.

use std::io;
use std::time::{Duration, Instant};

use super::contender::{Contender, Running};
use super::crowd::{Crowd, Heard};
use super::sample::{Metered, Sample};
use super::seats::{AT_A_TIME, PATIENCE, Seat, all_in, gone};
use crate::frame;

/// Lets `times` members join and leave, 64 at a time. With `there` at 0 they name no page;
/// otherwise they join a page of that size, whose host is told of each.
///
/// # Errors
/// Fails if a member does not get in, or the host is not told.
pub fn run(server: &Running, there: usize, times: usize) -> io::Result<Sample> {
    let contender = server.contender;
    let mut crowd = Crowd::new(server.address)?;
    let page = |n: usize| match (contender, there) {
        (Contender::Matchbox, _) => format!("r{n}"),
        (_, 0) => String::new(),
        _ => "lobby".into(),
    };
    let mut seats: Vec<_> =
        (0..there).map(|n| Seat { page: page(n), id: format!("s{n}") }).collect();
    let (host, others) = seats.split_at_mut(there.min(1));
    all_in(&mut crowd, contender, host)?;
    all_in(&mut crowd, contender, others)?;
    calm(&mut crowd)?;

    let (mut dialled, mut welcomed, mut ended) = (0, 0, 0);
    let (mut joins, mut leaves) = (0, 0);
    let deadline = Instant::now() + PATIENCE;
    let metered = Metered::begin(&[server.pid])?;
    while ended < times || (contender == Contender::Peerstar && there > 0 && leaves < times) {
        while dialled < times && dialled - ended < AT_A_TIME {
            crowd.dial(&contender.address(&page(there + dialled), &format!("c{dialled}")))?;
            dialled += 1;
        }
        crowd.turn(Duration::from_millis(100), |number, heard, out| {
            match heard {
                Heard::Text(text) if number >= there => {
                    if text.starts_with(contender.welcome().as_bytes()) {
                        welcomed += 1;
                        frame::push(out, frame::CLOSE, &1000_u16.to_be_bytes());
                    }
                }
                Heard::Text(text) => {
                    joins += usize::from(text.starts_with(br#"{"type":"JOIN""#));
                    leaves += usize::from(text.starts_with(br#"{"type":"LEAVE""#));
                }
                Heard::Gone(_) if number >= there => ended += 1,
                Heard::Gone(code) => return Err(gone(number, code)),
                Heard::Open => {}
            }
            Ok(())
        })?;
        if Instant::now() > deadline {
            return Err(io::Error::other(format!(
                "{contender}: {ended} of {times} came and went, {leaves} were told of"
            )));
        }
    }
    calm(&mut crowd)?;
    let told = contender != Contender::Peerstar || there == 0 || (joins, leaves) == (times, times);
    if welcomed != times || !told {
        let what = format!(
            "{contender}: of {times}, {welcomed} got in; the host was told of {joins} and {leaves}"
        );
        return Err(io::Error::other(what));
    }
    metered.end(times as u64).map(|measured| measured.sample)
}

/// Waits until nothing is in flight.
fn calm(crowd: &mut Crowd) -> io::Result<()> {
    while crowd.turn(Duration::from_millis(100), |_, _, _| Ok(()))? {}
    Ok(())
}
