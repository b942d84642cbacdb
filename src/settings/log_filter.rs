//! `log.filter`: which log lines are written.

use std::fmt;

use log::LevelFilter;
use serde::{Deserialize, Serialize};

/// The words of `log.filter`, in the form that `env_logger` takes.
///
/// They are levels, alone or after a target, with commas between them: `info,peerstar::actor=debug`.
/// After a slash may follow a text that every line must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct LogFilter(String);

/// Why a text is no log filter.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogFilterError {
    /// A word is no level, such as a level that is misspelt.
    #[error(
        "{0:?} is no level; allowed are off, error, warn, info, debug and trace, alone or after a target, as in \"info,peerstar::actor=debug\""
    )]
    NotALevel(String),
    /// A target is missing before its level, or has more than one.
    #[error("{0:?} must be one target and one level, as in \"peerstar::actor=debug\"")]
    NotOneTarget(String),
    /// There is more than one slash.
    #[error("has more than one /; after the first stands the text that lines must have")]
    ManyTexts,
}

impl LogFilter {
    /// Takes `text` after checking every word of it.
    ///
    /// # Errors
    /// Names the first word that is wrong, and what is allowed.
    pub fn parse(text: &str) -> Result<Self, LogFilterError> {
        let (words, wanted) = text.split_once('/').unwrap_or((text, ""));
        if wanted.contains('/') {
            return Err(LogFilterError::ManyTexts);
        }
        for word in words.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let level = match word.split_once('=') {
                Some((target, level)) if target.is_empty() || level.contains('=') => {
                    return Err(LogFilterError::NotOneTarget(word.to_owned()));
                }
                Some((_, level)) => level.trim(),
                None => word,
            };
            if level.parse::<LevelFilter>().is_err() {
                return Err(LogFilterError::NotALevel(level.to_owned()));
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the filter as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".into())
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for LogFilter {
    type Error = LogFilterError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_accepted_alone_and_after_a_target() {
        for text in [
            "",
            "off",
            "INFO",
            "warn, peerstar::actor=debug",
            "info,actix_http=trace,",
            "debug/page=",
            "peerstar = debug",
        ] {
            assert_eq!(LogFilter::parse(text).as_ref().map(LogFilter::as_str), Ok(text));
        }
    }

    #[test]
    fn words_that_are_no_level_are_refused_with_what_is_allowed() {
        for (text, part) in [
            ("inof", "\"inof\" is no level; allowed are off, error"),
            ("info,debgu", "\"debgu\" is no level"),
            ("peerstar", "\"peerstar\" is no level"),
            ("peerstar=", "\"\" is no level"),
            ("peerstar=all", "\"all\" is no level"),
            ("=debug", "one target and one level"),
            ("a=b=debug", "one target and one level"),
            ("info/a/b", "more than one /"),
        ] {
            let error = LogFilter::parse(text).map_err(|error| error.to_string());
            assert!(error.as_ref().is_err_and(|error| error.contains(part)), "{text}: {error:?}");
        }
    }
}
