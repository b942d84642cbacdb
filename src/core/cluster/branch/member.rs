//! One local session of a branch: who it is, what it was told, and what it says to the page's next
//! life.

use crate::cluster::entry::{Join, ToPage};
use crate::page::member::Seat;
use crate::protocol::claim::Claim;
use crate::protocol::id::{PeerId, SessionId};
use crate::protocol::incoming::{StatusUpdate, Suspicion};
use crate::time::Time;

/// The page's knowledge of a session, as far as the session's node can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The session has asked to join, and has no answer.
    Joining,
    /// The session is a member.
    Member,
    /// The session was a member, and has said so to a page that does not know it.
    Resuming,
}

/// One local session.
#[derive(Debug)]
pub(super) struct Member {
    /// The request of the session when it came.
    join: Join,
    pub(super) stage: Stage,
    /// Whether the page was told to forget an earlier answer to the join, which was lost.
    pub(super) is_reset: bool,
    pub(super) seat: Option<Seat>,
    /// The host that the client was told of.
    pub(super) claim: Option<Claim>,
    /// Since when the session hosts, if its claim says so.
    hosts_since: Time,
    /// All that the session has said of itself.
    said: Option<StatusUpdate>,
    /// The host that the session suspects.
    suspicion: Option<Suspicion>,
    /// The last contacts of the session, oldest first.
    contacts: Vec<PeerId>,
}

impl Member {
    pub(super) fn new(join: Join, is_reset: bool) -> Self {
        let is_member = join.request.resumed.is_some();
        Self {
            stage: if is_member { Stage::Resuming } else { Stage::Joining },
            is_reset,
            seat: join.seat,
            claim: join.request.claim.clone().filter(|_| is_member),
            hosts_since: Time::default(),
            said: None,
            suspicion: None,
            contacts: join.contacts.clone(),
            join,
        }
    }

    /// Returns whether the client knows that it is a member.
    pub(super) fn is_told_open(&self) -> bool {
        self.stage != Stage::Joining
    }

    /// Remembers the host that the client was told of.
    pub(super) fn is_told(&mut self, now: Time, claim: Option<Claim>) {
        self.hosts_since = now;
        self.claim = claim;
    }

    /// Returns since when the session hosts, as its client knows.
    pub(super) fn hosts_since(&self) -> Option<Time> {
        let hosts = self.claim.as_ref()?.host == self.join.request.id;
        hosts.then_some(self.hosts_since)
    }

    /// Remembers what a page must hear again that has lost it.
    pub(super) fn note(&mut self, word: &ToPage) {
        match word {
            ToPage::Status { update, .. } => {
                let said = self.said.get_or_insert_default();
                said.eligible = update.eligible.or(said.eligible);
                said.visible = update.visible.or(said.visible);
                said.relay = update.relay.or(said.relay);
                said.p2p = update.p2p.or(said.p2p);
                if update.channels.is_some() {
                    said.channels.clone_from(&update.channels);
                }
                if update.profile.is_some() {
                    said.profile.clone_from(&update.profile);
                }
            }
            ToPage::Forward { kind, dst, .. } if kind.makes_contact() => self.meet(dst),
            ToPage::Suspect { suspicion, .. } => self.suspicion = Some(suspicion.clone()),
            ToPage::Trust { suspicion, .. } => {
                self.suspicion.take_if(|suspected| suspected == suspicion);
            }
            ToPage::Join(_)
            | ToPage::Forward { .. }
            | ToPage::Relay { .. }
            | ToPage::Resign { .. }
            | ToPage::Heartbeat { .. }
            | ToPage::SocketClosed { .. }
            | ToPage::Silent(_)
            | ToPage::Ran { .. }
            | ToPage::Congested(_)
            | ToPage::Undelivered { .. }
            | ToPage::Alive(_)
            | ToPage::LeaveWithoutSocket { .. }
            | ToPage::Who
            | ToPage::Missed(_) => {}
        }
    }

    fn meet(&mut self, peer: &PeerId) {
        if self.contacts.last() == Some(peer) {
            return;
        }
        self.contacts.retain(|known| known != peer);
        if self.contacts.len() >= Join::MOST_CONTACTS {
            self.contacts.remove(0);
        }
        self.contacts.push(peer.clone());
    }

    /// Returns what the session says to a page that does not know it.
    pub(super) fn join(&self) -> Join {
        let mut join = self.join.clone();
        if self.stage != Stage::Joining {
            let mut status = join.request.resumed.take().unwrap_or_default();
            if let Some(said) = &self.said {
                status.update(said.clone());
            }
            join.request.resumed = Some(status);
            join.request.claim = self.claim.clone();
        }
        join.seat = self.seat;
        join.contacts.clone_from(&self.contacts);
        join
    }

    pub(super) fn say_join(&self) -> ToPage {
        ToPage::Join(Box::new(self.join()))
    }

    /// Returns what the session says again to a page that knows it, and may have missed the last
    /// words.
    pub(super) fn say_again(&self) -> Vec<ToPage> {
        let session = self.join.request.session;
        let status = self.said.clone().map(|update| ToPage::Status { session, update });
        let suspicion = self.suspicion.clone();
        let suspicion = suspicion.map(|suspicion| ToPage::Suspect { session, suspicion });
        status.into_iter().chain(suspicion).collect()
    }
}

/// Returns the session that says something.
pub(super) const fn speaker(word: &ToPage) -> Option<SessionId> {
    match word {
        ToPage::Join(join) => Some(join.request.session),
        ToPage::Forward { session, .. }
        | ToPage::Relay { session, .. }
        | ToPage::Status { session, .. }
        | ToPage::Suspect { session, .. }
        | ToPage::Trust { session, .. }
        | ToPage::Resign { session, .. }
        | ToPage::Heartbeat { session, .. }
        | ToPage::SocketClosed { session, .. }
        | ToPage::Silent(session)
        | ToPage::Ran { session, .. }
        | ToPage::Congested(session)
        | ToPage::Alive(session) => Some(*session),
        // the sender of what was not delivered may be on any node
        ToPage::Undelivered { .. }
        | ToPage::LeaveWithoutSocket { .. }
        | ToPage::Who
        | ToPage::Missed(_) => None,
    }
}
