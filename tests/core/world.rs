//! A page, its clients and the time. `World` checks every invariant after every step: from inside
//! by `PageState::check`, and from outside by what each client was told.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use peerstar_core::cluster::Slot;
use peerstar_core::epoch_clock::{EpochClock, EpochTime};
use peerstar_core::page::election::Policy;
use peerstar_core::page::member::{Departure, JoinRequest, Rights, Status, Way};
use peerstar_core::page::{Assignment, Env, Handover, Input, Output, PageState, Rules};
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::ice::IceServers;
use peerstar_core::protocol::id::{
    Capabilities, Epoch, PageKey, PageName, PeerId, SessionId, Token,
};
use peerstar_core::protocol::incoming::{Inbound, read};
use peerstar_core::protocol::outgoing::{GROUP_VERSION, RelayTerms, Terms};
use peerstar_core::time::Time;
use serde_json::Value;

pub(crate) const START_MS: u64 = 1_000_000;

pub(crate) fn id(text: &str) -> PeerId {
    PeerId::parse(text).unwrap()
}

/// Returns the request of a group member with all rights, new to the page, without a token.
pub(crate) fn joiner(session: SessionId, id: PeerId) -> JoinRequest {
    JoinRequest {
        session,
        id,
        token: None,
        group: GROUP_VERSION,
        can: Capabilities::default(),
        rights: Rights::ALL,
        address: None,
        way: Way::Local,
        claim: None,
        resumed: None,
    }
}

pub(crate) fn rules() -> Rules {
    Rules {
        max_members: 12,
        star: 3,
        deputies: 1,
        policy: Policy::Random,
        recovery: Duration::from_secs(5),
        timeout: Duration::from_secs(15),
        host_timeout: Duration::from_secs(6),
        fresh: Duration::from_millis(7500),
        return_after: Duration::from_secs(3),
        expire: Duration::from_secs(5),
        parked_bytes: 1 << 20,
        probe: Duration::from_secs(2),
        hidden: Some(Duration::from_secs(10)),
        terms: Terms {
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
        },
        ice: IceServers::new(Vec::new(), None),
    }
}

/// Returns the rules of a page on which nothing is relayed: all members dial the host.
pub(crate) fn unrelayed_rules() -> Rules {
    let rules = rules();
    Rules { star: rules.max_members, terms: Terms { relay: None, ..rules.terms }, ..rules }
}

/// One socket, as its client sees it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub id: String,
    pub token: Option<String>,
    pub group: u32,
    pub rights: Rights,
    pub way: Way,
    pub status: Status,
    pub joined: bool,
    /// Messages that the client sent since the page's actor died and before its session resumed.
    pub kept: Option<Vec<String>>,
    /// Network address of the client.
    pub address: IpAddr,
    /// The deputy that the client was last told of.
    pub deputy: Option<String>,
    /// The last (epoch, host) that the client was told.
    pub announced: Option<(u64, String)>,
    /// The members as the client was told while it hosted: id → profile.
    roster: BTreeMap<String, Option<String>>,
    /// When the page last had a status of the client.
    renamed_at: Time,
    /// Whether the client answers pings, and is heard from all the time.
    pub alive: bool,
    pub heard: Time,
    /// Number of text frames that the client has sent.
    pub texts_sent: u64,
}

/// A message that a client got in one step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Got {
    pub who: SessionId,
    pub what: String,
}

