//! `settings.toml`, the environment and flags: read once, checked, and then only read.
//!
//! Every key is explained in `settings.toml`, which equals [`Settings::default`] (a test compares).

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::election::Policy;
use crate::core::ice::IceServer;

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)] // settings.toml says what each key means, once
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
    pub cors: Cors,
    pub tls: Tls,
    pub log: Log,
}

/// Declares a section with its defaults beside its keys.
macro_rules! section {
    ($name:ident { $($(#[$attr:meta])* $key:ident: $type:ty = $default:expr),* $(,)? }) => {
        #[doc = concat!("`[", stringify!($name), "]` in settings.toml.")]
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[allow(missing_docs)] // settings.toml says what each key means, once
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
    public_url: String = String::new(),
});
section!(Peerjs {
    key: String = "peerjs".into(),
    allow_discovery: bool = false,
    expire_ms: u64 = 5000,
    concurrent_limit: usize = 0,
});
section!(Pages { max: usize = 0, max_members: usize = 10_000, star: usize = 32, deputies: usize = 1, resume_ms: u64 = 30_000 });
section!(Election { policy: String = "random".into(), recovery_ms: u64 = 5000, hidden_ms: u64 = 10_000 });
section!(Liveness {
    ping_ms: u64 = 5000,
    timeout_ms: u64 = 15_000,
    host_timeout_ms: u64 = 6000,
    return_ms: u64 = 3000,
    probe_ms: u64 = 2000,
});
section!(Relay { enabled: bool = true, max_bytes_per_s: u64 = 4_194_304, max_message_bytes: usize = 65_536 });
section!(Limits {
    message_bytes: usize = 131_072,
    messages_per_s: u64 = 1000,
    connections_per_ip: usize = 0,
    queue_bytes: usize = 1_048_576,
});
section!(Ice {
    #[serde(deserialize_with = "ice_servers")]
    servers: Vec<IceServer> = vec![IceServer {
        urls: vec!["stun:stun.l.google.com:19302".into()],
        username: None,
        credential: None,
    }],
    turn_secret: String = String::new(),
    turn_ttl_s: u64 = 3600,
});
section!(Auth { ticket_secret: String = String::new(), admin_token: String = String::new() });
section!(Cors {
    #[serde(deserialize_with = "origins")]
    origins: Vec<String> = Vec::new(),
});
section!(Tls { cert: String = String::new(), key: String = String::new() });
section!(Log { filter: String = "info".into(), format: String = "text".into() });

/// A list in the file, one text in the environment.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listed<T> {
    List(Vec<T>),
    Text(String),
}

fn origins<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Listed::deserialize(deserializer)? {
        Listed::List(list) => list,
        Listed::Text(text) => text.split(',').map(str::trim).filter(|o| !o.is_empty()).map(Into::into).collect(),
    })
}

fn ice_servers<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<IceServer>, D::Error> {
    let expected = "expected a list of {urls, username, credential} (in the environment: as JSON)";
    match Listed::deserialize(deserializer).map_err(|_| serde::de::Error::custom(expected))? {
        Listed::List(list) => Ok(list),
        Listed::Text(text) => serde_json::from_str(&text).map_err(|e| serde::de::Error::custom(format!("{expected}: {e}"))),
    }
}

/// What is wrong with the settings, in one line for the person who wrote them.
#[derive(Debug, thiserror::Error)]
#[error("settings: {0}")]
pub struct BadSettings(String);

