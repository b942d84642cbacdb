//! State of one server that all its actors and handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use peerstar_core::page::Rules;
use peerstar_core::protocol::ice::IceServers;
use peerstar_core::protocol::id::SessionId;
use peerstar_core::protocol::incoming::MAX_PROFILE_BYTES;
use peerstar_core::protocol::outgoing::{RelayTerms, Terms};
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::settings::{Settings, limit, ms};
use crate::turn;

/// Settings, clock, limits and counters of one server.
#[derive(Debug)]
pub struct Shared {
    /// The settings as they were loaded.
    pub settings: Settings,
    /// The settings in the form that pages need.
    pub rules: Arc<Rules>,
    /// Time since the server started.
    pub clock: Clock,
    /// Cancelled when the server is told to stop: it is not ready any more.
    pub stopping: CancellationToken,
    /// Limits on the number of connections.
    pub admission: Arc<Admission>,
    /// What is counted for the operator. Nothing in the server reads it back.
    pub metrics: Metrics,
    next_session: AtomicU64,
}

impl Shared {
    /// Creates what one server shares. `descriptors` is how many files the process may have open, and
    /// `stopping` is cancelled to stop the server.
    #[must_use]
    pub fn new(settings: Settings, descriptors: u64, stopping: CancellationToken) -> Arc<Self> {
        let metrics = Metrics::default();
        Arc::new(Self {
            rules: Arc::new(rules(&settings)),
            clock: Clock::start(),
            stopping,
            admission: Admission::new(&settings, descriptors, metrics.connections.clone()),
            metrics,
            next_session: AtomicU64::new(0),
            settings,
        })
    }

    /// Returns a number for a new session.
    pub fn next_session(&self) -> SessionId {
        SessionId(self.next_session.fetch_add(1, Ordering::Relaxed))
    }
}

/// Returns the settings in the form that pages need.
fn rules(settings: &Settings) -> Rules {
    let Settings { pages, election, liveness, peerjs, relay, limits, ice, .. } = settings;
    // without a relay, a member that does not dial the host gets no data
    let most = if relay.enabled { usize::MAX } else { pages.star };
    let relay_terms = RelayTerms {
        max_message_bytes: relay.max_message_bytes,
        max_bytes_per_s: relay.max_bytes_per_s,
        queue_bytes: limits.queue_bytes,
    };
    let relay_terms = relay.enabled.then_some(relay_terms);
    Rules {
        max_members: limit(pages.max_members).min(most),
        star: pages.star,
        deputies: pages.deputies,
        policy: election.policy,
        recovery: ms(election.recovery_ms),
        timeout: ms(liveness.timeout_ms),
        host_timeout: ms(liveness.host_timeout_ms),
        fresh: ms(liveness.ping_ms * 3 / 2),
        return_after: ms(liveness.return_ms),
        expire: ms(peerjs.expire_ms),
        parked_bytes: limits.queue_bytes / 2,
        probe: ms(liveness.probe_ms),
        hidden: (election.hidden_ms > 0).then(|| ms(election.hidden_ms)),
        terms: Terms {
            relay: relay_terms,
            resume_ms: pages.resume_ms,
            ping_ms: liveness.ping_ms,
            expire_ms: peerjs.expire_ms,
            recovery_ms: election.recovery_ms,
            return_ms: liveness.return_ms,
            profile_bytes: MAX_PROFILE_BYTES,
        },
        ice: IceServers::new(
            ice.servers.clone(),
            turn::credentials(ice.turn_secret.expose(), ice.turn_ttl_s),
        ),
    }
}
