//! Text that must not be shown: keys, passwords, tokens.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Shown instead of a secret.
const MASK: &str = "***";

/// Why a text is no secret. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// The text is not empty and has no visible character.
    #[error("has nothing but white space; leave it empty to go without")]
    Blank,
    /// The text has a control character between its ends.
    #[error("has a line break or another control character inside; it must be one line")]
    ControlCharacter,
}

/// A secret from the settings. `Debug` and `Serialize` show `***`; only [`Secret::expose`] gives
/// the text.
///
/// White space around the text is removed, because files that hold a secret usually end with a line
/// break.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes `text` without the white space around it.
    ///
    /// # Errors
    /// When nothing but white space is left of a text that is not empty, or the text has a control
    /// character inside.
    pub fn parse(text: &str) -> Result<Self, BadSecret> {
        let trimmed = trim(text);
        if trimmed.is_empty() && !text.is_empty() {
            return Err(BadSecret::Blank);
        }
        if trimmed.chars().any(char::is_control) {
            return Err(BadSecret::ControlCharacter);
        }
        Ok(Self(trimmed.to_owned()))
    }

    /// Returns the text itself, in clear.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns whether no secret is set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    const fn shown(&self) -> &'static str {
        if self.is_empty() { "" } else { MASK }
    }
}

/// Removes white space and byte order marks at both ends.
#[must_use]
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.shown(), f)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

/// Reads a secret. No error repeats the value.
struct SecretVisitor;

impl Visitor<'_> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        Secret::parse(text).map_err(E::custom)
    }

    // a secret of digits alone needs no quotes
    fn visit_i64<E: Error>(self, number: i64) -> Result<Secret, E> {
        Ok(Secret(number.to_string()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Secret, E> {
        Ok(Secret(number.to_string()))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
        Err(E::invalid_type(Unexpected::Other("a number with a fraction"), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_around_a_secret_is_removed_and_inside_it_control_characters_are_refused() {
        for text in ["s3cret", "s3cret\n", " s3cret\r\n", "\u{feff}s3cret\t", "\n\ns3cret\u{a0}"] {
            assert_eq!(Secret::parse(text).as_ref().map(Secret::expose), Ok("s3cret"), "{text:?}");
        }
        assert_eq!(Secret::parse("two words").as_ref().map(Secret::expose), Ok("two words"));
        assert_eq!(Secret::parse(""), Ok(Secret::default()));
        for text in ["\n", " ", "\u{feff}\r\n", "a\nb", "a\0b"] {
            assert!(Secret::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_secret_is_not_shown_and_an_error_does_not_repeat_it() {
        let secret = Secret::parse("s3cret").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(format!("{secret:?} {:?}", Secret::default()), r#""***" """#);
        assert_eq!(serde_json::to_string(&secret).unwrap_or_default(), r#""***""#);
        let read = |json: &str| {
            serde_json::from_str::<Secret>(json).map(|s| s.0).map_err(|e| e.to_string())
        };
        assert_eq!(read("\"s3cret\\n\""), Ok("s3cret".into()));
        assert_eq!(read("73973"), Ok("73973".into()));
        for json in
            ["[\"s3cret\"]", "73973.5", "{\"s3cret\": \"73973\"}", "\"s3cret\\n73973\"", "true"]
        {
            let error = read(json).err().unwrap_or_else(|| panic!("accepted {json}"));
            assert!(!error.contains("s3cret") && !error.contains("73973"), "{error}");
        }
    }
}
