//! Ids, page names, tokens and epochs. Every name that a client may choose is checked here and
//! nowhere else.

use std::fmt;
use std::sync::Arc;

/// Why a name is refused, in words for the person who reads the refusal.
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
/// PeerJS's own rule for ids allows a subset of these. A clone shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(Arc<str>);

impl PeerId {
    /// Length of the longest id, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// Checks `text` as an id.
    ///
    /// # Errors
    /// When `text` breaks a rule, with the rule.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        match text {
            "" => Err(bad("id", "is empty")),
            t if t.len() > Self::MAX_BYTES => Err(bad("id", "is longer than 128 bytes")),
            t if t.chars().any(char::is_control) => Err(bad("id", "has a control character")),
            t if t.contains(['/', '<', '>', '"']) => Err(bad("id", "has one of / < > \"")),
            t => Ok(Self(t.into())),
        }
    }

    /// Returns the id as text.
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

/// Shows the id in quotes, with all invisible characters escaped. An id in a log line cannot pass
/// for another field or line.
impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The name of a page: an opaque UTF-8 string of 1–1024 bytes, compared byte for byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageName(Arc<str>);

impl PageName {
    /// Length of the longest name, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// Checks `text` as the name of a page.
    ///
    /// # Errors
    /// When `text` breaks a rule, with the rule.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        match text.len() {
            0 => Err(bad("page", "is empty")),
            n if n > Self::MAX_BYTES => Err(bad("page", "is longer than 1024 bytes")),
            _ => Ok(Self(text.into())),
        }
    }

    /// Returns the name as text.
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

/// The space within which ids are unique and signalling stays: a page, or the space of all clients
/// without one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PageKey {
    /// Clients without `page`, as on a plain PeerServer. There is no host.
    Pageless,
    /// A page with a name.
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

/// What a group member can do beyond what its version of the group protocol demands: at most 16
/// names of 1–16 of `a-z 0-9 -`, in the order in which the client said them.
///
/// The names are for other members. The server passes them on and acts on none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities(Box<str>);

impl Capabilities {
    /// Largest number of names.
    pub const MOST: usize = 16;
    /// Length of the longest name, in bytes.
    pub const MAX_BYTES: usize = 16;

    /// Checks names with commas between them. The empty text has no names.
    ///
    /// # Errors
    /// When there are too many names, or one breaks a rule, with the rule.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let is_allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        let is_name = |name: &str| {
            (1..=Self::MAX_BYTES).contains(&name.len()) && name.bytes().all(is_allowed)
        };
        match text {
            "" => Ok(Self::default()),
            t if t.split(',').nth(Self::MOST).is_some() => {
                Err(bad("can", "has more than 16 names"))
            }
            t if !t.split(',').all(is_name) => {
                Err(bad("can", "has a name that is not 1 to 16 characters of a-z, 0-9 and -"))
            }
            t => Ok(Self(t.into())),
        }
    }

    /// Returns whether there are no names.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split(',').filter(|name| !name.is_empty())
    }
}

/// Proves that a client is the one that used its id before: 1–512 bytes, never logged.
#[derive(Clone)]
pub struct Token(Box<str>);

impl Token {
    /// Length of the longest token, in bytes.
    pub const MAX_BYTES: usize = 512;

    /// Checks `text` as a token.
    ///
    /// # Errors
    /// When `text` breaks a rule, with the rule.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        match text.len() {
            0 => Err(bad("token", "is empty")),
            n if n > Self::MAX_BYTES => Err(bad("token", "is longer than 512 bytes")),
            _ => Ok(Self(text.into())),
        }
    }

    /// Returns the token as text. It must not be shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether there are two tokens and they are the same. The comparison takes the same
    /// time for all tokens of one length.
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

/// Number of one WebSocket. A process uses no number twice, and begins at a random one of 63 bits, so
/// that no two processes of a cluster use the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Number of the term of a host on a page. It grows with every change of host, across restarts too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Least number that is no epoch. JavaScript is exact below 2^53.
    pub const LIMIT: u64 = 1 << 53;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_id_names_the_rule_that_it_breaks() {
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
    fn capabilities_are_a_few_short_names() {
        let names = |text: &str| {
            Capabilities::parse(text)
                .map(|can| can.names().map(str::to_owned).collect::<Vec<_>>())
                .map_err(|e| e.to_string())
        };
        assert_eq!((names(""), Capabilities::default().is_empty()), (Ok(vec![]), true));
        assert_eq!(names("zip,a-2"), Ok(vec!["zip".to_owned(), "a-2".to_owned()]));
        let most = vec!["abcdefghijklmnop"; 16].join(",");
        assert_eq!(names(&most).map(|names| names.len()), Ok(16));
        assert_eq!(names(&[&*most, "a"].join(",")), Err("can has more than 16 names".into()));
        for bad in [",", "a,", ",a", "a,,b", "A", "a b", "ü", "a_b", "abcdefghijklmnopq"] {
            assert_eq!(
                names(bad),
                Err("can has a name that is not 1 to 16 characters of a-z, 0-9 and -".into()),
                "{bad}"
            );
        }
    }

    #[test]
    fn an_id_is_quoted_and_escaped_in_the_log() {
        let id =
            PeerId::parse("x members=0\u{2028}id=y \u{202e}").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(format!("{id:?}"), r#""x members=0\u{2028}id=y \u{202e}""#);
    }

    #[test]
    fn no_token_equals_no_other() {
        let (a, b) = (Token::parse("a").ok(), Token::parse("b").ok());
        assert!(Token::same(a.as_ref(), a.as_ref()));
        assert!(!Token::same(a.as_ref(), b.as_ref()));
        assert!(!Token::same(None, None), "no token is no proof");
        assert_eq!(format!("{:?}", a), "Some(***)");
    }
}
