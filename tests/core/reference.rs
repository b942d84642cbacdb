//! A slow, obvious model of a page: lists, searched from end to end. It says what each client is to be told.

use std::collections::{BTreeMap, VecDeque};

use peerstar_core::page::going_away::GRACE;
use peerstar_core::page::member::{Departure, Rights};
use peerstar_core::protocol::id::SessionId;

use super::world::{Got, START_MS, house};

const HOLD: u64 = 2000;
const RETURN: u64 = 3000;
const EXPIRE: u64 = 5000;
const PROFILE_EVERY: u64 = 1000;
const TIMEOUT: u64 = 15_000;
const HOST_TIMEOUT: u64 = 6000;
const FRESH: u64 = 7500;
const PROBE: u64 = 2000;
const HIDDEN: u64 = 10_000;
const STAR: usize = 3;
const MAX_MEMBERS: usize = 12;
const DEPUTY: u64 = 10_000;
const CALM: u64 = 2000;
const CALM_MINUTE: u64 = 60_000;

#[derive(Debug, Clone)]
struct Person {
    session: SessionId,
    /// It stays the same when another socket takes over.
    seat: u64,
    /// When its socket came.
    came: u64,
    id: String,
    token: Option<String>,
    group: u32,
    rights: Rights,
    eligible: bool,
    visible: bool,
    profile: Option<String>,
    contacts: Vec<String>,
    relay: bool,
    p2p: bool,
    channels: Vec<String>,
    /// The number of the deputy it was last told of.
    told_deputy: Option<u64>,
    spoken: u64,
    /// What it had spoken when it was found stalled.
    stalled_at: Option<u64>,
    out_of_reach: bool,
    leave_said: Option<u64>,
    /// None: it answers every ping.
    silent_since: Option<u64>,
}

#[derive(Debug, Clone)]
struct Away {
    id: String,
    token: Option<String>,
    contacts: Vec<String>,
    announced: bool,
    /// It neither said goodbye nor was sent away.
    lost: bool,
    until: u64,
}

#[derive(Debug, Clone)]
struct Letter {
    kind: &'static str,
    src: String,
    dst: String,
    n: u32,
    until: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub named: bool,
    relays: bool,
    deputies: bool,
    now: u64,
    here: Vec<Person>,
    next_seat: u64,
    held: Vec<(Person, u64)>,
    /// Members whose browser closed the socket, and until when they keep their seats.
    leaving: Vec<(SessionId, u64)>,
    away: Vec<Away>,
    letters: Vec<Letter>,
    host: Option<String>,
    host_since: u64,
    /// Whose profile the host was told of, until when it hears of no other, and whether there is one.
    profiles: Vec<(String, u64, bool)>,
    /// Since when somebody is fitter than the host for being visible, while that one is hidden.
    fitter_since: BTreeMap<String, u64>,
    /// Who hears nothing of the host, and may not be relayed to from it: since when, and whether that counts.
    suspecting: BTreeMap<u64, (u64, bool)>,
    /// How long the last dials took.
    dials: Vec<u64>,
    /// How often the fair time is doubled, and until when.
    doublings: u32,
    calm_at: Option<u64>,
    /// The deputy's seat, how many there were before, and since when it is deputy.
    deputy: Option<u64>,
    deputy_number: u64,
    deputy_since: u64,
    /// How many deputies in a row were not reached.
    unreached: u32,
    /// When somebody came or went, when the deputy was judged, and whether something has changed since.
    moved_at: u64,
    judged_at: u64,
    changed: bool,
    /// Until when it has to answer, and what it had spoken when asked.
    probe: Option<(u64, u64)>,
    epoch: u64,
    got: Vec<Got>,
    /// What was said without the right to.
    pub ignored: u32,
    /// What the page chose; taken over if it is among those who may be elected.
    chosen: BTreeMap<u64, String>,
    /// The deputies that the page named, in that order.
    named_deputies: VecDeque<Option<String>>,
}

fn grace() -> u64 {
    u64::try_from(GRACE.as_millis()).unwrap()
}

impl Model {
    pub(crate) fn new(named: bool, relays: bool, deputies: bool) -> Self {
        Self { named, relays, deputies, dials: vec![2500; 16], ..Self::default() }
    }

    /// Those preferred to all others, each merit counting more than those after it.
    fn keep_fittest(&self, fit: &mut Vec<&Person>) {
        let eligible = |p: &Person| self.is_eligible(p);
        let merits: [&dyn Fn(&Person) -> bool; 5] =
            [&|p| p.group > 0, &eligible, &|p| !p.out_of_reach, &|p| p.rights.relay, &|p| {
                p.visible
            }];
        for merit in merits {
            if fit.iter().any(|p| merit(p)) {
                fit.retain(|p| merit(p));
            }
        }
    }

    /// Who opens no data channels cannot host where somebody needs one.
    fn is_eligible(&self, person: &Person) -> bool {
        person.eligible && (person.p2p || !self.needs_dialling())
    }

    fn needs_dialling(&self) -> bool {
        !self.relays || self.here.iter().any(|p| !p.rights.relay)
    }

    /// What all were told since the last call.
    pub(crate) fn drain(&mut self) -> Vec<Got> {
        std::mem::take(&mut self.got)
    }