pub(crate) struct World {
    pub page: PageState,
    pub named: bool,
    rules: Arc<Rules>,
    pub now: Time,
    /// Added to the time. The clock may be set back, and mostly is while the server restarts.
    pub clock_ms: u64,
    pub epochs: EpochClock,
    random: u64,
    pub clients: BTreeMap<SessionId, Client>,
    next_session: u64,
    /// Every host that any client was told of: epoch → host.
    pub hosts: BTreeMap<u64, String>,
    /// When the page last named a host, and whether far above the clock of epochs.
    last_named: Option<(Time, bool)>,
    pub elections: Vec<(u64, String, &'static str)>,
    /// Every deputy that was named, and `None` where there was no deputy any more.
    pub deputies: Vec<Option<String>>,
    pub idle: bool,
    /// Whether the pages of all clients run and answer a `PROBE`.
    pub answers: bool,
    /// The client that the last transition was about.
    pub last_picked: Option<SessionId>,
    /// Number of messages that a ticket did not allow.
    pub ignored: u32,
}

impl World {
    pub(crate) fn new(named: bool, seed: u64, rules: Rules) -> Self {
        let rules = Arc::new(rules);
        Self {
            page: PageState::new(key(named), Arc::clone(&rules), Time(0), Handover::default()),
            named,
            rules,
            now: Time(0),
            clock_ms: START_MS,
            epochs: EpochClock::start(START_MS),
            random: seed,
            clients: BTreeMap::new(),
            next_session: 0,
            hosts: BTreeMap::new(),
            last_named: None,
            elections: Vec::new(),
            deputies: Vec::new(),
            idle: false,
            answers: false,
            last_picked: None,
            ignored: 0,
        }
    }

    pub(crate) fn last_session(&self) -> SessionId {
        SessionId(self.next_session - 1)
    }

    /// The session that has `id` on the page, if one does.
    pub(crate) fn session(&self, id: &str) -> Option<SessionId> {
        self.clients.iter().find(|(_, c)| c.joined && c.id == id).map(|(s, _)| *s)
    }

    pub(crate) fn dial(&mut self, id: &str, token: Option<&str>, group: u32) -> SessionId {
        let session = SessionId(self.next_session);
        self.next_session += 1;
        let client = Client {
            id: id.into(),
            token: token.map(Into::into),
            group,
            rights: Rights::ALL,
            way: Way::Local,
            status: Status::default(),
            joined: false,
            kept: None,
            address: house(id),
            deputy: None,
            announced: None,
            roster: BTreeMap::new(),
            renamed_at: self.now,
            alive: true,
            heard: self.now,
            texts_sent: 0,
        };
        self.clients.insert(session, client);
        session
    }

    pub(crate) fn grant(&mut self, session: SessionId, rights: Rights) {
        self.clients.get_mut(&session).unwrap().rights = rights;
    }

    /// Puts the socket of a client that has not joined yet on another node.
    pub(crate) fn put_on(&mut self, session: SessionId, way: Way) {
        self.clients.get_mut(&session).unwrap().way = way;
    }

    pub(crate) fn join(
        &mut self,
        session: SessionId,
        claim: Option<(u64, &str)>,
        resumed: bool,
    ) -> Vec<Got> {
        let client = self.clients[&session].clone();
        let joiner = JoinRequest {
            session,
            id: id(&client.id),
            token: client.token.as_deref().map(|t| Token::parse(t).unwrap()),
            group: client.group,
            can: Capabilities::default(),
            rights: client.rights,
            address: Some(client.address),
            way: client.way,
            claim: claim.map(|(epoch, host)| Claim { epoch: Epoch(epoch), host: id(host) }),
            resumed: resumed.then_some(client.status),
        };
        let mut got = self.step(Input::Join(joiner));
        let kept = self.clients.get_mut(&session).and_then(|client| client.kept.take());
        got.extend(kept.into_iter().flatten().flat_map(|text| self.pass_on(session, &text)));
        got
    }

    /// A session that was a member says so to the page's successor.
    pub(crate) fn resume(&mut self, session: SessionId) -> Vec<Got> {
        let announced = self.clients[&session].announced.clone();
        self.join(session, announced.as_ref().map(|(epoch, host)| (*epoch, host.as_str())), true)
    }

    pub(crate) fn hang_up(&mut self, session: SessionId, departure: Departure) -> Vec<Got> {
        self.clients.remove(&session);
        self.step(Input::SocketClosed { session, departure })
    }

