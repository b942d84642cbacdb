//! Reads and writes WebSocket frames (RFC 6455) cheaply, so that the machine's time is left to the
//! server.

/// Opcode of a text frame.
pub const TEXT: u8 = 1;
/// Opcode of a binary frame.
pub const BINARY: u8 = 2;
/// Opcode of a close frame.
pub const CLOSE: u8 = 8;
/// Opcode of a ping.
pub const PING: u8 = 9;
/// Opcode of a pong.
pub const PONG: u8 = 10;

/// One of the server's frames, borrowed from the read buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Opcode of the frame.
    pub opcode: u8,
    /// Body of the frame, unmasked.
    pub body: &'a [u8],
}

impl Frame<'_> {
    /// Returns the code of a close frame, or 1005 if it carries none.
    #[must_use]
    pub fn close_code(&self) -> u16 {
        match self.body {
            [high, low, ..] => u16::from_be_bytes([*high, *low]),
            _ => 1005,
        }
    }
}

/// Appends a client's frame. Its mask is four zeros, which is valid and costs the client nothing.
/// The server unmasks it all
/// the same.
pub fn push(out: &mut Vec<u8>, opcode: u8, body: &[u8]) {
    push_header(out, 0x80 | opcode, body.len() as u64, true);
    out.extend_from_slice(body);
}

/// Appends a header alone, which may lie about the body. `first` is its first byte.
pub fn push_header(out: &mut Vec<u8>, first: u8, length: u64, masked: bool) {
    let mask_bit = if masked { 0x80 } else { 0 };
    out.push(first);
    match length {
        0..=125 => out.push(mask_bit | length as u8),
        126..=0xffff => {
            out.push(mask_bit | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(mask_bit | 127);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    if masked {
        out.extend_from_slice(&[0; 4]);
    }
}

/// Returns the first frame of `bytes` and its whole length. `None` if the frame is not complete.
///
/// # Errors
/// Fails on frames that a server must not send: with a mask, fragmented, or with a reserved bit.
pub fn first(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, &'static str> {
    let [first, second, ..] = *bytes else { return Ok(None) };
    if first & 0xf0 != 0x80 || second & 0x80 != 0 {
        return Err("a frame that is masked, a fragment, or has reserved bits");
    }
    let (header, length) = match (second, bytes) {
        (126, [_, _, a, b, ..]) => (4, usize::from(u16::from_be_bytes([*a, *b]))),
        (127, [_, _, a, b, c, d, e, f, g, h, ..]) => {
            (10, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) as usize)
        }
        (126 | 127, _) => return Ok(None),
        (short, _) => (2, usize::from(short)),
    };
    let whole = header + length;
    Ok(bytes.get(header..whole).map(|body| (Frame { opcode: first & 0x0f, body }, whole)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_once_they_are_whole() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let body = vec![b'x'; length];
            let mut bytes = Vec::new();
            push_header(&mut bytes, 0x80 | TEXT, length as u64, false);
            bytes.extend_from_slice(&body);
            let whole = bytes.len();
            assert_eq!(first(&bytes[..whole - 1]), Ok(None));
            bytes.push(0);
            assert_eq!(first(&bytes), Ok(Some((Frame { opcode: TEXT, body: &body }, whole))));
        }
    }

    #[test]
    fn what_a_client_sends_is_masked_and_a_server_must_not() {
        let mut bytes = Vec::new();
        push(&mut bytes, TEXT, b"hi");
        assert_eq!(bytes, [0x81, 0x82, 0, 0, 0, 0, b'h', b'i']);
        assert!(first(&bytes).is_err());
    }
}
