//! Browsers: simple models of a client. They say numbered messages, answer what a client answers,
//! dial again on another node when their socket is lost, and check what they hear: C2, C5 and C14.

use std::collections::{BTreeMap, VecDeque};

use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::{Epoch, PageKey, PeerId, SessionId};
use peerstar_core::protocol::outgoing::Frame;

use crate::queue::{MS, S, Us};
use crate::redis::Process;
use crate::script::{Deed, Name};
use crate::world::Io;

use super::{Deep, Event, W};

/// How long a browser waits for an `OPEN`.
const PATIENCE: Us = 12 * S;

/// What reaches a browser on a socket.
#[derive(Debug, Clone)]
pub(crate) enum Said {
    Frame(Frame),
    Ping,
    Closed(Close),
    /// The socket broke.
    Reset,
}

/// A message that its sender waits for: it arrives, or expires (C14).
#[derive(Debug)]
struct Offer {
    number: u64,
    dst: PeerId,
    at: Us,
    socket: SessionId,
    /// The socket that its receiver had.
    receiver: Option<SessionId>,
}

/// One browser.
#[derive(Debug)]
pub(crate) struct Browser {
    pub id: PeerId,
    pub page: PageKey,
    /// Whether it is open.
    pub wants: bool,
    pub socket: Option<SessionId>,
    pub process: Process,
    pub is_open: bool,
    pub told: Option<Claim>,
    pub dials: u64,
    pub stalled_until: Us,
    /// What came while it was stalled, in order.
    held: VecDeque<(SessionId, Said)>,
    /// The last message heard of each other browser.
    heard: BTreeMap<String, u64>,
    offers: Vec<Offer>,
    /// When the last thing arrives, in each direction.
    there: Us,
    back: Us,
}

impl Browser {
    fn new(id: PeerId, page: PageKey) -> Self {
        Self {
            id,
            page,
            wants: true,
            socket: None,
            process: 0,
            is_open: false,
            told: None,
            dials: 0,
            stalled_until: 0,
            held: VecDeque::new(),
            heard: BTreeMap::new(),
            offers: Vec::new(),
            there: 0,
            back: 0,
        }
    }
}

/// Returns what stands between two texts.
fn between<'a>(text: &'a str, before: &str, after: char) -> Option<&'a str> {
    let rest = &text[text.find(before)? + before.len()..];
    Some(&rest[..rest.find(after)?])
}

