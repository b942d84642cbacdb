//! Checks what all clients of a run are told against the invariants of a page.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::member::Seat;
use crate::words::Assigned;

/// First character of the ids of attackers, which another process runs.
pub const STRANGER: char = 'x';
/// Time after a member's end during which its name may still reach others as the host's. Queues on
/// both sides of the
/// sockets hold it back on a busy machine.
const GRACE: Duration = Duration::from_secs(5);
/// Number of faults that are kept as text. All are counted.
const KEPT: usize = 20;

/// A member: the number of its page, and its id.
type Name = (usize, Box<str>);

/// State of a member that has dialled at least once.
#[derive(Debug, Clone, Copy, Default)]
struct Presence {
    /// Whether it dials or is connected.
    here: bool,
    /// When its socket last ended.
    gone: Option<Instant>,
}

/// The replacement of a host.
#[derive(Debug)]
struct Succession {
    before: Box<str>,
    /// When a member first heard of it.
    heard: Instant,
}

/// The members' view of the server.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Hosts by page and epoch.
    hosts: RefCell<HashMap<(usize, u64), Box<str>>>,
    present: RefCell<HashMap<Name, Presence>>,
    /// Members that were told to resign.
    resigned: RefCell<HashSet<Name>>,
    /// Hosts that were replaced because they had gone, by page and the epoch that followed.
    succeeded: RefCell<BTreeMap<(usize, u64), Succession>>,
    /// Why hosts were replaced: the number of terms by cause.
    causes: RefCell<BTreeMap<Box<str>, usize>>,
    joins: Cell<usize>,
    faults: RefCell<Vec<String>>,
    fault_count: Cell<usize>,
    closes: RefCell<BTreeMap<u16, usize>>,
}

impl Ledger {
    /// Records a fault as text.
    pub fn fault(&self, what: String) {
        self.fault_count.set(self.fault_count.get() + 1);
        let mut faults = self.faults.borrow_mut();
        if faults.len() < KEPT {
            faults.push(what);
        }
    }

    /// Returns the number of faults, and the first of them as text.
    #[must_use]
    pub fn faults(&self) -> (usize, Vec<String>) {
        (self.fault_count.get(), self.faults.borrow().clone())
    }

    /// Records that a member dials.
    pub fn comes(&self, member: &Seat) {
        self.present.borrow_mut().entry(name(member)).or_default().here = true;
    }

    /// Records that a member is in.
    pub fn joined(&self) {
        self.joins.set(self.joins.get() + 1);
    }

    /// Records that a member's socket has ended.
    pub fn goes(&self, member: &Seat) {
        self.present
            .borrow_mut()
            .insert(name(member), Presence { here: false, gone: Some(Instant::now()) });
    }

    /// Records that a member is about to resign.
    pub fn resigns(&self, member: &Seat) {
        self.resigned.borrow_mut().insert(name(member));
    }

    /// Number of successful joins.
    #[must_use]
    pub fn joins(&self) -> usize {
        self.joins.get()
    }

    /// Number of terms that members were told of.
    #[must_use]
    pub fn terms(&self) -> usize {
        self.hosts.borrow().len()
    }

    /// Records a close by the server.
    pub fn closed(&self, code: u16) {
        *self.closes.borrow_mut().entry(code).or_default() += 1;
    }

    /// Number of closes by code.
    #[must_use]
    pub fn closes(&self) -> BTreeMap<u16, usize> {
        self.closes.borrow().clone()
    }

    /// Returns why hosts were replaced since the last call: the number of terms by cause.
    pub fn take_causes(&self) -> BTreeMap<Box<str>, usize> {
        self.causes.take()
    }

    /// Checks an assignment that a member was told: one host for each page and epoch, no epoch
    /// after a later one, the host is
    /// present, and the host before it had a reason to go.
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
        let is_new = !hosts.contains_key(&(page, now.epoch));
        if let Some(cause) = now.cause.as_ref().filter(|_| is_new) {
            *self.causes.borrow_mut().entry(cause.clone()).or_default() += 1;
        }
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

    /// Checks that a host was replaced for a reason. A newcomer is none.
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
            // a false claim may change the host; OPEN names no cause
            Some(_) | None => {}
        }
    }

    /// Checks that all hosts that were replaced as gone had gone. To be called when nothing is in
    /// flight.
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

    /// Forgets all members after a run.
    pub fn forget_members(&self) {
        self.present.borrow_mut().clear();
        self.resigned.borrow_mut().clear();
        self.succeeded.borrow_mut().clear();
    }
}

fn name(member: &Seat) -> Name {
    (member.page, member.id.clone())
}
