//! Why settings are refused.

use std::io;
use std::path::PathBuf;

use super::environment::EnvironmentError;
use super::ice::IceServerError;

/// Why the settings cannot be used.
///
/// The text is one line for the person who wrote the settings. It names the key and what is
/// allowed, and it repeats no secret.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file that was named does not exist.
    #[error("{} is not a file", .0.display())]
    NotAFile(PathBuf),
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Answer of the system.
        error: io::Error,
    },
    /// The file is not TOML.
    ///
    /// The text leaves out the excerpt that the parser prints, because a line may hold a secret.
    #[error("TOML parse error at line {line}, column {column} {message} in {}", path.display())]
    NotToml {
        /// Path of the file.
        path: PathBuf,
        /// Line of the error, from 1 on.
        line: usize,
        /// Column of the error in characters, from 1 on.
        column: usize,
        /// Error of the parser, in one line.
        message: String,
    },
    /// The file has a number that no setting can hold.
    #[error("{problem} in {}", path.display())]
    NotAValue {
        /// Path of the file.
        path: PathBuf,
        /// Error of the parser, in one line.
        problem: String,
    },
    /// The sources cannot be merged.
    #[error("{0}")]
    Merge(String),
    /// A value stands where a section must be. The value is not repeated, because it may be a secret.
    #[error("{0}: must be a section of keys, as in [{0}]")]
    NotASection(String),
    /// A key is unknown, or its value has the wrong type.
    #[error("{path}: {problem}")]
    Key {
        /// Path of the key, such as `server.port`.
        path: String,
        /// What is wrong with it.
        problem: KeyProblem,
    },
    /// A number is out of its range.
    #[error("{key} = {value}: must be {least} to {most}")]
    OutOfRange {
        /// Key of the setting, such as `server.port`.
        key: &'static str,
        /// Value that is refused.
        value: u64,
        /// The smallest value allowed.
        least: u64,
        /// The largest value allowed.
        most: u64,
    },
    /// `relay.max_bytes_per_s` is too low for a single message of `relay.max_message_bytes`.
    #[error(
        "relay.max_bytes_per_s = {rate}: must be 0 or at least relay.max_message_bytes, {least}"
    )]
    RelayTooSlow {
        /// The rate, in bytes per second.
        rate: u64,
        /// The smallest rate allowed.
        least: u64,
    },
    /// A text is not of the form that its key asks for.
    #[error("{key} = {value:?}: must be {allowed}")]
    NotAllowed {
        /// Key of the setting, such as `server.port`.
        key: &'static str,
        /// Value that is refused.
        value: String,
        /// Description of what is allowed.
        allowed: &'static str,
    },
    /// Only one of `tls.cert` and `tls.key` is set.
    #[error("tls.cert and tls.key go together: set both, or neither")]
    HalfOfTls,
    /// `auth.ticket_secret` is shorter than the signature that it makes (RFC 7518, 3.2).
    #[error(
        "auth.ticket_secret: must be at least 32 bytes; `openssl rand -hex 32` makes a good one"
    )]
    ShortTicketSecret,
    /// `cluster.secret` is missing or shorter than a key.
    #[error(
        "cluster.secret: with cluster.url it must be at least 32 bytes, the same on all nodes; `openssl rand -hex 32` makes a good one"
    )]
    ShortClusterSecret,
    /// An entry of `ice.servers` is wrong.
    #[error("ice.servers: {0}")]
    IceServer(#[from] IceServerError),
    /// `ice.turn_secret` is set, and no server could use it.
    #[error(
        "ice.turn_secret is set, but no turn: server in ice.servers is without a username of its own"
    )]
    UnusedTurnSecret,
    /// The environment cannot be read.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
}

/// What is wrong with one key or its value.
#[derive(Debug, thiserror::Error)]
pub enum KeyProblem {
    /// The value has another type than its key.
    #[error("invalid type: {found}, expected {expected}")]
    Type {
        /// The type, and the value where it is short.
        found: String,
        /// The type that the key needs.
        expected: &'static str,
    },
    /// The key is unknown, or its own reader refuses the value.
    #[error("{0}")]
    Refused(String),
}

impl SettingsError {
    /// Explains why the sources cannot be merged. `path` is that of the settings file.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library may name more ways to fail")]
    pub(super) fn merge(path: PathBuf, error: config::ConfigError) -> Self {
        match error {
            config::ConfigError::FileParse { cause, .. } => {
                Self::NotAValue { path, problem: one_line(&cause.to_string()) }
            }
            error => Self::Merge(one_line(&error.to_string())),
        }
    }

    /// Explains why a key of the merged settings is refused.
    pub(super) fn key(error: serde_path_to_error::Error<config::ConfigError>) -> Self {
        let path = one_line(&error.path().to_string());
        let problem = KeyProblem::of(error.into_inner());
        // a dot stands for the settings as a whole
        if path == "." { Self::Merge(problem.to_string()) } else { Self::Key { path, problem } }
    }
}

impl KeyProblem {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library may name more ways to fail")]
    fn of(error: config::ConfigError) -> Self {
        match error {
            // the key and the source that the library adds repeat the path
            config::ConfigError::At { error, .. } => Self::of(*error),
            config::ConfigError::Type { unexpected, expected, .. } => {
                Self::Type { found: unexpected.to_string(), expected }
            }
            error => Self::Refused(one_line(&error.to_string())),
        }
    }
}

/// Joins the lines of `text`.
pub(super) fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}