    /// The page's elections of this step, which the model cannot foresee. Must be called before the step.
    pub(crate) fn will_elect(
        &mut self,
        elections: &[(u64, String, &'static str)],
        deputies: &[Option<String>],
    ) {
        self.named_deputies = deputies.iter().cloned().collect();
        self.chosen = elections.iter().map(|(epoch, host, _)| (*epoch, host.clone())).collect();
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.here.iter().map(|p| p.id.clone()).collect()
    }

    pub(crate) fn assignment(&self) -> Option<(u64, String)> {
        Some((self.epoch, self.host.clone()?))
    }

    fn tell(&mut self, id: &str, what: String) {
        if let Some(person) = self.here.iter().find(|p| p.id == id && !self.is_leaving(p.session)) {
            self.got.push(Got { who: person.session, what });
        }
    }

    fn close(&mut self, who: SessionId, name: &str) {
        if !self.is_leaving(who) {
            self.got.push(Got { who, what: format!("closed {name}") });
        }
    }

    fn is_leaving(&self, session: SessionId) -> bool {
        self.leaving.iter().any(|(leaving, _)| *leaving == session)
    }

    /// How long until nobody is about to leave any more.
    pub(crate) fn ms_of_grace(&self) -> u64 {
        if self.leaving.is_empty() { 0 } else { grace() }
    }

    // === coming ===

    pub(crate) fn join(
        &mut self,
        session: SessionId,
        id: &str,
        token: Option<&str>,
        group: u32,
        rights: Rights,
    ) {
        let newcomer = Person {
            session,
            seat: 0,
            came: self.now,
            id: id.into(),
            token: token.map(Into::into),
            group,
            rights,
            eligible: true,
            visible: true,
            profile: None,
            contacts: vec![],
            relay: true,
            p2p: true,
            channels: vec![],
            told_deputy: None,
            spoken: 0,
            stalled_at: None,
            out_of_reach: false,
            leave_said: None,
            silent_since: None,
        };
        let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
        let held = self.held.iter().position(|(p, _)| p.id == id);
        let Some(at) = self.here.iter().position(|p| p.id == id) else {
            return self.admit(newcomer);
        };
        if same(&self.here[at].token, &newcomer.token) {
            if let Some(held) = held {
                let (loser, _) = self.held.remove(held);
                self.close(loser.session, "id-taken");
            }
            let old = self.here[at].session;
            self.close(old, "replaced");
            if group == 0 && self.here[at].group == 0 && rights == self.here[at].rights {
                self.here[at].session = session;
                self.leaving.retain(|(leaving, _)| *leaving != old);
                let had_profile = self.here[at].profile.is_some();
                (self.here[at].eligible, self.here[at].visible, self.here[at].profile) =
                    (true, true, None);
                (self.here[at].relay, self.here[at].spoken, self.here[at].stalled_at) =
                    (true, 0, None);
                self.here[at].out_of_reach = false;
                (self.here[at].p2p, self.here[at].channels, self.here[at].came) =
                    (true, vec![], self.now);
                self.stir(self.here[at].seat);
                self.here[at].leave_said = None;
                self.here[at].silent_since = None;
                self.open(id);
                if had_profile && let Some(host) = self.host.clone().filter(|host| host != id) {
                    self.tell_host_of(&host, id);
                }
                self.deliver_parked(id);
            } else {
                // it knows nothing of what it was told
                self.depart(at, Departure::Expelled);
                self.admit(newcomer);
            }
            return;
        }
        if self.is_leaving(self.here[at].session) {
            self.depart(at, Departure::Goodbye);
            return self.admit(newcomer);
        }
        let mut until = self.now + HOLD;
        if let Some(held) = held {
            if !same(&self.held[held].0.token, &newcomer.token) {
                return self.close(session, "id-taken");
            }
            let (loser, since) = self.held.remove(held);
            self.close(loser.session, "replaced");
            until = since;
        }
        self.tell(id, "ping".into());
        self.held.push((newcomer, until));
    }

    fn admit(&mut self, mut newcomer: Person) {
        let must_dial = self.here.iter().filter(|p| !p.rights.relay).count();
        if self.here.len() >= MAX_MEMBERS
            || (self.named && self.relays && !newcomer.rights.relay && must_dial == STAR)
        {
            return self.close(newcomer.session, "page-full");
        }
        let hosted = self
            .host
            .as_ref()
            .is_some_and(|host| newcomer.group == 0 || self.person(host).group > 0);
        if self.named && !newcomer.rights.host && !hosted {
            return self.close(newcomer.session, "no-host");
        }
        let id = newcomer.id.clone();
        if let Some(at) = self.away.iter().position(|a| a.id == id) {
            let away = self.away.remove(at);
            if away.token.is_some() && away.token == newcomer.token {
                newcomer.contacts = away.contacts;
            } else {
                self.gone_for_good(&Away { lost: false, ..away });
            }
        }
        let leads = newcomer.group > 0 && newcomer.rights.host;
        (newcomer.seat, newcomer.came) = (self.next_seat, self.now);
        self.next_seat += 1;
        self.stir(newcomer.seat);
        self.here.push(newcomer);
        if self.named {
            match self.host.clone() {
                None => {
                    let epoch = self.next_epoch();
                    self.install(&id, epoch);
                    self.review_deputy();
                    self.open(&id);
                }
                Some(host) if leads && self.person(&host).group == 0 => {
                    self.install(&id, self.next_epoch());
                    self.review_deputy();
                    self.open(&id);
                    self.announce("upgraded", Some(&id));
                }
                Some(host) => {
                    self.review_deputy();
                    self.open(&id);
                    self.tell_host_of(&host, &id);
                }
            }
        } else {
            self.open(&id);
        }
        self.deliver_parked(&id);
    }

    fn deliver_parked(&mut self, id: &str) {
        let (mine, others): (Vec<_>, Vec<_>) = self.letters.drain(..).partition(|l| l.dst == id);
        self.letters = others;
        for letter in mine {
            self.deliver(&letter);
        }
    }

    fn open(&mut self, id: &str) {
        let Some((epoch, host)) = self.assignment().filter(|_| self.named) else {
            return self.tell(id, "OPEN".into());
        };
        let p2p = self.dials(id);
        let roster = if host == id { format!(" roster={}", self.roster()) } else { String::new() };
        let members = self.here.len();
        let relay = if self.relays { self.relay_denied(id) } else { " relay=false" };
        let (deputy, fair) = (self.note_deputy(id), self.fair_told());
        self.tell(id, format!("OPEN host={host} epoch={epoch} members={members} p2p={p2p}{deputy}{fair}{relay}{roster}"));
    }

    /// Those who may not relay always dial; of the others those longest present, up to the size of the star.
    /// Where the host may not, all do.
    fn dials(&self, id: &str) -> bool {
        if !self.relays {
            return true;
        }
        let (cannot_but, others): (Vec<_>, Vec<_>) =
            self.here.iter().partition(|p| !p.rights.relay);
        let host_relays = self.host.as_ref().is_none_or(|host| self.person(host).rights.relay);
        let longest: Vec<_> = others.iter().take(STAR - cannot_but.len()).collect();
        !host_relays || cannot_but.iter().any(|p| p.id == id) || longest.iter().any(|p| p.id == id)
    }

    fn relay_denied(&self, id: &str) -> &'static str {
        if self.person(id).rights.relay { "" } else { " relay=false" }
    }

    fn announce(&mut self, cause: &str, but: Option<&str>) {
        self.review_deputy();
        let (epoch, host) = self.assignment().unwrap();
        let (members, roster) = (self.here.len(), self.roster());
        for id in self.ids().into_iter().filter(|id| Some(id.as_str()) != but) {
            let roster = if id == host { format!(" roster={roster}") } else { String::new() };
            let (p2p, relay) = (self.dials(&id), self.relay_denied(&id));
            let what = format!("{}{}{relay}{roster}", self.note_deputy(&id), self.fair_told());
            self.tell(
                &id,
                format!(
                    "HOST host={host} epoch={epoch} cause={cause} members={members} p2p={p2p}{what}"
                ),
            );
        }
    }

    fn entry(person: &Person) -> String {
        let profile = person.profile.as_ref().map(|p| format!(":{p}")).unwrap_or_default();
        format!(
            "{}{}{}{profile}",
            person.id,
            if person.group > 0 { "*" } else { "" },
            if person.rights.relay { "" } else { "-" }
        )
    }

    fn roster(&self) -> String {
        self.here.iter().map(Self::entry).collect::<Vec<_>>().join(",")
    }

    fn tell_host_of(&mut self, host: &str, id: &str) {
        let entry = Self::entry(self.person(id));
        self.tell(host, format!("JOIN from {id} {entry}"));
    }

    fn person(&self, id: &str) -> &Person {
        self.here.iter().find(|p| p.id == id).unwrap()
    }

    fn next_epoch(&self) -> u64 {
        (START_MS + self.now).max(self.epoch + 1)
    }

    fn install(&mut self, host: &str, epoch: u64) {
        self.host = Some(host.into());
        self.host_since = self.now;
        self.epoch = epoch;
        self.probe = None;
        self.fitter_since.clear();
        self.suspecting.clear();
        self.changed = true;
    }

    // === going ===

    pub(crate) fn gone(&mut self, session: SessionId, departure: Departure) {
        let has_said = |p: &Person| p.leave_said.is_some_and(|said| self.now - said <= grace());
        match self.here.iter().position(|p| p.session == session) {
            Some(at) if has_said(&self.here[at]) => self.depart(at, Departure::Goodbye),
            Some(at) if departure == Departure::GoingAway => {
                let person = &mut self.here[at];
                if self.held.iter().any(|(p, _)| p.id == person.id) {
                    return self.depart(at, Departure::Goodbye);
                }
                // without a socket nothing is known of what it says or does not say
                (person.spoken, person.silent_since) = (0, None);
                self.leaving.push((session, self.now + grace()));
            }
            Some(at) => self.depart(at, departure),
            None => self.held.retain(|(p, _)| p.session != session),
        }
    }

    /// It says that it leaves, over HTTP.
    pub(crate) fn take_leave(&mut self, id: &str, token: &str) {
        let is_its = |known: &Option<String>| known.as_deref() == Some(token);
        if let Some(at) = self.here.iter().position(|p| p.id == id) {
            if is_its(&self.here[at].token) {
                self.here[at].leave_said = Some(self.now);
                if self.is_leaving(self.here[at].session) {
                    self.depart(at, Departure::Goodbye);
                }
            }
        } else if let Some(at) = self.away.iter().position(|a| a.id == id && is_its(&a.token)) {
            let away = self.away.remove(at);
            self.gone_for_good(&Away { lost: false, ..away });
        }
    }

    pub(crate) fn congested(&mut self, session: SessionId) {
        if let Some(at) = self.here.iter().position(|p| p.session == session) {
            self.close(session, "slow");
            self.depart(at, Departure::Lost);
        }
    }

    pub(crate) fn kick(&mut self, id: &str) {
        if let Some(held) = self.held.iter().position(|(p, _)| p.id == id) {
            let (newcomer, _) = self.held.remove(held);
            self.close(newcomer.session, "kicked");
        }
        if let Some(at) = self.here.iter().position(|p| p.id == id) {
            self.close(self.here[at].session, "kicked");
            self.depart(at, Departure::Expelled);
        }
        if let Some(at) = self.away.iter().position(|a| a.id == id) {
            let away = self.away.remove(at);
            self.gone_for_good(&Away { lost: false, ..away });
        }
    }

    fn depart(&mut self, at: usize, departure: Departure) {
        let person = self.here.remove(at);
        self.stir(person.seat);
        self.forget(&person);
        let mut stranded = Vec::new();
        if self.host.as_ref() == Some(&person.id) {
            self.host = None;
            stranded = self.strand();
            if !self.here.is_empty() {
                let epoch = self.next_epoch();
                let host = self.choose(epoch, None);
                self.install(&host, epoch);
                self.announce(
                    if departure == Departure::Silent { "timeout" } else { "left" },
                    None,
                );
            }
        }
        for person in stranded {
            self.see_off(person, Departure::Lost);
        }
        self.see_off(person, departure);
    }

    /// Nobody who may host any of these is here.
    fn strand(&mut self) -> Vec<Person> {
        let grouped_lead = self.here.iter().any(|p| p.rights.host && p.group > 0);
        let any_lead = self.here.iter().any(|p| p.rights.host);
        let (stranded, here) =
            self.here.drain(..).partition(|p| if p.group > 0 { !grouped_lead } else { !any_lead });
        self.here = here;
        let stranded: Vec<Person> = stranded;
        stranded.iter().for_each(|p| self.close(p.session, "no-host"));
        stranded.iter().for_each(|p| self.forget(p));
        stranded.iter().for_each(|p| self.stir(p.seat));
        stranded
    }

    fn forget(&mut self, person: &Person) {
        self.fitter_since.remove(&person.id);
        self.leaving.retain(|(session, _)| *session != person.session);
        self.profiles.retain(|(id, ..)| *id != person.id);
    }

    fn see_off(&mut self, person: Person, departure: Departure) {
        let away = Away {
            id: person.id.clone(),
            token: person.token,
            contacts: person.contacts,
            announced: self.named || departure != Departure::Disconnected,
            lost: self.named
                && matches!(departure, Departure::Lost | Departure::Silent)
                && self.held.iter().all(|(p, _)| p.id != person.id),
            until: self.now + RETURN,
        };
        let returns =
            departure == Departure::Lost || (!self.named && departure == Departure::Disconnected);
        if returns {
            self.away.push(away)
        } else {
            self.gone_for_good(&away)
        }
        if let Some(heir) = self.held.iter().position(|(p, _)| p.id == person.id) {
            let (heir, _) = self.held.remove(heir);
            self.admit(heir);
        }
    }

    fn gone_for_good(&mut self, away: &Away) {
        if !away.announced {
            return;
        }
        let mut told = away.contacts.clone();
        told.extend(self.host.clone().filter(|host| !away.contacts.contains(host)));
        for id in told {
            self.tell(
                &id,
                format!("LEAVE from {}{}", away.id, if away.lost { " lost" } else { "" }),
            );
        }
    }

    /// Whom the page chose, if it was right to.
    fn choose(&self, epoch: u64, but: Option<&str>) -> String {
        let ready = |p: &&Person| self.runs(p) && self.was_heard(p) && Some(p.id.as_str()) != but;
        let deputy = self.deputy_person().filter(|p| self.may_be_deputy(p)).filter(ready);
        let mut fit = self.fit(but);
        let best = fit.first().map(|id| self.person(id));
        let merits = |p: &Person| {
            (
                p.group > 0,
                self.is_leaving(p.session),
                self.is_eligible(p),
                p.out_of_reach,
                p.rights.relay,
            )
        };
        if let Some(deputy) =
            deputy.filter(|deputy| best.is_some_and(|best| merits(best) == merits(deputy)))
        {
            fit = vec![deputy.id.clone()];
        }
        let host = self.chosen.get(&epoch).cloned().unwrap_or_default();
        assert!(fit.contains(&host), "{host:?} was elected, but only {fit:?} are fit");
        host
    }

    fn was_heard(&self, person: &Person) -> bool {
        person.silent_since.is_none_or(|since| self.now - since <= FRESH)
    }

    fn runs(&self, person: &Person) -> bool {
        person.stalled_at.is_none_or(|at| person.spoken > at)
    }

    /// Keeps group members before others, and of those the ones with a socket.
    fn keep_present(&self, fit: &mut Vec<&Person>) {
        for merit in
            [|_: &Self, p: &Person| p.group > 0, |m: &Self, p: &Person| !m.is_leaving(p.session)]
        {
            if fit.iter().any(|p| merit(self, p)) {
                fit.retain(|p| merit(self, p));
            }
        }
    }

    /// Who may host: group, not about to leave, eligible, able to relay, visible, heard from lately.
    fn fit(&self, but: Option<&str>) -> Vec<String> {
        let mut fit: Vec<&Person> =
            self.here.iter().filter(|p| p.rights.host && Some(p.id.as_str()) != but).collect();
        let is_fresh = |p: &&Person| self.runs(p) && self.was_heard(p);
        self.keep_present(&mut fit);
        self.keep_fittest(&mut fit);
        if fit.iter().any(is_fresh) {
            fit.retain(is_fresh);
        }
        fit.into_iter().map(|p| p.id.clone()).collect()
    }

    // === speaking ===

    pub(crate) fn forward(&mut self, session: SessionId, kind: &'static str, dst: &str, n: u32) {
        let src = self.here.iter().find(|p| p.session == session).unwrap().id.clone();
        let letter = Letter { kind, src, dst: dst.into(), n, until: self.now + EXPIRE };
        if self.here.iter().any(|p| p.id == dst && !self.is_leaving(p.session)) {
            self.deliver(&letter);
        } else if kind != "LEAVE" {
            self.letters.push(letter);
        }
    }

    fn deliver(&mut self, letter: &Letter) {
        if letter.kind == "OFFER" || letter.kind == "ANSWER" {
            for (who, whom) in [(&letter.src, &letter.dst), (&letter.dst, &letter.src)] {
                if let Some(person) = self.here.iter_mut().find(|p| p.id == *who)
                    && !person.contacts.contains(whom)
                {
                    person.contacts.push(whom.clone());
                }
            }
        }
        self.tell(&letter.dst, format!("{} from {} n={}", letter.kind, letter.src, letter.n));
    }

    pub(crate) fn spoke(&mut self, session: SessionId) {
        self.here.iter_mut().filter(|p| p.session == session).for_each(|p| p.spoken += 1);
    }

    pub(crate) fn relay(&mut self, session: SessionId, dst: Option<&str>, n: u32) {
        let sender = self.here.iter().find(|p| p.session == session).unwrap().clone();
        let hosting = self.host.as_ref() == Some(&sender.id);
        let receives = |p: &&Person| match dst {
            Some(dst) => p.id == dst,
            None if hosting => p.id != sender.id && p.relay,
            None => self.host.as_ref() == Some(&p.id),
        };
        let to: Vec<_> = self
            .here
            .iter()
            .filter(receives)
            .filter(|p| self.named && self.relays && sender.group > 0 && p.group > 0)
            .filter(|p| sender.rights.relay && p.rights.relay)
            .map(|p| p.id.clone())
            .collect();
        self.ignored +=
            u32::from(self.named && self.relays && sender.group > 0 && !sender.rights.relay);
        for id in to {
            self.tell(&id, format!("RELAY from {} n={n}", sender.id));
        }
    }

    pub(crate) fn suspect(&mut self, session: SessionId, epoch: u64) {
        let hosts = |p: &&Person| self.host.as_ref() == Some(&p.id);
        let suspecting =
            self.here.iter().find(|p| p.session == session && !hosts(p) && p.group > 0);
        let Some((suspecting, suspected)) =
            suspecting.zip(self.here.iter().find(|p| hosts(p) && p.group > 0))
        else {
            return;
        };
        if epoch != self.epoch {
            return;
        }
        let host = suspected.id.clone();
        if !self.may_relay_between(suspecting, suspected) && suspecting.p2p {
            self.suspecting.entry(suspecting.seat).or_insert((self.now, false));
        }
        if self.probe.is_none() {
            self.probe = Some((self.now + PROBE, self.person(&host).spoken));
            self.tell(&host, format!("PROBE epoch={epoch}"));
        }
    }

    pub(crate) fn resign(&mut self, session: SessionId, epoch: u64, to: &str) {
        let hosts =
            self.here.iter().any(|p| p.session == session && self.host.as_ref() == Some(&p.id));
        if hosts && epoch == self.epoch {
            self.replace("resigned", Some(to));
        }
    }

    fn replace(&mut self, cause: &str, to: Option<&str>) {
        let old = self.host.clone().unwrap();
        let grouped = self.here.iter().any(|p| p.group > 0);
        let can = |p: &&Person| p.id != old && p.rights.host && (p.group > 0 || !grouped);
        let named =
            self.here.iter().filter(can).find(|p| Some(p.id.as_str()) == to).map(|p| p.id.clone());
        if !self.here.iter().any(|p| can(&p)) {
            return;
        }
        let epoch = self.next_epoch();
        let next = named.unwrap_or_else(|| self.choose(epoch, Some(&old)));
        self.install(&next, epoch);
        self.announce(cause, None);
    }

    /// A host that is hidden gives way to one that has been fitter for being visible for a while.
    fn relieve(&mut self) {
        let Some(host) = self.host.clone() else { return };
        let grouped = self.here.iter().any(|p| p.group > 0);
        let can = |p: &&Person| {
            !self.is_leaving(p.session)
                && p.stalled_at.is_none()
                && p.rights.host
                && (p.group > 0 || !grouped)
        };
        let mut fit: Vec<&Person> = self.here.iter().filter(|p| p.id == host || can(p)).collect();
        self.keep_fittest(&mut fit);
        fit.retain(|p| p.visible && self.is_eligible(p) && !self.person(&host).visible);
        let since = |p: &Person| {
            let since = self.fitter_since.get(&p.id).copied();
            since.filter(|since| self.was_heard(p) || self.now < since + HIDDEN).unwrap_or(self.now)
        };
        self.fitter_since = fit.into_iter().map(|p| (p.id.clone(), since(p))).collect();
        let long = |(id, since): (&String, &u64)| (since + HIDDEN <= self.now).then(|| id.clone());
        let long: Vec<String> = self.fitter_since.iter().filter_map(long).collect();
        if !long.is_empty() {
            let epoch = self.next_epoch();
            let next = self.chosen.get(&epoch).cloned().unwrap_or_default();
            assert!(
                long.contains(&next),
                "{next:?} was elected, but only {long:?} have been fitter for long enough"
            );
            let deputy = self.deputy().filter(|deputy| long.contains(deputy));
            assert!(
                deputy.as_ref().is_none_or(|deputy| *deputy == next),
                "{next:?} was elected, but {deputy:?} is deputy"
            );
            self.install(&next, epoch);
            self.announce("resigned", None);
        }
    }

    pub(crate) fn status(
        &mut self,
        session: SessionId,
        eligible: bool,
        visible: bool,
        relay: bool,
        profile: Option<&str>,
    ) {
        let person = self.here.iter_mut().find(|p| p.session == session).unwrap();
        (person.eligible, person.visible, person.relay) = (eligible, visible, relay);
        let news = profile.is_some() && person.profile.as_deref() != profile;
        if news {
            person.profile = profile.map(Into::into);
        }
        if news {
            let id = person.id.clone();
            match self.profiles.iter_mut().find(|(told, ..)| *told == id) {
                Some((.., another)) => *another = true,
                None => {
                    self.tell_host_of_profile(&id);
                    self.profiles.push((id, self.now + PROFILE_EVERY, false));
                }
            }
        }
    }

    fn tell_host_of_profile(&mut self, id: &str) {
        if let Some(host) = self.host.clone().filter(|host| host != id) {
            self.tell_host_of(&host, id);
        }
    }

    pub(crate) fn alive(&mut self, session: SessionId) {
        let Some(id) = self.here.iter().find(|p| p.session == session).map(|p| p.id.clone()) else {
            return;
        };
        if let Some(held) = self.held.iter().position(|(p, _)| p.id == id) {
            let (loser, _) = self.held.remove(held);
            self.close(loser.session, "id-taken");
        }
    }

    // === suspicions and the deputy ===

    pub(crate) fn trust(&mut self, session: SessionId) {
        let seat = self.here.iter().find(|p| p.session == session).unwrap().seat;
        self.suspecting.remove(&seat);
    }

    /// What it says of its data channels.
    pub(crate) fn connected(
        &mut self,
        session: SessionId,
        p2p: bool,
        channels: Option<Vec<(String, u64)>>,
    ) {
        let person = self.here.iter_mut().find(|p| p.session == session).unwrap();
        person.p2p = p2p;
        if let Some(mut channels) = channels {
            channels.sort();
            let known = std::mem::take(&mut person.channels);
            person.channels = channels.iter().map(|(id, _)| id.clone()).collect();
            if person.group > 0 {
                self.dials.extend(
                    channels.into_iter().filter(|(id, _)| !known.contains(id)).map(|(_, ms)| ms),
                );
            }
        }
        if !p2p {
            let seat = person.seat;
            self.suspecting.remove(&seat);
        }
        self.changed = true;
    }

    /// Three times what all but the slowest of the last sixteen dials took, 3 to 30 s, and doubled.
    fn fair(&self) -> u64 {
        let mut last: Vec<u64> = self.dials.iter().rev().take(16).copied().collect();
        last.sort_unstable();
        let fair = (last[14] * 3).clamp(3000, 30_000);
        (fair << self.doublings.min(8)).min(30_000)
    }

    fn fair_told(&self) -> String {
        let fair = self.fair();
        if fair == 7500 { String::new() } else { format!(" fair={fair}") }
    }

    fn may_relay_between(&self, one: &Person, other: &Person) -> bool {
        self.relays && one.rights.relay && other.rights.relay
    }

    /// Somebody came or went, or has a new socket.
    fn stir(&mut self, seat: u64) {
        self.suspecting.remove(&seat);
        self.moved_at = self.now;
        self.changed = true;
    }

    pub(crate) fn deputy(&self) -> Option<String> {
        self.deputy_person().map(|p| p.id.clone())
    }

    fn deputy_person(&self) -> Option<&Person> {
        self.here.iter().find(|p| Some(p.seat) == self.deputy)
    }

    fn dials_deputy(&self, person: &Person) -> bool {
        self.named && self.deputies && person.group > 0 && (!self.relays || !person.rights.relay)
    }

    fn may_be_deputy(&self, person: &Person) -> bool {
        person.group > 0 && person.rights.host && self.is_eligible(person)
    }

    /// What a member that dials the deputy is told of it, and knows from then on.
    fn note_deputy(&mut self, id: &str) -> String {
        let (deputy, number) = (self.deputy(), self.deputy_number);
        let at = self.here.iter().position(|p| p.id == id).unwrap();
        self.here[at].told_deputy = Some(number);
        deputy
            .filter(|_| self.dials_deputy(&self.here[at]))
            .map(|deputy| format!(" deputy={deputy}"))
            .unwrap_or_default()
    }

    /// When the deputy is judged.
    fn judged_next(&self) -> Option<u64> {
        let term = self.fair().max(DEPUTY) << self.unreached.saturating_sub(1).min(5);
        let at = (self.deputy_since + term).max(self.moved_at + CALM).max(self.judged_at + CALM);
        (self.deputy.is_some() && self.changed).then_some(at)
    }

    fn review_deputy(&mut self) {
        let Some(host) =
            self.host.clone().filter(|_| self.named && self.deputies && self.needs_dialling())
        else {
            if self.deputy.is_some() {
                self.name_deputy(&[]);
            }
            return;
        };
        let able = self.deputy_person().filter(|p| p.id != host && self.may_be_deputy(p)).cloned();
        let Some(deputy) = able else {
            let fit = self.fit_deputies(&host, None);
            if !fit.is_empty() || self.deputy.is_some() {
                self.name_deputy(&fit);
            }
            return;
        };
        if self.judged_next().is_some_and(|at| at <= self.now) {
            let concerned = |p: &&Person| {
                p.id != host && p.seat != deputy.seat && p.p2p && self.dials_deputy(p)
            };
            let dialling: Vec<&Person> = self.here.iter().filter(concerned).collect();
            let without: Vec<&&Person> =
                dialling.iter().filter(|p| !p.channels.contains(&deputy.id)).collect();
            let late = |p: &&&&Person| p.came.max(self.deputy_since) + self.fair() <= self.now;
            let missing = without.iter().filter(late).count();
            let pending = missing < without.len();
            let is_reached = missing * 2 <= dialling.len();
            (self.judged_at, self.changed) = (self.now, pending);
            let others = self.fit_deputies(&host, Some(deputy.seat));
            let is_fit = self.fit_deputies(&host, None).contains(&deputy.id);
            if (!is_reached || !is_fit) && !others.is_empty() {
                self.name_deputy(&others);
            }
            if is_reached {
                self.unreached = 0;
            } else if !others.is_empty() {
                self.unreached += 1;
            }
        }
    }

    fn fit_deputies(&self, host: &str, but: Option<u64>) -> Vec<String> {
        let able = |p: &&Person| p.id != host && Some(p.seat) != but && self.may_be_deputy(p);
        let mut fit: Vec<&Person> = self.here.iter().filter(able).collect();
        self.keep_present(&mut fit);
        self.keep_fittest(&mut fit);
        let elsewhere = |p: &&Person| house(&p.id) != house(host);
        let linked = |p: &&Person| p.channels.iter().any(|id| id == host);
        for merit in
            [&(|p: &&Person| self.runs(p)) as &dyn Fn(&&Person) -> bool, &linked, &elsewhere]
        {
            if fit.iter().any(merit) {
                fit.retain(merit);
            }
        }
        fit.into_iter().map(|p| p.id.clone()).collect()
    }

    /// Takes over what the page chose, if that is one of them.
    fn name_deputy(&mut self, fit: &[String]) {
        let named = self.named_deputies.pop_front().expect("the page named no deputy");
        assert_eq!(named.is_some(), !fit.is_empty(), "{named:?} was named deputy");
        assert!(
            named.as_ref().is_none_or(|named| fit.contains(named)),
            "{named:?} was named deputy, but only {fit:?} are fit"
        );
        self.deputy = named.map(|named| self.person(&named).seat);
        self.deputy_number += 1;
        (self.deputy_since, self.changed) = (self.now, true);
    }

    fn reach(&self, seat: u64) -> usize {
        let to = self.here.iter().find(|p| p.seat == seat).unwrap();
        let counts = |p: &Person| self.suspecting.get(&p.seat).is_some_and(|(_, counts)| *counts);
        let linked = |p: &Person| {
            p.channels.contains(&to.id) && !(self.host.as_ref() == Some(&to.id) && counts(p))
        };
        let others = self.here.iter().filter(|p| p.seat != seat && p.group > 0);
        others.filter(|p| self.may_relay_between(p, to) || linked(p)).count()
    }

    fn weigh(&mut self) {
        let Some(host) = self.host.clone() else { return };
        let (now, fair) = (self.now, self.fair());
        self.suspecting.values_mut().for_each(|(began, counts)| *counts |= *began + fair <= now);
        let many = self.suspecting.values().filter(|(_, counts)| *counts).count();
        if many < 2 || many * 2 <= self.here.len() {
            return;
        }
        let seat = self.person(&host).seat;
        let deputy = self.deputy.filter(|deputy| self.reach(*deputy) > self.reach(seat));
        let grouped = self.here.iter().any(|p| p.group > 0);
        let can = |p: &Person| p.id != host && p.rights.host && (p.group > 0 || !grouped);
        if if self.deputies { deputy.is_none() } else { !self.here.iter().any(can) } {
            return;
        }
        let epoch = self.next_epoch();
        let next = self
            .deputy()
            .filter(|_| self.deputies)
            .unwrap_or_else(|| self.choose(epoch, Some(&host)));
        self.doublings += 1;
        self.calm_at = Some(now + CALM_MINUTE);
        self.here.iter_mut().filter(|p| p.id == host).for_each(|p| p.out_of_reach = true);
        self.install(&next, epoch);
        self.announce("unreachable", None);
    }

    /// Tells of the deputy whoever dials it and knows of another one.
    fn tell_of_deputy(&mut self) {
        let Some(_) = self.host else { return };
        let (number, deputy) = (self.deputy_number, self.deputy());
        let untold = |p: &&Person| p.told_deputy != Some(number) && self.dials_deputy(p);
        let ids: Vec<_> = self.here.iter().filter(untold).map(|p| p.id.clone()).collect();
        for id in ids {
            self.note_deputy(&id);
            self.tell(
                &id,
                format!(
                    "DEPUTY{}",
                    deputy.as_ref().map(|id| format!(" deputy={id}")).unwrap_or_default()
                ),
            );
        }
    }

    /// What is seen to after each step.
    pub(crate) fn look_after(&mut self) {
        self.review_deputy();
        self.weigh();
        self.relieve();
        self.tell_of_deputy();
    }

    // === time ===

    pub(crate) fn silence(&mut self, session: SessionId) {
        let now = self.now;
        if let Some(person) = self.here.iter_mut().find(|p| p.session == session) {
            person.silent_since.get_or_insert(now);
        }
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some(next) = self.deadlines().into_iter().filter(|at| *at <= until).min() {
            self.now = self.now.max(next);
            self.timer();
            self.look_after();
        }
        self.now = until;
    }

    fn patience_ends(&self, person: &Person) -> Option<u64> {
        let since = person.silent_since?;
        let ends = since + TIMEOUT;
        let hosting = self.host.as_ref() == Some(&person.id);
        Some(if hosting { ends.min(since.max(self.host_since) + HOST_TIMEOUT) } else { ends })
    }

    fn deadlines(&self) -> Vec<u64> {
        let held = self.held.iter().map(|(_, until)| *until);
        let away = self.away.iter().map(|a| a.until);
        let letters = self.letters.iter().map(|l| l.until);
        let silent = self.here.iter().filter_map(|p| self.patience_ends(p));
        let hidden = self.fitter_since.values().map(|since| since + HIDDEN);
        let probe = self.probe.map(|(until, _)| until);
        let profiles = self.profiles.iter().map(|(_, until, _)| *until);
        let leaving = self.leaving.iter().map(|(_, until)| *until);
        let suspicions = self
            .suspecting
            .values()
            .filter(|(_, counts)| !counts)
            .map(|(began, _)| began + self.fair());
        let more = leaving.chain(suspicions).chain(self.judged_next()).chain(self.calm_at);
        held.chain(profiles)
            .chain(away)
            .chain(letters)
            .chain(silent)
            .chain(hidden)
            .chain(probe)
            .chain(more)
            .collect()
    }

    fn timer(&mut self) {
        let now = self.now;
        if self.calm_at.take_if(|at| *at <= now).is_some() {
            self.doublings = 0;
            self.here.iter_mut().for_each(|p| p.out_of_reach = false);
        }
        while let Some((session, _)) =
            self.leaving.first().copied().filter(|(_, until)| *until <= now)
        {
            let at = self
                .here
                .iter()
                .position(|p| p.session == session)
                .expect("one that leaves and is not here");
            self.depart(at, Departure::Goodbye);
        }
        while let Some(due) = self
            .held
            .iter()
            .filter(|(_, until)| *until <= now)
            .min_by_key(|(p, until)| (*until, p.session))
            .cloned()
        {
            let at = self
                .here
                .iter()
                .position(|p| p.id == due.0.id)
                .expect("held for an id that is free");
            let silent = self.here[at].session;
            self.close(silent, "timeout");
            self.depart(at, Departure::Silent);
        }
        while let Some(at) = self.away.iter().position(|a| a.until <= now) {
            let away = self.away.remove(at);
            self.gone_for_good(&away);
        }
        while self.profiles.first().is_some_and(|(_, until, _)| *until <= now) {
            let (id, _, another) = self.profiles.remove(0);
            if another {
                self.tell_host_of_profile(&id);
                self.profiles.push((id, now + PROFILE_EVERY, false));
            }
        }
        while let Some(due) = self.letters.iter().find(|l| l.until <= now).cloned() {
            let mut in_attempt = false;
            self.letters.retain(|l| {
                if (&l.src, &l.dst) != (&due.src, &due.dst) {
                    return true;
                }
                if l.until <= now || l.kind == "OFFER" {
                    in_attempt = l.until <= now;
                }
                !in_attempt
            });
            self.tell(&due.src, format!("EXPIRE from {}", due.dst));
        }
        let silent = |m: &Self, p: &Person| m.patience_ends(p).is_some_and(|at| at <= now);
        let mut gone: Vec<_> = self
            .here
            .iter()
            .filter(|p| silent(self, p))
            .map(|p| (self.host.as_ref() == Some(&p.id), p.session))
            .collect();
        gone.sort_unstable();
        for (_, session) in gone {
            if let Some(at) = self.here.iter().position(|p| p.session == session) {
                self.close(session, "timeout");
                self.depart(at, Departure::Silent);
            }
        }
        if let Some((_, spoken)) = self.probe.take_if(|(until, _)| *until <= now)
            && let Some(host) = self.host.clone()
            && self.person(&host).spoken == spoken
        {
            self.here.iter_mut().filter(|p| p.id == host).for_each(|p| p.stalled_at = Some(spoken));
            self.replace("stalled", None);
        }
    }

    // === faults ===

    /// The page's actor died. Nobody is told; only newcomers that waited have to ask again.
    pub(crate) fn lose_page(&mut self, order: &[SessionId]) {
        self.here.sort_by_key(|p| order.iter().position(|s| *s == p.session));
        self.host_since = self.now;
        self.probe = None;
        self.here
            .iter_mut()
            .for_each(|p| (p.stalled_at, p.out_of_reach, p.leave_said) = (None, false, None));
        self.here.iter_mut().for_each(|p| (p.came, p.told_deputy) = (self.now, None));
        (self.deputy, self.deputy_number, self.deputy_since, self.unreached) = (None, 0, 0, 0);
        (self.moved_at, self.judged_at, self.changed) = (self.now, 0, true);
        self.fitter_since.clear();
        self.suspecting.clear();
        self.held.clear();
        // what the host was yet to hear of it hears now
        let news: Vec<_> = std::mem::take(&mut self.profiles)
            .into_iter()
            .filter(|(.., another)| *another)
            .collect();
        let is_news = |id: &str| news.iter().any(|(told, ..)| told == id);
        // they come one by one; with the host all goes on
        let host = self.host.take();
        for person in std::mem::take(&mut self.here) {
            let id = person.id.clone();
            self.here.push(person);
            if host.as_ref() == Some(&id) {
                self.host.clone_from(&host);
                for early in self.ids().into_iter().filter(|id| is_news(id)) {
                    self.tell_host_of_profile(&early);
                }
                self.review_deputy();
            } else {
                self.review_deputy();
                if is_news(&id) {
                    self.tell_host_of_profile(&id);
                }
            }
            self.look_after();
        }
        // those who are away are given their time anew, and are told apart no more from those who lost their socket
        let until = self.now + RETURN;
        self.away.iter_mut().for_each(|away| away.until = until);
    }
}
