//! Reads and writes WebSocket frames (RFC 6455, section 5).
//!
//! Frames are read in place, as their bytes arrive. The length of a frame is checked as soon as its
//! header is there. Nothing is copied but the fragments of fragmented messages.

use std::borrow::Cow;

use crate::frame::reassembly::{Broken, Reassembly};

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const LAST: u8 = 0x80;

/// Length of the longest body of a control frame, in bytes.
const MOST_CONTROL: usize = 125;

/// A frame of a client, read.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A text message that is complete.
    Text(Cow<'a, str>),
    /// A fragment of a message that is not complete yet.
    Fragment,
    /// A ping. It is answered with a pong of the same body.
    Ping(&'a [u8]),
    /// The answer to a ping.
    Pong,
    /// The client closes: its code, if it gave one, and the body to send back.
    Close(Option<u16>, &'a [u8]),
}

/// A breach of RFC 6455 by a client. The connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolViolation {
    /// A message is longer than allowed, in one frame or in fragments.
    TooBig,
    /// A frame has reserved bits, a reserved opcode or no mask, is a fragment out of order, or is a
    /// bad control frame.
    Malformed,
    /// A text is not UTF-8.
    NotText,
    /// A message is binary. The protocol has text messages only.
    Binary,
}

impl From<Broken> for ProtocolViolation {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::OutOfOrder => Self::Malformed,
            Broken::NotText => Self::NotText,
            Broken::TooBig => Self::TooBig,
        }
    }
}

struct Header {
    first: u8,
    mask: [u8; 4],
    /// Index of the first byte of the body.
    begin: usize,
    /// Index of the first byte after the body.
    end: usize,
}

/// Reads the frames of one client.
///
/// ```
/// use peerstar_core::frame::reader::{Event, ProtocolViolation, Reader};
///
/// let mut reader = Reader::new(1000);
/// // "hi" in a text frame, masked with zeros
/// let mut bytes = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
/// assert_eq!(reader.read(&mut bytes[..5]), Ok(None)); // the frame is not complete
/// assert_eq!(reader.read(&mut bytes), Ok(Some((Event::Text("hi".into()), 8))));
/// // a client has to mask its frames
/// assert_eq!(reader.read(&mut [0x81, 0x02]), Err(ProtocolViolation::Malformed));
/// ```
#[derive(Debug)]
pub struct Reader {
    limit: usize,
    fragments: Reassembly,
}

impl Reader {
    /// Creates a reader for messages of up to `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, fragments: Reassembly::default() }
    }

    /// Reads the frame at the start of `bytes`, and unmasks its body in place. Returns the frame
    /// and its length in bytes.
    ///
    /// Returns `None` while the frame is not complete. The caller then passes the same, unchanged
    /// bytes again, with more.
    ///
    /// # Errors
    /// When the header or body breaks a rule.
    pub fn read<'a>(
        &mut self,
        bytes: &'a mut [u8],
    ) -> Result<Option<(Event<'a>, usize)>, ProtocolViolation> {
        let Some(Header { first, mask, begin, end }) = self.header(bytes)? else { return Ok(None) };
        let Some(body) = bytes.get_mut(begin..end) else { return Ok(None) };
        unmask(body, mask);
        Ok(Some((self.event(first, body)?, end)))
    }

    fn header(&self, bytes: &[u8]) -> Result<Option<Header>, ProtocolViolation> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        let (opcode, control) = (first & 0x0f, first & 0x08 != 0);
        let reserved = first & 0x70 != 0 || matches!(opcode, 3..=7 | 11..);
        let masked = second & 0x80 != 0;
        let (length, after) = match (second & 0x7f, rest) {
            (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 4),
            (127, [a, b, c, d, e, f, g, h, ..]) => {
                (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 10)
            }
            (126 | 127, _) if !reserved && masked && !control => return Ok(None),
            (short, _) => (u64::from(short), 2),
        };
        if reserved
            || !masked
            || (control && (usize::from(second & 0x7f) > MOST_CONTROL || first & LAST == 0))
        {
            return Err(ProtocolViolation::Malformed);
        }
        let length = usize::try_from(length).map_err(|_| ProtocolViolation::TooBig)?;
        if !control && length > self.limit - self.fragments.len() {
            return Err(ProtocolViolation::TooBig);
        }
        let Some(&[a, b, c, d]) = bytes.get(after..after + 4) else { return Ok(None) };
        let begin = after + 4;
        Ok(Some(Header { first: *first, mask: [a, b, c, d], begin, end: begin + length }))
    }

    fn event<'a>(&mut self, first: u8, body: &'a [u8]) -> Result<Event<'a>, ProtocolViolation> {
        let last = first & LAST != 0;
        Ok(match first & 0x0f {
            TEXT if last && self.fragments.is_empty() => Event::Text(Cow::Borrowed(
                std::str::from_utf8(body).map_err(|_| ProtocolViolation::NotText)?,
            )),
            TEXT if !last => {
                self.fragments.first(body, self.limit)?;
                Event::Fragment
            }
            0 if last => Event::Text(Cow::Owned(self.fragments.last(body, self.limit)?)),
            0 => {
                self.fragments.more(body, self.limit)?;
                Event::Fragment
            }
            BINARY => return Err(ProtocolViolation::Binary),
            PING => Event::Ping(body),
            PONG => Event::Pong,
            CLOSE => Event::Close(close_code(body)?, body),
            _ => return Err(ProtocolViolation::Malformed),
        })
    }
}

