//! What all clients of a run were told, held against what must always be true.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::member::Seat;
use crate::words::Assigned;

/// Ids that begin so belong to attackers, of whom another process knows.
pub const STRANGER: char = 'x';
/// How long after a member's end its name may still be on the way to others as the host's: queues on both sides of the
/// sockets, on a machine that is busy.
const GRACE: Duration = Duration::from_secs(5);
/// More faults are counted, but not kept.
const KEPT: usize = 20;

/// A member: the number of its page, and its id.
type Name = (usize, Box<str>);

/// The view from outside.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By page and epoch.
    hosts: RefCell<HashMap<(usize, u64), Box<str>>>,
    /// When members that are not connected any more were last; None: they are.
    present: RefCell<HashMap<Name, Option<Instant>>>,
    faults: RefCell<Vec<String>>,
    fault_count: Cell<usize>,
    closes: RefCell<BTreeMap<u16, usize>>,
}

impl Ledger {
    /// Something that must not be.
    pub fn fault(&self, what: String) {
        self.fault_count.set(self.fault_count.get() + 1);
        let mut faults = self.faults.borrow_mut();
        if faults.len() < KEPT {
            faults.push(what);
        }
    }

    /// All that must not have been, and how often there was any.
    #[must_use]
    pub fn faults(&self) -> (usize, Vec<String>) {
        (self.fault_count.get(), self.faults.borrow().clone())
    }

    /// A member dials.
    pub fn comes(&self, member: &Seat) {
        self.present.borrow_mut().insert((member.page, member.id.clone()), None);
    }

    /// A member's socket has ended.
    pub fn goes(&self, member: &Seat) {
        self.present.borrow_mut().insert((member.page, member.id.clone()), Some(Instant::now()));
    }

    /// A server's close.
    pub fn closed(&self, code: u16) {
        *self.closes.borrow_mut().entry(code).or_default() += 1;
    }

    /// How often the server closed with each code.
    #[must_use]
    pub fn closes(&self) -> BTreeMap<u16, usize> {
        self.closes.borrow().clone()
    }

    /// A member was told who hosts: one host for a page and epoch, no older epoch after a newer one, and the host is
    /// there.
    pub fn told(&self, member: &Seat, now: &Assigned) {
        let (page, id) = (member.page, &member.id);
        if let Some(before) = member.told.borrow().as_ref()
            && now.epoch < before.epoch
        {
            self.fault(format!("page {page}: {id} was told epoch {} after {}", now.epoch, before.epoch));
        }
        let mut hosts = self.hosts.borrow_mut();
        let host = hosts.entry((page, now.epoch)).or_insert_with(|| now.host.clone());
        if *host != now.host {
            self.fault(format!("page {page}, epoch {}: {host} and {} host", now.epoch, now.host));
        }
        if now.recovering || now.host.starts_with(STRANGER) {
            return;
        }
        match self.present.borrow().get(&(page, now.host.clone())) {
            None => self.fault(format!("page {page}: {id} was told that {} hosts, who never came", now.host)),
            Some(Some(gone)) if gone.elapsed() > GRACE => {
                self.fault(format!("page {page}: {id} was told that {} hosts, gone {:?} ago", now.host, gone.elapsed()));
            }
            Some(_) => {}
        }
    }

    /// Forgets who came and went, once all are gone.
    pub fn forget_members(&self) {
        self.present.borrow_mut().clear();
    }
}