    /// A client sends a text, and its session passes it on.
    pub(crate) fn say(&mut self, session: SessionId, text: &str) -> Vec<Got> {
        let client = self.clients.get_mut(&session).unwrap();
        client.texts_sent += 1;
        if let Inbound::Status(update) = read(&id(&client.id), text).unwrap() {
            client.status.update(update);
        }
        if let Some(kept) = &mut client.kept {
            kept.push(text.to_owned());
            return vec![];
        }
        self.pass_on(session, text)
    }

    fn pass_on(&mut self, session: SessionId, text: &str) -> Vec<Got> {
        match read(&id(&self.clients[&session].id), text).unwrap() {
            Inbound::Forward { kind, dst, frame } => {
                self.step(Input::Forward { session, kind, dst, frame })
            }
            Inbound::Status(update) => {
                self.clients.get_mut(&session).unwrap().renamed_at = self.now;
                self.step(Input::Status { session, update })
            }
            Inbound::Relay { dst, frame } => self.step(Input::Relay { session, dst, frame }),
            Inbound::Suspect(suspicion) => self.step(Input::Suspect { session, suspicion }),
            Inbound::Trust(suspicion) => self.step(Input::Trust { session, suspicion }),
            Inbound::Resign { epoch, to } => self.step(Input::Resign { session, epoch, to }),
            Inbound::HostHeartbeat(epoch) => self.step(Input::HostHeartbeat { session, epoch }),
            Inbound::Heartbeat | Inbound::Probed => vec![],
            other @ (Inbound::Unreachable(_) | Inbound::Goodbye | Inbound::Ignored) => {
                panic!("{other:?} does not reach the page")
            }
        }
    }

    /// A client stops answering pings.
    pub(crate) fn silence(&mut self, session: SessionId) {
        let now = self.now;
        if let Some(client) = self.clients.get_mut(&session).filter(|c| c.alive) {
            (client.alive, client.heard) = (false, now);
        }
    }

    /// Lets time pass, and handles every deadline on the way.
    pub(crate) fn pass(&mut self, ms: u64) -> Vec<Got> {
        let until = self.now.plus(Duration::from_millis(ms));
        let mut got = Vec::new();
        while let Some(deadline) =
            self.page.next_deadline().map(|next| next.at).filter(|at| *at <= until)
        {
            self.now = self.now.max(deadline);
            got.extend(self.step(Input::Timer));
            assert!(
                self.page.next_deadline().map(|next| next.at).is_none_or(|next| next > self.now),
                "the timer at {:?} would fire for ever",
                self.now
            );
        }
        self.now = until;
        got
    }

    /// The page's actor dies and another one takes its place. The sessions have not resumed yet.
    pub(crate) fn lose_page(&mut self) {
        let estate = self.page.hand_over();
        self.page = PageState::new(key(self.named), Arc::clone(&self.rules), self.now, estate);
        self.last_named = None;
        for client in self.clients.values_mut().filter(|client| client.joined) {
            client.kept.get_or_insert_default();
        }
    }

    /// A page on another node takes over. It knows nothing but what the sessions say.
    pub(crate) fn take_over(&mut self) {
        self.lose_page();
        self.page =
            PageState::new(key(self.named), Arc::clone(&self.rules), self.now, Handover::default());
    }

    /// The whole server dies. Only the clients remember anything.
    pub(crate) fn restart(&mut self) {
        self.page =
            PageState::new(key(self.named), Arc::clone(&self.rules), self.now, Handover::default());
        // in a cluster, each life of a server has a slot of its own
        let slot = self.epochs.slot.map(|slot| Slot(slot.0 + 1));
        self.epochs = EpochClock { slot, ..EpochClock::start(self.wall_ms()) };
        self.last_named = None;
        for client in self.clients.values_mut() {
            (client.joined, client.kept) = (false, None);
        }
    }

    /// The server's wall clock.
    pub(crate) const fn wall_ms(&self) -> u64 {
        self.clock_ms + self.now.0
    }

