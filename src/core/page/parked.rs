//! Signalling messages for receivers that are not there yet. Each ends delivered or expired.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::page::deadline_map::DeadlineMap;
use crate::protocol::id::PeerId;
use crate::protocol::incoming::SignalKind;
use crate::protocol::outgoing::Frame;
use crate::time::Time;

/// Most messages of one sender: enough for a few connections.
const MOST_PER_SENDER: usize = 256;
/// Most bytes of one sender.
const MOST_BYTES_PER_SENDER: usize = 512 * 1024;
/// Most messages for one receiver. To expire an attempt, all of them are looked through.
const MOST_PER_RECEIVER: usize = 512;
/// Most messages of one page.
const MOST: usize = 65_536;
/// Most bytes of one page.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Most attempts that expire in one step: a page must not keep its thread from others.
const MOST_A_STEP: usize = 1024;

/// A message that waits for its receiver.
#[derive(Debug)]
pub struct ParkedMessage {
    /// Id of the sender.
    pub src: PeerId,
    /// Id of the receiver.
    pub dst: PeerId,
    /// Kind of the message.
    pub kind: SignalKind,
    /// The message, encoded for its receiver.
    pub frame: Frame,
}

/// All parked messages of a page.
#[derive(Debug, Default)]
pub struct ParkedMessages {
    /// Messages by number, in the order in which they were sent.
    messages: DeadlineMap<u64, ParkedMessage>,
    /// Numbers of the messages for each receiver, in the order in which they were sent, and their
    /// bytes.
    for_peer: HashMap<PeerId, (VecDeque<u64>, usize)>,
    /// Number of messages of each sender, and their bytes.
    by_sender: HashMap<PeerId, (usize, usize)>,
    next: u64,
    bytes: usize,
    receiver_bytes: usize,
}

/// There is no room for a message. It expires at once.
#[derive(Debug, PartialEq, Eq)]
pub struct NoRoom;

impl ParkedMessages {
    /// Creates an empty store. Messages for one receiver have at most `most_bytes`, because it gets
    /// them all at once.
    #[must_use]
    pub fn new(most_bytes: usize) -> Self {
        Self { receiver_bytes: most_bytes, ..Self::default() }
    }

    /// Keeps a message for `dst` for as long as `wait`.
    ///
    /// # Errors
    /// When its sender, its receiver or the page has too many messages already.
    pub fn park(
        &mut self,
        now: Time,
        wait: Duration,
        src: &PeerId,
        dst: &PeerId,
        kind: SignalKind,
        frame: &Frame,
    ) -> Result<(), NoRoom> {
        let (count, bytes) = self.by_sender.get(src).copied().unwrap_or_default();
        let (receiver_count, receiver_sum) =
            self.for_peer.get(dst).map_or((0, 0), |(queue, bytes)| (queue.len(), *bytes));
        let receiver_sum = receiver_sum + frame.len();
        if receiver_count >= MOST_PER_RECEIVER
            || receiver_sum > self.receiver_bytes
            || self.messages.len() >= MOST
        {
            return Err(NoRoom);
        }
        if count >= MOST_PER_SENDER
            || bytes + frame.len() > MOST_BYTES_PER_SENDER
            || self.bytes + frame.len() > MOST_BYTES
        {
            return Err(NoRoom);
        }
        self.by_sender.insert(src.clone(), (count + 1, bytes + frame.len()));
        self.bytes += frame.len();
        let (queue, bytes) = self.for_peer.entry(dst.clone()).or_default();
        queue.push_back(self.next);
        *bytes = receiver_sum;
        let parked =
            ParkedMessage { src: src.clone(), dst: dst.clone(), kind, frame: frame.clone() };
        self.messages.insert(self.next, now.plus(wait), parked);
        self.next += 1;
        Ok(())
    }

    /// Removes the messages for `dst`, in the order in which they were sent.
    pub fn take(&mut self, dst: &PeerId) -> Vec<ParkedMessage> {
        let (queue, _) = self.for_peer.remove(dst).unwrap_or_default();
        queue.into_iter().filter_map(|n| self.remove(n)).collect()
    }

    /// Drops messages that waited too long, as many as fit in one step. Returns (sender, absent
    /// receiver) of each attempt that failed.
    ///
    /// An attempt is an OFFER with the messages that follow it. Candidates are worth nothing
    /// without their OFFER, so an attempt expires as a whole, and its sender is told once.
    pub fn expire(&mut self, now: Time) -> Vec<(PeerId, PeerId)> {
        let mut failed = Vec::new();
        for _ in 0..MOST_A_STEP {
            let Some((_, first)) = self.messages.due(now).and_then(|n| self.messages.get(n)) else {
                break;
            };
            let (src, dst) = (first.src.clone(), first.dst.clone());
            let Some((mut queue, mut bytes)) = self.for_peer.remove(&dst) else { break };
            let mut attempt_is_due = false;
            queue.retain(|n| {
                let Some((until, p)) = self.messages.get(n).filter(|(_, p)| p.src == src) else {
                    return true;
                };
                if until <= now || p.kind == SignalKind::Offer {
                    attempt_is_due = until <= now;
                }
                if attempt_is_due {
                    bytes -= self.remove(*n).map_or(0, |p| p.frame.len());
                }
                !attempt_is_due
            });
            if !queue.is_empty() {
                self.for_peer.insert(dst.clone(), (queue, bytes));
            }
            failed.push((src, dst));
        }
        failed
    }

