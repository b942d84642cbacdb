//! Looks at WebSocket frame headers (RFC 6455, 5.2) as the bytes arrive, before anything buffers them.
//!
//! actix's codec checks a frame's length only once all of it is in memory, and has no limit at all for a message in
//! fragments. The guard reads only headers, copies nothing, and leaves all else to the codec.

/// What the guard found wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// A message (in one frame or in fragments) longer than allowed.
    TooBig,
    /// Reserved bits or opcodes, or a control frame with more than 125 bytes.
    Malformed,
}

/// What may be handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleared {
    /// So many of the bytes.
    pub bytes: usize,
    /// So many frames end in them.
    pub frames: usize,
}

/// The longest header: 2 bytes, 8 of length, 4 of mask.
const LONGEST_HEADER: usize = 14;

/// Follows one connection's frames.
#[derive(Debug, Clone)]
pub struct FrameGuard {
    limit: u64,
    header: [u8; LONGEST_HEADER],
    header_len: usize,
    /// What is still to come of the frame whose header has been read.
    body: Option<u64>,
    /// The length so far of a message in fragments.
    message: u64,
}

impl FrameGuard {
    /// Allows messages of up to `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit: limit as u64, header: [0; LONGEST_HEADER], header_len: 0, body: None, message: 0 }
    }

    /// Whether a frame has begun that has not ended yet.
    #[must_use]
    pub const fn is_within_frame(&self) -> bool {
        self.header_len > 0 || self.body.is_some()
    }

    /// Looks at the bytes that come next and clears them up to the end of the `most_frames`-th frame.
    /// Bytes not cleared are to be shown again.
    ///
    /// # Errors
    /// At the first header that breaks a rule; the connection is of no more use.
    pub fn inspect(&mut self, bytes: &[u8], most_frames: usize) -> Result<Cleared, Breach> {
        let mut cleared = Cleared::default();
        while cleared.bytes < bytes.len() && cleared.frames < most_frames {
            let rest = &bytes[cleared.bytes..];
            let mut body = match self.body {
                Some(body) => body,
                None => {
                    self.header[self.header_len] = rest[0];
                    self.header_len += 1;
                    cleared.bytes += 1;
                    let Some(body) = self.read_header()? else { continue };
                    self.header_len = 0;
                    self.body = Some(body);
                    if body > 0 {
                        continue;
                    }
                    0
                }
            };
            let rest = &bytes[cleared.bytes..];
            let here = usize::try_from(body).map_or(rest.len(), |body| body.min(rest.len()));
            cleared.bytes += here;
            body -= here as u64;
            self.body = Some(body);
            if body == 0 {
                self.body = None;
                cleared.frames += 1;
            }
        }
        Ok(cleared)
    }

    /// The length of the body, once the header is whole.
    fn read_header(&mut self) -> Result<Option<u64>, Breach> {
        let header = &self.header[..self.header_len];
        let [first, second, ..] = *header else { return Ok(None) };
        let (length, length_bytes) = match second & 0x7f {
            126 if header.len() >= 4 => (u64::from(u16::from_be_bytes([header[2], header[3]])), 2),
            127 if header.len() >= 10 => {
                let mut eight = [0; 8];
                eight.copy_from_slice(&header[2..10]);
                (u64::from_be_bytes(eight), 8)
            }
            126 | 127 => return Ok(None),
            short => (u64::from(short), 0),
        };
        let (last, control) = (first & 0x80 != 0, first & 0x08 != 0);
        let (reserved, opcode) = (first & 0x70 != 0, first & 0x0f);
        if reserved || matches!(opcode, 3..=7 | 11..) || (control && length > 125) {
            return Err(Breach::Malformed);
        }
        if !control && self.message.saturating_add(length) > self.limit {
            return Err(Breach::TooBig);
        }
        let mask_bytes = if second & 0x80 != 0 { 4 } else { 0 };
        if header.len() < 2 + length_bytes + mask_bytes {
            return Ok(None);
        }
        if !control {
            self.message = if last { 0 } else { self.message + length };
        }
        Ok(Some(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, body: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match body {
            0..=125 => bytes.push(0x80 | body as u8),
            126..=65535 => {
                bytes.push(0x80 | 126);
                bytes.extend((body as u16).to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend((body as u64).to_be_bytes());
            }
        }
        bytes.extend([1, 2, 3, 4]);
        bytes.extend(vec![b'x'; body]);
        bytes
    }

    const TEXT: u8 = 0x81;
    const PART: u8 = 0x01;
    const MORE: u8 = 0x00;
    const LAST: u8 = 0x80;
    const PING: u8 = 0x89;

    #[test]
    fn frames_are_counted_however_the_bytes_are_cut() {
        let stream: Vec<u8> =
            [frame(TEXT, 0), frame(TEXT, 5), frame(PING, 125), frame(TEXT, 126), frame(TEXT, 70_000), frame(TEXT, 1)].concat();
        let ends = [6, 17, 148, 282, 70_296, 70_303];
        for cut in [1, 2, 3, 7, 1000, stream.len()] {
            let mut seen = 0;
            let mut guard = FrameGuard::new(70_000);
            let frames: usize = stream
                .chunks(cut)
                .map(|part| {
                    let cleared = guard.inspect(part, usize::MAX).unwrap_or_else(|e| panic!("{e:?}"));
                    assert_eq!(cleared.bytes, part.len());
                    seen += part.len();
                    assert_eq!(guard.is_within_frame(), !ends.contains(&seen));
                    cleared.frames
                })
                .sum();
            assert_eq!(frames, 6, "cut into {cut}");
        }
    }

    #[test]
    fn no_more_frames_are_cleared_than_asked_for() {
        let stream = [frame(TEXT, 3), frame(TEXT, 4)].concat();
        let mut guard = FrameGuard::new(100);
        assert_eq!(guard.inspect(&stream, 1), Ok(Cleared { bytes: 9, frames: 1 }));
        assert_eq!(guard.inspect(&stream[9..], 0), Ok(Cleared::default()));
        assert_eq!(guard.inspect(&stream[9..], 9), Ok(Cleared { bytes: 10, frames: 1 }));
    }

    #[test]
    fn a_length_is_refused_from_the_header_alone() {
        let mut huge = vec![TEXT, 0x80 | 127];
        huge.extend((1_u64 << 30).to_be_bytes());
        assert_eq!(FrameGuard::new(1000).inspect(&huge, 9), Err(Breach::TooBig));
        assert_eq!(FrameGuard::new(1000).inspect(&frame(TEXT, 1001), 9), Err(Breach::TooBig));
        assert!(FrameGuard::new(1000).inspect(&frame(TEXT, 1000), 9).is_ok());
        assert_eq!(FrameGuard::new(1000).inspect(&frame(PING, 126), 9), Err(Breach::Malformed));
    }

    #[test]
    fn reserved_bits_and_opcodes_are_refused() {
        for first in [0xC1, 0xA1, 0x91, 0x83, 0x8B, 0x8F] {
            assert_eq!(FrameGuard::new(1000).inspect(&frame(first, 1), 9), Err(Breach::Malformed), "{first:x}");
        }
    }

    #[test]
    fn fragments_are_refused_by_their_sum_and_control_frames_between_them_do_not_count() {
        let parts = |last: usize| [frame(PART, 400), frame(PING, 100), frame(MORE, 400), frame(LAST, last)].concat();
        assert_eq!(FrameGuard::new(1000).inspect(&parts(201), 9), Err(Breach::TooBig));
        let mut guard = FrameGuard::new(1000);
        assert!(guard.inspect(&parts(200), 9).is_ok());
        assert!(guard.inspect(&frame(TEXT, 1000), 9).is_ok(), "the next message starts from nothing");
    }
}
