//! Admission of connections: how many there may be, in all and from one address, and how many there
//! are.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::gauge::Gauge;

use crate::settings::{Settings, limit};
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::SessionId;

/// Descriptors that are kept for the listener, the runtime and plain HTTP requests.
const RESERVED_DESCRIPTORS: u64 = 128;

/// The limits on connections of one server, and the connections that count against them.
#[derive(Debug)]
pub struct Admission {
    max_connections: usize,
    /// `peerjs.concurrent_limit`, which limits the same connections.
    concurrent_limit: usize,
    /// `limits.connections_per_ip`; 0 for no limit.
    max_per_address: usize,
    open: AtomicUsize,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    next_session: AtomicU64,
    draining: AtomicBool,
    /// Shows `open` to the operator.
    gauge: Gauge,
}

impl Admission {
    /// Returns the admission of a server that may open `descriptors` files. `gauge` is kept at the
    /// number of connections.
    #[must_use]
    pub fn new(settings: &Settings, descriptors: u64, gauge: Gauge) -> Arc<Self> {
        let by_descriptors = descriptors.saturating_sub(RESERVED_DESCRIPTORS);
        let by_descriptors = usize::try_from(by_descriptors).unwrap_or(usize::MAX).max(1);
        Arc::new(Self {
            max_connections: limit(settings.server.max_connections).min(by_descriptors),
            concurrent_limit: limit(settings.peerjs.concurrent_limit),
            max_per_address: settings.limits.connections_per_ip,
            open: AtomicUsize::new(0),
            addresses: Mutex::default(),
            next_session: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            gauge,
        })
    }

    /// Returns the most connections that there may be.
    #[must_use]
    pub const fn max_connections(&self) -> usize {
        self.max_connections
    }

    /// Returns the number of connections that hold a permit.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Notes that the server shuts down, so that `/ready` says so.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Returns whether the server shuts down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Admits a connection from `address`. All addresses of one IPv6 /64 count as one.
    ///
    /// # Errors
    /// Returns [`Close::AddressFull`] or [`Close::Full`] when a limit is reached.
    pub fn admit(self: &Arc<Self>, address: Option<IpAddr>) -> Result<ConnectionPermit, Close> {
        let counted = address.filter(|_| self.max_per_address > 0).map(network);
        if let Some(network) = counted {
            let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            let count = addresses.entry(network).or_default();
            if *count >= self.max_per_address {
                return Err(Close::AddressFull);
            }
            *count += 1;
        }
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        self.gauge.inc();
        let session = SessionId(self.next_session.fetch_add(1, Ordering::Relaxed));
        let permit = ConnectionPermit { admission: Arc::clone(self), session, counted, address };
        if before >= self.max_connections.min(self.concurrent_limit) {
            // the permit is dropped, and its share returned
            Err(Close::Full)
        } else {
            Ok(permit)
        }
    }
}

/// A connection's share of the limits, returned when the permit is dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    admission: Arc<Admission>,
    session: SessionId,
    /// Set where connections from one address are counted.
    counted: Option<IpAddr>,
    address: Option<IpAddr>,
}

impl ConnectionPermit {
    /// Returns the number of the connection's session, which no other session has.
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
        let Admission { open, gauge, addresses, .. } = &*self.admission;
        open.fetch_sub(1, Ordering::Relaxed);
        gauge.dec();
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
/// of an IPv6 address. A /64 is the least that a household or a rented machine is given.
const fn network(address: IpAddr) -> IpAddr {
    const NETWORK: u128 = !(u64::MAX as u128);
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & NETWORK)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Limits, Server};

    #[test]
    fn a_64_of_ipv6_counts_as_one_address() {
        let counts =
            |text: &str| text.parse().map(network).map(|a| a.to_string()).unwrap_or_default();
        assert_eq!(counts("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(counts("2001:db8:1:2::"), "2001:db8:1:2::");
        assert_eq!(counts("2001:db8:1:3::1"), "2001:db8:1:3::");
        assert_eq!(counts("203.0.113.5"), "203.0.113.5");
        assert_eq!(counts("::ffff:203.0.113.5"), "203.0.113.5");
    }

    #[test]
    fn a_permit_is_counted_until_it_is_dropped_and_the_gauge_follows() {
        let settings = Settings {
            server: Server { max_connections: 2, ..Server::default() },
            limits: Limits { connections_per_ip: 1, ..Limits::default() },
            ..Settings::default()
        };
        let gauge = Gauge::default();
        let admission = Admission::new(&settings, 10_000, gauge.clone());
        let address = |last| Some(IpAddr::from([203, 0, 113, last]));
        let first = admission.admit(address(1)).unwrap_or_else(|close| panic!("{close:?}"));
        assert_eq!(admission.admit(address(1)).err(), Some(Close::AddressFull));
        let second = admission.admit(address(2)).unwrap_or_else(|close| panic!("{close:?}"));
        assert_ne!(first.session(), second.session());
        assert_eq!(admission.admit(address(3)).err(), Some(Close::Full));
        assert_eq!((admission.open(), gauge.get()), (2, 2), "a refused connection does not count");
        drop(first);
        assert_eq!((admission.open(), gauge.get()), (1, 1));
        assert!(admission.admit(address(1)).is_ok(), "the address has its share back");
        drop(second);
        assert_eq!((admission.open(), gauge.get()), (0, 0));
    }
}
