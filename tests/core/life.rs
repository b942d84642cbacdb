//! The life of a page: the page and the model take the same inputs, and must tell the clients the
//! same.

use std::collections::BTreeMap;

use peerstar_core::cluster::NodeId;
use peerstar_core::page::member::{Departure, Rights, Way};
use peerstar_core::page::{Input, Rules};
use peerstar_core::protocol::id::{SessionId, Token};
use peerstar_core::protocol::outgoing::GROUP_VERSION;

use super::reference::Model;
use super::world::{Got, World, rules, unrelayed_rules};

/// One of the members at that time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pick(pub u16);

impl Pick {
    fn get<T>(self, among: &[T]) -> &T {
        &among[usize::from(self.0) % among.len()]
    }
}

/// Data channels of a member: the other end, and how long the dial took in ms.
pub(crate) type Channels = BTreeMap<u8, u16>;

/// Everything that can happen to a page.
#[derive(Debug, Clone)]
pub(crate) enum Transition {
    Join {
        id: u8,
        token: u8,
        group: bool,
        rights: Rights,
        /// The node of the socket; 0 is that of the page.
        node: u8,
    },
    Depart {
        who: Pick,
        how: Departure,
    },
    Say {
        who: Pick,
        kind: &'static str,
        dst: u8,
    },
    Status {
        who: Pick,
        eligible: bool,
        visible: bool,
        relay: bool,
        p2p: bool,
        channels: Option<Channels>,
        profile: Option<u8>,
    },
    Relay {
        who: Pick,
        dst: Option<u8>,
    },
    Suspect {
        who: Pick,
        rightly: bool,
    },
    Trust {
        who: Pick,
        rightly: bool,
    },
    Resign {
        who: Pick,
        to: u8,
    },
    Speak {
        who: Pick,
    },
    Silence {
        who: Pick,
    },
    Answer {
        who: Pick,
    },
    Congest {
        who: Pick,
    },
    Kick {
        id: u8,
    },
    TakeLeave {
        id: u8,
        token: u8,
    },
    Pass {
        ms: u64,
    },
    PageDies {
        shuffle: u64,
    },
    /// A node reports that a member of its is silent.
    ReportSilent {
        who: Pick,
    },
    /// A node reports whether a member of its has sent a text frame.
    ReportRan {
        who: Pick,
        ran: bool,
    },
    WayDown {
        node: u8,
    },
    WayUp {
        node: u8,
    },
}

struct Life {
    world: World,
    model: Model,
    letters: u32,
}

impl Life {
    fn members(&self) -> Vec<SessionId> {
        self.world.clients.iter().filter(|(_, c)| c.joined).map(|(s, _)| *s).collect()
    }

    fn pick(&mut self, who: Pick) -> Option<SessionId> {
        let members = self.members();
        self.world.last_picked = (!members.is_empty()).then(|| *who.get(&members));
        self.world.last_picked
    }

    /// Applies one transition to page and model. Compares what all clients were told, the members,
    /// and who hosts.
    fn apply(&mut self, transition: &Transition) {
        self.world.elections.clear();
        self.world.deputies.clear();
        let Some(got) = self.act(transition) else { return };
        let told = |got: Vec<Got>| {
            let mut told: BTreeMap<SessionId, Vec<String>> = BTreeMap::new();
            for Got { who, what } in got {
                told.entry(who).or_default().push(what);
            }
            told
        };
        let got = told(got);
        self.model.will_elect(&self.world.elections, &self.world.deputies);
        self.follow(transition);
        assert_eq!(got, told(self.model.drain()), "left: the page, right: the model");
        let ids: Vec<_> = self.world.page.ids().map(ToString::to_string).collect();
        assert_eq!(ids, self.model.ids(), "members");
        let host = self.world.page.assignment().map(|(epoch, host)| (epoch.0, host.to_string()));
        assert_eq!(host, self.model.assignment(), "assignment");
        assert_eq!(
            self.world.page.deputy().map(ToString::to_string),
            self.model.deputy(),
            "deputy"
        );
        assert_eq!(self.world.ignored, self.model.ignored, "ignored");
    }

