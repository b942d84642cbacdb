//! Settings, rules, clock and metrics, which all actors and handlers of one server share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, SharedEpochClock};
use crate::metrics::Metrics;
use crate::settings::{Settings, limit, ms};
use crate::turn;
use peerstar_core::cluster::io::Deciding;
use peerstar_core::page::Rules;
use peerstar_core::protocol::ice::IceServers;
use peerstar_core::protocol::incoming::MAX_PROFILE_BYTES;
use peerstar_core::protocol::outgoing::{RelayTerms, Terms};
use peerstar_core::session::SessionRules;
use peerstar_core::time::Time;

/// Settings, rules, clock and metrics of one server.
#[derive(Debug)]
pub struct Shared {
    /// The settings as loaded.
    pub settings: Settings,
    /// The settings as pages need them.
    pub rules: Arc<Rules>,
    /// The settings as sessions need them.
    pub session_rules: Arc<SessionRules>,
    /// The clock, which started with the server.
    pub clock: Clock,
    /// The clock of epochs.
    pub epochs: SharedEpochClock,
    /// Metrics for the operator. They are written and never read back.
    pub metrics: Metrics,
    /// Until when pages may decide.
    pub deciding: MayDecide,
    /// Whether this node of a cluster has been ready.
    pub is_ready: AtomicBool,
    /// Whether this node reaches Redis, and who else is in the cluster.
    pub cluster: ClusterView,
    /// Cancelled when this node has left the cluster.
    pub drained: CancellationToken,
    /// Why the Redis of the cluster can never serve, once that is known.
    pub hopeless: OnceLock<String>,
    /// Cancelled after `hopeless` was set.
    pub stops_hopeless: CancellationToken,
}

/// The cluster as a node shows it to HTTP: whether Redis is reached, and where other nodes are.
#[derive(Debug, Default)]
pub struct ClusterView {
    /// Whether the node has Redis.
    pub has_redis: AtomicBool,
    /// Whether other nodes have Redis, and this one has not.
    pub is_cut_off: AtomicBool,
    others: Mutex<Others>,
}

/// The other nodes.
#[derive(Debug, Clone, Default)]
pub struct Others {
    /// Number of them.
    pub count: usize,
    /// The URLs of those that have one (`cluster.address`).
    pub addresses: Vec<Arc<str>>,
}

impl ClusterView {
    /// Returns the other nodes that are there, or were when Redis was last reached.
    pub fn others(&self) -> Others {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the other nodes that are there.
    pub fn set_others(&self, others: Others) {
        *self.others.lock().unwrap_or_else(PoisonError::into_inner) = others;
    }
}

/// Until when pages may decide. A server alone may always.
#[derive(Debug)]
pub struct MayDecide(AtomicU64);

impl Default for MayDecide {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl MayDecide {
    /// Sets until when pages may decide.
    pub fn set(&self, deciding: Deciding) {
        let until = match deciding {
            Deciding::Until(until) => until.0,
            Deciding::Alone => u64::MAX,
            Deciding::No => 0,
        };
        self.0.store(until, Ordering::Release);
    }

    /// Returns for how long pages may decide, in ms; at most an hour.
    #[must_use]
    pub fn left_ms(&self, now: Time) -> i64 {
        const MOST: u64 = 3_600_000;
        let left = self.0.load(Ordering::Acquire).saturating_sub(now.0).min(MOST);
        i64::try_from(left).unwrap_or(i64::MAX)
    }

    /// Returns whether pages may decide. Asked before each step of a page, because the process may
    /// have been frozen since the last one. The time is read only where there is a limit.
    #[must_use]
    pub fn at(&self, now: impl FnOnce() -> Time) -> bool {
        let until = self.0.load(Ordering::Acquire);
        until == u64::MAX || now().0 < until
    }
}

impl Shared {
    /// Starts the clock and the metrics of one server.
    #[must_use]
    pub fn new(settings: Settings) -> Arc<Self> {
        let (clock, metrics) = (Clock::start(), Metrics::default());
        let epochs = SharedEpochClock::start(clock);
        let rules = Arc::new(rules(&settings));
        let session_rules = Arc::new(session_rules(&settings, &rules));
        Arc::new(Self {
            rules,
            session_rules,
            clock,
            epochs,
            metrics,
            settings,
            deciding: MayDecide::default(),
            is_ready: AtomicBool::new(false),
            cluster: ClusterView::default(),
            drained: CancellationToken::new(),
            hopeless: OnceLock::new(),
            stops_hopeless: CancellationToken::new(),
        })
    }
}

impl Shared {
    /// Returns whether the server is a node of a cluster.
    #[must_use]
    pub fn is_node(&self) -> bool {
        !self.settings.cluster.url.is_empty()
    }
}

/// Returns the settings as pages need them.
fn rules(settings: &Settings) -> Rules {
    let Settings { pages, election, liveness, peerjs, relay, limits, ice, .. } = settings;
    // without a relay, a member that does not dial the host cannot be served
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

/// Returns the settings as sessions need them.
fn session_rules(settings: &Settings, rules: &Rules) -> SessionRules {
    let (liveness, relay) = (&settings.liveness, &settings.relay);
    SessionRules {
        ping: ms(liveness.ping_ms),
        host_ping: ms(liveness.ping_ms.min(liveness.host_timeout_ms / 3)),
        ice_renewal: rules.ice.renewed_every(),
        max_relay_bytes: relay.max_message_bytes,
    }
}
