//! Joins the fragments of text messages.

/// Why fragments do not make a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// A continuation came without a first fragment, or a first fragment inside a message.
    OutOfOrder,
    /// The message is not UTF-8.
    NotText,
    /// The message is longer than allowed.
    TooBig,
}

/// The fragments of a message so far. Between messages it holds no memory.
#[derive(Debug, Default)]
pub struct Reassembly(Option<Vec<u8>>);

impl Reassembly {
    /// Returns the number of bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, Vec::len)
    }

    /// Returns whether no message has begun.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Adds the first fragment of a message.
    ///
    /// # Errors
    /// When the previous message is not complete, or this one is longer than `limit` bytes.
    pub fn first(&mut self, bytes: &[u8], limit: usize) -> Result<(), Broken> {
        if self.0.replace(Vec::new()).is_some() {
            return Err(Broken::OutOfOrder);
        }
        self.more(bytes, limit)
    }

    /// Adds another fragment to the message.
    ///
    /// # Errors
    /// When no message has begun, or it becomes longer than `limit` bytes.
    pub fn more(&mut self, bytes: &[u8], limit: usize) -> Result<(), Broken> {
        let message = self.0.as_mut().ok_or(Broken::OutOfOrder)?;
        if message.len() + bytes.len() > limit {
            return Err(Broken::TooBig);
        }
        message.extend_from_slice(bytes);
        Ok(())
    }

    /// Adds the last fragment and returns the message.
    ///
    /// # Errors
    /// When [`Reassembly::more`] fails, or the message is not UTF-8.
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
    fn fragments_out_of_order_and_long_messages_are_refused() {
        let mut parts = Reassembly::default();
        assert_eq!(parts.more(b"a", 9), Err(Broken::OutOfOrder));
        assert_eq!(parts.first(b"aaaaa", 9), Ok(()));
        assert_eq!(parts.more(b"bbbbb", 9), Err(Broken::TooBig));
        assert_eq!(parts.first(b"a", 9), Err(Broken::OutOfOrder));
    }
}