fn number_after(text: &str, before: &str) -> Option<u64> {
    let rest = &text[text.find(before)? + before.len()..];
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

impl Deep {
    fn delay(io: W<'_>) -> Us {
        if io.prng.percent(3) { io.prng.range(5 * MS, 200 * MS) } else { io.prng.range(200, 6000) }
    }

    /// Sends something to the server, behind all that was sent before.
    fn to_server(&mut self, io: W<'_>, who: &Name, event: Event) {
        let delay = Self::delay(io);
        let now = io.now;
        let Some(browser) = self.browsers.get_mut(who) else { return };
        browser.there = browser.there.max(now.max(browser.stalled_until) + delay);
        let (after, process) = (browser.there - now, browser.process);
        io.add(None, after, Some(process), event);
    }

    /// Sends something to a browser from a process, behind all that was sent on its socket.
    pub(super) fn to_browser(
        &mut self,
        io: W<'_>,
        process: Process,
        who: &Name,
        session: SessionId,
        said: Said,
    ) {
        let delay = Self::delay(io);
        let speaks_at = io.speaks_at(process);
        let now = io.now;
        let Some(browser) = self.browsers.get_mut(who) else { return };
        browser.back = browser.back.max(now.max(speaks_at) + delay);
        let after = browser.back - now;
        io.add(None, after, None, Event::ToBrowser(who.clone(), session, said));
    }

    pub(super) fn dial(&mut self, io: W<'_>, who: &Name, process: Process) {
        let session = SessionId(io.prng.next() >> 1);
        let Some(browser) = self.browsers.get_mut(who) else { return };
        browser.socket = Some(session);
        browser.process = process;
        browser.is_open = false;
        browser.dials += 1;
        let dials = browser.dials;
        let (page, claim) = (browser.page.clone(), browser.told.clone());
        io.note(|| format!("{who} dials {process} as {session:?} with {claim:?}"));
        self.to_server(io, who, Event::Opened { session, who: who.clone(), page, claim });
        io.add(None, PATIENCE, None, Event::Impatient(who.clone(), dials));
    }

    /// Has a browser dial some node after its own delay.
    pub(super) fn redial(&mut self, io: W<'_>, who: &Name) {
        let Some(browser) = self.browsers.get_mut(who) else { return };
        (browser.socket, browser.is_open) = (None, false);
        browser.dials += 1;
        let dials = browser.dials;
        let after = io.prng.range(50 * MS, 1500 * MS);
        io.add(None, after, None, Event::Dial(who.clone(), dials));
    }

    /// Ends the socket of a browser from its side.
    fn hang_up(&mut self, io: W<'_>, who: &Name, code: Option<u16>) {
        let Some(socket) = self.browsers.get_mut(who).and_then(|one| one.socket.take()) else {
            return;
        };
        self.to_server(io, who, Event::Gone(socket, code));
    }

    fn speak(&mut self, io: W<'_>, who: &Name, text: String) {
        let Some(browser) = self.browsers.get(who) else { return };
        if let Some(session) = browser.socket.filter(|_| browser.is_open) {
            self.to_server(io, who, Event::Text(session, text.into()));
        }
    }

    pub(super) fn impatient(&mut self, io: W<'_>, who: &Name, dials: u64) {
        let waits = |one: &Browser| one.dials == dials && one.wants && !one.is_open;
        if self.browsers.get(who).is_some_and(waits) {
            self.hang_up(io, who, None);
            self.redial(io, who);
        }
    }

    pub(super) fn dial_again(&mut self, io: W<'_>, who: &Name, dials: u64) {
        let Some(browser) = self.browsers.get(who) else { return };
        if browser.dials != dials || !browser.wants {
            return;
        }
        if browser.stalled_until > io.now {
            let after = browser.stalled_until - io.now;
            return io.add(None, after, None, Event::Dial(who.clone(), dials));
        }
        let open: Vec<Process> = (0..io.machines.len())
            .filter(|p| io.machines[*p].lives() && !io.machines[*p].is_draining)
            .collect();
        if open.is_empty() {
            return self.redial(io, who);
        }
        let process = *io.prng.pick(&open);
        self.dial(io, who, process);
    }

    /// Something arrives at a browser.
    pub(super) fn hears(&mut self, io: W<'_>, who: &Name, session: SessionId, said: Said) {
        let Some(browser) = self.browsers.get_mut(who) else { return };
        if browser.stalled_until > io.now || !browser.held.is_empty() {
            if browser.held.is_empty() {
                let after = browser.stalled_until - io.now;
                io.add(None, after, None, Event::Awake(who.clone()));
            }
            browser.held.push_back((session, said));
            return;
        }
        self.hears_now(io, who, session, said);
    }

    /// A browser goes on, and reads what came meanwhile.
    pub(super) fn awake(&mut self, io: W<'_>, who: &Name) {
        while let Some(browser) = self.browsers.get_mut(who) {
            if browser.stalled_until > io.now {
                let after = browser.stalled_until - io.now;
                return io.add(None, after, None, Event::Awake(who.clone()));
            }
            let Some((session, said)) = browser.held.pop_front() else { return };
            self.hears_now(io, who, session, said);
        }
    }

    fn hears_now(&mut self, io: W<'_>, who: &Name, session: SessionId, said: Said) {
        let Some(browser) = self.browsers.get_mut(who) else { return };
        if browser.socket != Some(session) || !browser.wants {
            return;
        }
        match said {
            Said::Frame(frame) => self.reads(io, who, session, &frame),
            Said::Ping => self.to_server(io, who, Event::Pong(session)),
            Said::Closed(close) => {
                io.note(|| format!("{who} is closed: {close:?}"));
                self.last_lost = io.now;
                self.redial(io, who);
            }
            Said::Reset => {
                io.note(|| format!("{who} has lost its socket"));
                self.last_lost = io.now;
                self.redial(io, who);
            }
        }
    }

    fn reads(&mut self, io: W<'_>, who: &Name, session: SessionId, frame: &str) {
        let Some(browser) = self.browsers.get_mut(who) else { return };
        let Some(kind) = between(frame, "\"type\":\"", '"') else { return };
        match kind {
            "OPEN" | "HOST" => {
                browser.is_open = true;
                let epoch = number_after(frame, "\"epoch\":");
                let host = between(frame, "\"host\":\"", '"').and_then(|id| PeerId::parse(id).ok());
                let (Some(epoch), Some(host)) = (epoch, host) else { return };
                let claim = Claim { epoch: Epoch(epoch), host };
                io.note(|| format!("{who} hears {kind} {claim:?}"));
                let before = browser.told.replace(claim.clone());
                if before.as_ref().is_some_and(|before| before.epoch > claim.epoch) {
                    io.fail(|| format!("C2 {who} is told {claim:?} after {before:?}"));
                }
                if before.is_some_and(|b| b.epoch == claim.epoch && b.host != claim.host) {
                    io.fail(|| format!("C1 {who} is told two hosts in {epoch}"));
                }
                self.named(io, who, &claim);
            }
            "PROBE" => self.speak(io, who, "{\"type\":\"PROBE\"}".to_owned()),
            "OFFER" | "RELAY" | "CANDIDATE" => {
                let from = between(frame, "\"src\":\"", '"').map(ToOwned::to_owned);
                let (Some(from), Some(number)) = (from, number_after(frame, "\"n\":")) else {
                    return;
                };
                let last = browser.heard.insert(from.clone(), number);
                if last.is_some_and(|last| last >= number) {
                    io.fail(|| format!("C5 {who} hears {number} of {from} after {last:?}"));
                }
                let me = browser.id.clone();
                if let Some(sender) = self.browsers.get_mut(from.as_str()) {
                    sender.offers.retain(|one| one.number != number || one.dst != me);
                }
            }
            "EXPIRE" => {
                if let Some(from) = between(frame, "\"src\":\"", '"') {
                    browser.offers.retain(|one| one.dst.as_str() != from);
                }
            }
            _ => {}
        }
        let _ = session;
    }

    /// Checks that everything said was delivered or expired, but for what a dead node or socket
    /// took with it.
    pub(super) fn check_offers(&mut self, io: W<'_>, last_death: Us) {
        let sockets: BTreeMap<PeerId, Option<SessionId>> =
            self.browsers.values().map(|one| (one.id.clone(), one.socket)).collect();
        let mut lost = None;
        for (who, browser) in &mut self.browsers {
            let socket = browser.socket;
            browser.offers.retain(|offer| {
                Some(offer.socket) == socket
                    && sockets.get(&offer.dst).copied().flatten() == offer.receiver
                    && offer.at > last_death
            });
            if let Some(offer) = browser.offers.iter().find(|offer| io.now > offer.at + 15 * S) {
                lost = Some(format!("C14 {who} waits for {offer:?}"));
            }
        }
        if let Some(lost) = lost {
            io.fail(|| lost);
        }
    }

    pub(super) fn acts(&mut self, io: W<'_>, who: &Name, does: &Deed) {
        if let Deed::Joins { page, node } = does {
            return self.joins(io, who, page, node);
        }
        let now = io.now;
        let Some(browser) = self.browsers.get_mut(who) else { return };
        let stalls = match does {
            Deed::Freezes(lasts) | Deed::Cut(lasts) => now + lasts,
            Deed::Crashes => {
                self.hang_up(io, who, None);
                self.browsers.remove(who);
                return;
            }
            _ => 0,
        };
        if stalls > 0 {
            browser.stalled_until = browser.stalled_until.max(stalls);
            io.faults.note(stalls);
            return;
        }
        if browser.stalled_until > now || !browser.wants {
            return;
        }
        self.words += 1;
        let words = self.words;
        let told = browser.told.clone();
        let is_open = browser.is_open;
        match does {
            Deed::Moves { node } => {
                let Some(process) = io.named(node) else { return };
                self.hang_up(io, who, None);
                self.dial(io, who, process);
            }
            Deed::Leaves => {
                self.hang_up(io, who, Some(1000));
                self.browsers.remove(who);
            }
            Deed::Offers(to) if is_open => {
                let number = words;
                let dst = self.browsers.get(to).map(|one| (one.id.clone(), one.socket));
                let Some(browser) = self.browsers.get_mut(who) else { return };
                if let (Some((dst, receiver)), Some(socket)) = (dst, browser.socket) {
                    browser.offers.push(Offer { number, dst, at: now, socket, receiver });
                }
                let text = format!(
                    "{{\"type\":\"OFFER\",\"dst\":\"{to}\",\"payload\":{{\"n\":{number}}}}}"
                );
                self.speak(io, who, text);
            }
            Deed::Relays if is_open => {
                let number = words;
                self.speak(
                    io,
                    who,
                    format!("{{\"type\":\"RELAY\",\"payload\":{{\"n\":{number}}}}}"),
                );
            }
            Deed::RelaysTo(to) if is_open => {
                let number = words;
                let text = format!(
                    "{{\"type\":\"RELAY\",\"dst\":\"{to}\",\"payload\":{{\"n\":{number}}}}}"
                );
                self.speak(io, who, text);
            }
            Deed::Suspects | Deed::Trusts | Deed::Resigns | Deed::Proves => {
                let Some(Claim { epoch: Epoch(epoch), host }) = told else { return };
                let is_own = host.as_str() == &**who;
                let about =
                    format!("\"payload\":{{\"host\":\"{}\",\"epoch\":{epoch}}}", host.as_str());
                let text = match does {
                    Deed::Suspects if !is_own => format!("{{\"type\":\"SUSPECT\",{about}}}"),
                    Deed::Trusts if !is_own => format!("{{\"type\":\"TRUST\",{about}}}"),
                    Deed::Resigns if is_own => {
                        format!("{{\"type\":\"RESIGN\",\"payload\":{{\"epoch\":{epoch}}}}}")
                    }
                    Deed::Proves if is_own => {
                        format!("{{\"type\":\"HEARTBEAT\",\"payload\":{{\"epoch\":{epoch}}}}}")
                    }
                    _ => return,
                };
                self.speak(io, who, text);
            }
            _ => {}
        }
    }

    fn joins(&mut self, io: W<'_>, who: &Name, page: &Name, node: &Name) {
        let Some(process) = io.named(node) else { return };
        let Ok(id) = PeerId::parse(who) else { return };
        let mut dials = 0;
        if let Some(before) = self.browsers.get(who) {
            if before.stalled_until > io.now {
                return;
            }
            dials = before.dials;
            self.hang_up(io, who, Some(1001));
        }
        let browser = Browser { dials, ..Browser::new(id, crate::wide::page_key(page)) };
        self.browsers.insert(who.clone(), browser);
        self.dial(io, who, process);
    }
}

/// Returns whether a browser can be expected to be where it wants to be.
pub(super) fn is_reachable(io: &Io<Deep>, browser: &Browser) -> bool {
    let stalled_until = browser.stalled_until;
    browser.wants && (stalled_until == 0 || stalled_until + crate::faults::HEALING < io.now)
}
