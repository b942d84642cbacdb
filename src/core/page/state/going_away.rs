//! Members whose browser closed the socket with 1001, and pages that say over HTTP that they leave.

use super::PageState;
use crate::page::absent::AbsentMember;
use crate::page::going_away::GRACE;
use crate::page::io::{Env, Output};
use crate::page::member::{Departure, Seat};
use crate::protocol::id::{PeerId, SessionId, Token};

impl PageState {
    /// Begins the grace of a member. There is none while the server shuts down, nor for an id that
    /// a newcomer waits for.
    pub(super) fn begin_grace(&mut self, env: Env<'_>, seat: Seat, out: &mut Vec<Output>) {
        let is_wanted =
            self.roster.get(seat).is_some_and(|m| self.pending_joins.get(m.id()).is_some());
        if self.is_draining || is_wanted {
            return self.depart(env, seat, Departure::Goodbye, out);
        }
        self.going_away.begin(seat, env.now);
    }

    /// Removes members whose grace is over.
    pub(super) fn end_grace(&mut self, env: Env<'_>, out: &mut Vec<Output>) {
        while let Some(seat) = self.going_away.due(env.now) {
            self.depart(env, seat, Departure::Goodbye, out);
        }
    }

    /// Returns whether the page of a member said just now that it leaves.
    pub(super) fn has_said_leave(&self, env: Env<'_>, seat: Seat) -> bool {
        let said_at = self.roster.get(seat).and_then(|member| member.notes.leave_said_at);
        said_at.is_some_and(|said_at| env.now.since(said_at) <= GRACE)
    }

    /// Handles [`Input::LeaveWithoutSocket`](crate::page::Input::LeaveWithoutSocket). A member that
    /// is back by now stays.
    pub(super) fn leave_without_socket(
        &mut self,
        env: Env<'_>,
        id: &PeerId,
        token: &Token,
        out: &mut Vec<Output>,
    ) {
        if let Some((seat, member)) = self.roster.find(id) {
            if !Token::same(member.token(), Some(token)) {
                return;
            }
            // the request may overtake the end of the socket
            if let Some(notes) = self.roster.notes_mut(seat) {
                notes.leave_said_at = Some(env.now);
            }
            if self.going_away.contains(seat) {
                self.depart(env, seat, Departure::Goodbye, out);
            }
        } else if self
            .absent
            .get(id)
            .is_some_and(|absent| Token::same(absent.token.as_ref(), Some(token)))
        {
            self.end_absence(id, out);
        }
    }

    /// Announces that an absent member is gone for good. While a host is yet to resume, the member
    /// is kept until the host can be told.
    pub(super) fn end_absence(&mut self, id: &PeerId, out: &mut Vec<Output>) {
        if self.term.is_recovering() {
            self.absent.mark_left(id);
        } else if let Some(absent) = self.absent.take(id) {
            self.announce_leave(id, &AbsentMember { is_lost: false, ..absent }, out);
        }
    }

    /// Removes the outputs of this step, from index `step_begin` on, that are for members without a
    /// socket. A member that comes back is told all there is.
    pub(super) fn withhold(&self, step_begin: usize, out: &mut Vec<Output>) {
        if self.going_away.is_empty() {
            return;
        }
        let is_away = |session: SessionId| {
            self.roster.seat_of_session(session).is_some_and(|seat| self.going_away.contains(seat))
        };
        let mut index = 0;
        out.retain(|output| {
            index += 1;
            index <= step_begin || !output.receiver().is_some_and(is_away)
        });
    }
}