/// Where settings come from, besides the file.
#[derive(Debug, Default)]
pub struct Sources {
    /// `--config`: must exist. Without it `./settings.toml` is read if there.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: HashMap<String, String>,
    /// Flags: (key, value), the last word.
    pub flags: Vec<(&'static str, String)>,
}

impl Settings {
    /// Defaults, then the file, the environment, `PORT`, flags; then checked.
    ///
    /// # Errors
    /// One line that names the key, its value and what is allowed.
    pub fn load(sources: Sources) -> Result<Self, BadSettings> {
        let bad = |e: config::ConfigError| BadSettings(one_line(&e.to_string()));
        let (file, required) = match &sources.file {
            Some(file) => (file.as_path(), true),
            None => (Path::new("settings.toml"), false),
        };
        if required && !file.is_file() {
            return Err(BadSettings(format!("{} is not a file", file.display())));
        }
        let mut environment = sources.environment;
        let port = environment.remove("PORT").filter(|port| !port.is_empty());
        let mut builder = config::Config::builder()
            .add_source(config::File::from(file).format(config::FileFormat::Toml).required(required))
            .add_source(
                config::Environment::with_prefix("PEERSTAR").prefix_separator("__").separator("__").source(Some(environment)),
            );
        for (key, value) in port.map(|port| ("server.port", port)).into_iter().chain(sources.flags) {
            builder = builder.set_override(key, value).map_err(bad)?;
        }
        let merged = builder.build().map_err(bad)?;
        let mut settings: Self = serde_path_to_error::deserialize(merged).map_err(|e| {
            let (path, inner) = (e.path().to_string(), one_line(&e.inner().to_string()));
            let inner = inner.split(" for key `").next().unwrap_or_default().to_owned();
            BadSettings(if path == "." { inner } else { format!("{path}: {inner}") })
        })?;
        if !settings.server.path.ends_with('/') {
            settings.server.path.push('/');
        }
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), BadSettings> {
        let ranges: [(&str, u64, RangeInclusive<u64>); 18] = [
            ("server.workers", self.server.workers as u64, 0..=1024),
            ("peerjs.expire_ms", self.peerjs.expire_ms, 100..=60_000),
            ("pages.star", self.pages.star as u64, 1..=256),
            ("pages.deputies", self.pages.deputies as u64, 0..=1),
            ("pages.resume_ms", self.pages.resume_ms, 1000..=600_000),
            ("election.recovery_ms", self.election.recovery_ms, 100..=60_000),
            ("election.hidden_ms", self.election.hidden_ms, 0..=3_600_000),
            ("liveness.ping_ms", self.liveness.ping_ms, 100..=60_000),
            ("liveness.timeout_ms", self.liveness.timeout_ms, self.liveness.ping_ms.saturating_mul(2)..=600_000),
            ("liveness.host_timeout_ms", self.liveness.host_timeout_ms, 300..=600_000),
            ("liveness.return_ms", self.liveness.return_ms, 0..=60_000),
            ("liveness.probe_ms", self.liveness.probe_ms, 100..=60_000),
            ("limits.message_bytes", self.limits.message_bytes as u64, 16_384..=16_777_216),
            ("relay.max_message_bytes", self.relay.max_message_bytes as u64, 1024..=self.limits.message_bytes as u64),
            ("limits.queue_bytes", self.limits.queue_bytes as u64, self.limits.message_bytes as u64..=1 << 32),
            ("limits.messages_per_s", self.limits.messages_per_s, 0..=1_000_000),
            ("relay.max_bytes_per_s", self.relay.max_bytes_per_s, 0..=1 << 40),
            ("ice.turn_ttl_s", self.ice.turn_ttl_s, 5..=86_400),
        ];
        for (key, value, allowed) in ranges {
            if !allowed.contains(&value) {
                let (least, most) = allowed.into_inner();
                return Err(BadSettings(format!("{key} = {value}: must be {least} to {most}")));
            }
        }
        let slowest = self.relay.max_message_bytes as u64;
        if (1..slowest).contains(&self.relay.max_bytes_per_s) {
            let is = self.relay.max_bytes_per_s;
            return Err(BadSettings(format!(
                "relay.max_bytes_per_s = {is}: must be 0 or at least relay.max_message_bytes, {slowest}"
            )));
        }
        let choices: [(&str, &str, &[&str]); 2] = [
            ("election.policy", &self.election.policy, &["random", "oldest"]),
            ("log.format", &self.log.format, &["text", "json"]),
        ];
        for (key, value, allowed) in choices {
            if !allowed.contains(&value) {
                return Err(BadSettings(format!("{key} = {value:?}: must be one of {allowed:?}")));
            }
        }
        let clean = |text: &str, also: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c));
        let wrong = |key: &str, value: &str, allowed: &str| Err(BadSettings(format!("{key} = {value:?}: must be {allowed}")));
        if !self.server.path.starts_with('/') || !clean(&self.server.path, "/-_.~") || self.server.path.contains("//") {
            return wrong("server.path", &self.server.path, "a path such as \"/\" or \"/app/\"");
        }
        if self.peerjs.key.is_empty() || !clean(&self.peerjs.key, "-_.~") {
            return wrong("peerjs.key", &self.peerjs.key, "letters, digits and - _ . ~");
        }
        if let Some(origin) = self.cors.origins.iter().find(|o| !is_origin(o)) {
            return wrong("cors.origins", origin, "origins such as \"https://example.org\", in lower case and without a path");
        }
        if self.tls.cert.is_empty() != self.tls.key.is_empty() {
            return Err(BadSettings("tls.cert and tls.key go together: set both, or neither".into()));
        }
        // RFC 7518, 3.2: a shorter key is weaker than the signature
        if (1..32).contains(&self.auth.ticket_secret.len()) {
            return Err(BadSettings(
                "auth.ticket_secret: must be at least 32 bytes; `openssl rand -hex 32` makes a good one".into(),
            ));
        }
        if !self.ice.turn_secret.is_empty() && !self.ice.servers.iter().any(IceServer::lacks_credentials) {
            let lacks = "ice.turn_secret is set, but no turn: server in ice.servers is without a username of its own";
            return Err(BadSettings(lacks.into()));
        }
        Ok(())
    }

    /// The effective settings as TOML, secrets masked.
    #[must_use]
    pub fn print(&self) -> String {
        let mut shown = self.clone();
        let mut secrets = vec![&mut shown.auth.ticket_secret, &mut shown.auth.admin_token, &mut shown.ice.turn_secret];
        secrets.extend(shown.ice.servers.iter_mut().filter_map(|server| server.credential.as_mut()));
        for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
            "***".clone_into(secret);
        }
        toml::to_string(&shown).unwrap_or_default()
    }

    /// The election policy.
    #[must_use]
    pub fn policy(&self) -> Policy {
        if self.election.policy == "oldest" { Policy::Oldest } else { Policy::Random }
    }
}

