//! The receiving half of one end of a link: which bags have come, are handled, and are missing.

use bytes::Bytes;

use super::{ACKNOWLEDGE_FROM, ACKNOWLEDGE_FROM_BYTES, ACKNOWLEDGE_WITHIN, LACKS_WITHIN};
use crate::cluster::bag::{BadBag, Header, Records};
use crate::cluster::entry::Entry;
use crate::time::Time;

/// The incoming half of a link, in one association. Bags are taken in order: one that comes too
/// early is dropped, and asked for again. So nothing waits here but an entry in parts.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    records: Records,
    /// The last bag that has come.
    received: u64,
    /// The last bag that is handled.
    handled: u64,
    /// The last bag whose handling the other node was told of.
    told: u64,
    /// Bytes that were received since then.
    bytes: usize,
    /// When the other node is told what is handled.
    answer_at: Option<Time>,
    /// Whether bags are missing, and the other node is to be told.
    lacks: bool,
    /// The bag after which others were missing, and when the other node was told.
    lacked: Option<(u64, Time)>,
}

impl Incoming {
    /// Takes a bag. Returns its entries if it is the next one.
    pub(super) fn take(
        &mut self,
        now: Time,
        header: &Header,
        body: Bytes,
    ) -> Result<Option<Vec<Entry>>, BadBag> {
        let mut entries = None;
        if header.number == self.received + 1 {
            self.received = header.number;
            self.bytes += body.len();
            entries = Some(Vec::new());
            self.records.read(body, entries.get_or_insert_default())?;
        } else if header.number > 0 {
            // the other node may not know that the bag has come, or which one is missing
            self.answer_by(now.plus(ACKNOWLEDGE_WITHIN));
        }
        let misses = header.number > self.received
            || ((header.asks || header.number == 0) && header.highest > self.received);
        if misses {
            self.lack(now);
        }
        if header.asks {
            self.answer_by(now);
        }
        Ok(entries)
    }

    pub(super) fn handled(&mut self, now: Time, number: u64) {
        if number <= self.handled || number > self.received {
            return;
        }
        self.handled = number;
        let many = self.handled - self.told >= ACKNOWLEDGE_FROM;
        let is_due = many || self.bytes >= ACKNOWLEDGE_FROM_BYTES;
        self.answer_by(if is_due { now } else { now.plus(ACKNOWLEDGE_WITHIN) });
    }

    fn answer_by(&mut self, at: Time) {
        self.answer_at = Some(self.answer_at.map_or(at, |earlier| earlier.min(at)));
    }

    pub(super) const fn answer_at(&self) -> Option<Time> {
        self.answer_at
    }

    pub(super) fn must_answer(&self, now: Time) -> bool {
        self.answer_at.is_some_and(|at| at <= now)
    }

    /// Has the other node told that bags are missing, unless it was told just now.
    pub(super) fn lack(&mut self, now: Time) {
        let is_told = self
            .lacked
            .is_some_and(|(after, at)| after == self.received && now < at.plus(LACKS_WITHIN));
        if !is_told {
            self.lacks = true;
            self.answer_by(now);
        }
    }

    /// Returns the last bag that is handled, which the other node is told now.
    pub(super) const fn acknowledge(&mut self) -> u64 {
        self.told = self.handled;
        self.bytes = 0;
        self.answer_at = None;
        self.handled
    }

    /// Returns whether bags are missing, which the other node is told now.
    pub(super) fn tell_lack(&mut self, now: Time) -> bool {
        if self.lacks {
            self.lacked = Some((self.received, now));
        }
        std::mem::take(&mut self.lacks)
    }
}