/// Unmasks eight bytes at a time. The compiler vectorises that.
fn unmask(body: &mut [u8], [a, b, c, d]: [u8; 4]) {
    let mask = [a, b, c, d, a, b, c, d];
    let (eights, rest) = body.as_chunks_mut::<8>();
    for eight in eights {
        *eight = (u64::from_ne_bytes(*eight) ^ u64::from_ne_bytes(mask)).to_ne_bytes();
    }
    rest.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
}

/// Reads the code in the body of a close frame. RFC 6455, section 7.4, and the registry that it
/// names say which are allowed.
fn close_code(body: &[u8]) -> Result<Option<u16>, ProtocolViolation> {
    let [a, b, reason @ ..] = body else {
        return if body.is_empty() { Ok(None) } else { Err(ProtocolViolation::Malformed) };
    };
    let code = u16::from_be_bytes([*a, *b]);
    let known = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    if known && std::str::from_utf8(reason).is_ok() {
        Ok(Some(code))
    } else {
        Err(ProtocolViolation::Malformed)
    }
}

/// Opcode of a frame that a server writes, whole and unmasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// A frame with a text message.
    Text = TEXT as isize,
    /// The last frame of a connection.
    Close = CLOSE as isize,
    /// A frame that asks for a pong.
    Ping = PING as isize,
    /// The answer to a ping.
    Pong = PONG as isize,
}

/// Appends a frame to `out`.
pub fn write(opcode: Opcode, body: &[u8], out: &mut Vec<u8>) {
    write_header(opcode, body.len(), out);
    out.extend(body);
}

/// Appends the header of a frame whose body has `length` bytes.
pub fn write_header(opcode: Opcode, length: usize, out: &mut Vec<u8>) {
    out.push(LAST | opcode as u8);
    match length {
        short @ ..126 => out.push(short as u8),
        medium @ ..=0xffff => {
            out.push(126);
            out.extend((medium as u16).to_be_bytes());
        }
        long => {
            out.push(127);
            out.extend((long as u64).to_be_bytes());
        }
    }
}