/// A number of milliseconds.
#[must_use]
pub const fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// A limit, where 0 means none.
#[must_use]
pub const fn limit(number: usize) -> usize {
    if number == 0 { usize::MAX } else { number }
}

fn is_origin(text: &str) -> bool {
    let uri = text.parse::<actix_web::http::Uri>();
    uri.is_ok_and(|uri| {
        uri.scheme().is_some() && uri.authority().is_some_and(|a| text.ends_with(a.as_str())) && *text == text.to_lowercase()
    })
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let path = dir.path().join("settings.toml");
        std::fs::write(&path, file).map_err(|e| e.to_string())?;
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Settings::load(Sources { file: Some(path), environment, flags: vec![] }).map_err(|e| e.to_string())
    }

    #[test]
    fn the_file_equals_the_defaults_and_names_every_key() {
        let text = include_str!("../settings.toml");
        assert_eq!(load(text, &[]), Ok(Settings::default()));
        let keys = |text: &str| -> Vec<String> {
            let table: toml::Table = text.parse().unwrap_or_else(|e| panic!("{e}"));
            let mut keys: Vec<_> = table
                .iter()
                .flat_map(|(section, value)| {
                    let keys = value.as_table().into_iter().flat_map(|t| t.keys());
                    keys.map(move |key| format!("{section}.{key}"))
                })
                .collect();
            keys.sort();
            keys
        };
        assert_eq!(keys(text), keys(&Settings::default().print()));
    }

    #[test]
    fn the_environment_goes_before_the_file_and_port_before_both() {
        let file = "[server]\nport = 1\n[liveness]\nping_ms = 1000";
        let set = load(file, &[("PEERSTAR__SERVER__PORT", "2"), ("PORT", "3"), ("PEERSTAR__AUTH__ADMIN_TOKEN", "0123")]);
        let set = set.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((set.server.port, set.liveness.ping_ms, &*set.auth.admin_token), (3, 1000, "0123"));
        let set = load(
            "",
            &[("PEERSTAR__CORS__ORIGINS", "https://a.org, https://b.org"), ("PEERSTAR__PEERJS__ALLOW_DISCOVERY", "true")],
        );
        let set = set.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((set.cors.origins.len(), set.peerjs.allow_discovery), (2, true));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line_with_the_key() {
        for (file, environment, parts) in [
            ("[server]\nprot = 1", &[][..], &["server", "prot"][..]),
            ("[sever]\nport = 1", &[], &["sever"]),
            ("[server]\nport = 'x'", &[], &["server.port", "x"]),
            ("[server]\nport = 70000", &[], &["server.port", "70000"]),
            ("[liveness]\nping_ms = 5", &[], &["liveness.ping_ms = 5", "100 to 60000"]),
            ("[liveness]\ntimeout_ms = 9999", &[], &["liveness.timeout_ms = 9999", "10000 to"]),
            ("[pages]\ndeputies = 2", &[], &["pages.deputies = 2", "0 to 1"]),
            ("[election]\npolicy = 'best'", &[], &["election.policy = \"best\"", "oldest"]),
            ("[cors]\norigins = ['example.org']", &[], &["cors.origins = \"example.org\"", "https://"]),
            ("[auth]\nticket_secret = 'x'", &[], &["auth.ticket_secret", "at least 32 bytes"]),
            ("[ice]\nturn_secret = 'x'", &[], &["ice.turn_secret", "no turn: server"]),
            ("[tls]\ncert = 'x'", &[], &["tls.cert and tls.key", "both"]),
            ("", &[("PEERSTAR__SERVER__WORKERS", "many")], &["server.workers", "many"]),
            ("", &[("PEERSTAR__FOO__BAR", "1")], &["foo"]),
            ("nonsense", &[], &["settings.toml"]),
        ] {
            let message = load(file, environment).err().unwrap_or_else(|| panic!("accepted {file} {environment:?}"));
            assert!(!message.contains('\n'), "{message}");
            assert!(parts.iter().all(|part| message.contains(part)), "{message:?} lacks one of {parts:?}");
        }
    }

    #[test]
    fn secrets_are_masked() {
        let mut set = Settings::default();
        set.auth.admin_token = "s3cret".into();
        set.ice.servers[0].credential = Some("s3cret".into());
        assert!(!set.print().contains("s3cret") && set.print().contains("***"));
    }
}
