//! What a page lets its sessions read, without asking it: how to reach its members, and who hosts.
//!
//! A candidate changes nothing on the page. So a session hands it to the receiver's courier itself, and saves the page and its
//! thread.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use super::writer::{Outlet, ThreadSockets};
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::id::PeerId;
use peerstar_core::protocol::outgoing::Frame;

/// Who is on a page. Only the page writes it.
#[derive(Debug)]
pub struct RoutingTable {
    lines: RwLock<HashMap<PeerId, Outlet>>,
    host: RwLock<Option<Claim>>,
    room: usize,
}

impl RoutingTable {
    /// Nobody's. No more than `room` bytes wait for one member of what others say to it.
    #[must_use]
    pub fn new(room: usize) -> Self {
        Self { lines: RwLock::default(), host: RwLock::default(), room }
    }

    /// A member has come.
    pub fn connect(&self, id: PeerId, line: Outlet) {
        self.lines.write().unwrap_or_else(PoisonError::into_inner).insert(id, line);
    }

    /// The member with this id has gone, or is another session now that is yet to be connected.
    pub fn vacate(&self, id: &PeerId) {
        self.lines.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Hands a frame to the member `to`, from a session whose thread's is `round`. The frame comes back when there is none, or it has no room.
    ///
    /// # Errors
    /// With the frame, for the page to decide about.
    pub fn pass(&self, to: &PeerId, frame: Frame, round: &ThreadSockets) -> Result<(), Frame> {
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        match lines.get(to).filter(|line| line.pulse.has_room(self.room)) {
            Some(line) => round.send(line, frame),
            None => return Err(frame),
        }
        Ok(())
    }

    /// All members were told who hosts.
    pub fn appoint(&self, host: Claim) {
        *self.host.write().unwrap_or_else(PoisonError::into_inner) = Some(host);
    }

    /// What all were told last, if anything.
    pub fn host(&self) -> Option<Claim> {
        self.host.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