    fn act(&mut self, transition: &Transition) -> Option<Vec<Got>> {
        let world = &mut self.world;
        Some(match *transition {
            Transition::Join { id, token, group, rights, node } => {
                let token = token_of(token);
                let session =
                    world.dial(&format!("p{id}"), token, u32::from(group) * GROUP_VERSION);
                world.grant(session, rights);
                world.put_on(session, way_of(node));
                world.join(session, None, false)
            }
            Transition::Depart { who, how } => {
                let everyone: Vec<_> = world.clients.keys().copied().collect();
                if everyone.is_empty() {
                    return None;
                }
                world.last_picked = Some(*who.get(&everyone));
                world.hang_up(*who.get(&everyone), how)
            }
            Transition::Say { who, kind, dst } => {
                let session = self.pick(who)?;
                self.letters += 1;
                let n = self.letters;
                self.world.say(
                    session,
                    &format!(r#"{{"type":"{kind}","dst":"p{dst}","payload":{{"n":{n}}}}}"#),
                )
            }
            Transition::Relay { who, dst } => {
                let session = self.pick(who)?;
                self.letters += 1;
                let (n, dst) = (
                    self.letters,
                    dst.map(|dst| format!(r#","dst":"p{dst}""#)).unwrap_or_default(),
                );
                self.world
                    .say(session, &format!(r#"{{"type":"RELAY"{dst},"payload":{{"n":{n}}}}}"#))
            }
            Transition::Suspect { who, rightly } | Transition::Trust { who, rightly } => {
                let (session, (epoch, host)) = (self.pick(who)?, self.model.assignment()?);
                let epoch = if rightly { epoch } else { epoch - 1 };
                let kind = if matches!(transition, Transition::Trust { .. }) {
                    "TRUST"
                } else {
                    "SUSPECT"
                };
                self.world.say(
                    session,
                    &format!(
                        r#"{{"type":"{kind}","payload":{{"host":"{host}","epoch":{epoch}}}}}"#
                    ),
                )
            }
            Transition::Resign { who, to } => {
                let (session, (epoch, _)) = (self.pick(who)?, self.model.assignment()?);
                self.world.say(
                    session,
                    &format!(r#"{{"type":"RESIGN","payload":{{"epoch":{epoch},"to":"p{to}"}}}}"#),
                )
            }
            Transition::Speak { who } => {
                let session = self.pick(who)?;
                self.world.say(session, r#"{"type":"HEARTBEAT"}"#)
            }
            Transition::Status { who, eligible, visible, relay, p2p, ref channels, profile } => {
                let session = self.pick(who)?;
                let channels = channels
                    .as_ref()
                    .map(|c| format!(r#","channels":{}"#, json_of(c)))
                    .unwrap_or_default();
                let profile = profile.map(|p| format!(r#","profile":"{p}""#)).unwrap_or_default();
                let payload = format!(
                    r#"{{"eligible":{eligible},"visible":{visible},"relay":{relay},"p2p":{p2p}{channels}{profile}}}"#
                );
                self.world.say(session, &format!(r#"{{"type":"STATUS","payload":{payload}}}"#))
            }
            Transition::Silence { who } => {
                let session = self.pick(who)?;
                self.world.silence(session);
                vec![]
            }
            Transition::Answer { who } => {
                let session = self.pick(who)?;
                self.world.step(Input::Alive(session))
            }
            Transition::Congest { who } => {
                let session = self.pick(who)?;
                self.world.step(Input::Congested(session))
            }
            Transition::Kick { id } => world.step(Input::Kick(super::world::id(&format!("p{id}")))),
            Transition::TakeLeave { id, token } => {
                let (id, token) =
                    (super::world::id(&format!("p{id}")), Token::parse(proof_of(token)).unwrap());
                world.step(Input::LeaveWithoutSocket { id, token })
            }
            Transition::Pass { ms } => world.pass(ms),
            Transition::ReportSilent { who } => {
                let session = self.pick(who)?;
                self.world.step(Input::Silent(session))
            }
            Transition::ReportRan { who, ran } => {
                let session = self.pick(who)?;
                self.world.step(Input::Ran { session, ran })
            }
            Transition::WayDown { node } => world.step(Input::WayDown(NodeId(node.into()))),
            Transition::WayUp { node } => world.step(Input::WayUp(NodeId(node.into()))),
            Transition::PageDies { shuffle } => {
                let mut got = world.pass(self.model.ms_of_grace());
                let members = self.shuffled(shuffle);
                let world = &mut self.world;
                world.lose_page();
                world.clients.retain(|_, c| c.joined); // newcomers that waited ask again, as newcomers
                got.extend(members.into_iter().flat_map(|session| world.resume(session)));
                got
            }
        })
    }

    fn shuffled(&self, seed: u64) -> Vec<SessionId> {
        let mut members = self.members();
        members.sort_by_key(|s| (s.0 ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        members
    }

    /// Applies the transition to the model. The member that was picked is the same: nothing but the
    /// page has changed since.
    fn follow(&mut self, transition: &Transition) {
        let picked = self.model_picked(transition);
        let model = &mut self.model;
        match (transition, picked) {
            (Transition::Join { id, token, group, rights, node }, _) => {
                let session = self.world.last_session();
                model.join(
                    session,
                    &format!("p{id}"),
                    token_of(*token),
                    u32::from(*group),
                    *rights,
                    way_of(*node),
                );
            }
            (Transition::Depart { how, .. }, Some(session)) => model.gone(session, *how),
            (Transition::Say { kind, dst, .. }, Some(session)) => {
                model.sent_text(session);
                model.forward(session, kind, &format!("p{dst}"), self.letters);
            }
            (
                Transition::Status { eligible, visible, relay, p2p, channels, profile, .. },
                Some(session),
            ) => {
                model.sent_text(session);
                let channels = channels
                    .as_ref()
                    .map(|c| c.iter().map(|(id, ms)| (format!("p{id}"), u64::from(*ms))).collect());
                model.connected(session, *p2p, channels);
                model.status(
                    session,
                    *eligible,
                    *visible,
                    *relay,
                    profile.map(|p| p.to_string()).as_deref(),
                );
            }
            (Transition::Relay { dst, .. }, Some(session)) => {
                model.sent_text(session);
                model.relay(session, dst.map(|dst| format!("p{dst}")).as_deref(), self.letters);
            }
            (Transition::Suspect { rightly, .. }, Some(session)) => {
                model.sent_text(session);
                let epoch = model.assignment().map_or(0, |(epoch, _)| epoch);
                model.suspect(session, if *rightly { epoch } else { epoch - 1 });
            }
            (Transition::Trust { rightly, .. }, Some(session)) => {
                model.sent_text(session);
                if *rightly {
                    model.trust(session);
                }
            }
            (Transition::Resign { to, .. }, Some(session)) => {
                model.sent_text(session);
                let epoch = model.assignment().map_or(0, |(epoch, _)| epoch);
                model.resign(session, epoch, &format!("p{to}"));
            }
            (Transition::Speak { .. }, Some(session)) => model.sent_text(session),
            (Transition::Silence { .. }, Some(session)) => model.silence(session),
            (Transition::Answer { .. }, Some(session)) => model.alive(session),
            (Transition::Congest { .. }, Some(session)) => model.congested(session),
            (Transition::Kick { id }, _) => model.kick(&format!("p{id}")),
            (Transition::TakeLeave { id, token }, _) => {
                model.take_leave(&format!("p{id}"), proof_of(*token))
            }
            (Transition::Pass { ms }, _) => model.pass(*ms),
            (Transition::ReportSilent { .. }, Some(session)) => model.reported_silent(session),
            (Transition::ReportRan { ran, .. }, Some(session)) => model.reported(session, *ran),
            (Transition::WayDown { node }, _) => model.way_down(NodeId((*node).into())),
            (Transition::WayUp { node }, _) => model.way_up(NodeId((*node).into())),
            (Transition::PageDies { shuffle }, _) => {
                // a page that dies while a member has a grace is a case of its own, in the scripts
                model.pass(model.ms_of_grace());
                let order = self.shuffled(*shuffle);
                self.model.lose_page(&order);
            }
            (_, None) => {}
        }
        // a page reviews its host and its deputy after every input
        if !matches!(
            transition,
            Transition::Pass { .. } | Transition::Silence { .. } | Transition::Speak { .. }
        ) {
            self.model.review();
        }
        self.model.forget_ways();
    }

    fn model_picked(&self, transition: &Transition) -> Option<SessionId> {
        match transition {
            Transition::Depart { .. }
            | Transition::Say { .. }
            | Transition::Status { .. }
            | Transition::Relay { .. }
            | Transition::Suspect { .. }
            | Transition::Trust { .. }
            | Transition::Resign { .. }
            | Transition::Speak { .. }
            | Transition::Silence { .. }
            | Transition::Answer { .. }
            | Transition::ReportSilent { .. }
            | Transition::ReportRan { .. }
            | Transition::Congest { .. } => self.world.last_picked,
            Transition::Join { .. }
            | Transition::Kick { .. }
            | Transition::TakeLeave { .. }
            | Transition::Pass { .. }
            | Transition::WayDown { .. }
            | Transition::WayUp { .. }
            | Transition::PageDies { .. } => None,
        }
    }
}

fn way_of(node: u8) -> Way {
    if node == 0 { Way::Local } else { Way::Node(NodeId(node.into())) }
}

/// Returns the token with that number.
const fn proof_of(token: u8) -> &'static str {
    if token == 1 { "one" } else { "two" }
}

fn json_of(channels: &Channels) -> String {
    let entries: Vec<_> = channels.iter().map(|(id, ms)| format!(r#""p{id}":{ms}"#)).collect();
    format!("{{{}}}", entries.join(","))
}

const fn token_of(token: u8) -> Option<&'static str> {
    match token {
        0 => None,
        1 => Some("one"),
        _ => Some("two"),
    }
}

/// Applies a whole life to page and model.
pub(crate) fn live(named: bool, random: u64, life: &[Transition]) {
    // a quarter of the pages relays nothing, a quarter has no deputies
    let (relays, deputies) = (random & 3 != 0, random & 12 != 0);
    let rules = Rules {
        deputies: usize::from(deputies),
        ..if relays { rules() } else { unrelayed_rules() }
    };
    let mut both = Life {
        world: World::new(named, random, rules),
        model: Model::new(named, relays, deputies),
        letters: 0,
    };
    for transition in life {
        both.apply(transition);
    }
    // in the end all clients leave, all that waits ends, and the page says that it is idle
    for session in both.world.clients.keys().copied().collect::<Vec<_>>() {
        both.world.hang_up(session, Departure::Lost);
    }
    both.world.pass(60_000);
    assert!(
        both.world.page.is_empty() && both.world.page.next_deadline().is_none(),
        "left: {:?}",
        both.world.page
    );
}
