//! Numbered messages that are built once and sent often, and the check that those of one sender
//! arrive once and in order.

use std::io;

use crate::frame;

/// Text before the number in every message.
const MARK: &[u8] = br#""n":""#;
const DIGITS: usize = 8;

/// A number in decimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number([u8; DIGITS]);

impl Number {
    const ZERO: Self = Self([b'0'; DIGITS]);

    fn next(&mut self) {
        for digit in self.0.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
    }
}

fn number_at(text: &[u8]) -> Option<usize> {
    text.windows(MARK.len()).position(|window| window == MARK).map(|at| at + MARK.len())
}

/// Returns a payload like Chromium's ICE candidates, such that `wrapped` has `length` bytes if
/// possible.
#[must_use]
pub fn candidate(length: usize, wrapped: impl Fn(&str) -> String) -> String {
    padded(length, |pad| {
        wrapped(&format!(
            r#"{{"candidate":{{"candidate":"candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 10.0.0.7 rport 46154 generation 0 ufrag kQ3d{pad}","sdpMLineIndex":0,"sdpMid":"0"}},"connectionId":"dc_8f3k2j5h7d","n":"00000000","type":"data"}}"#
        ))
    })
}

/// Returns a payload without meaning of the same length.
#[must_use]
pub fn state(length: usize, wrapped: impl Fn(&str) -> String) -> String {
    padded(length, |pad| wrapped(&format!(r#"{{"x":[{}],"n":"00000000","s":"{pad}"}}"#, "17,4,2")))
}

fn padded(length: usize, make: impl Fn(&str) -> String) -> String {
    let bare = make("").len();
    make(&"x".repeat(length.saturating_sub(bare)))
}

/// A message that is sent again and again with the next number.
#[derive(Debug)]
pub struct Outgoing {
    framed: Vec<u8>,
    at: usize,
    number: Number,
    /// Number of messages sent.
    pub sent: u64,
}

impl Outgoing {
    /// Builds a message from its text; see [`candidate`] and [`state`].
    ///
    /// # Errors
    /// Fails if the text has no number.
    pub fn new(text: &str) -> io::Result<Self> {
        let mut framed = Vec::new();
        frame::push(&mut framed, frame::TEXT, text.as_bytes());
        let at =
            number_at(&framed).ok_or_else(|| io::Error::other("a message without a number"))?;
        Ok(Self { framed, at, number: Number::ZERO, sent: 0 })
    }

    /// Appends the next message.
    pub fn push(&mut self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.framed);
        out[start + self.at..][..DIGITS].copy_from_slice(&self.number.0);
        self.number.next();
        self.sent += 1;
    }
}

/// Checks the messages of one sender.
#[derive(Debug)]
pub struct Incoming {
    at: usize,
    next: Number,
    /// Number of messages received.
    pub heard: u64,
}

impl Default for Incoming {
    fn default() -> Self {
        Self { at: 0, next: Number::ZERO, heard: 0 }
    }
}

impl Incoming {
    /// Returns whether a text is a numbered message.
    ///
    /// # Errors
    /// Fails if its number is not the next.
    pub fn hear(&mut self, text: &[u8]) -> io::Result<bool> {
        let is_marked = |at: usize| at >= MARK.len() && text.get(at - MARK.len()..at) == Some(MARK);
        if !is_marked(self.at) {
            let Some(at) = number_at(text) else { return Ok(false) };
            self.at = at;
        }
        if text.get(self.at..self.at + DIGITS) != Some(&self.next.0) {
            let (next, text) =
                (String::from_utf8_lossy(&self.next.0), String::from_utf8_lossy(text));
            return Err(io::Error::other(format!(
                "lost, repeated or out of order: not {next} but {text}"
            )));
        }
        self.next.next();
        self.heard += 1;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_repeated_or_out_of_order_is_noticed() {
        let mut outgoing = Outgoing::new(&state(200, str::to_owned)).expect("a number");
        let sent: Vec<Vec<u8>> = (0..12)
            .map(|_| {
                let mut out = Vec::new();
                outgoing.push(&mut out);
                out[6..].to_vec()
            })
            .collect();
        assert_eq!(sent[11].len(), 200 + 2, "the header is 8 bytes from 126 bytes on");
        let heard = |order: &[usize]| {
            let mut incoming = Incoming::default();
            order
                .iter()
                .map(|n| incoming.hear(&sent[*n]))
                .collect::<io::Result<Vec<bool>>>()
                .is_ok()
        };
        assert!(heard(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]));
        assert!(!heard(&[0, 2]));
        assert!(!heard(&[0, 0]));
        assert!(!heard(&[1]));
        assert!(!Incoming::default().hear(br#"{"type":"JOIN"}"#).expect("not numbered"));
    }
}
