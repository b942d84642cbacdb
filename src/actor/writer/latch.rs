//! A latch holds back what a page sends while its new host's frame is not written yet. No other member is told
//! earlier, not even by the courier of another thread.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{OutboundQueue, QueuedItem};

/// Something to be passed on when the latch is open.
pub(super) enum Held {
    /// Parcels for one courier.
    Parcels(Arc<OutboundQueue>, Vec<QueuedItem>),
    /// Anything else that comes after parcels.
    Act(Box<dyn FnOnce() + Send>),
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parcels(_, parcels) => f.debug_tuple("Parcels").field(parcels).finish(),
            Self::Act(_) => f.write_str("Act"),
        }
    }
}

impl Held {
    pub(super) fn pass(self) {
        match self {
            Self::Parcels(desk, mut parcels) => desk.leave(|all| all.append(&mut parcels)),
            Self::Act(act) => act(),
        }
    }
}

/// Holds back what is given to it until it is opened, and passes all of it on in that order.
#[derive(Debug, Default)]
pub(super) struct Latch(Mutex<State>);

#[derive(Debug)]
enum State {
    Closed(Vec<Held>),
    Open,
}

impl Default for State {
    fn default() -> Self {
        Self::Closed(Vec::new())
    }
}

impl Latch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes `thing` on, or holds it back. Returns whether the latch is open.
    pub(super) fn give(&self, thing: Held) -> bool {
        let mut state = self.state();
        if let State::Closed(held) = &mut *state {
            held.push(thing);
            return false;
        }
        drop(state);
        thing.pass();
        true
    }

    fn open(&self) {
        // locked until all is passed on: what is given meanwhile comes after that
        let mut state = self.state();
        if let State::Closed(held) = std::mem::replace(&mut *state, State::Open) {
            held.into_iter().for_each(Held::pass);
        }
    }
}

/// Travels with the frame that is to be written first. The latch opens when this is dropped: after the frame was
/// written, or when nobody is left to write it to.
#[derive(Debug)]
pub struct Opener(pub(super) Arc<Latch>);

impl Drop for Opener {
    fn drop(&mut self) {
        self.0.open();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn what_is_given_waits_for_the_opener_and_keeps_its_order() {
        let (sender, receiver) = channel();
        let say = |word: &'static str| {
            let sender = sender.clone();
            Held::Act(Box::new(move || sender.send(word).unwrap_or_default()))
        };
        let latch = Arc::<Latch>::default();
        let opener = Opener(Arc::clone(&latch));
        assert!(!latch.give(say("a")) && !latch.give(say("b")));
        assert_eq!(receiver.try_iter().count(), 0, "the latch is closed");
        drop(opener);
        assert!(latch.give(say("c")));
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
