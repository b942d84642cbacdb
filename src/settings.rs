//! `settings.toml`, the environment and flags: read once, checked, and then only read.
//!
//! Every key is explained in `settings.toml`, which equals [`Settings::default`] (a test compares).

pub mod environment;
mod ice;
pub mod origin;

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

use self::origin::Origin;
use peerstar_core::page::election::Policy;
use peerstar_core::protocol::ice::IceServer;
use peerstar_core::protocol::secret::Secret;

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
section!(Cors {
    #[serde(deserialize_with = "origin::list")]
    origins: Vec<Origin> = Vec::new(),
});
section!(Tls { cert: String = String::new(), key: String = String::new() });
section!(Log {
    filter: String = "info".into(),
    #[serde(deserialize_with = "word")]
    format: LogFormat = LogFormat::Text,
});

/// How log lines are written (`log.format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Reads one of the words of an enum; the error names all of them.
fn word<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    let word = T::deserialize(text.as_str().into_deserializer());
    word.map_err(|error: serde::de::value::Error| serde::de::Error::custom(error))
}

/// A list in the file, one text in the environment.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listed<T> {
    List(Vec<T>),
    Text(String),
}

/// What is wrong with the settings, in one line for the person who wrote them.
#[derive(Debug, thiserror::Error)]
#[error("settings: {0}")]
pub struct BadSettings(String);