    /// What the server's clock of epochs shows.
    pub(crate) fn epoch_time(&self) -> EpochTime {
        self.epochs.read(self.now, self.wall_ms())
    }

    pub(crate) fn step(&mut self, input: Input) -> Vec<Got> {
        let now = self.now;
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        for client in self.clients.values_mut().filter(|c| c.alive) {
            client.heard = now;
        }
        let clients = &self.clients;
        // what another node knows of its sockets, this one does not
        let local = |session: &SessionId| {
            let client = clients.get(session);
            assert!(client.is_none_or(|c| c.way == Way::Local), "{client:?} is judged from afar");
            client
        };
        let last_heard = |session: SessionId| local(&session).map_or(now, |c| c.heard);
        let random = self.random ^ (self.random >> 29);
        let texts_sent = |session: SessionId| local(&session).map_or(0, |c| c.texts_sent);
        let wall_ms = self.wall_ms();
        let env = Env {
            now,
            epochs: self.epochs.read(now, wall_ms),
            random,
            last_heard: &last_heard,
            texts_sent: &texts_sent,
        };
        let mut out = Vec::new();
        self.page.handle(env, input, &mut out);
        self.epochs.note(now, wall_ms, self.page.announced_epoch());
        let got = self.observe(out);
        self.page.check().unwrap_or_else(|violation| panic!("{violation}"));
        self.check_from_outside();
        got
    }

    fn observe(&mut self, out: Vec<Output>) -> Vec<Got> {
        let mut got = Vec::new();
        self.idle = false;
        for output in out {
            match output {
                Output::Welcome { to, open, assignment } => {
                    let client = self.clients.get_mut(&to).expect("a welcome to one who is gone");
                    client.joined = true;
                    if let Some(open) = open {
                        if let Some(a) = assignment {
                            self.note_announced(to, a.epoch.0, a.host.to_string());
                            self.note_roster(to, &open, a.hosting);
                            self.note_deputy(to, &open);
                        }
                        got.push(Got { who: to, what: summary(&open) });
                    }
                }
                Output::AnnounceHost { to, frame, assignment } => {
                    assert!(self.clients[&to].joined, "HOST to one who is not a member");
                    self.note_announced(to, assignment.epoch.0, assignment.host.to_string());
                    self.note_roster(to, &frame, assignment.hosting);
                    self.note_deputy(to, &frame);
                    got.push(Got { who: to, what: summary(&frame) });
                }
                Output::AnnounceHostToOthers(announcement) => {
                    let mut others = Vec::new();
                    self.page
                        .announce_to_others(&announcement, |to, frame| others.push((to, frame)));
                    let Assignment { epoch, host, hosting } = announcement.assignment;
                    assert!(!hosting, "the host is told first");
                    for (to, frame) in others {
                        assert!(self.clients[&to].joined, "HOST to one who is not a member");
                        self.note_announced(to, epoch.0, host.to_string());
                        got.push(Got { who: to, what: summary(&frame) });
                    }
                }
                Output::Probe { to, ref frame } => {
                    assert!(self.clients[&to].way != Way::Local, "another node was asked");
                    got.push(Got { who: to, what: summary(frame) });
                }
                Output::Send { to, ref frame }
                | Output::Relay { to, ref frame }
                | Output::Forward { to, ref frame, .. }
                | Output::RosterChange { to, ref frame } => {
                    assert!(
                        self.clients.get(&to).is_some_and(|c| c.joined),
                        "a frame for a client that is gone: {frame}"
                    );
                    let what = summary(frame);
                    if self.answers && what.starts_with("PROBE") {
                        self.clients.get_mut(&to).unwrap().texts_sent += 1;
                    }
                    let is_probe = what.starts_with("PROBE");
                    assert!(
                        !is_probe || self.clients[&to].way == Way::Local,
                        "{what} is not watched"
                    );
                    let is_blamed = !matches!(output, Output::Forward { .. });
                    if let Some(src) =
                        what.strip_prefix("RELAY from ").and_then(|rest| rest.split(' ').next())
                    {
                        let hosts =
                            self.page.assignment().is_some_and(|(_, host)| host.as_str() == src);
                        assert_eq!(
                            is_blamed, hosts,
                            "only what the host says may have one closed as slow: {frame}"
                        );
                    }
                    if what.starts_with("DEPUTY") {
                        self.note_deputy(to, frame);
                    }
                    // another member may send a LEAVE as well
                    let is_for_host = matches!(output, Output::RosterChange { .. });
                    self.note_roster(to, frame, is_for_host || what.starts_with("HOST "));
                    got.push(Got { who: to, what });
                }
                Output::Ping(to) => got.push(Got { who: to, what: "ping".into() }),
                Output::Dismiss { session, close } => {
                    if self.clients.remove(&session).is_some() {
                        got.push(Got { who: session, what: format!("closed {}", close.name()) });
                    }
                }
                Output::Left { session, .. } => drop(self.clients.remove(&session)),
                Output::Elected { assignment, cause } => {
                    self.elections.push((
                        assignment.epoch.0,
                        assignment.host.to_string(),
                        cause.name(),
                    ));
                }
                Output::Deputy { id } => self.deputies.push(id.map(|id| id.to_string())),
                Output::NotAllowed => self.ignored += 1,
                Output::Idle { .. } => self.idle = true,
            }
        }
        got
    }

