//! Members whose browser closed the socket with 1001. Most of them have left; some are back within a moment.
//!
//! Firefox closes the WebSockets of a page with 1001 when a navigation begins, also when that turns out to be a download
//! and the page stays. So such a member keeps its seat, and the host its role, for [`GRACE`]. Nothing is sent to it meanwhile.

use std::time::Duration;

use crate::page::member::{AbsentMember, Departure, Seat};
use crate::protocol::id::{PeerId, SessionId, Token};

use super::{Env, Output, PageState};

/// How long a member whose socket was closed with 1001 keeps its seat.
pub const GRACE: Duration = Duration::from_secs(1);

impl PageState {
    /// Begins the grace of a member. No grace is given while draining, nor to one whose id somebody else waits for.
    pub(super) fn begin_grace(&mut self, outside: Env<'_>, seat: Seat, out: &mut Vec<Output>) {
        let is_wanted =
            self.members.get(&seat).is_some_and(|m| self.held.waits_for(&m.id).is_some());
        if self.draining || is_wanted {
            return self.depart(outside, seat, Departure::Goodbye, out);
        }
        self.leaving.insert(seat, outside.now.plus(GRACE), ());
    }

    /// Lets those go whose grace is over.
    pub(super) fn end_grace(&mut self, outside: Env<'_>, out: &mut Vec<Output>) {
        while let Some(seat) = self.leaving.due(outside.now).copied() {
            self.depart(outside, seat, Departure::Goodbye, out);
        }
    }

    /// Whether the member on `seat` has no socket and may be back within its grace.
    pub(super) fn is_leaving(&self, seat: Seat) -> bool {
        self.leaving.has(&seat)
    }

    /// Whether the page of a member whose socket is gone said just before that it leaves.
    pub(super) fn has_said_leave(&self, outside: Env<'_>, seat: Seat) -> bool {
        let said = self.members.get(&seat).and_then(|member| member.leave_said);
        said.is_some_and(|said| outside.now.since(said) <= GRACE)
    }

    /// A page that has no socket any more says that it leaves. Its token proves who it is; one that is back by now stays.
    pub(super) fn take_leave(
        &mut self,
        outside: Env<'_>,
        id: &PeerId,
        token: &Token,
        out: &mut Vec<Output>,
    ) {
        if let Some(seat) = self.by_id.get(id).copied() {
            let its =
                self.members.get_mut(&seat).filter(|m| Token::same(m.token.as_ref(), Some(token)));
            let Some(member) = its else { return };
            // the word may overtake the end of the socket
            member.leave_said = Some(outside.now);
            if self.is_leaving(seat) {
                self.depart(outside, seat, Departure::Goodbye, out);
            }
        } else if self
            .returning
            .get(id)
            .is_some_and(|(_, gone)| Token::same(gone.token.as_ref(), Some(token)))
        {
            self.await_no_more(id, out);
        }
    }

    /// One that lost its socket is waited for no longer. A host that is yet to resume still has to hear of it.
    pub(super) fn await_no_more(&mut self, id: &PeerId, out: &mut Vec<Output>) {
        if self.recovery_deadline().is_some() {
            self.returning.change(id).into_iter().for_each(|gone| gone.lost = false);
        } else if let Some(gone) = self.returning.take(id) {
            self.say_gone(id, &AbsentMember { lost: false, ..gone }, out);
        }
    }

    /// Takes out of what was decided since `from` all that is for members without a socket. They are told all there is
    /// when they are back. For those that depart in the same step it is taken out then.
    pub(super) fn withhold(&self, from: usize, out: &mut Vec<Output>) {
        if self.leaving.is_empty() {
            return;
        }
        let is_away =
            |session: SessionId| self.seat_of(session).is_some_and(|seat| self.is_leaving(seat));
        let mut place = 0;
        out.retain(|output| {
            place += 1;
            place <= from || !output.receiver().is_some_and(is_away)
        });
    }
}
