//! Outbound items, which outlets take. `N` is the type of the notices, which are moved here and not
//! read.

use super::latch::Opener;
use peerstar_core::frame::fair_queue::Lane;
use peerstar_core::protocol::id::SessionId;
use peerstar_core::protocol::outgoing::Frame;

/// One thing sent to a session.
#[derive(Debug)]
pub enum Outbound<N> {
    /// A frame for the session's client.
    Frame(Frame),
    /// A notice for the session itself. The session handles it after all earlier frames are in the
    /// socket.
    Notice(N),
    /// A frame for the session's client that is written at once. The opener is dropped after that.
    Urgent(Frame, Opener),
}

impl<N> Outbound<N> {
    /// Returns the length in bytes of the frame, if there is one.
    #[must_use]
    pub fn frame_bytes(&self) -> Option<usize> {
        match self {
            Self::Frame(frame) | Self::Urgent(frame, _) => Some(frame.len()),
            Self::Notice(_) => None,
        }
    }
}

/// One outbound item with its receiver.
#[derive(Debug)]
pub struct QueuedItem<N> {
    /// The session that receives the item.
    pub receiver: SessionId,
    /// The item that is sent.
    pub item: Outbound<N>,
    /// Whether the item is part of a broadcast. Direct items do not wait for all of it.
    pub lane: Lane,
}
