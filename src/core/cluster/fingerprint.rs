//! The fingerprint of a node's settings: whether nodes agree, and on what they do not.

use std::fmt;
use std::str::FromStr;

/// A digest for each setting that must agree, in an order to which releases only append. 0 stands
/// for a setting that the node's release does not compare.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u16; Self::MOST]);

impl Fingerprint {
    /// Most settings that are compared.
    pub const MOST: usize = 48;
    /// The fingerprint of a node that compares nothing.
    pub const NONE: Self = Self([0; Self::MOST]);

    /// Returns the fingerprint of settings with these digests.
    #[must_use]
    pub fn new(digests: impl IntoIterator<Item = u16>) -> Self {
        let mut all = [0; Self::MOST];
        all.iter_mut().zip(digests).for_each(|(one, digest)| *one = digest.max(1));
        Self(all)
    }

    /// Returns the places of the settings that both compare, and that differ.
    pub fn differences(self, other: Self) -> impl Iterator<Item = usize> {
        let pairs = self.0.into_iter().zip(other.0).enumerate();
        pairs.filter(|(_, (one, other))| *one != 0 && *other != 0 && one != other).map(|(at, _)| at)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Shows four hexadecimal digits for each setting, as in Redis; `-` if there is none.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.iter().rposition(|digest| *digest != 0).map_or(0, |last| last + 1);
        if count == 0 {
            return f.write_str("-");
        }
        self.0.iter().take(count).try_for_each(|digest| write!(f, "{digest:04x}"))
    }
}

/// The text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadFingerprint;

/// Reads what [`Display`](fmt::Display) shows. Settings beyond [`Fingerprint::MOST`], of a later
/// release, are passed over.
impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let mut all = [0; Self::MOST];
        if text == "-" {
            return Ok(Self::NONE);
        }
        for (one, digits) in all.iter_mut().zip(text.as_bytes().chunks(4)) {
            let is_whole = digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit);
            let digits = std::str::from_utf8(digits).ok().filter(|_| is_whole);
            let digest = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
            *one = digest.ok_or(BadFingerprint)?;
        }
        Ok(Self(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_that_both_releases_compare_can_differ() {
        let old = Fingerprint::new([7, 0, 9]);
        let new = Fingerprint::new([7, 5, 8, 4]);
        assert_eq!(old.differences(new).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(old.differences(Fingerprint::NONE).count(), 0);
        assert_eq!(old.differences(old).count(), 0);
    }

    #[test]
    fn it_is_read_as_it_is_shown() {
        let all = Fingerprint::new((0..100).map(|n| n * 600));
        for fingerprint in [Fingerprint::NONE, Fingerprint::new([0xffff, 0, 3]), all] {
            assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        }
        assert_eq!(format!("{all}00ff").parse(), Ok(all), "a later release compares more");
        for bad in ["x", "12345", "+123", ""] {
            assert_eq!(bad.parse::<Fingerprint>().is_ok(), bad.is_empty(), "{bad}");
        }
    }
}
