//! A session's counters: what others may know of it without asking its thread.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use peerstar_core::time::Time;

/// What a frame on its way takes besides its bytes, near enough.
const ENVELOPE: usize = 256;

/// What may be known of a session without asking it, and waiting for its thread.
#[derive(Debug, Default)]
pub struct SessionCounters {
    heard: AtomicU64,
    spoken: AtomicU64,
    queued: AtomicUsize,
    under_way: AtomicUsize,
}

impl SessionCounters {
    /// It said something.
    pub fn beat(&self, now: Time) {
        self.heard.store(now.0, Ordering::Relaxed);
    }

    /// When it last did.
    pub fn heard(&self) -> Time {
        Time(self.heard.load(Ordering::Relaxed))
    }

    /// Its client's page said something: it runs.
    pub fn speak(&self) {
        self.spoken.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it did.
    pub fn spoken(&self) -> u64 {
        self.spoken.load(Ordering::Relaxed)
    }

    /// How many messages are on their way to the page.
    pub fn under_way(&self) -> usize {
        // none: what the page did with them is seen, too
        self.under_way.load(Ordering::Acquire)
    }

    /// One more message is on its way to the page.
    pub fn send(&self) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    /// The page took one.
    pub fn arrive(&self) {
        // not below zero: what was on its way to a page that died is forgotten, and may arrive all the same
        let _ =
            self.under_way.fetch_update(Ordering::Release, Ordering::Relaxed, |n| n.checked_sub(1));
    }

    /// The page's actor died, and what was on its way with it.
    pub fn forget_under_way(&self) {
        self.under_way.store(0, Ordering::Relaxed);
    }

    /// One more frame of so many bytes is on its way to the client.
    pub fn tell(&self, bytes: usize) {
        self.queued.fetch_add(ENVELOPE + bytes, Ordering::Relaxed);
    }

    /// It is being written.
    pub fn wrote(&self, bytes: usize) {
        self.queued.fetch_sub(ENVELOPE + bytes, Ordering::Relaxed);
    }

    /// Whether no more than `most` bytes are on their way: so there are never more than that and one frame.
    pub fn has_room(&self, most: usize) -> bool {
        self.queued.load(Ordering::Relaxed) <= most
    }
}
