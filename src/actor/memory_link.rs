//! An in-memory link for tests: turns every item into bytes and back, as a link between nodes will.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::latch::Opener;
use super::outbound::{Judged, Outbound, QueuedItem, Urgent};
use super::outlet::Link;
use crate::transport::counters::SessionCounters;
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::id::SessionId;
use peerstar_core::protocol::outgoing::Frame;

const FRAME: u8 = 0;
const NOTICE: u8 = 1;
const URGENT: u8 = 2;

/// The node at the other end of a link.
pub(super) trait FarEnd<N>: Send + Sync {
    /// Encodes a notice. Addresses of this node are left out.
    fn encode(&self, notice: &N) -> Vec<u8>;

    /// Decodes a notice. Addresses of the far node are filled in.
    fn decode(&self, bytes: &[u8]) -> N;

    /// Returns whether a session takes more. A session that is gone takes everything.
    fn has_room(&self, session: SessionId) -> bool;

    /// Sends an item to a session of the far node.
    ///
    /// # Errors
    /// Returns the item if the session is gone.
    fn deliver(&self, session: SessionId, item: Outbound<N>) -> Result<(), Outbound<N>>;
}

/// One item on its way.
struct Packet {
    receiver: SessionId,
    bytes: Vec<u8>,
    /// Stays at this end until the far end has written the urgent frame.
    opener: Option<Opener>,
}

/// A link from this node to another one.
pub(super) struct MemoryLink<N> {
    far: Arc<dyn FarEnd<N>>,
    packets: Mutex<VecDeque<Packet>>,
    counters: Mutex<HashMap<SessionId, Arc<SessionCounters>>>,
}

impl<N> std::fmt::Debug for MemoryLink<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryLink").field("packets", &self.packets().len()).finish_non_exhaustive()
    }
}

impl<N> MemoryLink<N> {
    pub(super) fn to(far: Arc<dyn FarEnd<N>>) -> Arc<Self> {
        Arc::new(Self { far, packets: Mutex::default(), counters: Mutex::default() })
    }

    fn packets(&self) -> MutexGuard<'_, VecDeque<Packet>> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the counters of a session at this end: what is queued there is in the link.
    pub(super) fn counters(&self, session: SessionId) -> Arc<SessionCounters> {
        let mut all = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(session).or_default())
    }

    /// Puts one item on its way, and counts it against the room of its receiver.
    fn put(&self, QueuedItem { receiver, item, .. }: QueuedItem<N>) {
        if let Some(bytes) = item.frame_bytes() {
            self.counters(receiver).add_queued(bytes);
        }
        let (tag, body, opener) = match item {
            Outbound::Judged(judged) => {
                let Judged { frame, .. } = *judged;
                (FRAME, frame.into_bytes().to_vec(), None)
            }
            Outbound::Frame(frame) => (FRAME, frame.into_bytes().to_vec(), None),
            Outbound::Notice(notice) => (NOTICE, self.far.encode(&notice), None),
            Outbound::Urgent(urgent) => {
                let Urgent { frame, opener, .. } = *urgent;
                (URGENT, frame.into_bytes().to_vec(), Some(opener))
            }
        };
        let bytes = [&[tag], &*body].concat();
        self.packets().push_back(Packet { receiver, bytes, opener });
        self.pump();
    }

    /// Delivers everything for which the far end has room, in order for each session.
    pub(super) fn pump(&self) {
        let mut undelivered = Vec::new();
        let mut packets = self.packets();
        let mut full = HashSet::new();
        for packet in std::mem::take(&mut *packets) {
            let receiver = packet.receiver;
            if full.contains(&receiver) || !self.far.has_room(receiver) {
                full.insert(receiver);
                packets.push_back(packet);
                continue;
            }
            let item = self.decode(packet);
            if let Some(bytes) = item.frame_bytes() {
                self.counters(receiver).remove_queued(bytes);
            }
            undelivered.extend(self.far.deliver(receiver, item).err());
        }
        drop(packets);
        // only now: an opener that is dropped may push more packets
        drop(undelivered);
    }

    fn decode(&self, Packet { bytes, opener, .. }: Packet) -> Outbound<N> {
        let (tag, body) = bytes.split_first().unwrap_or_else(|| panic!("a packet has a tag"));
        let frame = || {
            let text = std::str::from_utf8(body).unwrap_or_else(|e| panic!("{e}"));
            Frame::from(text)
        };
        match (*tag, opener) {
            (FRAME, None) => Outbound::Frame(frame()),
            (NOTICE, None) => Outbound::Notice(self.far.decode(body)),
            (URGENT, Some(opener)) => {
                Outbound::Urgent(Box::new(Urgent { frame: frame(), notice: None, opener }))
            }
            (tag, opener) => panic!("no packet: tag {tag}, opener {}", opener.is_some()),
        }
    }
}

impl<N> Link<N> for MemoryLink<N> {
    fn push(&self, item: QueuedItem<N>) {
        self.put(item);
    }

    fn append(&self, items: Vec<QueuedItem<N>>) {
        items.into_iter().for_each(|item| self.put(item));
    }

    fn publish_host(&self, _: Option<&Claim>) {}

    fn probe(&self, _: SessionId, _: Frame) {}

    fn say_members(&self, _: Vec<SessionId>, _: Option<Claim>) {}

    fn compare_members(&self, _: Vec<SessionId>) {}
}
