//! How a page reaches its sessions on one other node: what it sends becomes entries of a link.

use std::sync::{Arc, Mutex, PoisonError};

use actix::Recipient;

use super::other_node::OtherNode;
use super::visitor::{PageFence, Visitors};
use crate::actor::latch::Opener;
use crate::actor::message::{ToPage, ToSession};
use crate::actor::outbound::{Judged, NoRoom, Outbound, QueuedItem};
use crate::actor::outlet;
use peerstar_core::cluster::entry::{Delivery, Entry, Place, ToBranch};
use peerstar_core::cluster::link::{Link, Pushed};
use peerstar_core::page::Input;
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::id::{PageKey, PeerId, SessionId};
use peerstar_core::protocol::outgoing::Frame;
use peerstar_core::time::Time;

/// The way from one page to one other node. All sessions of the page on that node share it.
#[derive(Debug)]
pub struct PageRoute {
    page: PageKey,
    fence: PageFence,
    /// The actor of the page, which is told of messages that the link refused.
    actor: Recipient<ToPage>,
    other: Arc<OtherNode>,
    visitors: Arc<Visitors>,
    /// The host that the other node was told of last.
    published: Mutex<Option<Claim>>,
}

/// Items for sessions of another node, on their way into the link.
struct Pushing<'a> {
    place: Place,
    link: &'a mut Link,
    now: Time,
    /// Messages that the link has no room for: their sender and their receiver.
    refused: Vec<(SessionId, PeerId)>,
}

impl PageRoute {
    /// Returns the way from a page to a node.
    #[must_use]
    pub const fn new(
        page: PageKey,
        fence: PageFence,
        actor: Recipient<ToPage>,
        other: Arc<OtherNode>,
        visitors: Arc<Visitors>,
    ) -> Self {
        Self { page, fence, actor, other, visitors, published: Mutex::new(None) }
    }

    /// Returns the page's fence.
    #[must_use]
    pub const fn fence(&self) -> &PageFence {
        &self.fence
    }

    fn place(&self) -> Place {
        Place { page: self.page.clone(), fence: self.fence.get() }
    }

    /// Says something to the branch of the page.
    pub fn say(&self, word: ToBranch) {
        self.other.say(&Entry::ToBranch(self.place(), word));
    }

    #[expect(clippy::disallowed_methods, reason = "at most one input for each message of a client")]
    fn push_all(
        &self,
        items: impl IntoIterator<Item = QueuedItem<ToSession>> + AsRef<[QueuedItem<ToSession>]>,
    ) {
        // before the link is locked: a visitor is locked while it uses links
        for item in items.as_ref() {
            if let Outbound::Notice(ToSession::Joined { routing, .. }) = &item.item {
                self.visitors.admit(item.receiver, Arc::clone(routing));
            }
        }
        let (refused, openers) = self.other.with_link(|link, now| {
            let mut pushing = Pushing { place: self.place(), link, now, refused: Vec::new() };
            let openers: Vec<_> = items.into_iter().filter_map(|item| pushing.push(item)).collect();
            (pushing.refused, openers)
        });
        // only now: what waits for an opener may be for the same link
        drop(openers);
        for (session, dst) in refused {
            self.actor.do_send(ToPage::Input(Input::Undelivered { session, dst }));
        }
    }
}

impl Pushing<'_> {
    /// Pushes one item. Returns what is to be dropped after the link is free.
    fn push(&mut self, item: QueuedItem<ToSession>) -> Option<Opener> {
        let to = item.receiver;
        match item.item {
            Outbound::Frame(frame) => self.push_frame(to, frame, NoRoom::Drop),
            Outbound::Judged(judged) => {
                let Judged { frame, no_room } = *judged;
                self.push_frame(to, frame, no_room);
            }
            Outbound::Urgent(frame, opener) => {
                self.link.push_frame(self.now, &self.place, to, &frame, Delivery::Urgent);
                return Some(opener);
            }
            Outbound::Notice(notice) => {
                self.say(word(to, notice));
            }
        }
        None
    }

    fn say(&mut self, word: ToBranch) -> Pushed {
        self.link.push(self.now, &Entry::ToBranch(self.place.clone(), word))
    }

    fn push_frame(&mut self, to: SessionId, frame: Frame, no_room: NoRoom) {
        let delivery = match no_room {
            NoRoom::Close => Delivery::Page,
            NoRoom::CloseLater => Delivery::News,
            NoRoom::DropAndClose => Delivery::HostData,
            NoRoom::Drop => Delivery::PeerData,
            NoRoom::Expire { sender, receiver } => {
                let from = Some((sender, receiver.clone()));
                let delivery = Delivery::Signal;
                let word = ToBranch::Frame { to: vec![to], frame, delivery, from };
                if self.say(word) != Pushed::Queued {
                    self.refused.push((sender, receiver));
                }
                return;
            }
        };
        self.link.push_frame(self.now, &self.place, to, &frame, delivery);
    }
}

/// Returns a notice as it is said to the session's node.
fn word(to: SessionId, notice: ToSession) -> ToBranch {
    match notice {
        ToSession::Joined { claim, .. } => ToBranch::Welcome { to, open: None, claim, seat: None },
        ToSession::Hosts(claim) => ToBranch::Hosts { to, claim },
        ToSession::Ping => ToBranch::Ping(to),
        ToSession::Close(close) => ToBranch::Dismiss { session: to, close },
        ToSession::PageLost(_) => ToBranch::JoinReturned(to),
    }
}

impl outlet::Link<ToSession> for PageRoute {
    fn push(&self, item: QueuedItem<ToSession>) {
        self.push_all([item]);
    }

    fn append(&self, items: Vec<QueuedItem<ToSession>>) {
        self.push_all(items);
    }

    fn publish_host(&self, host: Option<&Claim>) {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        if published.as_ref() != host {
            *published = host.cloned();
            self.say(ToBranch::Announced(host.cloned()));
        }
    }

    fn probe(&self, to: SessionId, frame: Frame) {
        self.say(ToBranch::Probe { to, frame });
    }

    fn say_members(&self, sessions: Vec<SessionId>, host: Option<Claim>) {
        self.say(ToBranch::Here { sessions, host });
    }
}
