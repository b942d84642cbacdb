//! The settings that the nodes of a cluster must share, and their fingerprint.
//!
//! Members of one page are on several nodes, and each node applies its own settings to those of its
//! sockets; a page applies those of its node, which may change. So these settings change what
//! members see if they differ. What concerns a node alone may differ: ports, threads, limits on
//! connections, the log, ICE servers near the node.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use peerstar_core::cluster::fingerprint::Fingerprint;

use super::seal::{Keys, Purpose};
use crate::settings::Settings;

/// How the value of a setting is found.
type Value = fn(&Settings) -> String;

/// The settings that must agree. Releases append, and leave the place of one that is gone to none.
const AGREED: [(&str, Value); 26] = [
    ("server.path", |s| s.server.path.clone()),
    ("peerjs.key", |s| s.peerjs.key.clone()),
    ("peerjs.allow_discovery", |s| s.peerjs.allow_discovery.to_string()),
    ("peerjs.expire_ms", |s| s.peerjs.expire_ms.to_string()),
    ("pages.max_members", |s| s.pages.max_members.to_string()),
    ("pages.star", |s| s.pages.star.to_string()),
    ("pages.deputies", |s| s.pages.deputies.to_string()),
    ("pages.resume_ms", |s| s.pages.resume_ms.to_string()),
    ("election.policy", |s| format!("{:?}", s.election.policy)),
    ("election.recovery_ms", |s| s.election.recovery_ms.to_string()),
    ("election.hidden_ms", |s| s.election.hidden_ms.to_string()),
    ("liveness.ping_ms", |s| s.liveness.ping_ms.to_string()),
    ("liveness.timeout_ms", |s| s.liveness.timeout_ms.to_string()),
    ("liveness.host_timeout_ms", |s| s.liveness.host_timeout_ms.to_string()),
    ("liveness.return_ms", |s| s.liveness.return_ms.to_string()),
    ("liveness.probe_ms", |s| s.liveness.probe_ms.to_string()),
    ("relay.enabled", |s| s.relay.enabled.to_string()),
    ("relay.max_bytes_per_s", |s| s.relay.max_bytes_per_s.to_string()),
    ("relay.max_message_bytes", |s| s.relay.max_message_bytes.to_string()),
    ("limits.message_bytes", |s| s.limits.message_bytes.to_string()),
    ("limits.messages_per_s", |s| s.limits.messages_per_s.to_string()),
    ("limits.queue_bytes", |s| s.limits.queue_bytes.to_string()),
    ("ice.turn_secret", |s| s.ice.turn_secret.expose().to_owned()),
    ("auth.ticket_secret", |s| s.auth.ticket_secret.expose().to_owned()),
    ("auth.admin_token", |s| s.auth.admin_token.expose().to_owned()),
    ("cors.origins", |s| format!("{:?}", s.cors.origins)),
];

/// Returns the fingerprint of settings. Who does not know the cluster's secret learns nothing from
/// it.
///
/// # Errors
/// Never with the lengths that are used here.
pub fn fingerprint(settings: &Settings) -> Result<Fingerprint, Unspecified> {
    let key = Keys::new(settings.cluster.secret.expose()).hash_key(Purpose::Settings)?;
    Ok(Fingerprint::new(AGREED.map(|(name, value)| {
        let tag = hmac::sign(&key, format!("{name}={}", value(settings)).as_bytes());
        match tag.as_ref() {
            [first, second, ..] => u16::from_be_bytes([*first, *second]),
            _ => 0,
        }
    })))
}

/// Returns the names of the settings in which two nodes differ.
#[must_use]
pub fn differences(one: Fingerprint, other: Fingerprint) -> String {
    let names: Vec<_> = one.differences(other).filter_map(|at| Some(AGREED.get(at)?.0)).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_and_what_concerns_a_node_alone_does_not() {
        let of = |text: &str| fingerprint(&toml::from_str(text).unwrap()).unwrap();
        let differ = |text: &str| differences(of(""), of(text));
        assert_eq!(differ("server.port = 1\nlimits.connections_per_ip = 7"), "");
        let text = "liveness.return_ms = 1\ncors.origins = ['https://example.org']";
        assert_eq!(differ(text), "liveness.return_ms, cors.origins");
        assert_eq!(differ("auth.ticket_secret = 'another'"), "auth.ticket_secret");
    }
}
