//! What all clients of a run were told, held against what must always be true.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
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

/// What is known of a member that came.
#[derive(Debug, Clone, Copy, Default)]
struct Presence {
    /// It dials, or is connected.
    here: bool,
    /// When it last lost its socket.
    gone: Option<Instant>,
}

/// A host was replaced.
#[derive(Debug)]
struct Succession {
    before: Box<str>,
    /// When somebody first heard of it.
    heard: Instant,
}

/// The view from outside.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By page and epoch.
    hosts: RefCell<HashMap<(usize, u64), Box<str>>>,
    present: RefCell<HashMap<Name, Presence>>,
    /// Members who were told to hand over.
    resigned: RefCell<HashSet<Name>>,
    /// Hosts that were replaced because they had gone, by page and the epoch that followed.
    succeeded: RefCell<BTreeMap<(usize, u64), Succession>>,
    joins: Cell<usize>,
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
        self.present.borrow_mut().entry(name(member)).or_default().here = true;
    }

    /// A member is in.
    pub fn joined(&self) {
        self.joins.set(self.joins.get() + 1);
    }

    /// A member's socket has ended.
    pub fn goes(&self, member: &Seat) {
        self.present
            .borrow_mut()
            .insert(name(member), Presence { here: false, gone: Some(Instant::now()) });
    }

    /// A member is about to say that somebody else is to host.
    pub fn resigns(&self, member: &Seat) {
        self.resigned.borrow_mut().insert(name(member));
    }

    /// How often a member got in.
    #[must_use]
    pub fn joins(&self) -> usize {
        self.joins.get()
    }

    /// How many terms of hosts members were told of.
    #[must_use]
    pub fn terms(&self) -> usize {
        self.hosts.borrow().len()
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

    /// A member was told who hosts: one host for a page and epoch, no older epoch after a newer one, the host is there, and
    /// the one before it gave a reason.
    pub fn told(&self, member: &Seat, now: &Assigned) {
        let (page, id) = (member.page, &member.id);
        if let Some(before) = member.told.borrow().as_ref()
            && now.epoch < before.epoch
        {
            self.fault(format!(
                "page {page}: {id} was told epoch {} after {}",
                now.epoch, before.epoch
            ));
        }
        let mut hosts = self.hosts.borrow_mut();
        let host = hosts.entry((page, now.epoch)).or_insert_with(|| now.host.clone());
        if *host != now.host {
            self.fault(format!("page {page}, epoch {}: {host} and {} host", now.epoch, now.host));
        }
        self.succeeds(member, now);
        if now.recovering || now.host.starts_with(STRANGER) {
            return;
        }
        match self.present.borrow().get(&(page, now.host.clone())) {
            None => self.fault(format!(
                "page {page}: {id} was told that {} hosts, who never came",
                now.host
            )),
            Some(Presence { here: false, gone: Some(gone) }) if gone.elapsed() > GRACE => {
                self.fault(format!(
                    "page {page}: {id} was told that {} hosts, gone {:?} ago",
                    now.host,
                    gone.elapsed()
                ));
            }
            Some(_) => {}
        }
    }

    /// A host moves for a reason, and no newcomer is one.
    fn succeeds(&self, member: &Seat, now: &Assigned) {
        let before = member.told.borrow();
        let Some(before) = before
            .as_ref()
            .filter(|before| before.host != now.host && !before.host.starts_with(STRANGER))
        else {
            return;
        };
        let fault = |why| {
            self.fault(format!(
                "page {}, epoch {}: {} was replaced: {why}",
                member.page, now.epoch, before.host
            ))
        };
        let resigned = || self.resigned.borrow().contains(&(member.page, before.host.clone()));
        match now.cause.as_deref() {
            Some("left" | "timeout") => {
                let succession =
                    || Succession { before: before.host.clone(), heard: Instant::now() };
                self.succeeded
                    .borrow_mut()
                    .entry((member.page, now.epoch))
                    .or_insert_with(succession);
            }
            Some("resigned") if !resigned() => fault("nobody had told it to resign"),
            Some(cause @ ("stalled" | "unreachable" | "upgraded")) => fault(cause),
            // what a liar claims may move a host; in OPEN no cause is told
            Some(_) | None => {}
        }
    }

    /// All hosts that were replaced because they had gone had indeed gone; to be asked when all is quiet.
    pub fn explain_successions(&self) {
        let present = self.present.borrow();
        for ((page, epoch), Succession { before, heard }) in
            std::mem::take(&mut *self.succeeded.borrow_mut())
        {
            let gone = present.get(&(page, before.clone())).and_then(|presence| presence.gone);
            if gone.is_none_or(|gone| gone + GRACE < heard) {
                let since = gone.map(|gone| heard - gone);
                self.fault(format!(
                    "page {page}, epoch {epoch}: {before} was replaced as if it had gone; it had since {since:?}"
                ));
            }
        }
    }

    /// Forgets who came and went, once all are gone.
    pub fn forget_members(&self) {
        self.present.borrow_mut().clear();
        self.resigned.borrow_mut().clear();
        self.succeeded.borrow_mut().clear();
    }
}

fn name(member: &Seat) -> Name {
    (member.page, member.id.clone())
}
