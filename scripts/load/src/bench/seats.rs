//! Lets a crowd join.

use std::io;
use std::time::{Duration, Instant};

use super::contender::Contender;
use super::crowd::{Crowd, Heard};
use crate::frame;

/// Number of dials at a time.
pub const AT_A_TIME: usize = 64;
/// Timeout of each wait.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Page and id of a member.
#[derive(Debug, Clone)]
pub struct Seat {
    /// The page; "" for none.
    pub page: String,
    /// The id. An id that the server assigns instead is put here.
    pub id: String,
}

/// Lets all members join, [`AT_A_TIME`] at once. In a new crowd the n-th has the number n.
///
/// # Errors
/// Fails if that takes too long, or a member is sent away.
pub fn all_in(crowd: &mut Crowd, contender: Contender, seats: &mut [Seat]) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let first = crowd.count();
    let (mut dialled, mut seated) = (0, 0);
    while seated < seats.len() {
        while dialled < seats.len() && dialled - seated < AT_A_TIME {
            let Seat { page, id } = &seats[dialled];
            let number = crowd.dial(&contender.address(page, id))?;
            assert_eq!(number, first + dialled, "nobody has left");
            dialled += 1;
        }
        crowd.turn(Duration::from_secs(1), |number, heard, out| {
            let Some(seat) = number.checked_sub(first).and_then(|n| seats.get_mut(n)) else {
                return Ok(());
            };
            match heard {
                Heard::Open => contender
                    .hello(&seat.page)
                    .iter()
                    .for_each(|text| frame::push(out, frame::TEXT, text.as_bytes())),
                Heard::Text(text) => {
                    if let Some(rest) = text.strip_prefix(contender.welcome().as_bytes()) {
                        seated += 1;
                        if contender == Contender::Matchbox {
                            seat.id = String::from_utf8_lossy(rest)
                                .trim_end_matches(['"', '}'])
                                .to_owned();
                        }
                    }
                }
                Heard::Gone(code) => return Err(gone(number, code)),
            }
            Ok(())
        })?;
        if Instant::now() > deadline {
            return Err(io::Error::other(format!(
                "{contender}: only {seated} of {} are in",
                seats.len()
            )));
        }
    }
    Ok(())
}

/// Returns the error for a member that lost its socket.
#[must_use]
pub fn gone(number: usize, code: u16) -> io::Error {
    io::Error::other(format!("number {number} was cut off with {code}"))
}