    /// Notes the deputy that a client was told of.
    fn note_deputy(&mut self, who: SessionId, frame: &str) {
        let message: Value = serde_json::from_str(frame).unwrap();
        self.clients.get_mut(&who).unwrap().deputy =
            message["payload"]["deputy"].as_str().map(Into::into);
    }

    /// Keeps the roster of a client as a host does.
    fn note_roster(&mut self, who: SessionId, frame: &str, concerns_it: bool) {
        if !concerns_it {
            return;
        }
        let message: Value = serde_json::from_str(frame).unwrap();
        let roster = &mut self.clients.get_mut(&who).unwrap().roster;
        let profile = |entry: &Value| {
            Some(&entry["profile"]).filter(|profile| !profile.is_null()).map(ToString::to_string)
        };
        let payload = &message["payload"];
        match (message["type"].as_str().unwrap(), payload["roster"].as_array()) {
            ("OPEN" | "HOST", Some(entries)) => {
                *roster = entries
                    .iter()
                    .map(|entry| (entry["id"].as_str().unwrap().to_owned(), profile(entry)))
                    .collect();
            }
            ("JOIN", _) => {
                drop(roster.insert(payload["id"].as_str().unwrap().to_owned(), profile(payload)))
            }
            ("LEAVE", _) => drop(roster.remove(message["src"].as_str().unwrap())),
            _ => {}
        }
    }

    fn note_announced(&mut self, who: SessionId, epoch: u64, host: String) {
        if !self.hosts.contains_key(&epoch) {
            let is_far = epoch > self.epoch_time().now_ms() + 300_000;
            let before = self.last_named.replace((self.now, is_far));
            if let Some((at, true)) = before {
                let passed = self.now.since(at);
                assert!(
                    passed.is_zero() || passed >= Duration::from_secs(1),
                    "{passed:?} between two hosts of a page that is far above the clock"
                );
            }
        }
        let known = self.hosts.entry(epoch).or_insert_with(|| host.clone());
        assert_eq!(*known, host, "two hosts in epoch {epoch}");
        let client = self.clients.get_mut(&who).unwrap();
        if let Some((before, _)) = &client.announced {
            assert!(*before <= epoch, "{} was told epoch {epoch} after {before}", client.id);
        }
        client.announced = Some((epoch, host));
    }

