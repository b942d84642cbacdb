//! The frame guard, against one that has all the bytes before it begins, and against the codec that reads what it clears.

use actix_http::ws::{Codec, ProtocolError};
use actix_web::web::BytesMut;
use arbitrary::{Arbitrary, Unstructured};
use peerstar::core::frame_guard::{Breach, FrameGuard};
use tokio_util::codec::Decoder;

/// Bytes as a client might send them.
#[derive(Debug, Arbitrary)]
enum Piece<'a> {
    Frame { first: u8, length: u16, form: Form, masked: bool },
    Raw(&'a [u8]),
}

/// How a length is written: also in more bytes than it needs.
#[derive(Debug, Arbitrary)]
enum Form {
    Shortest,
    Two,
    Eight,
}

impl Piece<'_> {
    fn write(&self, to: &mut Vec<u8>) {
        match *self {
            Piece::Raw(bytes) => to.extend(bytes),
            Piece::Frame { first, length, ref form, masked } => {
                let mask = if masked { 0x80 } else { 0 };
                to.push(first);
                match (form, length) {
                    (Form::Shortest, 0..=125) => to.push(mask | length as u8),
                    (Form::Shortest | Form::Two, _) => {
                        to.push(mask | 126);
                        to.extend(length.to_be_bytes());
                    }
                    (Form::Eight, _) => {
                        to.push(mask | 127);
                        to.extend(u64::from(length).to_be_bytes());
                    }
                }
                to.extend([0; 4].iter().take(if masked { 4 } else { 0 }));
                to.resize(to.len() + usize::from(length), b'x');
            }
        }
    }
}

/// What is in a stream, read with all of it at hand.
#[derive(Debug, Default)]
struct Truth {
    /// Where each whole frame ends.
    ends: Vec<usize>,
    /// After how many bytes one can tell that a rule is broken, and which.
    breach: Option<(usize, Breach)>,
}

impl Truth {
    fn of(stream: &[u8], limit: u64) -> Self {
        let mut truth = Self::default();
        let (mut at, mut message) = (0, 0);
        loop {
            let rest = &stream[at..];
            let (length, length_ends) = match rest {
                [_, short, ..] if short & 0x7f < 126 => (u64::from(short & 0x7f), 2),
                [_, two, a, b, ..] if two & 0x7f == 126 => (u64::from(u16::from_be_bytes([*a, *b])), 4),
                [_, eight, length @ ..] if eight & 0x7f == 127 && length.len() >= 8 => {
                    (u64::from_be_bytes(length[..8].try_into().unwrap()), 10)
                }
                _ => return truth,
            };
            let [fin, rsv, opcode] = [rest[0] >> 7, (rest[0] >> 4) & 7, rest[0] & 15];
            let control = opcode >= 8;
            let malformed = rsv != 0 || ![0, 1, 2, 8, 9, 10].contains(&opcode) || (control && length > 125);
            let too_big = !control && u128::from(message) + u128::from(length) > u128::from(limit);
            if malformed || too_big {
                truth.breach = Some((at + length_ends, if malformed { Breach::Malformed } else { Breach::TooBig }));
                return truth;
            }
            let body = at + length_ends + if rest[1] & 0x80 == 0 { 0 } else { 4 };
            let Some(end) = body.checked_add(length as usize).filter(|end| *end <= stream.len()) else { return truth };
            if !control {
                message = if fin == 1 { 0 } else { message + length };
            }
            truth.ends.push(end);
            at = end;
        }
    }
}

/// However the bytes are cut, the guard says what is true, as soon as it can be known, and never hands on more than was
/// asked for or than may be buffered; and the codec finds the frames where the guard found them.
pub(crate) fn check(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let Ok((limit, cuts)) = <(u16, Vec<(u16, u8)>)>::arbitrary(&mut input) else { return };
    let Ok(pieces) = Vec::<Piece<'_>>::arbitrary_take_rest(input) else { return };
    let mut stream = Vec::new();
    for piece in pieces.iter().take(64) {
        if stream.len() < 100_000 {
            piece.write(&mut stream);
        }
    }
    let limit = usize::from(limit);
    let truth = Truth::of(&stream, limit as u64);
    let mut guard = FrameGuard::new(limit);
    let mut codec = Some((Codec::new().max_size(limit.max(125)), BytesMut::new()));
    let (mut at, mut frames, mut shown) = (0, 0, 0);
    let mut cuts = cuts.iter().chain(&[(u16::MAX, u8::MAX)]);
    while at < stream.len() {
        let &(bytes, most) = cuts.next().unwrap_or(&(u16::MAX, u8::MAX));
        let (bytes, most) = (usize::from(bytes).max(1), usize::from(most).max(1));
        shown = (at + bytes).min(stream.len()).max(shown);
        let cleared = match guard.inspect(&stream[at..shown], most) {
            Ok(cleared) => cleared,
            Err(breach) => {
                let (known_at, kind) = truth.breach.expect("there is nothing wrong");
                assert_eq!(breach, kind);
                assert!(known_at <= shown, "seen before it was there");
                let before = truth.ends.iter().filter(|end| **end < known_at).count();
                assert!(before - frames < most, "more frames than were asked for");
                return;
            }
        };
        let before = at;
        (at, frames) = (at + cleared.bytes, frames + cleared.frames);
        assert!(at <= shown && cleared.frames <= most);
        assert_eq!(frames, truth.ends.iter().filter(|end| **end <= at).count(), "frames that end up to {at}");
        assert!(at == shown || (cleared.frames == most && truth.ends.contains(&at)), "stopped in the middle, at {at}");
        assert!(truth.breach.is_none_or(|(known_at, _)| at < known_at), "what breaks a rule was handed on");
        let unfinished = at - truth.ends.get(frames.wrapping_sub(1)).copied().unwrap_or_default();
        assert!(unfinished <= 14 + limit.max(125), "{unfinished} bytes of a frame to be buffered");
        codec = codec.and_then(|codec| decode(codec, &stream[before..at], cleared.frames));
    }
    assert!(truth.breach.is_none(), "{:?} was not seen", truth.breach);
}

/// The codec after these bytes, unless it had enough: it has rules of its own (masks, the order of fragments).
fn decode((mut codec, mut buffer): (Codec, BytesMut), bytes: &[u8], frames: usize) -> Option<(Codec, BytesMut)> {
    buffer.extend_from_slice(bytes);
    for found in 0.. {
        match codec.decode(&mut buffer) {
            Ok(Some(_)) => {}
            Ok(None) => {
                assert_eq!(found, frames, "left: frames of the codec, right: of the guard");
                return Some((codec, buffer));
            }
            // of a close frame with one byte it says so, too
            Err(ProtocolError::Overflow | ProtocolError::InvalidLength(2..)) => panic!("the codec finds it too long"),
            Err(_) => return None,
        }
    }
    None
}
