//! The deep kind: a few nodes with real pages, sessions and links, whose bags are encoded and
//! decoded. What is not real is the shell: this file does what the server's actors do.

mod browser;
mod links;
mod paths;
mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use peerstar_core::cluster::NodeId;
use peerstar_core::cluster::entry::Join;
use peerstar_core::cluster::io::{Deciding, Output};
use peerstar_core::directory::Incarnation;
use peerstar_core::page::Rules;
use peerstar_core::page::election::Policy;
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::ice::IceServers;
use peerstar_core::protocol::id::{Epoch, PageKey, PeerId, SessionId};
use peerstar_core::protocol::outgoing::{RelayTerms, Terms};
use peerstar_core::session::SessionRules;

use crate::queue::Us;
use crate::redis::Process;
use crate::script::{Deed, Expected, Name};
use crate::wide::page_key;
use crate::world::{Body, Io};

use browser::{Browser, Said};
use site::Site;

pub(crate) type W<'a> = &'a mut Io<Deep>;

/// What happens to pages, sessions and browsers.
#[derive(Debug)]
pub(crate) enum Event {
    /// A browser dials some node, if the number is still its own.
    Dial(Name, u64),
    /// A browser has waited for its `OPEN`.
    Impatient(Name, u64),
    /// A browser that was stalled goes on.
    Awake(Name),
    /// Something arrives at a browser.
    ToBrowser(Name, SessionId, Said),
    /// A socket is opened at a node.
    Opened {
        session: SessionId,
        who: Name,
        page: PageKey,
        claim: Option<Claim>,
    },
    /// A text arrives at a node.
    Text(SessionId, Rc<str>),
    Pong(SessionId),
    /// A socket is closed with a code, or broke.
    Gone(SessionId, Option<u16>),
    /// A session's tick.
    Tick(SessionId, u64),
    /// A page's deadline.
    PageTimer(PageKey, Incarnation, u64),
    /// A link has something to send, or a deadline.
    Link(NodeId, u64),
    /// A branch's deadline.
    Branch(PageKey, u64),
    /// Pages look whether they may decide now.
    Decide,
}

/// All sites and browsers, and what was ever said.
pub(crate) struct Deep {
    sites: Vec<Site>,
    browsers: BTreeMap<Name, Browser>,
    /// Every host that was ever named: (page, epoch) → host.
    named: BTreeMap<(PageKey, Epoch), PeerId>,
    /// When which host was first heard of.
    history: BTreeMap<PageKey, Vec<(Us, Claim)>>,
    /// The node that last spoke for a page, by the process that heard it.
    homes: BTreeMap<(Process, PageKey), NodeId>,
    /// Number of messages of browsers so far.
    words: u64,
    last_death: Us,
    last_lost: Us,
    rules: Arc<Rules>,
    session_rules: Arc<SessionRules>,
}

impl Default for Deep {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        let terms = Terms {
            relay: Some(RelayTerms {
                max_message_bytes: 65_536,
                max_bytes_per_s: 0,
                queue_bytes: 1 << 20,
            }),
            resume_ms: 30_000,
            ping_ms: 5000,
            expire_ms: 5000,
            recovery_ms: 5000,
            return_ms: 3000,
            profile_bytes: 1024,
        };
        let rules = Rules {
            max_members: 100,
            star: 100,
            deputies: 1,
            policy: Policy::Random,
            recovery: 5 * second,
            timeout: 15 * second,
            host_timeout: 6 * second,
            fresh: Duration::from_millis(7500),
            return_after: 3 * second,
            expire: 5 * second,
            parked_bytes: 1 << 20,
            probe: 2 * second,
            hidden: None,
            terms,
            ice: IceServers::new(Vec::new(), None),
        };
        let session_rules = SessionRules {
            ping: 5 * second,
            host_ping: 2 * second,
            ice_renewal: None,
            max_relay_bytes: 65_536,
        };
        Self {
            sites: Vec::new(),
            browsers: BTreeMap::new(),
            named: BTreeMap::new(),
            history: BTreeMap::new(),
            homes: BTreeMap::new(),
            words: 0,
            last_death: 0,
            last_lost: 0,
            rules: Arc::new(rules),
            session_rules: Arc::new(session_rules),
        }
    }
}

impl Deep {
    /// Notes that a host was named to somebody, on the page of a browser (C1).
    fn named(&mut self, io: W<'_>, who: &Name, claim: &Claim) {
        if let Some(page) = self.browsers.get(who).map(|browser| browser.page.clone()) {
            self.host_named(io, &page, claim);
        }
    }

    /// Notes that a host was named on a page (C1).
    fn host_named(&mut self, io: W<'_>, page: &PageKey, claim: &Claim) {
        let before = self.named.get(&(page.clone(), claim.epoch));
        match before {
            Some(before) if *before == claim.host => {}
            Some(before) => {
                let before = before.clone();
                io.fail(|| format!("C1 {page:?} {claim:?}, and {before:?} in the same epoch"));
            }
            None => {
                self.named.insert((page.clone(), claim.epoch), claim.host.clone());
                self.history.entry(page.clone()).or_default().push((io.now, claim.clone()));
            }
        }
    }

