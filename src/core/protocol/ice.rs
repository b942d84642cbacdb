//! ICE servers as clients are told of them, with TURN credentials that run out.
//!
//! The credentials are those of coturn's `use-auth-secret` (draft-uberti-behave-turn-rest-00): the username is `expiry:id`,
//! the expiry in seconds since 1970, and the password is base64 of HMAC-SHA1(secret, username).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::protocol::id::PeerId;
use crate::protocol::secret::Secret;

/// One ICE server of the settings. `Serialize` masks its credential; [`IceServers::for_client`] does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IceServer {
    /// `stun:` and `turn:` URLs. As for browsers, one may stand without a list around it.
    #[serde(deserialize_with = "one_or_more")]
    pub urls: Vec<String>,
    /// For TURN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// For TURN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Secret>,
}

fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "urls must be a text or a list of texts")]
    enum Urls {
        One(String),
        More(Vec<String>),
    }
    Ok(match Urls::deserialize(deserializer)? {
        Urls::One(url) => vec![url],
        Urls::More(urls) => urls,
    })
}

impl IceServer {
    /// Whether it is a TURN server whose credentials are to be made here.
    #[must_use]
    pub fn lacks_credentials(&self) -> bool {
        self.username.is_none() && self.is_turn()
    }

    /// Whether one of its URLs is that of a TURN server.
    #[must_use]
    pub fn is_turn(&self) -> bool {
        self.urls.iter().any(|url| url.starts_with("turn:") || url.starts_with("turns:"))
    }
}

/// One ICE server as `RTCPeerConnection` takes it, with its credential in clear.
#[derive(Serialize)]
struct InClear<'a> {
    urls: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'a str>,
}

impl<'a> From<&'a IceServer> for InClear<'a> {
    fn from(server: &'a IceServer) -> Self {
        let credential = server.credential.as_ref().map(Secret::expose);
        Self { urls: &server.urls, username: server.username.as_deref(), credential }
    }
}

fn in_clear(servers: &[InClear<'_>]) -> Box<RawValue> {
    // a failure would have to be a fault of serde_json's; clients must not be told `null`
    to_raw_value(servers).unwrap_or_else(|error| panic!("ICE servers cannot be encoded: {error}"))
}

/// What clients are told.
#[derive(Clone)]
pub struct IceServers {
    servers: Vec<IceServer>,
    /// The same for all, where nothing in it runs out. Credentials are in clear.
    fixed: Box<RawValue>,
    turn: Option<Turn>,
}

impl fmt::Debug for IceServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ttl_s = self.turn.as_ref().map(|turn| turn.ttl_s);
        f.debug_struct("IceServers")
            .field("servers", &self.servers)
            .field("ttl_s", &ttl_s)
            .finish_non_exhaustive()
    }
}

/// HMAC-SHA1 under a secret, which the caller supplies: cryptography is no part of the core.
pub type Mac = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// How TURN credentials are made.
#[derive(Clone)]
pub struct Turn {
    /// Signs a username with the secret that the TURN server shares.
    pub sign: Mac,
    /// Seconds for which credentials are valid.
    pub ttl_s: u64,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("ttl_s", &self.ttl_s).finish_non_exhaustive()
    }
}

impl IceServers {
    /// Returns `servers` as clients are told of them. With `turn`, TURN servers without credentials get some that are made for
    /// each client.
    #[must_use]
    pub fn new(servers: Vec<IceServer>, turn: Option<Turn>) -> Self {
        let fixed = in_clear(&servers.iter().map(InClear::from).collect::<Vec<_>>());
        Self { fixed, servers, turn }
    }

    /// For the client `id`, as the JSON array that `RTCConfiguration.iceServers` takes.
    #[must_use]
    pub fn for_client(&self, id: &PeerId, unix_ms: u64) -> Cow<'_, RawValue> {
        let Some(turn) = &self.turn else { return Cow::Borrowed(&self.fixed) };
        let username = format!("{}:{}", unix_ms / 1000 + turn.ttl_s, id.as_str());
        let credential = STANDARD.encode((turn.sign)(username.as_bytes()));
        let servers = self.servers.iter().map(|server| match server.lacks_credentials() {
            true => InClear {
                urls: &server.urls,
                username: Some(&username),
                credential: Some(&credential),
            },
            false => server.into(),
        });
        Cow::Owned(in_clear(&servers.collect::<Vec<_>>()))
    }

    /// How often clients need new ones; none when nothing runs out.
    #[must_use]
    pub fn renewed_every(&self) -> Option<Duration> {
        self.turn.as_ref().map(|turn| Duration::from_secs(turn.ttl_s) * 3 / 4)
    }
}
