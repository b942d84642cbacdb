//! Admission: limits on the number of connections, in all and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::SessionId;
use prometheus_client::metrics::gauge::Gauge;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::settings::{Settings, limit};

/// Descriptors kept for the listener, the runtime and plain HTTP requests.
const RESERVED_DESCRIPTORS: u64 = 128;

/// Admits connections within the limits of the settings, and counts those that are open.
#[derive(Debug)]
pub struct Admission {
    /// The highest number of WebSockets that the process has descriptors for, or that
    /// `server.max_connections` allows.
    max_connections: usize,
    /// The highest number of WebSockets that are admitted.
    most: usize,
    /// The highest number of WebSockets from one address.
    most_per_address: usize,
    /// Number of permits that are out.
    open: AtomicUsize,
    /// Number of permits for each address, where these are limited.
    addresses: Mutex<HashMap<IpAddr, usize>>,
    /// Number of the next session. The first is random, so that no other process uses the same.
    next_session: AtomicU64,
    /// Knows when the last permit is returned.
    permits: TaskTracker,
    /// The metric that shows `open` to the operator.
    shown: Gauge,
}

impl Admission {
    /// Creates the admission of one server. `descriptors` is how many files the process may have
    /// open, and `shown` the metric that follows the number of connections.
    #[must_use]
    pub fn new(settings: &Settings, descriptors: u64, shown: Gauge) -> Arc<Self> {
        let usable = descriptors.saturating_sub(RESERVED_DESCRIPTORS);
        let usable = usize::try_from(usable).unwrap_or(usize::MAX).max(1);
        let max_connections = limit(settings.server.max_connections).min(usable);
        Arc::new(Self {
            max_connections,
            most: max_connections.min(limit(settings.peerjs.concurrent_limit)),
            most_per_address: limit(settings.limits.connections_per_ip),
            open: AtomicUsize::new(0),
            addresses: Mutex::default(),
            next_session: AtomicU64::new(rand::random::<u64>() >> 1),
            permits: TaskTracker::new(),
            shown,
        })
    }

    /// Returns the highest number of WebSockets that descriptors and `server.max_connections`
    /// allow.
    #[must_use]
    pub const fn max_connections(&self) -> usize {
        self.max_connections
    }

    /// Returns the number of connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Admits a connection from `address`. The addresses of one IPv6 /64 count as one.
    ///
    /// # Errors
    /// `AddressFull` if the address has all the connections it may have, `Full` if the server has.
    pub fn admit(self: &Arc<Self>, address: Option<IpAddr>) -> Result<ConnectionPermit, Close> {
        let counted = address.filter(|_| self.most_per_address < usize::MAX).map(network);
        if let Some(network) = counted {
            let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            let count = addresses.entry(network).or_default();
            if *count >= self.most_per_address {
                return Err(Close::AddressFull);
            }
            *count += 1;
        }
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        self.shown.inc();
        let permit = ConnectionPermit {
            admission: Arc::clone(self),
            session: SessionId(self.next_session.fetch_add(1, Ordering::Relaxed)),
            counted,
            address,
            _token: self.permits.token(),
        };
        // a permit that is dropped here gives back what it has taken
        if before >= self.most { Err(Close::Full) } else { Ok(permit) }
    }

    /// Waits until no connection is open. Connections that are admitted meanwhile are waited for,
    /// too.
    pub async fn wait_until_empty(&self) {
        self.permits.close();
        self.permits.wait().await;
    }
}

/// A connection's share of the limits, returned on drop.
#[derive(Debug)]
pub struct ConnectionPermit {
    admission: Arc<Admission>,
    session: SessionId,
    /// Address or network that the connection counts for, where connections from one are limited.
    counted: Option<IpAddr>,
    address: Option<IpAddr>,
    _token: TaskTrackerToken,
}

impl ConnectionPermit {
    /// Returns the number of the connection's session, which no other session has, not even one of
    /// another process.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Returns the client's address.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let Admission { open, shown, addresses, .. } = &*self.admission;
        open.fetch_sub(1, Ordering::Relaxed);
        shown.dec();
        if let Some(network) = self.counted {
            let mut addresses = addresses.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = addresses.get_mut(&network) {
                *count -= 1;
                if *count == 0 {
                    addresses.remove(&network);
                }
            }
        }
    }
}