    /// Returns the host that a page had at a time.
    fn host_at(&self, page: &PageKey, at: Us) -> Option<&Claim> {
        let history = self.history.get(page)?;
        history
            .iter()
            .filter(|(since, _)| *since <= at)
            .map(|(_, claim)| claim)
            .max_by_key(|c| c.epoch)
    }
}

impl Body for Deep {
    type Join = Join;
    type Bag = (NodeId, Bytes);
    type Event = Event;

    fn is_node(&mut self, io: &mut Io<Self>, process: Process) {
        self.last_death = io.now;
        self.begin(io, process);
    }

    fn died(&mut self, io: &mut Io<Self>, process: Process) {
        self.last_death = io.now;
        let site = std::mem::take(self.site(process));
        for (session, one) in site.sessions {
            self.to_browser(io, process, &one.who, session, Said::Reset);
        }
    }

    fn reconnected(&mut self, io: &mut Io<Self>, process: Process) {
        self.links_reconnected(io, process);
    }

    fn output(&mut self, io: &mut Io<Self>, process: Process, output: Output<Join>) {
        match output {
            Output::Deciding(Deciding::No) => {}
            Output::Deciding(_) => io.add(None, 0, Some(process), Event::Decide),
            other => self.carry_out(io, process, other),
        }
    }

    fn bag(&mut self, io: &mut Io<Self>, process: Process, (from, bytes): (NodeId, Bytes)) {
        self.received(io, process, from, bytes);
    }

    fn event(&mut self, io: &mut Io<Self>, process: Option<Process>, event: Event) {
        match (event, process) {
            (Event::Dial(who, dials), _) => self.dial_again(io, &who, dials),
            (Event::Impatient(who, dials), _) => self.impatient(io, &who, dials),
            (Event::Awake(who), _) => self.awake(io, &who),
            (Event::ToBrowser(who, session, said), _) => self.hears(io, &who, session, said),
            (event, Some(process)) => self.at_node(io, process, event),
            (_, None) => {}
        }
    }

    fn refused(&mut self, io: &mut Io<Self>, event: Event) {
        // a dial to a process that is not there
        if let Event::Opened { session, who, .. } = event
            && self.browsers.get(&who).is_some_and(|one| one.socket == Some(session))
        {
            self.redial(io, &who);
        }
    }

    fn member(&mut self, io: &mut Io<Self>, who: &Name, does: &Deed) {
        self.acts(io, who, does);
    }

    fn expect(&mut self, io: &mut Io<Self>, expected: &Expected) {
        match expected {
            Expected::Well(page) => self.check_page(io, &page_key(page)),
            Expected::Host { page, host } => {
                let key = page_key(page);
                let now = self.host_at(&key, io.now);
                if now.is_none_or(|now| now.host.as_str() != &**host) {
                    let now = now.cloned();
                    io.fail(|| format!("{page} has the host {now:?} and not {host}"));
                }
            }
            Expected::SameSince { page, since } => {
                let key = page_key(page);
                let (then, now) = (self.host_at(&key, *since), self.host_at(&key, io.now));
                if then != now {
                    let (then, now) = (then.cloned(), now.cloned());
                    io.fail(|| format!("{page} has {now:?}, and had {then:?}"));
                }
            }
            Expected::Epochs { page, most } => {
                let seen = self.history.get(&page_key(page)).map_or(0, Vec::len);
                if seen > *most {
                    io.fail(|| format!("{page} had {seen} epochs"));
                }
            }
            Expected::Lives { page, nodes } => {
                let key = page_key(page);
                let on: BTreeSet<Name> =
                    self.actors(&key).map(|p| io.machines[p].name.clone()).collect();
                let meant: BTreeSet<Name> = nodes.iter().cloned().collect();
                if on != meant {
                    io.fail(|| format!("{page} lives on {on:?}"));
                }
            }
            Expected::Connected(who) => {
                if !self.browsers.get(who).is_some_and(|one| one.is_open) {
                    io.fail(|| format!("{who} is not connected"));
                }
            }
            Expected::NoSocketLost(since) => {
                if self.last_lost > *since {
                    let at = self.last_lost;
                    io.fail(|| format!("a socket was lost at {at}"));
                }
            }
            Expected::Buried(_) => {}
        }
    }

    fn check_calm(&mut self, io: &mut Io<Self>) {
        self.check_deciding(io);
    }

    fn check_healed(&mut self, io: &mut Io<Self>) {
        let last_death = self.last_death;
        self.check_offers(io, last_death);
        self.check_slots(io);
        if !io.machines.iter().any(|machine| machine.lives() && !machine.is_draining) {
            return;
        }
        let mut pages: BTreeSet<PageKey> =
            self.browsers.values().map(|one| one.page.clone()).collect();
        pages.extend(self.sites.iter().flat_map(|site| site.pages.keys().cloned()));
        for page in pages {
            self.check_page(io, &page);
        }
    }
}
