//! Outbound items, which outlets take. `N` is the type of the notices, which are moved here and not
//! read.

use super::latch::Opener;
use peerstar_core::frame::fair_queue::Lane;
use peerstar_core::page::Input;
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::id::{PeerId, SessionId};
use peerstar_core::protocol::outgoing::Frame;

/// One thing sent to a session.
#[derive(Debug)]
pub enum Outbound<N> {
    /// A frame for the session's client.
    Frame(Frame),
    /// A notice for the session itself. The session handles it after all earlier frames are in the
    /// socket.
    Notice(N),
    /// A frame for the session's client that is written at once, and what the session is told of
    /// it.
    Urgent(Box<Urgent<N>>),
    /// A frame for the client of a session on another node, whose room is judged there.
    Judged(Box<Judged>),
}

/// A frame that is written ahead of all others.
#[derive(Debug)]
pub struct Urgent<N> {
    /// The frame.
    pub frame: Frame,
    /// The notice that follows it.
    pub notice: Option<N>,
    /// Dropped after the frame was written.
    pub opener: Opener,
}

/// A frame, and what happens if its receiver has no room for it.
#[derive(Debug)]
pub struct Judged {
    /// The frame.
    pub frame: Frame,
    /// The treatment of a frame that finds no room.
    pub no_room: NoRoom,
    /// The host that the frame announces, if it is `HOST`.
    pub tells: Option<Claim>,
}

/// The treatment of a frame whose receiver has no room for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoRoom {
    /// The receiver is closed as slow.
    Close,
    /// The receiver is closed as slow, but has sixteen times the room: a crowd that joins or leaves
    /// is not its fault.
    CloseLater,
    /// The frame is dropped, and the receiver is closed as slow: it is data of the host.
    DropAndClose,
    /// The frame is dropped: it is data of a peer, which may fill half of the room.
    Drop,
    /// The frame is dropped, and its sender is told that the message has expired.
    Expire {
        /// Session of the sender.
        sender: SessionId,
        /// Id of the receiver.
        receiver: PeerId,
    },
}

impl NoRoom {
    /// Factor by which joins and leaves of a crowd may exceed `limits.queue_bytes` in a queue.
    const NEWS_FACTOR: usize = 16;
    /// Share of `limits.queue_bytes` that messages of peers may fill in one member's queue: 1 /
    /// `PEER_SHARE`. A member without room for messages of the page or the host is closed, and no
    /// peer may bring that about.
    const PEER_SHARE: usize = 2;

    /// Returns how many of `queue_bytes` bytes may be queued for a session that is sent one more
    /// frame of this kind.
    #[must_use]
    pub const fn room(&self, queue_bytes: usize) -> usize {
        match self {
            Self::Close | Self::DropAndClose => queue_bytes,
            Self::CloseLater => queue_bytes.saturating_mul(Self::NEWS_FACTOR),
            Self::Drop | Self::Expire { .. } => queue_bytes / Self::PEER_SHARE,
        }
    }

    /// Returns what the page is told if `receiver` had no room.
    #[must_use]
    pub fn verdict(self, receiver: SessionId) -> Option<Input> {
        match self {
            Self::Close | Self::CloseLater | Self::DropAndClose => Some(Input::Congested(receiver)),
            Self::Drop => None,
            Self::Expire { sender, receiver } => {
                Some(Input::Undelivered { session: sender, dst: receiver })
            }
        }
    }
}

impl<N> Outbound<N> {
    /// Returns the length in bytes of the frame, if there is one.
    #[must_use]
    pub fn frame_bytes(&self) -> Option<usize> {
        match self {
            Self::Frame(frame) => Some(frame.len()),
            Self::Urgent(urgent) => Some(urgent.frame.len()),
            Self::Judged(judged) => Some(judged.frame.len()),
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