    /// Checks what must be true for the clients, whatever the page believes.
    fn check_from_outside(&self) {
        if !self.named {
            return;
        }
        let members: Vec<_> =
            self.clients.values().filter(|c| c.joined && c.announced.is_some()).collect();
        let Some((epoch, host)) = self.page.assignment() else {
            let until = self.page.next_deadline().filter(|_| !self.page.is_empty());
            let rests = until.is_none_or(|next| next.at <= self.now.plus(Duration::from_secs(1)));
            assert!(rests, "members without a host, until {until:?}");
            return;
        };
        for member in members.iter().filter(|m| self.page.ids().any(|id| id.as_str() == m.id)) {
            let recovering = !self.page.ids().any(|id| *id == host);
            let knows = member.announced == Some((epoch.0, host.to_string()));
            assert!(
                knows || recovering,
                "{} believes {:?}, but it is {host} in {}",
                member.id,
                member.announced,
                epoch.0
            );
        }
        let Some(host) = members.iter().find(|m| m.id == host.as_str() && m.kept.is_none()) else {
            return;
        };
        let relays = self.rules.terms.relay.is_some();
        for member in members.iter().filter(|m| m.kept.is_none() && self.page.has(&id(&m.id))) {
            let dials_deputy =
                self.rules.deputies > 0 && member.group > 0 && (!relays || !member.rights.relay);
            let deputy = self.page.deputy().filter(|_| dials_deputy).map(ToString::to_string);
            assert_eq!(member.deputy, deputy, "{} does not know who the deputy is", member.id);
        }
        for member in members
            .iter()
            .filter(|m| m.id != host.id && m.kept.is_none() && self.page.has(&id(&m.id)))
        {
            let profile = member.status.profile.as_ref().map(|profile| profile.get().to_owned());
            let lately = self.now <= member.renamed_at.plus(Duration::from_secs(1));
            let known = host.roster.get(&member.id);
            assert!(
                known.is_some_and(|known| lately || *known == profile),
                "{} believes that {} is {known:?}",
                host.id,
                member.id
            );
        }
    }
}

/// Returns the network address of a client. There are three houses; the number at the end of the id
/// says which one.
pub(crate) fn house(id: &str) -> IpAddr {
    let number: u32 = id.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0);
    IpAddr::from([10, 0, 0, u8::try_from(number % 3).unwrap()])
}

fn key(named: bool) -> PageKey {
    if named { PageKey::Named(PageName::parse("p").unwrap()) } else { PageKey::Pageless }
}

/// Returns a frame in a few words, for tests and readers.
pub(crate) fn summary(frame: &str) -> String {
    let message: Value = serde_json::from_str(frame).unwrap();
    let payload = &message["payload"];
    let mut words = vec![message["type"].as_str().unwrap().to_owned()];
    words.extend(message["src"].as_str().map(|src| format!("from {src}")));
    for key in [
        "host",
        "epoch",
        "cause",
        "members",
        "p2p",
        "deputy",
        "recovering",
        "alone",
        "n",
        "retryMs",
    ] {
        match &payload[key] {
            Value::Null => {}
            Value::String(text) => words.push(format!("{key}={text}")),
            value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                words.push(format!("{key}={value}"))
            }
        }
    }
    let fair = payload["fairMs"].as_u64().filter(|ms| *ms != 7500); // as on a new page
    words.extend(fair.map(|ms| format!("fair={ms}")));
    words.extend(
        (payload["relay"] == false && message["type"] != "JOIN").then(|| "relay=false".to_owned()),
    );
    words.extend((payload["lost"] == true).then(|| "lost".to_owned()));
    if let Some(roster) = payload["roster"].as_array() {
        let ids: Vec<_> = roster.iter().map(entry).collect();
        words.push(format!("roster={}", ids.join(",")));
    }
    if message["type"] == "JOIN" {
        words.push(entry(payload));
    }
    words.join(" ")
}

fn entry(entry: &Value) -> String {
    let group = if entry["group"] == 0 { "" } else { "*" };
    let unrelayed = if entry["relay"] == false { "-" } else { "" };
    let profile = entry["profile"].as_str().map(|p| format!(":{p}")).unwrap_or_default();
    format!("{}{group}{unrelayed}{profile}", entry["id"].as_str().unwrap())
}
