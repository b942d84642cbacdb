//! The reader of WebSocket frames, against a reader that has all bytes at once, and against the
//! codec of actix-http.

use actix_http::ws::{Codec, Frame, Item};
use actix_web::web::BytesMut;
use arbitrary::{Arbitrary, Unstructured};
use peerstar_core::frame::reader::{Event, ProtocolViolation, Reader};
use tokio_util::codec::Decoder;

/// Bytes as a client might send them.
#[derive(Debug, Arbitrary)]
enum Piece<'a> {
    Frame { first: u8, length: u16, form: Form, masked: bool },
    Raw(&'a [u8]),
}

/// Form of a length, which may have more bytes than it needs.
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

/// The frames of a stream, read with all bytes at hand.
#[derive(Debug, Default)]
struct Truth {
    /// Where each whole frame ends.
    ends: Vec<usize>,
    /// Number of bytes after which a header shows that a rule is broken, and which rule.
    breach: Option<(usize, ProtocolViolation)>,
}

impl Truth {
    fn of(stream: &[u8], limit: u64) -> Self {
        let mut truth = Self::default();
        let (mut at, mut message) = (0, 0);
        loop {
            let rest = &stream[at..];
            let (length, length_ends) = match rest {
                [_, short, ..] if short & 0x7f < 126 => (u64::from(short & 0x7f), 2),
                [_, two, a, b, ..] if two & 0x7f == 126 => {
                    (u64::from(u16::from_be_bytes([*a, *b])), 4)
                }
                [_, eight, length @ ..] if eight & 0x7f == 127 && length.len() >= 8 => {
                    (u64::from_be_bytes(length[..8].try_into().unwrap()), 10)
                }
                // these bytes show that the frame is bad, whatever its length
                [_, _, ..] => (0, usize::MAX),
                _ => return truth,
            };
            let [fin, rsv, opcode] = [rest[0] >> 7, (rest[0] >> 4) & 7, rest[0] & 15];
            let (control, masked) = (opcode >= 8, rest[1] & 0x80 != 0);
            let odd = rsv != 0 || ![0, 1, 2, 8, 9, 10].contains(&opcode) || !masked;
            let too_big = !control && u128::from(message) + u128::from(length) > u128::from(limit);
            // a control frame has no longer form for its length, however short it is
            if odd || (control && (rest[1] & 0x7f > 125 || fin == 0)) {
                truth.breach = Some((at + 2, ProtocolViolation::Malformed));
                return truth;
            }
            if length_ends == usize::MAX {
                return truth;
            }
            if too_big {
                truth.breach = Some((at + length_ends, ProtocolViolation::TooBig));
                return truth;
            }
            let body = at + length_ends + 4;
            let Some(end) = body.checked_add(length as usize).filter(|end| *end <= stream.len())
            else {
                return truth;
            };
            if !control {
                message = if fin == 1 { 0 } else { message + length };
            }
            truth.ends.push(end);
            at = end;
        }
    }
}

/// However the bytes are cut, the reader finds the frames where they are, and reports a violation
/// as soon as it can be known. The reader finds in the frames what the codec finds.
pub(crate) fn check(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let Ok((limit, cuts)) = <(u16, Vec<u16>)>::arbitrary(&mut input) else { return };
    let Ok(pieces) = Vec::<Piece<'_>>::arbitrary_take_rest(input) else { return };
    let mut stream = Vec::new();
    for piece in pieces.iter().take(64) {
        if stream.len() < 100_000 {
            piece.write(&mut stream);
        }
    }
    let limit = usize::from(limit);
    let truth = Truth::of(&stream, limit as u64);
    let mut ends = truth.ends.iter().copied();
    let (mut reader, mut codec) = (Reader::new(limit), Codec::new().max_size(limit.max(125)));
    let (mut rest, mut at, mut shown) = (Vec::new(), 0, 0);
    let mut cuts = cuts.iter().chain(&[u16::MAX]);
    while shown < stream.len() {
        let cut = usize::from(*cuts.next().unwrap_or(&u16::MAX)).max(1);
        let before = shown;
        shown = (shown + cut).min(stream.len());
        rest.extend(&stream[before..shown]);
        loop {
            match reader.read(&mut rest) {
                Ok(Some((event, length))) => {
                    assert_eq!(ends.next(), Some(at + length), "where the frame ends");
                    let mut same = BytesMut::from(&stream[at..at + length]);
                    let frame = codec
                        .decode(&mut same)
                        .expect("the codec finds it wrong")
                        .expect("the codec wants more");
                    compare(&event, &frame);
                    at += length;
                    rest.drain(..length);
                }
                Ok(None) => break,
                Err(breach)
                    if truth
                        .breach
                        .is_some_and(|(known_at, _)| known_at <= shown && ends.len() == 0) =>
                {
                    assert_eq!(Some(breach), truth.breach.map(|(_, kind)| kind));
                    return;
                }
                Err(breach) => {
                    let end = ends.next().expect("found before the frame was there");
                    let mut same = BytesMut::from(&stream[at..end]);
                    return wrong_within(breach, codec.decode(&mut same).ok().flatten());
                }
            }
        }
        let whole = ends.clone().next().filter(|end| *end <= shown);
        assert_eq!(whole, None, "a frame is there, and was not found");
        let known = truth.breach.filter(|(known_at, _)| *known_at <= shown && ends.len() == 0);
        assert_eq!(known, None, "was not seen");
        assert!(rest.len() <= 14 + limit.max(125), "{} bytes of a frame are kept", rest.len());
    }
}

fn compare(event: &Event<'_>, frame: &Frame) {
    match (event, frame) {
        (Event::Text(text), Frame::Text(body)) => assert_eq!(text.as_bytes(), body),
        (Event::Text(text), Frame::Continuation(Item::Last(end))) => {
            assert!(text.as_bytes().ends_with(end))
        }
        (Event::Ping(ours), Frame::Ping(body)) => assert_eq!(ours, body),
        (Event::Close(code, _), Frame::Close(reason)) => {
            assert_eq!(
                *code,
                reason.as_ref().map(|reason| reason.code.into()),
                "{event:?} {frame:?}"
            );
        }
        (Event::Fragment, Frame::Continuation(_)) | (Event::Pong, Frame::Pong(_)) => {}
        _ => panic!("{event:?} is not {frame:?}"),
    }
}

/// Checks a violation in the body or in the order of fragments. The codec has no frame then, or one
/// that shows the violation.
fn wrong_within(breach: ProtocolViolation, frame: Option<Frame>) {
    let right = match (breach, &frame) {
        (
            ProtocolViolation::Binary,
            None | Some(Frame::Binary(_) | Frame::Continuation(Item::FirstBinary(_))),
        ) => true,
        (ProtocolViolation::NotText, Some(Frame::Text(body))) => std::str::from_utf8(body).is_err(),
        (ProtocolViolation::NotText, Some(Frame::Continuation(Item::Last(_)))) => true,
        // the codec lets a text between fragments pass, and leaves out a bad close
        (ProtocolViolation::Malformed, None | Some(Frame::Close(_) | Frame::Text(_))) => true,
        _ => false,
    };
    assert!(right, "{breach:?}: {frame:?}");
}
