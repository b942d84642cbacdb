//! The bus: hands what other nodes say to its receivers, and publishes what is to be said to them.
//! All of it runs on the bus thread.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;

use super::inbox::Inbox;
use super::message::ToNode;
use super::other_node::OtherNode;
use super::tables::Tables;
use super::visitor;
use peerstar_core::cluster::NodeId;
use peerstar_core::cluster::branch::BranchInput;
use peerstar_core::cluster::entry::{self, Entry, Place, ToBranch};
use peerstar_core::cluster::link::LinkEvent;
use peerstar_core::page::Input;
use peerstar_core::protocol::id::PageKey;
use peerstar_core::time::Time;

/// Time after which the bus looks again whether the directory has room.
const WAIT: Duration = Duration::from_millis(5);

/// Hands entries of other nodes to their receivers.
pub struct Bus {
    tables: Tables,
    directory: Inbox,
}

impl Bus {
    /// Returns the bus of a node.
    #[must_use]
    pub const fn new(tables: Tables, directory: Inbox) -> Self {
        Self { tables, directory }
    }

    /// Tells the directory of the node something.
    pub fn tell(&self, message: ToNode) {
        self.directory.tell(message);
    }

    /// Takes a bag that the node `from` has published in the inbox of this one. Returns whether it
    /// was read. There is no link to nodes that are unknown, or speak another version.
    pub fn receive(&self, from: NodeId, bag: Bytes) -> bool {
        let Some(other) = self.tables.others.get(from) else {
            self.tell(ToNode::Stranger(from));
            return false;
        };
        let received = other.with_link(|link, now| link.receive(now, bag));
        if let Err(bad) = &received {
            log::warn!(node:% = from, error:% = bad; "a bag of another node cannot be read");
        }
        self.handle_events(&other);
        received.is_ok()
    }

    /// Says that this node listens or publishes anew, so that bags may be lost.
    pub fn reconnected(&self) {
        self.tables
            .others
            .all()
            .iter()
            .for_each(|other| other.with_link(|link, now| link.reconnected(now)));
    }

    /// Does what is due, and calls `publish` with each bag and the node that it is for. Bags are made
    /// in `bag`. Returns when to come back.
    pub fn run(&self, bag: &mut Vec<u8>, mut publish: impl FnMut(NodeId, &[u8])) -> Option<Time> {
        let mut next: Option<Time> = None;
        for other in self.tables.others.all() {
            other.on_bus(|link, now| link.tick(now));
            self.handle_events(&other);
            while other.on_bus(|link, now| link.poll_transmit(now, bag)) {
                publish(other.node(), bag);
            }
            let due = other.on_bus(|link, _| link.next_deadline());
            next = next.into_iter().chain(due).min();
            if self.directory.is_full() {
                // what has arrived waits in the link
                let soon = other.on_bus(|_, now| now.plus(WAIT));
                next = next.into_iter().chain([soon]).min();
            }
        }
        next
    }

    /// Handles what a link has to tell. It waits in the link, not acknowledged, while the directory
    /// has too much to do.
    fn handle_events(&self, other: &Arc<OtherNode>) {
        while !self.directory.is_full()
            && let Some(event) = other.on_bus(|link, _| link.poll_event())
        {
            match event {
                LinkEvent::Arrived { bag, entries } => {
                    let mut touched = HashSet::new();
                    for entry in entries {
                        self.handle(other.node(), entry, &mut touched);
                    }
                    let branches = touched.iter().filter_map(|page| self.tables.branches.get(page));
                    branches.for_each(|branch| branch.flush());
                    other.with_link(|link, now| link.handled(now, bag));
                }
                LinkEvent::Down => self.tell(ToNode::Link { node: other.node(), is_up: false }),
                LinkEvent::Up => self.tell(ToNode::Link { node: other.node(), is_up: true }),
                LinkEvent::HandedBack(entry) => self.hand_back(other.node(), entry),
            }
        }
    }

    fn handle(&self, from: NodeId, entry: Entry, touched: &mut HashSet<PageKey>) {
        match entry {
            Entry::ToBranch(place, word) => self.to_branch(from, place, word, touched),
            Entry::ToPage(place, entry::ToPage::Join(join)) => {
                self.tell(ToNode::Join { from, place, join });
            }
            Entry::ToPage(place, word) => match visitor::input_of(word) {
                Ok((session, input)) => {
                    let unheard = self.tables.visitors.hear(from, &place, session, input);
                    if let Some(Input::Forward { kind, dst, .. }) = unheard
                        && kind.waits()
                    {
                        let word = ToBranch::Expired { session, dst };
                        self.tables.others.say(from, &Entry::ToBranch(place, word));
                    }
                }
                Err(word) => self.tell(ToNode::ToPage { from, place, word }),
            },
            Entry::Question { number, question } => {
                self.tell(ToNode::Question { from, number, question });
            }
            Entry::Answer { number, answer } => self.tell(ToNode::Answer { from, number, answer }),
        }
    }

    fn to_branch(
        &self,
        from: NodeId,
        Place { page, fence }: Place,
        word: ToBranch,
        touched: &mut HashSet<PageKey>,
    ) {
        if let ToBranch::JoinReturned(session) = word {
            let place = Place { page, fence };
            return self.tell(ToNode::Returned { from, place, session });
        }
        match (self.tables.branches.get(&page), word) {
            (Some(branch), word) => {
                let before = branch.fence();
                branch.step(BranchInput::Heard { node: from, fence, word });
                if fence > before && branch.home() == Some(from) {
                    self.tell(ToNode::Fenced { node: from, page: page.clone(), fence });
                }
                touched.insert(page);
            }
            (None, ToBranch::PageLost(_)) => self.tell(ToNode::PageLeft { from, page, fence }),
            (None, _) => {}
        }
    }

    /// Lets a message expire that may not have arrived.
    fn hand_back(&self, node: NodeId, entry: Entry) {
        match entry {
            Entry::ToPage(place, word) => {
                if let Some(branch) = self.tables.branches.get(&place.page) {
                    branch.step(BranchInput::Undelivered(word));
                }
            }
            Entry::ToBranch(place, ToBranch::Frame { from: Some((session, dst)), .. }) => {
                let word = entry::ToPage::Undelivered { session, dst };
                self.tell(ToNode::ToPage { from: node, place, word });
            }
            Entry::ToBranch(..) | Entry::Question { .. } | Entry::Answer { .. } => {}
        }
    }
}
