//! Messages that the server sends: one function a message, each returns an encoded frame.
//!
//! The shape is PeerJS's, `{type, src, dst, payload}`. docs/PROTOCOL.md shows an example of each.
//! Encoding cannot fail, see `json.rs`.

use bytestring::ByteString;
use serde_json::value::RawValue;

use crate::protocol::cause::Cause;
use crate::protocol::close::{Close, Farewell};
use crate::protocol::id::{Capabilities, Epoch, PageName, PeerId};
use crate::protocol::json::{self, Object};

/// One encoded text frame. A clone shares the text: it is encoded once and sent to many.
pub type Frame = ByteString;

/// The version of the group protocol that this server speaks (`&group=`).
pub const GROUP_VERSION: u32 = 2;

/// When clients should come back after `RESTART`, in ms. A new process serves by then.
const RETRY_MS: u64 = 1000;

/// One member, as the host is told of it.
#[derive(Debug, Clone)]
pub struct RosterEntry<'a> {
    /// Id of the member.
    pub id: &'a PeerId,
    /// The version of the group protocol that the member speaks; 0 for a stock client.
    pub group: u32,
    /// Capabilities of the member beyond that version.
    pub can: &'a Capabilities,
    /// Whether data may be relayed from and to the member. If not, only a data channel reaches it.
    pub may_relay: bool,
    /// The profile from its `STATUS`.
    pub profile: Option<&'a RawValue>,
}

impl RosterEntry<'_> {
    fn write(&self, entry: &mut Object<'_>) {
        entry.text("id", self.id.as_str());
        entry.number("group", self.group.into());
        if !self.can.is_empty() {
            entry.texts("can", self.can.names());
        }
        if !self.may_relay {
            entry.flag("relay", false);
        }
        if let Some(profile) = self.profile {
            entry.raw("profile", profile.get());
        }
    }
}

/// Facts of this server that every `OPEN` on a page carries.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Limits of the relay. `None` if nothing is relayed.
    pub relay: Option<RelayTerms>,
    /// How long a member may be away and miss nothing, in ms.
    pub resume_ms: u64,
    /// How often the server pings, in ms.
    pub ping_ms: u64,
    /// How long signalling waits for a receiver that is not there, in ms.
    pub expire_ms: u64,
    /// How long a page waits for its host after a restart of the server, in ms. Clients that come
    /// back pause no longer.
    pub recovery_ms: u64,
    /// How long an absent member may take to come back before it counts as gone, in ms.
    pub return_ms: u64,
    /// Longest profile in a `STATUS`, in bytes of JSON.
    pub profile_bytes: usize,
}

impl Terms {
    /// Returns the terms for a member that may not relay.
    #[must_use]
    pub const fn without_relay(self) -> Self {
        Self { relay: None, ..self }
    }

    fn write(&self, payload: &mut Object<'_>) {
        match self.relay {
            None => payload.flag("relay", false),
            Some(relay) => payload.object("relay", |terms| {
                terms.number("maxMessageBytes", relay.max_message_bytes as u64);
                terms.number("maxBytesPerS", relay.max_bytes_per_s);
                terms.number("queueBytes", relay.queue_bytes as u64);
            }),
        }
        payload.number("resumeMs", self.resume_ms);
        payload.number("pingMs", self.ping_ms);
        payload.number("expireMs", self.expire_ms);
        payload.number("recoveryMs", self.recovery_ms);
        payload.number("returnMs", self.return_ms);
        payload.number("profileBytes", self.profile_bytes as u64);
    }
}

/// Limits of the relay.
#[derive(Debug, Clone, Copy)]
pub struct RelayTerms {
    /// Longest message, in bytes.
    pub max_message_bytes: usize,
    /// Bytes a second of one session. Beyond that it is read more slowly. 0 for no limit.
    pub max_bytes_per_s: u64,
    /// Bytes that may wait for one session before it is closed. Its peers may fill half of that.
    pub queue_bytes: usize,
}

