//! Text messages that come in fragments.

/// Why a message cannot be put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// A continuation of nothing, or a new message inside another.
    OutOfOrder,
    /// It is not UTF-8.
    NotText,
    /// It is longer than allowed.
    TooBig,
}

/// The fragments so far. At rest it holds no memory.
#[derive(Debug, Default)]
pub struct Reassembly(Option<Vec<u8>>);

impl Reassembly {
    /// How many bytes there are so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, Vec::len)
    }

    /// Whether no message has begun.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The first fragment.
    ///
    /// # Errors
    /// When the message before is not complete.
    pub fn first(&mut self, bytes: &[u8], limit: usize) -> Result<(), Broken> {
        if self.0.replace(Vec::new()).is_some() {
            return Err(Broken::OutOfOrder);
        }
        self.more(bytes, limit)
    }

    /// Another fragment.
    ///
    /// # Errors
    /// When there was no first, or the message becomes longer than `limit` bytes.
    pub fn more(&mut self, bytes: &[u8], limit: usize) -> Result<(), Broken> {
        let message = self.0.as_mut().ok_or(Broken::OutOfOrder)?;
        if message.len() + bytes.len() > limit {
            return Err(Broken::TooBig);
        }
        message.extend_from_slice(bytes);
        Ok(())
    }

    /// The last fragment: the whole message.
    ///
    /// # Errors
    /// As [`Reassembly::more`], and when the whole is not UTF-8.
    pub fn last(&mut self, bytes: &[u8], limit: usize) -> Result<String, Broken> {
        self.more(bytes, limit)?;
        let message = self.0.take().ok_or(Broken::OutOfOrder)?;
        String::from_utf8(message).map_err(|_| Broken::NotText)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_may_be_cut_in_two_but_must_be_whole_in_the_end() {
        let mut parts = Reassembly::default();
        assert_eq!(parts.first(&"é".as_bytes()[..1], 9), Ok(()));
        assert_eq!(parts.last(&"é".as_bytes()[1..], 9), Ok("é".into()));
        assert_eq!(parts.first(&"é".as_bytes()[..1], 9), Ok(()));
        assert_eq!(parts.last(b"", 9), Err(Broken::NotText));
    }

    #[test]
    fn order_and_length_are_kept() {
        let mut parts = Reassembly::default();
        assert_eq!(parts.more(b"a", 9), Err(Broken::OutOfOrder));
        assert_eq!(parts.first(b"aaaaa", 9), Ok(()));
        assert_eq!(parts.more(b"bbbbb", 9), Err(Broken::TooBig));
        assert_eq!(parts.first(b"a", 9), Err(Broken::OutOfOrder));
    }
}
