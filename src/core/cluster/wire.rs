//! Numbers and texts as bytes, for what nodes say to each other.

use bytes::{Buf, Bytes};
use bytestring::ByteString;

use crate::protocol::id::{PeerId, SessionId};

/// Why bytes are refused. They come from another version, or from somebody who is no node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadBag {
    /// The bytes end too early.
    #[error("the bag ends too early")]
    TooShort,
    /// There are bytes left at the end of an entry.
    #[error("an entry is longer than its content")]
    TooLong,
    /// A number is larger than its type allows.
    #[error("a number is out of range")]
    OutOfRange,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    NotText,
    /// A name breaks a rule of its own.
    #[error("a name breaks a rule")]
    BadName,
    /// A kind of entry, or a word in one, is not known.
    #[error("a kind of entry is not known")]
    UnknownKind,
    /// An entry refers to a page or a text that the bag does not have.
    #[error("an entry refers to what the bag does not have")]
    NoSuchItem,
    /// The bag is of another version.
    #[error("the bag is of another version")]
    OtherVersion,
    /// The bag is not from this node to that.
    #[error("the bag is not of this link")]
    OtherLink,
    /// The bag acknowledges what was never sent, or says that less was sent than it carries.
    #[error("the numbers of the bag do not agree")]
    BadNumbers,
    /// An entry in parts is longer than any entry may be, or its parts do not follow each other.
    #[error("the parts of an entry do not fit")]
    BadParts,
}

/// Appends `number` in 7-bit groups, lowest first.
pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes the content of one entry.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// The session that was named last. Sessions of a node are near each other.
    last_session: &'a mut u64,
}

impl<'a> Writer<'a> {
    pub(super) const fn new(out: &'a mut Vec<u8>, last_session: &'a mut u64) -> Self {
        Self { out, last_session }
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.out.push(flag.into());
    }

    pub(super) fn number(&mut self, number: u64) {
        put_number(self.out, number);
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.raw(text.as_bytes());
    }

    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(super) fn list<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.number(items.len() as u64);
        items.for_each(|item| write(self, item));
    }

    /// Writes a session as the difference to the last one, with the sign in the lowest bit.
    pub(super) fn session(&mut self, session: SessionId) {
        let difference = session.0.wrapping_sub(*self.last_session) as i64;
        self.number(((difference << 1) ^ (difference >> 63)) as u64);
        *self.last_session = session.0;
    }
}

/// Reads what a [`Writer`] wrote.
#[derive(Debug)]
pub(super) struct Reader {
    bytes: Bytes,
    last_session: u64,
}

impl Reader {
    pub(super) const fn new(bytes: Bytes) -> Self {
        Self { bytes, last_session: 0 }
    }

    /// Returns a reader of the next `length` bytes, which go on from the last session.
    pub(super) fn part(&mut self, length: usize) -> Result<Self, BadBag> {
        Ok(Self { bytes: self.raw(length)?, last_session: self.last_session })
    }

    /// Goes on from the last session of a [`part`](Self::part), which must be at its end.
    pub(super) fn end_part(&mut self, part: Self) -> Result<(), BadBag> {
        self.last_session = part.last_session;
        if part.is_empty() { Ok(()) } else { Err(BadBag::TooLong) }
    }

    /// Goes on from the last session of `other`.
    pub(super) const fn go_on_from(&mut self, other: &Self) {
        self.last_session = other.last_session;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, BadBag> {
        let byte = *self.bytes.first().ok_or(BadBag::TooShort)?;
        self.bytes.advance(1);
        Ok(byte)
    }

    pub(super) fn flag(&mut self) -> Result<bool, BadBag> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(BadBag::OutOfRange),
        }
    }

    pub(super) fn number(&mut self) -> Result<u64, BadBag> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // one number has one form: no bits beyond 64, no empty last byte
            if (shift == 63 && bits > 1) || (byte == 0 && shift > 0) {
                return Err(BadBag::OutOfRange);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(BadBag::OutOfRange)
    }

    pub(super) fn narrow<T: TryFrom<u64>>(&mut self) -> Result<T, BadBag> {
        T::try_from(self.number()?).map_err(|_| BadBag::OutOfRange)
    }

    pub(super) fn raw(&mut self, length: usize) -> Result<Bytes, BadBag> {
        if length > self.bytes.len() {
            return Err(BadBag::TooShort);
        }
        Ok(self.bytes.split_to(length))
    }

    pub(super) fn text(&mut self) -> Result<ByteString, BadBag> {
        let length = self.narrow()?;
        ByteString::try_from(self.raw(length)?).map_err(|_| BadBag::NotText)
    }

    pub(super) fn id(&mut self) -> Result<PeerId, BadBag> {
        PeerId::parse(&self.text()?).map_err(|_| BadBag::BadName)
    }

    pub(super) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, BadBag>,
    ) -> Result<Option<T>, BadBag> {
        self.flag()?.then(|| read(self)).transpose()
    }

    /// Reads a list. Every item has at least one byte, so a short input cannot ask for much memory.
    pub(super) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, BadBag>,
    ) -> Result<Vec<T>, BadBag> {
        let count: usize = self.narrow()?;
        if count > self.bytes.len() {
            return Err(BadBag::TooShort);
        }
        // not by `collect`, which would not know how many come before the first error
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }

    pub(super) fn session(&mut self) -> Result<SessionId, BadBag> {
        let coded = self.number()?;
        let difference = (coded >> 1) ^ (coded & 1).wrapping_neg();
        self.last_session = self.last_session.wrapping_add(difference);
        Ok(SessionId(self.last_session))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_sessions_come_back() {
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), 1 << 63, u64::MAX];
        let (mut out, mut last) = (Vec::new(), 0);
        let mut writer = Writer::new(&mut out, &mut last);
        for number in numbers {
            writer.number(number);
            writer.session(SessionId(number));
        }
        let mut reader = Reader::new(out.into());
        for number in numbers {
            assert_eq!(reader.number(), Ok(number));
            assert_eq!(reader.session(), Ok(SessionId(number)));
        }
        assert!(reader.is_empty());
    }

    #[test]
    fn a_number_has_one_form() {
        let number = |bytes: &'static [u8]| Reader::new(Bytes::from_static(bytes)).number();
        assert_eq!(number(&[0x80, 0x00]), Err(BadBag::OutOfRange));
        assert_eq!(number(&[0x80]), Err(BadBag::TooShort));
        assert_eq!(number(&[0xff; 10]), Err(BadBag::OutOfRange));
        let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Reader::new(Bytes::copy_from_slice(&most)).number(), Ok(u64::MAX));
    }

    #[test]
    fn a_list_that_promises_too_much_is_refused() {
        let mut reader = Reader::new(Bytes::from_static(&[0xff, 0xff, 0x7f, 1, 1]));
        assert_eq!(reader.list(Reader::byte), Err(BadBag::TooShort));
    }
}