/// Content of `OPEN` on a page.
#[derive(Debug)]
pub struct Open<'a> {
    /// Name of the page.
    pub page: &'a PageName,
    /// Id of the host. While `recovering`, the host that the server waits for.
    pub host: &'a PeerId,
    /// The term of the host.
    pub epoch: Epoch,
    /// Number of members, the receiver included.
    pub members: usize,
    /// The members as a JSON array in pieces, in the order in which they joined; for the host
    /// alone.
    pub roster: Option<&'a [&'a str]>,
    /// Whether the receiver should dial the host.
    pub p2p: bool,
    /// How long a dial may fairly take on this page, in ms.
    pub fair_ms: u64,
    /// The deputy, for a receiver that dials it.
    pub deputy: Option<&'a PeerId>,
    /// Whether the server waits for a host that it was told of after a restart.
    pub recovering: bool,
    /// Whether the page is on its own: another server may serve members of it as well.
    pub alone: bool,
    /// How long ago the server started, in ms. It remembers nothing from before.
    pub up_ms: u64,
    /// Facts of the server.
    pub terms: Terms,
    /// ICE servers: the JSON array that `RTCPeerConnection` takes.
    pub ice: &'a str,
}

/// The payload of a `HOST` message.
#[derive(Debug)]
pub struct Host<'a> {
    /// Name of the page.
    pub page: &'a PageName,
    /// Id of the new host.
    pub host: &'a PeerId,
    /// The term of the new host.
    pub epoch: Epoch,
    /// Why there is a new host.
    pub cause: Cause,
    /// Number of members on the page.
    pub members: usize,
    /// Whether the receiver should dial the host.
    pub p2p: bool,
    /// How long a dial may fairly take on this page, in ms.
    pub fair_ms: u64,
    /// The deputy, for a receiver that dials it.
    pub deputy: Option<&'a PeerId>,
    /// Whether the receiver may relay, as its `OPEN` said.
    pub may_relay: bool,
    /// The members as a JSON array in pieces; for the new host alone.
    pub roster: Option<&'a [&'a str]>,
}

