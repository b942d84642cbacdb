//! How a page reaches its sessions on one other node: what it sends becomes entries of a link.

use std::sync::{Arc, Mutex, PoisonError};

use actix::Recipient;

use super::other_node::OtherNode;
use super::visitor::{PageFence, Visitors};
use crate::actor::latch::Opener;
use crate::actor::message::{ToPage, ToSession};
use crate::actor::outbound::{Judged, NoRoom, Outbound, QueuedItem, Urgent};
use crate::actor::outlet;
use peerstar_core::cluster::entry::{Delivery, Entry, Place, ToBranch, hash_of};
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
    /// A frame for several sessions, which are still to be found.
    shared: Option<SharedFrame>,
    /// Messages that the link has no room for: their sender and their receiver.
    refused: Vec<(SessionId, PeerId)>,
}

/// One frame for several sessions.
struct SharedFrame {
    to: Vec<SessionId>,
    frame: Frame,
    delivery: Delivery,
    tells: Option<Claim>,
}

impl SharedFrame {
    /// Returns whether another frame is the same: the same text in the same place in memory.
    fn is(&self, frame: &Frame, delivery: Delivery, tells: Option<&Claim>) -> bool {
        std::ptr::eq(self.frame.as_ptr(), frame.as_ptr())
            && self.frame.len() == frame.len()
            && self.delivery == delivery
            && self.tells.as_ref() == tells
    }
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
            let (place, refused) = (self.place(), Vec::new());
            let mut pushing = Pushing { place, link, now, shared: None, refused };
            let openers: Vec<_> = items.into_iter().filter_map(|item| pushing.push(item)).collect();
            pushing.push_shared();
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
            // a candidate, which went past the page
            Outbound::Frame(frame) => self.share(to, frame, Delivery::Signal, None),
            Outbound::Judged(judged) => {
                let Judged { frame, no_room, tells } = *judged;
                self.push_judged(to, frame, no_room, tells);
            }
            Outbound::Urgent(urgent) => {
                let Urgent { frame, notice, opener } = *urgent;
                let tells = match notice {
                    Some(ToSession::Hosts(claim)) => Some(claim),
                    _ => None,
                };
                self.share(to, frame, Delivery::Urgent, tells);
                return Some(opener);
            }
            Outbound::Notice(notice) => {
                if let Some(word) = word(to, notice) {
                    self.say(word);
                }
            }
        }
        None
    }

    fn push_judged(&mut self, to: SessionId, frame: Frame, no_room: NoRoom, tells: Option<Claim>) {
        let delivery = match no_room {
            NoRoom::Close => Delivery::Page,
            NoRoom::CloseLater => Delivery::News,
            NoRoom::DropAndClose => Delivery::HostData,
            NoRoom::Drop => Delivery::PeerData,
            NoRoom::Expire { sender, receiver } => {
                let from = Some((sender, receiver.clone()));
                let (to, delivery) = (vec![to], Delivery::Signal);
                let word = ToBranch::Frame { to, frame, delivery, from, tells };
                if self.say(word) != Pushed::Queued {
                    self.refused.push((sender, receiver));
                }
                return;
            }
        };
        self.share(to, frame, delivery, tells);
    }

    /// Sends a frame, together with those for the next sessions if they are the same.
    fn share(&mut self, to: SessionId, frame: Frame, delivery: Delivery, tells: Option<Claim>) {
        match &mut self.shared {
            Some(shared) if shared.is(&frame, delivery, tells.as_ref()) => shared.to.push(to),
            _ => {
                self.push_shared();
                self.shared = Some(SharedFrame { to: vec![to], frame, delivery, tells });
            }
        }
    }

    fn push_shared(&mut self) {
        if let Some(SharedFrame { to, frame, delivery, tells }) = self.shared.take() {
            let word = ToBranch::Frame { to, frame, delivery, from: None, tells };
            self.link.push(self.now, &Entry::ToBranch(self.place.clone(), word));
        }
    }

    fn say(&mut self, word: ToBranch) -> Pushed {
        self.push_shared();
        self.link.push(self.now, &Entry::ToBranch(self.place.clone(), word))
    }
}

/// Returns a notice as it is said to the session's node.
fn word(to: SessionId, notice: ToSession) -> Option<ToBranch> {
    Some(match notice {
        ToSession::Joined { claim, open, .. } => {
            let open = open.map(|open| *open);
            ToBranch::Welcome { to, open, claim, seat: None }
        }
        ToSession::Ping => ToBranch::Ping(to),
        ToSession::Close(close) => ToBranch::Dismiss { session: to, close },
        ToSession::PageLost(_) => ToBranch::JoinReturned(to),
        // goes with the frame that tells the client
        ToSession::Hosts(_) => return None,
    })
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

    fn compare_members(&self, sessions: Vec<SessionId>) {
        self.say(ToBranch::HereHash(hash_of(sessions)));
    }
}
