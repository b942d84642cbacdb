//! ICE servers as clients are told of them, with TURN credentials that run out.
//!
//! The credentials are those of coturn's `use-auth-secret` (draft-uberti-behave-turn-rest-00): the username is `expiry:id`,
//! the expiry in seconds since 1970, and the password is base64 of HMAC-SHA1(secret, username).

use std::borrow::Cow;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::id::PeerId;

/// One ICE server, as `RTCPeerConnection` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IceServer {
    /// `stun:` and `turn:` URLs.
    pub urls: Vec<String>,
    /// For TURN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// For TURN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

impl IceServer {
    /// Whether it is a TURN server whose credentials are to be made here.
    #[must_use]
    pub fn lacks_credentials(&self) -> bool {
        self.username.is_none() && self.urls.iter().any(|url| url.starts_with("turn:") || url.starts_with("turns:"))
    }
}

/// What clients are told.
#[derive(Debug, Clone)]
pub struct IceServers {
    servers: Vec<IceServer>,
    /// The same for all, where nothing in it runs out.
    fixed: Box<RawValue>,
    turn: Option<Turn>,
}

#[derive(Debug, Clone)]
struct Turn {
    key: hmac::Key,
    ttl_s: u64,
}

impl IceServers {
    /// `servers`, those TURN servers that have no credentials with ones made of `secret`, good for `ttl_s` seconds.
    /// Without a secret all are told as they are.
    #[must_use]
    pub fn new(servers: Vec<IceServer>, secret: &str, ttl_s: u64) -> Self {
        let turn = || Turn { key: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes()), ttl_s };
        Self { fixed: to_raw_value(&servers).unwrap_or_default(), servers, turn: (!secret.is_empty()).then(turn) }
    }

    /// For the client `id`, as the JSON array that `RTCConfiguration.iceServers` takes.
    #[must_use]
    pub fn for_client(&self, id: &PeerId, unix_ms: u64) -> Cow<'_, RawValue> {
        let Some(turn) = &self.turn else { return Cow::Borrowed(&self.fixed) };
        let username = format!("{}:{}", unix_ms / 1000 + turn.ttl_s, id.as_str());
        let credential = STANDARD.encode(hmac::sign(&turn.key, username.as_bytes()));
        let mut servers = self.servers.clone();
        for server in servers.iter_mut().filter(|server| server.lacks_credentials()) {
            (server.username, server.credential) = (Some(username.clone()), Some(credential.clone()));
        }
        Cow::Owned(to_raw_value(&servers).unwrap_or_default())
    }

    /// How often clients need new ones; none when nothing runs out.
    #[must_use]
    pub fn renewed_every(&self) -> Option<Duration> {
        self.turn.as_ref().map(|turn| Duration::from_secs(turn.ttl_s) * 3 / 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(servers: &[IceServer], secret: &str) -> serde_json::Value {
        let id = PeerId::parse("ann").unwrap_or_else(|e| panic!("{e}"));
        let ice = IceServers::new(servers.to_vec(), secret, 3600);
        serde_json::from_str(ice.for_client(&id, 1_700_000_000_999).get()).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn only_turn_servers_without_credentials_are_given_some() {
        let server = |url: &str, username: Option<&str>| IceServer {
            urls: vec![url.into()],
            username: username.map(Into::into),
            credential: username.map(Into::into),
        };
        let servers = [server("stun:a", None), server("turn:b", None), server("turns:c", Some("own"))];
        assert_eq!(told(&servers, ""), serde_json::json!(servers));
        // echo -n 1700003600:ann | openssl dgst -sha1 -hmac north -binary | base64
        let (username, credential) = ("1700003600:ann", "TwqKCcbzejRFa1sgGqGS7SEzCGg=");
        assert_eq!(
            told(&servers, "north"),
            serde_json::json!([
                {"urls": ["stun:a"]},
                {"urls": ["turn:b"], "username": username, "credential": credential},
                {"urls": ["turns:c"], "username": "own", "credential": "own"},
            ])
        );
    }
}
