//! A latch holds back what a page sends while its new host's frame is not written yet.
//!
//! No other member is told of the new host earlier, not even by the writer of another thread.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An action that waits for a latch.
type Action = Box<dyn FnOnce() + Send>;

/// Holds back actions until it is opened, then runs them in the order in which they were given.
#[derive(Debug, Default)]
pub struct Latch(Mutex<State>);

enum State {
    Closed(Vec<Action>),
    Open,
}

impl Default for State {
    fn default() -> Self {
        Self::Closed(Vec::new())
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(actions) => write!(f, "Closed({})", actions.len()),
            Self::Open => f.write_str("Open"),
        }
    }
}

impl Latch {
    /// Returns a closed latch, and the value that opens it when dropped.
    #[must_use]
    pub fn closed() -> (Arc<Self>, Opener) {
        let latch = Arc::<Self>::default();
        (Arc::clone(&latch), Opener(latch))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `action` now if the latch is open, or when it opens. Returns whether the latch is open.
    pub fn run(&self, action: impl FnOnce() + Send + 'static) -> bool {
        let mut state = self.state();
        if let State::Closed(actions) = &mut *state {
            actions.push(Box::new(action));
            return false;
        }
        drop(state);
        action();
        true
    }

    fn open(&self) {
        // The lock is kept until all actions have run: an action that is given meanwhile comes
        // after them.
        let mut state = self.state();
        if let State::Closed(actions) = std::mem::replace(&mut *state, State::Open) {
            actions.into_iter().for_each(|action| action());
        }
    }
}

/// Opens a latch when dropped: after the urgent frame that carries it was written, or when its
/// receiver is gone.
#[derive(Debug)]
pub struct Opener(Arc<Latch>);

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
    fn actions_wait_for_the_opener_and_keep_their_order() {
        let (sender, receiver) = channel();
        let send = |name: &'static str| {
            let sender = sender.clone();
            move || sender.send(name).unwrap_or_default()
        };
        let (latch, opener) = Latch::closed();
        assert!(!latch.run(send("a")) && !latch.run(send("b")));
        assert_eq!(receiver.try_iter().count(), 0, "the latch is closed");
        drop(opener);
        assert!(latch.run(send("c")));
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
