//! What all actors and handlers of one server share.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;
use crate::http::address;
use crate::metrics::Metrics;
use crate::settings::{Settings, limit, ms};
use crate::turn;
use peerstar_core::page::Rules;
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::ice::IceServers;
use peerstar_core::protocol::id::SessionId;
use peerstar_core::protocol::incoming::MAX_PROFILE_BYTES;
use peerstar_core::protocol::outgoing::{RelayTerms, Terms};

/// One server's settings, clock and counters.
#[derive(Debug)]
pub struct Shared {
    /// As loaded.
    pub settings: Settings,
    /// The settings as pages need them.
    pub rules: Arc<Rules>,
    /// Since the server started.
    pub clock: Clock,
    /// Set when the server goes away: not ready any more.
    pub draining: AtomicBool,
    /// Counted for the operator.
    pub metrics: Metrics,
    /// The most sockets at once.
    pub max_connections: usize,
    next_session: AtomicU64,
    addresses: Mutex<HashMap<IpAddr, usize>>,
}

impl Shared {
    /// For one server. `descriptors` is how many files the process may open.
    #[must_use]
    pub fn new(settings: Settings, descriptors: u64) -> Arc<Self> {
        // descriptors for the listener, the runtime's own, and plain HTTP requests
        const RESERVE: u64 = 128;
        let by_descriptors =
            usize::try_from(descriptors.saturating_sub(RESERVE)).unwrap_or(usize::MAX).max(1);
        let max_connections = limit(settings.server.max_connections).min(by_descriptors);
        Arc::new(Self {
            rules: Arc::new(rules(&settings)),
            clock: Clock::start(),
            draining: AtomicBool::new(false),
            metrics: Metrics::default(),
            max_connections,
            next_session: AtomicU64::new(0),
            addresses: Mutex::default(),
            settings,
        })
    }

    /// A number for a new session.
    pub fn next_session(&self) -> SessionId {
        SessionId(self.next_session.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes a place for a connection from `address`. The addresses of one IPv6 /64 count as one.
    ///
    /// # Errors
    /// Why there is none.
    pub fn take_place(
        self: &Arc<Self>,
        address: Option<IpAddr>,
    ) -> Result<ConnectionPermit, Close> {
        let most = self.max_connections.min(limit(self.settings.peerjs.concurrent_limit));
        let counted =
            address.filter(|_| self.settings.limits.connections_per_ip > 0).map(address::counted);
        if let Some(address) = counted {
            let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            let count = addresses.entry(address).or_default();
            if *count >= self.settings.limits.connections_per_ip {
                return Err(Close::AddressFull);
            }
            *count += 1;
        }
        let before = self.metrics.connections.inc();
        let place = ConnectionPermit { shared: Arc::clone(self), counted, address };
        if usize::try_from(before).is_ok_and(|before| before >= most) {
            Err(Close::Full)
        } else {
            Ok(place)
        }
    }
}

/// A connection's place among those allowed; given back when dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    shared: Arc<Shared>,
    /// Set where connections from one address are counted.
    counted: Option<IpAddr>,
    address: Option<IpAddr>,
}

impl ConnectionPermit {
    /// Returns the client's address.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.shared.metrics.connections.dec();
        if let Some(address) = self.counted {
            let mut addresses =
                self.shared.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = addresses.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    addresses.remove(&address);
                }
            }
        }
    }
}

fn rules(settings: &Settings) -> Rules {
    let Settings { pages, election, liveness, peerjs, relay, limits, ice, .. } = settings;
    // without a relay nobody serves those who do not dial the host
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
            return_ms: liveness.return_ms,
            profile_bytes: MAX_PROFILE_BYTES,
            recovery_ms: election.recovery_ms,
        },
        ice: IceServers::new(
            ice.servers.clone(),
            turn::credentials(ice.turn_secret.expose(), ice.turn_ttl_s),
        ),
    }
}
