//! A session's counters: what other threads may know of a session without asking its thread.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use peerstar_core::time::Time;

/// Approximate memory of a queued frame besides its bytes.
const FRAME_OVERHEAD: usize = 256;

/// Counters of one session. The session, its page and its writer share them.
#[derive(Debug, Default)]
pub struct SessionCounters {
    heard: AtomicU64,
    texts: AtomicU64,
    queued: AtomicUsize,
    in_flight: AtomicUsize,
}

impl SessionCounters {
    /// Notes that the client was heard from.
    pub fn set_heard(&self, now: Time) {
        self.heard.store(now.0, Ordering::Relaxed);
    }

    /// Returns when the client was last heard from.
    pub fn heard(&self) -> Time {
        Time(self.heard.load(Ordering::Relaxed))
    }

    /// Counts a text frame from the client. Only running page code sends text.
    pub fn add_text(&self) {
        self.texts.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of text frames from the client.
    pub fn texts(&self) -> u64 {
        self.texts.load(Ordering::Relaxed)
    }

    /// Returns the number of messages on their way from the session to its page.
    pub fn in_flight(&self) -> usize {
        // acquire: who sees zero also sees what the page did with the messages
        self.in_flight.load(Ordering::Acquire)
    }

    /// Counts a message that is sent to the page.
    pub fn add_in_flight(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a message that the page has handled.
    pub fn remove_in_flight(&self) {
        // not below zero: messages to a page that died are forgotten, and may arrive all the same
        let _ =
            self.in_flight.fetch_update(Ordering::Release, Ordering::Relaxed, |n| n.checked_sub(1));
    }

    /// Forgets the messages in flight: the page's actor died with them.
    pub fn forget_in_flight(&self) {
        self.in_flight.store(0, Ordering::Relaxed);
    }

    /// Counts a frame of `bytes` bytes that is sent to the client.
    pub fn add_queued(&self, bytes: usize) {
        self.queued.fetch_add(FRAME_OVERHEAD + bytes, Ordering::Relaxed);
    }

    /// Counts a frame of `bytes` bytes that is being written.
    pub fn remove_queued(&self, bytes: usize) {
        self.queued.fetch_sub(FRAME_OVERHEAD + bytes, Ordering::Relaxed);
    }

    /// Returns whether at most `limit` bytes are queued. A sender that asks first queues at most
    /// that and one frame.
    pub fn has_room(&self, limit: usize) -> bool {
        self.queued.load(Ordering::Relaxed) <= limit
    }
}