/// Where settings come from, besides the file.
#[derive(Default)]
pub struct Sources {
    /// `--config`: must exist. Without it `./settings.toml` is read if there.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: HashMap<String, String>,
    /// Flags: (key, value), the last word.
    pub flags: Vec<(&'static str, String)>,
}

/// Names only: values may be secrets.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (names, flags) = (self.environment.keys(), self.flags.iter().map(|(key, _)| key));
        let (names, flags) = (names.collect::<Vec<_>>(), flags.collect::<Vec<_>>());
        f.debug_struct("Sources")
            .field("file", &self.file)
            .field("environment", &names)
            .field("flags", &flags)
            .finish()
    }
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
        let mut environment = environment::with_files(sources.environment)?;
        let port = environment.remove("PORT").filter(|port| !port.is_empty());
        let mut builder = config::Config::builder()
            .add_source(
                config::File::from(file).format(config::FileFormat::Toml).required(required),
            )
            .add_source(
                config::Environment::with_prefix("PEERSTAR")
                    .prefix_separator("__")
                    .separator("__")
                    .source(Some(environment)),
            );
        for (key, value) in port.map(|port| ("server.port", port)).into_iter().chain(sources.flags)
        {
            builder = builder.set_override(key, value).map_err(bad)?;
        }
        let merged = builder.build().map_err(bad)?;
        let mut settings: Self = serde_path_to_error::deserialize(merged).map_err(|e| {
            let (path, inner) = (e.path().to_string(), one_line(&e.inner().to_string()));
            let mut inner = inner.split(" for key `").next().unwrap_or_default().to_owned();
            if inner.starts_with("invalid type") && !path.contains('.') {
                // the value is not repeated: it may be a secret
                inner = format!("must be a section of keys, as in [{path}]");
            }
            BadSettings(if path == "." { inner } else { format!("{path}: {inner}") })
        })?;
        if !settings.server.path.ends_with('/') {
            settings.server.path.push('/');
        }
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), BadSettings> {
        let ranges: [(&str, u64, RangeInclusive<u64>); 19] = [
            ("server.workers", self.server.workers as u64, 0..=1024),
            ("server.proxy_hops", self.server.proxy_hops as u64, 1..=16),
            ("peerjs.expire_ms", self.peerjs.expire_ms, 100..=60_000),
            ("pages.star", self.pages.star as u64, 1..=256),
            ("pages.deputies", self.pages.deputies as u64, 0..=1),
            ("pages.resume_ms", self.pages.resume_ms, 1000..=600_000),
            ("election.recovery_ms", self.election.recovery_ms, 100..=60_000),
            ("election.hidden_ms", self.election.hidden_ms, 0..=3_600_000),
            ("liveness.ping_ms", self.liveness.ping_ms, 100..=60_000),
            (
                "liveness.timeout_ms",
                self.liveness.timeout_ms,
                self.liveness.ping_ms.saturating_mul(2)..=600_000,
            ),
            ("liveness.host_timeout_ms", self.liveness.host_timeout_ms, 300..=600_000),
            ("liveness.return_ms", self.liveness.return_ms, 0..=60_000),
            ("liveness.probe_ms", self.liveness.probe_ms, 100..=60_000),
            ("limits.message_bytes", self.limits.message_bytes as u64, 16_384..=16_777_216),
            (
                "relay.max_message_bytes",
                self.relay.max_message_bytes as u64,
                1024..=self.limits.message_bytes as u64,
            ),
            (
                "limits.queue_bytes",
                self.limits.queue_bytes as u64,
                self.limits.message_bytes as u64..=1 << 32,
            ),
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
        let clean = |text: &str, also: &str| {
            text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
        };
        let wrong = |key: &str, value: &str, allowed: &str| {
            Err(BadSettings(format!("{key} = {value:?}: must be {allowed}")))
        };
        if !self.server.path.starts_with('/')
            || !clean(&self.server.path, "/-_.~")
            || self.server.path.contains("//")
        {
            return wrong("server.path", &self.server.path, "a path such as \"/\" or \"/app/\"");
        }
        if self.peerjs.key.is_empty() || !clean(&self.peerjs.key, "-_.~") {
            return wrong("peerjs.key", &self.peerjs.key, "letters, digits and - _ . ~");
        }
        if self.tls.cert.is_empty() != self.tls.key.is_empty() {
            return Err(BadSettings(
                "tls.cert and tls.key go together: set both, or neither".into(),
            ));
        }
        // RFC 7518, 3.2: a shorter key is weaker than the signature
        if (1..32).contains(&self.auth.ticket_secret.expose().len()) {
            return Err(BadSettings(
                "auth.ticket_secret: must be at least 32 bytes; `openssl rand -hex 32` makes a good one".into(),
            ));
        }
        let has_secret = !self.ice.turn_secret.is_empty();
        for server in &self.ice.servers {
            ice::check(server, has_secret)
                .map_err(|wrong| BadSettings(format!("ice.servers: {wrong}")))?;
        }
        if has_secret && !self.ice.servers.iter().any(IceServer::lacks_credentials) {
            let lacks = "ice.turn_secret is set, but no turn: server in ice.servers is without a username of its own";
            return Err(BadSettings(lacks.into()));
        }
        Ok(())
    }

    /// The effective settings as TOML, secrets masked.
    #[must_use]
    pub fn print(&self) -> String {
        // a failure would have to be a fault of ours; `--check` must not print nothing and be content
        toml::to_string(self)
            .unwrap_or_else(|error| panic!("the settings cannot be printed: {error}"))
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

/// Joins the lines, without the excerpts of the file, which may have secrets: `3 | admin_token = "…`.
fn one_line(text: &str) -> String {
    let is_excerpt = |line: &str| {
        line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start().starts_with('|')
    };
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !is_excerpt(line))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let path = dir.path().join("settings.toml");
        std::fs::write(&path, file).map_err(|e| e.to_string())?;
        let environment =
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Settings::load(Sources { file: Some(path), environment, flags: vec![] })
            .map_err(|e| e.to_string())
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
        let set = load(
            file,
            &[
                ("PEERSTAR__SERVER__PORT", "2"),
                ("PORT", "3"),
                ("PEERSTAR__AUTH__ADMIN_TOKEN", "0123"),
            ],
        );
        let set = set.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(
            (set.server.port, set.liveness.ping_ms, set.auth.admin_token.expose()),
            (3, 1000, "0123")
        );
        let set = load(
            "",
            &[
                ("PEERSTAR__CORS__ORIGINS", "https://a.org, https://b.org"),
                ("PEERSTAR__PEERJS__ALLOW_DISCOVERY", "true"),
            ],
        );
        let set = set.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((set.cors.origins.len(), set.peerjs.allow_discovery), (2, true));
        for variable in [r#"[{"urls":"stun:a"}]"#, r#"[{"urls":[" STUN:a"]}]"#] {
            let set =
                load("", &[("PEERSTAR__ICE__SERVERS", variable)]).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(set.ice.servers[0].urls, ["stun:a"]);
        }
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
            (
                "[election]\npolicy = 'best'",
                &[],
                &["election.policy", "`best`", "`random` or `oldest`"],
            ),
            ("[election]\npolicy = 'Random'", &[], &["election.policy", "`Random`"]),
            ("[election]\npolicy = ''", &[], &["election.policy", "`random` or `oldest`"]),
            ("[log]\nformat = 'xml'", &[], &["log.format", "`xml`", "`text` or `json`"]),
            ("[server]\nproxy_hops = 0", &[], &["server.proxy_hops = 0", "1 to 16"]),
            (
                "[cors]\norigins = ['https://a.org', 'example.org']",
                &[],
                &["cors.origins", "\"example.org\" lacks a scheme", "\"null\""],
            ),
            (
                "",
                &[("PEERSTAR__CORS__ORIGINS", "https://a.org,https://*")],
                &["cors.origins", "\"https://*\"", "https://*.example.org"],
            ),
            (
                "[ice]\nservers = [{ urls = ['stun.example.org'] }]",
                &[],
                &["ice.servers", "\"stun.example.org\" lacks a scheme"],
            ),
            (
                "[ice]\nservers = [{ urls = ['turn:t.org'] }]",
                &[],
                &["ice.servers", "turn:t.org", "ice.turn_secret"],
            ),
            ("[cors]\norigins = 5", &[], &["cors.origins", "list of texts"]),
            ("[ice]\nservers = [{ urls = 5 }]", &[], &["ice.servers", "list of {urls"]),
            ("[auth]\nadmin_token = ['s3cret']", &[], &["auth.admin_token", "a text in quotes"]),
            ("[auth]\nadmin_token = '  '", &[], &["auth.admin_token", "white space"]),
            (
                "",
                &[("PEERSTAR__AUTH__TICKET_SECRET", "\n")],
                &["auth.ticket_secret", "white space"],
            ),
            ("", &[("PEERSTAR__ICE__TURN_SECRET", "a\nb")], &["ice.turn_secret", "line break"]),
            (
                "",
                &[("PEERSTAR__AUTH__ADMIN_TOKEN_FILE", "/nowhere/at/all")],
                &["PEERSTAR__AUTH__ADMIN_TOKEN_FILE", "/nowhere/at/all"],
            ),
            ("[auth]\nticket_secret = 'x'", &[], &["auth.ticket_secret", "at least 32 bytes"]),
            ("[ice]\nturn_secret = 'x'", &[], &["ice.turn_secret", "no turn: server"]),
            ("[tls]\ncert = 'x'", &[], &["tls.cert and tls.key", "both"]),
            ("", &[("PEERSTAR__SERVER__WORKERS", "many")], &["server.workers", "many"]),
            ("", &[("PEERSTAR__FOO__BAR", "1")], &["foo"]),
            ("nonsense", &[], &["settings.toml"]),
            ("", &[("PEERSTAR__AUTH", "s3cret")], &["auth", "section of keys"]),
            ("[auth]\nadmin_token = 's3cret", &[], &["settings.toml", "line 2"]),
        ] {
            let message = load(file, environment)
                .err()
                .unwrap_or_else(|| panic!("accepted {file} {environment:?}"));
            assert!(!message.contains('\n') && !message.contains("s3cret"), "{message}");
            assert!(
                parts.iter().all(|part| message.contains(part)),
                "{message:?} lacks one of {parts:?}"
            );
        }
    }

    /// A file that a container mounts, with these bytes.
    fn mounted(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap_or_else(|e| panic!("{e}"));
        std::fs::write(file.path(), bytes).unwrap_or_else(|e| panic!("{e}"));
        file
    }

    const SECRET: &str = "0123456789abcdef-s3cret-0123456789abcdef";

    #[test]
    fn every_secret_is_taken_without_the_white_space_around_it_from_a_variable_and_from_a_file() {
        let with_space = format!("\u{feff} {SECRET}\r\n");
        let file = mounted(with_space.as_bytes());
        let path = file.path().to_string_lossy();
        let servers = |credential: &str| serde_json::json!([{"urls": ["turn:t"], "username": "u", "credential": credential}, {"urls": ["turn:x"]}]);
        let servers = servers(&with_space).to_string();
        let servers_file = mounted(servers.as_bytes());
        let servers_path = servers_file.path().to_string_lossy();
        let keys = [
            "PEERSTAR__AUTH__TICKET_SECRET",
            "PEERSTAR__AUTH__ADMIN_TOKEN",
            "PEERSTAR__ICE__TURN_SECRET",
        ];
        let files = keys.map(|key| format!("{key}_FILE"));
        let direct = keys.map(|key| (key, &*with_space));
        let by_file = files.each_ref().map(|key| (&**key, &*path));
        for variables in [
            [&direct[..], &[("PEERSTAR__ICE__SERVERS", &*servers)]].concat(),
            [&by_file[..], &[("PEERSTAR__ICE__SERVERS_FILE", &*servers_path)]].concat(),
        ] {
            let set = load("", &variables).unwrap_or_else(|e| panic!("{e}"));
            let credential = set.ice.servers[0].credential.as_ref();
            for secret in [
                Some(&set.auth.ticket_secret),
                Some(&set.auth.admin_token),
                Some(&set.ice.turn_secret),
                credential,
            ] {
                assert_eq!(secret.map(Secret::expose), Some(SECRET), "{variables:?}");
            }
        }
    }

    #[test]
    fn a_file_that_has_no_value_is_refused_in_words() {
        let (long, path) = ("x".repeat(65 * 1024), |file: &tempfile::NamedTempFile| {
            file.path().to_string_lossy().into_owned()
        });
        for (bytes, words) in [
            (&b""[..], "white space"),
            (b" \n", "white space"),
            (b"\xff", "UTF-8"),
            (long.as_bytes(), "longer"),
        ] {
            let file = mounted(bytes);
            let said = load("", &[("PEERSTAR__AUTH__TICKET_SECRET_FILE", &path(&file))])
                .err()
                .unwrap_or_default();
            assert!(
                said.contains("PEERSTAR__AUTH__TICKET_SECRET_FILE") && said.contains(words),
                "{said:?} lacks {words:?}"
            );
        }
        let file = mounted(b"text");
        let both = [
            ("PEERSTAR__AUTH__ADMIN_TOKEN_FILE", &*path(&file)),
            ("PEERSTAR__AUTH__ADMIN_TOKEN", "text"),
        ];
        assert!(load("", &both).is_err_and(|said| said.contains("both set")));
        assert!(
            load("", &[("PEERSTAR__AUTH__FOO_FILE", &path(&file))])
                .is_err_and(|said| said.contains("foo"))
        );
        assert!(load("", &[("SOME_FILE", "/nowhere")]).is_ok(), "other programs' variables");
    }

    #[test]
    fn a_variable_of_ours_that_is_not_text_is_refused() {
        use std::os::unix::ffi::OsStringExt;
        let variable = |name: &str| (name.into(), std::ffi::OsString::from_vec(vec![0xff]));
        let read = |name: &str| environment::from_process(std::iter::once(variable(name)));
        assert!(
            read("PEERSTAR__AUTH__TICKET_SECRET")
                .is_err_and(|e| e.to_string().contains("TICKET_SECRET: "))
        );
        assert!(read("LS_COLORS").is_ok_and(|texts| texts.is_empty()));
    }

    #[test]
    fn no_secret_is_shown() {
        let file = format!(
            "[ice]\nturn_secret = 's3cret-t'\nservers = [{{ urls = ['turn:a'], username = 'u', credential = 's3cret-c' }}, \
             {{ urls = ['turn:b'] }}]\n[auth]\nadmin_token = 's3cret-a'\nticket_secret = '{SECRET}'"
        );
        let set = load(&file, &[]).unwrap_or_else(|e| panic!("{e}"));
        let printed = set.print();
        assert_eq!(printed.matches("***").count(), 4, "{printed}");
        let environment = HashMap::from([("PEERSTAR__AUTH__ADMIN_TOKEN".into(), "s3cret".into())]);
        let sources =
            Sources { file: None, environment, flags: vec![("auth.admin_token", "s3cret".into())] };
        let shared = crate::shared::Shared::new(set.clone());
        for shown in [
            printed,
            format!("{set:?}"),
            format!("{shared:?}"),
            format!("{:?}", shared.rules),
            format!("{sources:?}"),
        ] {
            assert!(!shown.contains("s3cret"), "{shown}");
        }
        assert!(format!("{sources:?}").contains("ADMIN_TOKEN"));
    }
}
