//! Settings of pages and sessions on a simulated server.

use std::time::Duration;

use peerstar_core::page::Rules;
use peerstar_core::page::election::Policy;
use peerstar_core::protocol::ice::IceServers;
use peerstar_core::protocol::incoming::MAX_PROFILE_BYTES;
use peerstar_core::protocol::outgoing::{RelayTerms, Terms};
use peerstar_core::session::SessionRules;
use serde::Deserialize;

/// The rules that the simulation sets. Durations are in ms. Limits that no simulation reaches are
/// not among them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Given {
    star: usize,
    deputies: usize,
    relay: bool,
    recovery_ms: u64,
    timeout_ms: u64,
    host_timeout_ms: u64,
    fresh_ms: u64,
    return_ms: u64,
    probe_ms: u64,
    hidden_ms: u64,
    resume_ms: u64,
    ping_ms: u64,
}

const EXPIRE_MS: u64 = 5000;
const RELAY: RelayTerms =
    RelayTerms { max_message_bytes: 65_536, max_bytes_per_s: 0, queue_bytes: 1 << 20 };

impl From<&Given> for SessionRules {
    fn from(given: &Given) -> Self {
        let ping = Duration::from_millis(given.ping_ms);
        Self {
            ping,
            host_ping: ping.min(Duration::from_millis(given.host_timeout_ms / 3)),
            ice_renewal: None,
            max_relay_bytes: RELAY.max_message_bytes,
        }
    }
}

impl From<Given> for Rules {
    fn from(given: Given) -> Self {
        let ms = Duration::from_millis;
        Self {
            max_members: usize::MAX,
            star: given.star,
            deputies: given.deputies,
            policy: Policy::Random,
            recovery: ms(given.recovery_ms),
            timeout: ms(given.timeout_ms),
            host_timeout: ms(given.host_timeout_ms),
            fresh: ms(given.fresh_ms),
            return_after: ms(given.return_ms),
            expire: ms(EXPIRE_MS),
            parked_bytes: 1 << 20,
            probe: ms(given.probe_ms),
            hidden: Some(ms(given.hidden_ms)),
            terms: Terms {
                relay: given.relay.then_some(RELAY),
                resume_ms: given.resume_ms,
                ping_ms: given.ping_ms,
                expire_ms: EXPIRE_MS,
                recovery_ms: given.recovery_ms,
                return_ms: given.return_ms,
                profile_bytes: MAX_PROFILE_BYTES,
            },
            ice: IceServers::new(Vec::new(), None),
        }
    }
}
