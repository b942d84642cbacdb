//! The routing table, which a page publishes for its sessions: the host, and the outlets of its
//! members.
//!
//! A candidate changes nothing on the page. A session therefore hands it to the receiver's outlet
//! itself, and saves the page and its thread the work.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use actix::Message;

use super::outbound::Outbound;
use super::outlet::Outlet;
use super::writer::ThreadSockets;
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::id::PeerId;
use peerstar_core::protocol::outgoing::Frame;

/// The members of one page and how to reach them. Only the page writes it.
#[derive(Debug)]
pub struct RoutingTable<N> {
    outlets: RwLock<HashMap<PeerId, Outlet<N>>>,
    host: RwLock<Option<Claim>>,
    room: usize,
}

impl<N: Message<Result = ()> + Send + Unpin + 'static> RoutingTable<N> {
    /// Returns an empty table. Messages between members may fill `room` bytes of one member's
    /// queue.
    #[must_use]
    pub fn new(room: usize) -> Self {
        Self { outlets: RwLock::default(), host: RwLock::default(), room }
    }

    /// Adds the outlet of a member.
    pub fn connect(&self, id: PeerId, outlet: Outlet<N>) {
        self.outlets.write().unwrap_or_else(PoisonError::into_inner).insert(id, outlet);
    }

    /// Removes the member with this id: it has left, or another session has the id and is not
    /// connected yet.
    pub fn vacate(&self, id: &PeerId) {
        self.outlets.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Hands a frame to the member `to`, from a session of the thread that has `sockets`.
    ///
    /// # Errors
    /// Returns the frame when there is no such member or it has no room. The page decides then.
    pub fn pass(&self, to: &PeerId, frame: Frame, sockets: &ThreadSockets<N>) -> Result<(), Frame> {
        let outlets = self.outlets.read().unwrap_or_else(PoisonError::into_inner);
        match outlets.get(to).filter(|outlet| outlet.counters.has_room(self.room)) {
            Some(outlet) => sockets.send(outlet, frame),
            None => return Err(frame),
        }
        Ok(())
    }

    /// Hands a frame to the member `to`, from a thread without sockets.
    ///
    /// # Errors
    /// Passes a frame on as [`pass`](Self::pass) does.
    pub fn pass_from_afar(&self, to: &PeerId, frame: Frame) -> Result<(), Frame> {
        let outlets = self.outlets.read().unwrap_or_else(PoisonError::into_inner);
        match outlets.get(to).filter(|outlet| outlet.counters.has_room(self.room)) {
            Some(outlet) => outlet.send(Outbound::Frame(frame)),
            None => return Err(frame),
        }
        Ok(())
    }

    /// Publishes the host that all members were told of.
    pub fn set_host(&self, host: Claim) {
        *self.host.write().unwrap_or_else(PoisonError::into_inner) = Some(host);
    }

    /// Publishes that there is no host that all members were told of.
    pub fn clear_host(&self) {
        *self.host.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the host that all members were told of last.
    pub fn host(&self) -> Option<Claim> {
        self.host.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
