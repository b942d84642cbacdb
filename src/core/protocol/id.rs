//! What things are called. Every name a client may choose is checked here and nowhere else.

use std::fmt;
use std::sync::Arc;

/// What is wrong with a name a client gave, in words for the person who reads the refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {wrong}")]
pub struct BadName {
    what: &'static str,
    wrong: &'static str,
}

const fn bad(what: &'static str, wrong: &'static str) -> BadName {
    BadName { what, wrong }
}

/// The id of a peer: 1–128 bytes, no control characters, none of `/ < > "`.
///
/// PeerJS's own rule for ids is a subset of this. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(Arc<str>);

impl PeerId {
    /// The longest id, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// Takes `text` for an id.
    ///
    /// # Errors
    /// Says which rule `text` breaks.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        match text {
            "" => Err(bad("id", "is empty")),
            t if t.len() > Self::MAX_BYTES => Err(bad("id", "is longer than 128 bytes")),
            t if t.chars().any(char::is_control) => Err(bad("id", "has a control character")),
            t if t.contains(['/', '<', '>', '"']) => Err(bad("id", "has one of / < > \"")),
            t => Ok(Self(t.into())),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for PeerId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl serde::Serialize for PeerId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Quoted, with everything escaped that is not visible: an id in a log line cannot pass for another field or line.
impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The name of a page: an opaque UTF-8 string of 1–1024 bytes, compared byte for byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageName(Arc<str>);

impl PageName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// Takes `text` for the name of a page.
    ///
    /// # Errors
    /// Says which rule `text` breaks.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        match text.len() {
            0 => Err(bad("page", "is empty")),
            n if n > Self::MAX_BYTES => Err(bad("page", "is longer than 1024 bytes")),
            _ => Ok(Self(text.into())),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl serde::Serialize for PageName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Debug for PageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Where ids are unique and signalling stays: a page, or the one space of those who named none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PageKey {
    /// Clients without `page`: a plain PeerServer. It has no host.
    Pageless,
    /// One page.
    Named(PageName),
}

impl PageKey {
    /// Returns the page's name, or nothing for clients without a page.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Pageless => None,
            Self::Named(name) => Some(name.as_str()),
        }
    }
}

/// What a client proves with that it is the one who used its id before: 1–512 bytes, never logged.
#[derive(Clone)]
pub struct Token(Box<str>);

impl Token {
    /// The longest token, in bytes.
    pub const MAX_BYTES: usize = 512;

    /// Takes `text` for a token.
    ///
    /// # Errors
    /// Says which rule `text` breaks.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        match text.len() {
            0 => Err(bad("token", "is empty")),
            n if n > Self::MAX_BYTES => Err(bad("token", "is longer than 512 bytes")),
            _ => Ok(Self(text.into())),
        }
    }

    /// Whether both are there and the same, in a time that does not tell how much of them is.
    #[must_use]
    pub fn same(one: Option<&Self>, other: Option<&Self>) -> bool {
        use subtle::ConstantTimeEq;
        match (one, other) {
            (Some(one), Some(other)) => one.0.as_bytes().ct_eq(other.0.as_bytes()).into(),
            _ => false,
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// One WebSocket, for as long as the process lives; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// One term of one host on one page; grows with every change of host, across restarts too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The first number that is no epoch: JavaScript counts exactly below 2^53.
    pub const LIMIT: u64 = 1 << 53;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_rules_and_say_which_one_is_broken() {
        for good in ["a", "Ünï-çødé 42", "x_y.z", "\u{1F600}", &"a".repeat(128)] {
            assert!(PeerId::parse(good).is_ok(), "{good}");
        }
        for (text, rule) in [
            ("", "id is empty"),
            (&*"a".repeat(129), "id is longer than 128 bytes"),
            ("a\nb", "id has a control character"),
            ("a/b", "id has one of / < > \""),
            ("<b>", "id has one of / < > \""),
            ("\"", "id has one of / < > \""),
        ] {
            assert_eq!(PeerId::parse(text).map_err(|e| e.to_string()), Err(rule.into()));
        }
    }

    #[test]
    fn an_id_is_quoted_and_escaped_in_the_log() {
        let id =
            PeerId::parse("x members=0\u{2028}id=y \u{202e}").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(format!("{id:?}"), r#""x members=0\u{2028}id=y \u{202e}""#);
    }

    #[test]
    fn only_a_token_equals_a_token() {
        let (a, b) = (Token::parse("a").ok(), Token::parse("b").ok());
        assert!(Token::same(a.as_ref(), a.as_ref()));
        assert!(!Token::same(a.as_ref(), b.as_ref()));
        assert!(!Token::same(None, None), "no token is no proof");
        assert_eq!(format!("{:?}", a), "Some(***)");
    }
}
