//! TURN credentials: the signature that coturn's `use-auth-secret` expects.

use std::sync::Arc;

use aws_lc_rs::hmac;
use peerstar_core::protocol::ice::Turn;

/// Returns how credentials are made from `secret`, valid for `ttl_s` seconds. `None` if the secret is empty.
#[must_use]
pub fn credentials(secret: &str, ttl_s: u64) -> Option<Turn> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let sign = move |text: &[u8]| hmac::sign(&key, text).as_ref().to_vec();
    (!secret.is_empty()).then(|| Turn { sign: Arc::new(sign), ttl_s })
}

#[cfg(test)]
mod tests {
    use peerstar_core::protocol::ice::{IceServer, IceServers};
    use peerstar_core::protocol::id::PeerId;
    use peerstar_core::protocol::secret::Secret;

    use super::*;

    fn told(servers: &[IceServer], secret: &str) -> serde_json::Value {
        let id = PeerId::parse("ann").unwrap_or_else(|e| panic!("{e}"));
        let ice = IceServers::new(servers.to_vec(), credentials(secret, 3600));
        serde_json::from_str(&ice.for_client(&id, 1_700_000_000_999))
            .unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn only_turn_servers_without_credentials_are_given_some() {
        let server = |url: &str, username: Option<&str>| IceServer {
            urls: vec![url.into()],
            username: username.map(Into::into),
            credential: username.map(|text| Secret::parse(text).unwrap_or_else(|e| panic!("{e}"))),
        };
        let servers =
            [server("stun:a", None), server("turn:b", None), server("turns:c", Some("own"))];
        let own = serde_json::json!({"urls": ["turns:c"], "username": "own", "credential": "own"});
        assert_eq!(
            told(&servers, ""),
            serde_json::json!([{"urls": ["stun:a"]}, {"urls": ["turn:b"]}, own])
        );
        // echo -n 1700003600:ann | openssl dgst -sha1 -hmac north -binary | base64
        let (username, credential) = ("1700003600:ann", "TwqKCcbzejRFa1sgGqGS7SEzCGg=");
        assert_eq!(
            told(&servers, "north"),
            serde_json::json!([
                {"urls": ["stun:a"]},
                {"urls": ["turn:b"], "username": username, "credential": credential},
                own,
            ])
        );
    }

    #[test]
    fn clients_are_told_credentials_and_debug_is_not() {
        let credential = Secret::parse("s3cret-c").ok();
        let server =
            IceServer { urls: vec!["turn:t.org".into()], username: Some("u".into()), credential };
        let ice = IceServers::new(vec![server.clone()], credentials("s3cret-t", 60));
        let shown = format!("{server:?} {ice:?} {:?}", serde_json::json!(server));
        assert!(!shown.contains("s3cret") && shown.contains("t.org"), "{shown}");
        assert!(told(&[server], "").to_string().contains("s3cret-c"));
    }
}
