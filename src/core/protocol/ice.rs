//! ICE servers for clients, with TURN credentials that run out.
//!
//! The credentials follow coturn's `use-auth-secret` (draft-uberti-behave-turn-rest-00): the
//! username is `expiry:id`, the expiry in seconds since 1970, and the password is base64 of
//! HMAC-SHA1(secret, username).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize};

use crate::protocol::id::PeerId;
use crate::protocol::json;
use crate::protocol::secret::Secret;

/// One ICE server of the settings. `Serialize` masks the credential; [`IceServers::for_client`]
/// does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IceServer {
    /// `stun:` and `turn:` URLs. One URL may stand without a list around it, as for browsers.
    #[serde(deserialize_with = "one_or_more")]
    pub urls: Vec<String>,
    /// User name for TURN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password for a TURN server.
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
    /// Returns whether this is a TURN server for which the page server makes credentials.
    #[must_use]
    pub fn lacks_credentials(&self) -> bool {
        self.username.is_none() && self.is_turn()
    }

    /// Returns whether one of the URLs is that of a TURN server.
    #[must_use]
    pub fn is_turn(&self) -> bool {
        self.urls.iter().any(|url| url.starts_with("turn:") || url.starts_with("turns:"))
    }
}

/// Returns the JSON array that `RTCPeerConnection` takes. Credentials are in clear. A server that
/// lacks credentials gets `made` (username, credential), if there are any.
fn in_clear(servers: &[IceServer], made: Option<(&str, &str)>) -> String {
    json::objects(servers, |object, server| {
        let made = made.filter(|_| server.lacks_credentials());
        let username = made.map(|(username, _)| username).or(server.username.as_deref());
        let own = server.credential.as_ref().map(Secret::expose);
        let credential = made.map(|(_, credential)| credential).or(own);
        object.texts("urls", &server.urls);
        if let Some(username) = username {
            object.text("username", username);
        }
        if let Some(credential) = credential {
            object.text("credential", credential);
        }
    })
}

/// ICE servers as clients are told of them.
#[derive(Clone)]
pub struct IceServers {
    servers: Vec<IceServer>,
    /// JSON that is the same for all clients, if no credential in it runs out. Credentials are in
    /// clear.
    fixed: String,
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

/// HMAC-SHA1 under a secret. The caller supplies it: cryptography is no part of the core.
pub type Mac = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// Makes TURN credentials for clients.
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
    /// Prepares `servers` for clients. With `turn`, each client gets credentials of its own for
    /// TURN servers that have none.
    #[must_use]
    pub fn new(servers: Vec<IceServer>, turn: Option<Turn>) -> Self {
        Self { fixed: in_clear(&servers, None), servers, turn }
    }

    /// Returns the JSON array that `RTCConfiguration.iceServers` takes, for the client `id`.
    #[must_use]
    pub fn for_client(&self, id: &PeerId, unix_ms: u64) -> Cow<'_, str> {
        let Some(turn) = &self.turn else { return Cow::Borrowed(&self.fixed) };
        let username = format!("{}:{}", unix_ms / 1000 + turn.ttl_s, id.as_str());
        let credential = STANDARD.encode((turn.sign)(username.as_bytes()));
        Cow::Owned(in_clear(&self.servers, Some((&username, &credential))))
    }

    /// Returns how often clients need new credentials. `None` if nothing runs out.
    #[must_use]
    pub fn renewed_every(&self) -> Option<Duration> {
        self.turn.as_ref().map(|turn| Duration::from_secs(turn.ttl_s) * 3 / 4)
    }
}
