//! How to reach the members of a page, kept by it for its sessions to read.
//!
//! A candidate changes nothing on the page. So a session hands it to the receiver's session itself, and saves the page, its
//! thread and two messages.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use super::message::{Line, ToSession};
use crate::core::id::PeerId;
use crate::core::wire::Frame;

/// Who is on a page. Only the page writes it.
#[derive(Debug)]
pub struct Switchboard {
    lines: RwLock<HashMap<PeerId, Line>>,
    room: usize,
}

impl Switchboard {
    /// Nobody's. No more than `room` bytes wait for one member of what others say to it.
    #[must_use]
    pub fn new(room: usize) -> Self {
        Self { lines: RwLock::default(), room }
    }

    /// A member has come.
    pub fn connect(&self, id: PeerId, line: Line) {
        self.lines.write().unwrap_or_else(PoisonError::into_inner).insert(id, line);
    }

    /// The member with this id has gone, or is another session now that is yet to be connected.
    pub fn vacate(&self, id: &PeerId) {
        self.lines.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Hands a frame to the member `to`. The frame comes back when there is none, or it has no room.
    ///
    /// # Errors
    /// With the frame, for the page to decide about.
    pub fn pass(&self, to: &PeerId, frame: Frame) -> Result<(), Frame> {
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        match lines.get(to).filter(|line| line.has_room(self.room)) {
            Some(line) => line.send_anyway(ToSession::Tell(frame)),
            None => return Err(frame),
        }
        Ok(())
    }
}