/// Returns the body of a close frame. The reason has at most 123 bytes.
#[must_use]
pub fn close_body(code: u16, reason: &str) -> Vec<u8> {
    debug_assert!(reason.len() <= MOST_CONTROL - 2, "{reason}");
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: u8 = TEXT;
    const WHOLE: u8 = LAST | TEXT;

    fn frame(first: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match body.len() {
            0..=125 => bytes.push(0x80 | body.len() as u8),
            126..=65535 => {
                bytes.push(0x80 | 126);
                bytes.extend((body.len() as u16).to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend((body.len() as u64).to_be_bytes());
            }
        }
        let mask = [1, 2, 3, 4];
        bytes.extend(mask);
        bytes.extend(body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    fn text(body: &str) -> Event<'_> {
        Event::Text(Cow::Borrowed(body))
    }

    fn violation(limit: usize, bytes: &[u8]) -> Option<ProtocolViolation> {
        let (mut reader, mut bytes, mut at) = (Reader::new(limit), bytes.to_vec(), 0);
        loop {
            match reader.read(&mut bytes[at..]) {
                Ok(Some((_, length))) => at += length,
                Ok(None) => return None,
                Err(violation) => return Some(violation),
            }
        }
    }

    #[test]
    fn frames_are_read_however_the_bytes_are_cut() {
        let long = "é".repeat(35_000);
        let bodies = ["", "hello", &"a".repeat(126), &long, "x"];
        let stream = bodies.map(|body| frame(WHOLE, body.as_bytes())).concat();
        for cut in [1, 2, 3, 7, 1000, stream.len()] {
            let (mut reader, mut buffer, mut messages) =
                (Reader::new(70_000), Vec::new(), Vec::new());
            for piece in stream.chunks(if cut < 1000 { 1000 + cut } else { cut }) {
                buffer.extend(piece);
                while let Some((event, length)) =
                    reader.read(&mut buffer).unwrap_or_else(|e| panic!("{e:?}"))
                {
                    let Event::Text(text) = event else { panic!("{event:?}") };
                    messages.push(text.into_owned());
                    buffer.drain(..length);
                }
            }
            assert_eq!(messages, bodies, "cut into {cut}");
        }
    }

    #[test]
    fn a_length_is_refused_from_the_header_alone() {
        let mut huge = vec![WHOLE, 0x80 | 127];
        huge.extend((1_u64 << 30).to_be_bytes());
        assert_eq!(violation(1000, &huge), Some(ProtocolViolation::TooBig));
        assert_eq!(violation(1000, &frame(WHOLE, &[b'a'; 1001])), Some(ProtocolViolation::TooBig));
        assert_eq!(violation(1000, &frame(WHOLE, &[b'a'; 1000])), None);
        assert_eq!(violation(1000, &[LAST | PING, 0x80 | 126]), Some(ProtocolViolation::Malformed));
        assert_eq!(
            violation(1000, &[LAST | PING, 0x80 | 126, 0, 0, 1, 2, 3, 4]),
            Some(ProtocolViolation::Malformed),
            "a length in a longer form than needed"
        );
    }

    #[test]
    fn reserved_bits_and_opcodes_and_unmasked_frames_are_refused() {
        for first in [0xC1, 0xA1, 0x91, 0x83, 0x8B, 0x8F, PING] {
            assert_eq!(
                violation(1000, &frame(first, b"a")),
                Some(ProtocolViolation::Malformed),
                "{first:x}"
            );
        }
        assert_eq!(violation(1000, &[WHOLE, 1]), Some(ProtocolViolation::Malformed));
        assert_eq!(violation(1000, &frame(LAST | BINARY, b"a")), Some(ProtocolViolation::Binary));
        assert_eq!(violation(1000, &frame(WHOLE, b"\xff")), Some(ProtocolViolation::NotText));
    }

    #[test]
    fn fragments_are_refused_by_their_sum_and_control_frames_between_them_do_not_count() {
        let parts = |last: usize| {
            let (more, end) = ([b'b'; 400], vec![b'c'; last]);
            [frame(PART, &more), frame(LAST | PING, b"!"), frame(0, &more), frame(LAST, &end)]
                .concat()
        };
        assert_eq!(violation(1000, &parts(201)), Some(ProtocolViolation::TooBig));
        assert_eq!(violation(1000, &[parts(200), frame(WHOLE, &[b'a'; 1000])].concat()), None);
        assert_eq!(
            violation(1000, &frame(LAST, b"a")),
            Some(ProtocolViolation::Malformed),
            "the end of nothing"
        );
        assert_eq!(
            violation(1000, &[frame(PART, b"a"), frame(WHOLE, b"b")].concat()),
            Some(ProtocolViolation::Malformed)
        );
        assert_eq!(
            violation(1000, &[frame(PART, b"a"), frame(PART, b"b")].concat()),
            Some(ProtocolViolation::Malformed)
        );
    }

    #[test]
    fn a_close_has_no_code_or_a_good_one() {
        let close = |body: &[u8]| violation(1000, &frame(LAST | CLOSE, body));
        for good in [&b""[..], b"\x03\xe8", b"\x03\xe9bye", b"\x0f\xa0"] {
            assert_eq!(close(good), None, "{good:?}");
        }
        for bad in [&b"\x03"[..], b"\x03\xed", b"\x00\x00", b"\x13\x88", b"\x03\xe8\xff"] {
            assert_eq!(close(bad), Some(ProtocolViolation::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn written_frames_can_be_read() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let (body, mut out) = ("a".repeat(length), Vec::new());
            write(Opcode::Text, body.as_bytes(), &mut out);
            let header = out.len() - length;
            // as a client's: with a mask of zeros
            out[1] |= 0x80;
            out.splice(header..header, [0; 4]);
            let whole = out.len();
            assert_eq!(Reader::new(length.max(1)).read(&mut out), Ok(Some((text(&body), whole))));
        }
    }
}