/// Returns what counts as one address for `limits.connections_per_ip`: an IPv4 address, or the /64
/// of an IPv6 address. A household or a rented machine is given at least a /64.
const fn network(address: IpAddr) -> IpAddr {
    const PREFIX: u128 = !(u64::MAX as u128);
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & PREFIX)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn admission(set: impl FnOnce(&mut Settings)) -> (Arc<Admission>, Gauge) {
        let (mut settings, shown) = (Settings::default(), Gauge::default());
        set(&mut settings);
        (Admission::new(&settings, 1024, shown.clone()), shown)
    }

    fn from(address: &str) -> Option<IpAddr> {
        Some(address.parse().unwrap_or_else(|e| panic!("{address}: {e}")))
    }

    #[test]
    fn a_limit_counts_permits_that_are_out() {
        let (admission, shown) = admission(|settings| settings.peerjs.concurrent_limit = 2);
        let first = admission.admit(None).ok();
        let second = admission.admit(None).ok();
        assert!(first.is_some() && second.is_some());
        let number =
            |permit: &Option<ConnectionPermit>| permit.as_ref().map(ConnectionPermit::session);
        assert_ne!(number(&first), number(&second));
        assert_eq!(admission.admit(None).err(), Some(Close::Full));
        assert_eq!((admission.connections(), shown.get()), (2, 2));
        drop(first);
        assert!(admission.admit(None).is_ok());
        assert_eq!((admission.connections(), shown.get()), (1, 1));
    }

    #[test]
    fn descriptors_are_a_limit_less_a_reserve() {
        let (admission, _) = admission(|_| {});
        assert_eq!(admission.max_connections(), 1024 - 128);
        let none = Admission::new(&Settings::default(), 5, Gauge::default());
        assert_eq!(none.max_connections(), 1, "one at least");
    }

    #[test]
    fn one_address_has_its_own_limit_which_a_refusal_does_not_use_up() {
        let (admission, _) = admission(|settings| {
            settings.limits.connections_per_ip = 1;
            settings.peerjs.concurrent_limit = 2;
        });
        let first = admission.admit(from("192.0.2.1")).ok();
        assert!(first.is_some());
        for same in ["192.0.2.1", "::ffff:192.0.2.1"] {
            assert_eq!(admission.admit(from(same)).err(), Some(Close::AddressFull), "{same}");
        }
        let second = admission.admit(from("2001:db8::1")).ok();
        assert_eq!(admission.admit(from("2001:db8::2")).err(), Some(Close::AddressFull));
        assert_eq!(admission.admit(from("2001:db8:0:1::1")).err(), Some(Close::Full));
        drop(second);
        let third = admission.admit(from("2001:db8:0:1::1"));
        assert_eq!(third.map(|permit| permit.address()), Ok(from("2001:db8:0:1::1")));
    }

    #[test]
    fn the_addresses_of_one_ipv6_64_count_as_one() {
        let counts =
            |text: &str| text.parse().map(network).map(|a| a.to_string()).unwrap_or_default();
        assert_eq!(counts("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(counts("2001:db8:1:2::"), "2001:db8:1:2::");
        assert_eq!(counts("2001:db8:1:3::1"), "2001:db8:1:3::");
        assert_eq!(counts("203.0.113.5"), "203.0.113.5");
        assert_eq!(counts("::ffff:203.0.113.5"), "203.0.113.5");
    }

    #[tokio::test]
    async fn the_wait_ends_with_the_last_permit() {
        let (admission, _) = admission(|_| {});
        let (first, second) = (admission.admit(None), admission.admit(None));
        drop(first);
        let wait = admission.wait_until_empty();
        assert!(timeout(Duration::from_millis(20), wait).await.is_err(), "one is open");
        drop(second);
        assert!(timeout(Duration::from_secs(30), admission.wait_until_empty()).await.is_ok());
    }
}