    /// Returns when to call [`ParkedMessages::expire`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.messages.next_deadline()
    }

    /// Returns whether no message is parked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Returns whether a message is parked for `dst`.
    #[must_use]
    pub fn has(&self, dst: &PeerId) -> bool {
        self.for_peer.contains_key(dst)
    }

    /// Returns the number of parked messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Returns whether all limits hold and all counts are right.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        let sum = |queue: &VecDeque<u64>| {
            queue.iter().filter_map(|n| Some(self.messages.get(n)?.1.frame.len())).sum::<usize>()
        };
        self.for_peer.values().map(|(_, bytes)| bytes).sum::<usize>() == self.bytes
            && self.bytes <= MOST_BYTES
            && self
                .by_sender
                .values()
                .all(|(n, b)| *n <= MOST_PER_SENDER && *b <= MOST_BYTES_PER_SENDER)
            && self.by_sender.values().map(|(n, _)| n).sum::<usize>() == self.len()
            && self.for_peer.values().map(|(queue, _)| queue.len()).sum::<usize>() == self.len()
            && self
                .for_peer
                .values()
                .all(|(queue, bytes)| *bytes == sum(queue) && *bytes <= self.receiver_bytes)
            && self
                .for_peer
                .values()
                .all(|(queue, _)| !queue.is_empty() && queue.len() <= MOST_PER_RECEIVER)
    }

    fn remove(&mut self, number: u64) -> Option<ParkedMessage> {
        let parked = self.messages.take(&number)?;
        self.bytes -= parked.frame.len();
        if let Some((count, bytes)) = self.by_sender.get_mut(&parked.src) {
            *count -= 1;
            *bytes -= parked.frame.len();
            if *count == 0 {
                self.by_sender.remove(&parked.src);
            }
        }
        Some(parked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(5);

    fn id(text: &str) -> PeerId {
        PeerId::parse(text).unwrap_or_else(|e| panic!("{e}"))
    }

    fn park(
        parked: &mut ParkedMessages,
        at: u64,
        src: &str,
        kind: SignalKind,
    ) -> Result<(), NoRoom> {
        parked.park(Time(at), WAIT, &id(src), &id("b"), kind, &Frame::from(format!("{src}{at}")))
    }

    fn texts(parked: &[ParkedMessage]) -> Vec<String> {
        parked.iter().map(|p| p.frame.to_string()).collect()
    }

    #[test]
    fn parked_messages_are_delivered_in_the_order_in_which_they_were_sent() {
        let mut parked = ParkedMessages::new(1 << 20);
        for (at, src) in [(1, "a"), (2, "c"), (3, "a")] {
            assert_eq!(park(&mut parked, at, src, SignalKind::Candidate), Ok(()));
        }
        assert_eq!(texts(&parked.take(&id("b"))), ["a1", "c2", "a3"]);
        assert!(parked.is_empty() && parked.is_bounded());
        assert_eq!(parked.expire(Time(60_000)), [], "delivered means not expired");
    }

    #[test]
    fn an_attempt_expires_as_a_whole_and_a_later_one_waits_its_own_time() {
        let mut parked = ParkedMessages::new(1 << 20);
        for (at, kind) in [
            (0, SignalKind::Offer),
            (10, SignalKind::Candidate),
            (2000, SignalKind::Candidate),
            (4900, SignalKind::Offer),
            (4950, SignalKind::Candidate),
        ] {
            assert_eq!(park(&mut parked, at, "a", kind), Ok(()));
        }
        assert_eq!(parked.expire(Time(4999)), []);
        assert_eq!(parked.expire(Time(5000)), [(id("a"), id("b"))]);
        assert_eq!(parked.len(), 2);
        assert_eq!(parked.expire(Time(9899)), [], "the first attempt's candidates went with it");
        assert_eq!(parked.expire(Time(9900)), [(id("a"), id("b"))]);
        assert!(parked.is_empty() && parked.is_bounded());
    }

    #[test]
    fn one_sender_cannot_fill_the_store() {
        let mut parked = ParkedMessages::new(1 << 20);
        let accepted =
            (0..1000).filter(|_| park(&mut parked, 0, "a", SignalKind::Offer).is_ok()).count();
        assert_eq!(accepted, MOST_PER_SENDER);
        assert_eq!(park(&mut parked, 0, "c", SignalKind::Offer), Ok(()), "other senders have room");
        assert!(parked.is_bounded());
    }

    #[test]
    fn many_senders_cannot_drown_one_receiver() {
        let mut parked = ParkedMessages::new(1000);
        let accepted = (0..600)
            .filter(|n| park(&mut parked, 0, &format!("s{n}"), SignalKind::Offer).is_ok())
            .count();
        assert!(accepted < MOST_PER_RECEIVER && parked.is_bounded(), "{accepted}");
        let delivered: usize = parked.take(&id("b")).iter().map(|p| p.frame.len()).sum();
        assert!(delivered <= 1000, "{delivered}");
    }
}
