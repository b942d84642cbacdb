//! The invariants of a node.

use super::NodeState;
use crate::cluster::pages::Place;

/// A rule that is broken: a fault of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation(pub &'static str);

impl<J> NodeState<J> {
    /// Checks all pages.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), Violation> {
        let ensure = |holds, rule| if holds { Ok(()) } else { Err(Violation(rule)) };
        let mut held = 0;
        for (page, entry) in self.pages.iter() {
            let waiting = self.joins.held(page);
            held += waiting.len();
            match &entry.place {
                Place::Here(here) => {
                    ensure(here.fence <= entry.floor.fence, "a page here is below its floor")?;
                    let rises = here.raising.is_none_or(|raising| raising > here.fence);
                    ensure(rises, "a fence does not rise")?;
                    ensure(
                        waiting.iter().all(|one| one.joining.bound > here.fence),
                        "a page here lets wait whom it could admit",
                    )?;
                }
                Place::There { node, .. } => {
                    ensure(*node != self.node, "a branch leads to its own node")?;
                    ensure(self.members.contains(*node), "a branch leads to a node that is gone")?;
                    ensure(self.is_wanted(page), "nobody wants a branch")?;
                    ensure(
                        waiting.iter().all(|one| one.from.is_none()),
                        "a foreign session waits for a branch",
                    )?;
                }
                Place::Asking(asking) => ensure(
                    asking.call.is_some() || self.pages.is_asked(page),
                    "nobody asks where a page lives",
                )?,
                Place::Leaving(leaving) => ensure(
                    leaving.call.is_some() || self.pages.is_asked(page),
                    "nobody gives a record back",
                )?,
            }
        }
        ensure(held == self.joins.len(), "a request is held for a page that is not known")
    }
}