/// Encodes a message; `write` adds the fields that follow `type`.
fn message(kind: &str, write: impl FnOnce(&mut Object<'_>)) -> Frame {
    let json = json::object(|message| {
        message.text("type", kind);
        write(message);
    });
    json.into()
}

/// `OPEN` without a page.
#[must_use]
pub fn open() -> Frame {
    Frame::from_static(r#"{"type":"OPEN"}"#)
}

/// `OPEN` on a page.
#[must_use]
pub fn open_page(open: &Open<'_>) -> Frame {
    message("OPEN", |message| {
        message.object("payload", |payload| {
            payload.text("page", open.page.as_str());
            payload.text("host", open.host.as_str());
            payload.number("epoch", open.epoch.0);
            payload.number("members", open.members as u64);
            if let Some(roster) = open.roster {
                payload.raw_pieces("roster", roster);
            }
            payload.flag("p2p", open.p2p);
            payload.number("fairMs", open.fair_ms);
            if let Some(deputy) = open.deputy {
                payload.text("deputy", deputy.as_str());
            }
            if open.recovering {
                payload.flag("recovering", true);
            }
            if open.alone {
                payload.flag("alone", true);
            }
            payload.number("upMs", open.up_ms);
            open.terms.write(payload);
            payload.raw("ice", open.ice);
        });
    })
}

/// `HOST`: announces who hosts.
#[must_use]
pub fn host(host: &Host<'_>) -> Frame {
    message("HOST", |message| {
        message.object("payload", |payload| {
            payload.text("page", host.page.as_str());
            payload.text("host", host.host.as_str());
            payload.number("epoch", host.epoch.0);
            payload.text("cause", host.cause.name());
            payload.number("members", host.members as u64);
            payload.flag("p2p", host.p2p);
            payload.number("fairMs", host.fair_ms);
            if let Some(deputy) = host.deputy {
                payload.text("deputy", deputy.as_str());
            }
            if !host.may_relay {
                payload.flag("relay", false);
            }
            if let Some(roster) = host.roster {
                payload.raw_pieces("roster", roster);
            }
        });
    })
}

/// Encodes an entry of the roster.
#[must_use]
pub fn roster_entry(entry: &RosterEntry<'_>) -> String {
    json::object(|object| entry.write(object))
}

/// `JOIN`: tells the host of a new or changed member.
#[must_use]
pub fn join(entry: &RosterEntry<'_>) -> Frame {
    message("JOIN", |message| {
        message.text("src", entry.id.as_str());
        message.object("payload", |payload| entry.write(payload));
    })
}

/// How a member left, as `LEAVE` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// The member said that it leaves, or was sent away.
    Known,
    /// The member was lost, as far as the server can tell.
    Lost,
}

/// `LEAVE`: `src` is gone for good. A stock client closes its connections to it.
#[must_use]
pub fn leave(src: &PeerId, how: Leave) -> Frame {
    message("LEAVE", |message| {
        message.text("src", src.as_str());
        if how == Leave::Lost {
            message.object("payload", |payload| payload.flag("lost", true));
        }
    })
}

/// `EXPIRE`: `absent` did not come in time for what `dst` sent it.
#[must_use]
pub fn expire(absent: &str, dst: &PeerId) -> Frame {
    message("EXPIRE", |message| {
        message.text("src", absent);
        message.text("dst", dst.as_str());
    })
}

/// `HEARTBEAT`, which answers that of a group member.
#[must_use]
pub fn heartbeat() -> Frame {
    Frame::from_static(r#"{"type":"HEARTBEAT"}"#)
}

/// `HEARTBEAT` with an epoch, which confirms to the host that it hosts in `epoch`.
#[must_use]
pub fn host_heartbeat(epoch: Epoch) -> Frame {
    message("HEARTBEAT", |message| {
        message.object("payload", |payload| payload.number("epoch", epoch.0));
    })
}

/// `ALONE`: tells group members whether the page is on its own. While it is, another server may
/// serve members of the page, and name them another host.
#[must_use]
pub fn alone(is_alone: bool) -> Frame {
    Frame::from_static(if is_alone {
        r#"{"type":"ALONE","payload":{"alone":true}}"#
    } else {
        r#"{"type":"ALONE","payload":{"alone":false}}"#
    })
}

/// `ICE`: renews [`Open::ice`], whose credentials run out.
#[must_use]
pub fn ice(ice: &str) -> Frame {
    message("ICE", |message| message.object("payload", |payload| payload.raw("ice", ice)))
}

/// `PROBE`: asks the page of the host of `epoch` to send it back, which shows that its code runs.
#[must_use]
pub fn probe(epoch: Epoch) -> Frame {
    message("PROBE", |message| {
        message.object("payload", |payload| payload.number("epoch", epoch.0));
    })
}

/// `DEPUTY`: names the member that hosts next, for members that dial it. `None` if there is no
/// deputy any more.
#[must_use]
pub fn deputy(deputy: Option<&PeerId>) -> Frame {
    message("DEPUTY", |message| {
        message.object("payload", |payload| match deputy {
            Some(id) => payload.text("deputy", id.as_str()),
            None => payload.raw("deputy", "null"),
        });
    })
}

/// `RELAY`: data from `src`. The frame is the same for one receiver and for all.
#[must_use]
pub fn relay(src: &PeerId, payload: &RawValue) -> Frame {
    message("RELAY", |message| {
        message.text("src", src.as_str());
        message.raw("payload", payload.get());
    })
}

/// `RESTART`: the server shuts down, and clients should come back.
#[must_use]
pub fn restart() -> Frame {
    message("RESTART", |message| {
        message.object("payload", |payload| {
            payload.number("retryMs", RETRY_MS);
            payload.number("code", Close::Restart.code().into());
        });
    })
}

/// Encodes the message that precedes the close frame of `close`, if there is one. `detail` replaces
/// [`Close::message`].
#[must_use]
pub fn farewell(close: Close, detail: Option<&str>) -> Option<Frame> {
    match close.farewell() {
        Farewell::Nothing => None,
        Farewell::Restart => Some(restart()),
        Farewell::Error(kind) => Some(message(kind, |message| {
            message.object("payload", |payload| {
                payload.text("msg", detail.unwrap_or(close.message()));
                payload.number("code", close.code().into());
                payload.flag("retry", close.retry());
            });
        })),
    }
}

/// Encodes a message from one peer to another, with `src` as the server knows it and the payload as
/// it came.
#[must_use]
pub fn passed_on(kind: &str, src: &PeerId, dst: &PeerId, payload: Option<&RawValue>) -> Frame {
    message(kind, |message| {
        message.text("src", src.as_str());
        message.text("dst", dst.as_str());
        if let Some(payload) = payload {
            message.raw("payload", payload.get());
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> PeerId {
        PeerId::parse(text).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn a_payload_passes_through_untouched() {
        let payload = RawValue::from_string(r#"{"b" : 1.0e1, "a":"\u00e9"}"#.into()).ok();
        assert_eq!(
            passed_on("OFFER", &id("a\\"), &id("ü"), payload.as_deref()),
            r#"{"type":"OFFER","src":"a\\","dst":"ü","payload":{"b" : 1.0e1, "a":"\u00e9"}}"#
        );
    }

    #[test]
    fn open_tells_every_number_that_a_client_needs() {
        let page = PageName::parse("p\n").unwrap_or_else(|e| panic!("{e}"));
        let relay = RelayTerms { max_message_bytes: 1, max_bytes_per_s: 2, queue_bytes: 3 };
        let terms = Terms {
            relay: Some(relay),
            resume_ms: 4,
            ping_ms: 5,
            expire_ms: 6,
            recovery_ms: 9,
            return_ms: 7,
            profile_bytes: 8,
        };
        let open = Open {
            page: &page,
            host: &id("a"),
            epoch: Epoch(10),
            members: 1,
            roster: Some(&["[", r#"{"id":"a","group":2}"#, "]"]),
            p2p: true,
            fair_ms: 11,
            deputy: None,
            recovering: false,
            alone: false,
            up_ms: 12,
            terms,
            ice: "[]",
        };
        let end = r#""resumeMs":4,"pingMs":5,"expireMs":6,"recoveryMs":9,"returnMs":7,"profileBytes":8,"ice":[]}}"#;
        assert_eq!(
            open_page(&open),
            [
                r#"{"type":"OPEN","payload":{"page":"p\n","host":"a","epoch":10,"members":1,"#,
                r#""roster":[{"id":"a","group":2}],"p2p":true,"fairMs":11,"upMs":12,"#,
                r#""relay":{"maxMessageBytes":1,"maxBytesPerS":2,"queueBytes":3},"#,
                end
            ]
            .concat()
        );
        let unrelayed = Open { terms: terms.without_relay(), roster: None, ..open };
        assert!(open_page(&unrelayed).ends_with(&[r#""upMs":12,"relay":false,"#, end].concat()));
    }

    #[test]
    fn a_farewell_says_whether_to_come_back() {
        assert_eq!(farewell(Close::Replaced, None), None);
        assert_eq!(
            farewell(Close::Slow, Some("a \"reason\"")).as_deref(),
            Some(r#"{"type":"ERROR","payload":{"msg":"a \"reason\"","code":4508,"retry":true}}"#)
        );
        let restart = r#"{"type":"RESTART","payload":{"retryMs":1000,"code":1012}}"#;
        assert_eq!(farewell(Close::Restart, None).as_deref(), Some(restart));
    }
}
