//! The clock. No other file of the server asks for the time of day.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use peerstar_core::cluster::Slot;
use peerstar_core::epoch_clock::{EpochClock, EpochTime};
use peerstar_core::protocol::id::Epoch;
use peerstar_core::time::Time;

/// Measures the time since the server started.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts a clock at zero.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Returns the time since the start, in whole milliseconds.
    #[must_use]
    pub fn now(&self) -> Time {
        Time(self.started.elapsed().as_millis() as u64)
    }
}

/// The clock of epochs, shared by all pages of a server. No page waits for another one.
#[derive(Debug)]
pub struct SharedEpochClock {
    clock: Clock,
    /// The clock as the server started.
    started: EpochClock,
    /// See [`EpochClock::lead_ms`].
    lead_ms: AtomicU64,
    /// See [`EpochClock::slot`]. [`NO_SLOT`] stands for none.
    slot: AtomicU16,
}

/// No slot has this number.
const NO_SLOT: u16 = u16::MAX;

impl SharedEpochClock {
    /// Starts the clock of epochs of a server.
    #[must_use]
    pub fn start(clock: Clock) -> Self {
        let started = EpochClock::start(unix_ms());
        Self {
            clock,
            started,
            lead_ms: AtomicU64::new(started.lead_ms),
            slot: AtomicU16::new(NO_SLOT),
        }
    }

    /// Returns what the clock shows at `now`.
    #[must_use]
    pub fn read(&self, now: Time) -> EpochTime {
        self.load().read(now, unix_ms())
    }

    /// Notes the highest epoch that a page has named or believed. To be called before anybody is
    /// told the epoch.
    pub fn note(&self, epoch: Epoch) {
        let mut clock = self.load();
        clock.note(self.clock.now(), unix_ms(), epoch);
        self.lead_ms.fetch_max(clock.lead_ms, Ordering::Relaxed);
    }

    /// Notes what the clock of another node showed.
    pub fn note_cluster(&self, epoch: Epoch) {
        let mut clock = self.load();
        clock.note_cluster(self.clock.now(), epoch);
        self.lead_ms.fetch_max(clock.lead_ms, Ordering::Relaxed);
    }

    /// Sets the node's share of the epochs.
    pub fn set_slot(&self, slot: Option<Slot>) {
        self.slot.store(slot.map_or(NO_SLOT, |slot| slot.0.into()), Ordering::Relaxed);
    }

    fn load(&self) -> EpochClock {
        let slot = u8::try_from(self.slot.load(Ordering::Relaxed)).ok().map(Slot);
        EpochClock { lead_ms: self.lead_ms.load(Ordering::Relaxed), slot, ..self.started }
    }
}

/// Returns the milliseconds since 1970, by the system's clock.
#[must_use]
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
