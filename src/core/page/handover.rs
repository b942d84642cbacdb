//! The handover from a stopped page actor to its successor.

use crate::page::absent::AbsentMember;
use crate::page::contacts::Contacts;
use crate::page::dials::Dials;
use crate::page::parked::ParkedMessages;
use crate::protocol::claim::Claim;
use crate::protocol::id::{Epoch, PeerId, Token};

/// The state that a stopped page actor leaves to its successor. The sessions tell the successor of
/// themselves.
#[derive(Debug, Default)]
pub struct Handover {
    /// The highest epoch that was announced to anybody.
    pub announced_epoch: Epoch,
    /// The assignment at the end.
    pub claim: Option<Claim>,
    /// Whether group members were told that the page is on its own. `None`: nobody here knows, as
    /// the sessions come from a page on another node.
    pub is_alone: Option<bool>,
    /// Members and absent members. A member that does not resume counts as gone after a while.
    pub(super) absent: Vec<(PeerId, AbsentMember)>,
    pub(super) parked: Option<ParkedMessages>,
    pub(super) dials: Dials,
}

impl Handover {
    /// Expects a session of this node that was a member on another node's page to resume. The peers
    /// that it has met are told if it does not.
    pub fn expect(&mut self, id: PeerId, token: Option<Token>, met: &[PeerId]) {
        let mut contacts = Contacts::default();
        met.iter().for_each(|peer| contacts.meet(peer));
        self.absent.push((id, AbsentMember::awaited(token, contacts)));
    }

    /// Returns the handover of a page that had no predecessor. Its epochs start above
    /// `announced_epoch`.
    #[must_use]
    pub fn above(announced_epoch: Epoch) -> Self {
        Self { announced_epoch, ..Self::default() }
    }
}
