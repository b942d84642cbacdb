//! The settings: read once from `settings.toml`, the environment and flags, then checked.
//!
//! `settings.toml` explains every key. A test compares it with [`Settings::default`].

mod check;
pub mod environment;
mod error;
mod file;
mod ice;
mod log_filter;
pub mod origin;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

pub use self::error::{KeyProblem, SettingsError};
use self::file::SettingsFile;
pub use self::log_filter::{LogFilter, LogFilterError};
use self::origin::Origin;
use peerstar_core::page::election::Policy;
use peerstar_core::protocol::ice::IceServer;
use peerstar_core::protocol::secret::Secret;

/// All settings of a server, one field for each section of `settings.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "settings.toml explains each key")]
pub struct Settings {
    pub server: Server,
    pub peerjs: Peerjs,
    pub pages: Pages,
    pub election: Election,
    pub liveness: Liveness,
    pub relay: Relay,
    pub limits: Limits,
    pub ice: Ice,
    pub auth: Auth,
    pub cluster: Cluster,
    pub cors: Cors,
    pub tls: Tls,
    pub log: Log,
}

/// Declares a section of the settings with its keys and their defaults.
macro_rules! section {
    ($name:ident { $($(#[$attr:meta])* $key:ident: $type:ty = $default:expr),* $(,)? }) => {
        #[doc = concat!("`[", stringify!($name), "]` in settings.toml.")]
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[expect(missing_docs, reason = "settings.toml explains each key")]
        pub struct $name { $($(#[$attr])* pub $key: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }
    };
}

section!(Server {
    host: String = "0.0.0.0".into(),
    port: u16 = 9000,
    path: String = "/".into(),
    workers: usize = 0,
    max_connections: usize = 0,
    proxied: bool = false,
    proxy_hops: usize = 1,
    public_url: String = String::new(),
});
section!(Peerjs {
    key: String = "peerjs".into(),
    allow_discovery: bool = false,
    expire_ms: u64 = 5000,
    concurrent_limit: usize = 0,
});
section!(Pages {
    max: usize = 0,
    max_members: usize = 10_000,
    star: usize = 32,
    deputies: usize = 1,
    resume_ms: u64 = 30_000
});
section!(Election {
    #[serde(deserialize_with = "word")]
    policy: Policy = Policy::Random,
    recovery_ms: u64 = 5000,
    hidden_ms: u64 = 10_000,
});
section!(Liveness {
    ping_ms: u64 = 5000,
    timeout_ms: u64 = 15_000,
    host_timeout_ms: u64 = 6000,
    return_ms: u64 = 3000,
    probe_ms: u64 = 2000,
});
section!(Relay {
    enabled: bool = true,
    max_bytes_per_s: u64 = 4_194_304,
    max_message_bytes: usize = 65_536
});
section!(Limits {
    message_bytes: usize = 131_072,
    messages_per_s: u64 = 1000,
    connections_per_ip: usize = 0,
    queue_bytes: usize = 1_048_576,
});
section!(Ice {
    #[serde(deserialize_with = "ice::list")]
    servers: Vec<IceServer> = vec![IceServer {
        urls: vec!["stun:stun.l.google.com:19302".into()],
        username: None,
        credential: None,
    }],
    turn_secret: Secret = Secret::default(),
    turn_ttl_s: u64 = 3600,
});
section!(Auth {
    ticket_secret: Secret = Secret::default(),
    admin_token: Secret = Secret::default()
});
section!(Cluster {
    url: Secret = Secret::default(),
    secret: Secret = Secret::default(),
    address: String = String::new(),
});
section!(Cors {
    #[serde(deserialize_with = "origin::list")]
    origins: Vec<Origin> = Vec::new(),
});
section!(Tls { cert: String = String::new(), key: String = String::new() });
section!(Log {
    filter: LogFilter = LogFilter::default(),
    #[serde(deserialize_with = "word")]
    format: LogFormat = LogFormat::Text,
});

/// Form of the log lines (`log.format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text for people: the message, then `key=value` for each field.
    Text,
    /// One JSON object a line, with each field as a field of the object.
    Json,
}

/// Reads one of the words of an enum. The error names all words.
fn word<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    let word = T::deserialize(text.as_str().into_deserializer());
    word.map_err(|error: serde::de::value::Error| serde::de::Error::custom(error))
}

/// A setting that is a list in the file, and one text in the environment.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listed<T> {
    List(Vec<T>),
    Text(String),
}

/// Everything that settings are read from.
#[derive(Default)]
pub struct Sources {
    /// Path of the settings file (`--config`), which must exist. Where no path is given,
    /// `./settings.toml` is read if it exists.
    pub file: Option<PathBuf>,
    /// Environment variables by name.
    pub environment: HashMap<String, String>,
    /// Flags as pairs of key and value. They override all other sources.
    pub flags: Vec<(&'static str, String)>,
}

/// Shows names alone, because values may be secrets.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<_> = self.environment.keys().collect();
        let flags: Vec<_> = self.flags.iter().map(|(key, _)| key).collect();
        f.debug_struct("Sources")
            .field("file", &self.file)
            .field("environment", &variables)
            .field("flags", &flags)
            .finish()
    }
}

impl Settings {
    /// Merges the defaults, the file, the environment, `PORT` and the flags, the later before the
    /// earlier, and checks the result.
    ///
    /// # Errors
    /// When a source cannot be read, or a value is not allowed. The error is one line that names
    /// the key, its value unless that is a secret, and what is allowed.
    pub fn load(sources: Sources) -> Result<Self, SettingsError> {
        let Sources { file, environment, flags } = sources;
        let file = SettingsFile::read(file)?;
        let merge = |error| SettingsError::merge(file.path.clone(), error);
        let mut environment = environment::with_files(environment)?;
        let port = environment.remove("PORT").filter(|port| !port.is_empty());
        let environment = config::Environment::with_prefix("PEERSTAR")
            .prefix_separator("__")
            .separator("__")
            .source(Some(environment));
        let mut builder =
            config::Config::builder().add_source(file.source()).add_source(environment);
        for (key, value) in port.map(|port| ("server.port", port)).into_iter().chain(flags) {
            builder = builder.set_override(key, value).map_err(merge)?;
        }
        let merged = builder.build().map_err(merge)?;
        check::check_sections(&merged)?;
        let mut settings: Self =
            serde_path_to_error::deserialize(merged).map_err(SettingsError::key)?;
        if !settings.server.path.ends_with('/') {
            settings.server.path.push('/');
        }
        check::check(&settings)?;
        Ok(settings)
    }

    /// Returns the settings in effect as TOML, with secrets masked.
    ///
    /// # Panics
    /// When the settings cannot be written as TOML, which is a fault of the server's own.
    #[must_use]
    pub fn print(&self) -> String {
        toml::to_string(self)
            .unwrap_or_else(|error| panic!("the settings cannot be printed: {error}"))
    }
}

/// Returns the URL at which other nodes reach a node (`cluster.address`), if the text is one.
#[must_use]
pub fn node_url(address: &str) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    let is_plain = url.scheme() == "http" && url.has_host() && url.path().ends_with('/');
    let has_more = url.query().is_some() || url.fragment().is_some() || url.username() != "";
    (is_plain && !has_more && url.password().is_none()).then_some(url)
}

/// Returns `number` milliseconds as a duration.
#[must_use]
pub const fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// Returns a limit of the settings, where 0 stands for no limit.
#[must_use]
pub const fn limit(number: usize) -> usize {
    if number == 0 { usize::MAX } else { number }
}

#[cfg(test)]
mod tests;
