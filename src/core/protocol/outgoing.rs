//! What the server says: one function a message, each giving a frame ready to be sent to many.
//!
//! The shape is PeerJS's, `{type, src, dst, payload}`. docs/PROTOCOL.md shows an example of each.

use bytestring::ByteString;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::page::encoded_roster::Roster;
use crate::protocol::cause::Cause;
use crate::protocol::close::{Close, Farewell};
use crate::protocol::id::{Epoch, PageName, PeerId};

/// One encoded text frame. Cheap to clone: encoded once, sent to all.
pub type Frame = ByteString;

/// The version of the group protocol spoken here (`&group=`).
pub const GROUP_VERSION: u32 = 1;

/// One entry of the list that only the host is given.
#[derive(Debug, Clone, Serialize)]
pub struct RosterEntry<'a> {
    /// Who.
    pub id: &'a PeerId,
    /// The version of the group protocol it speaks; 0 for a stock client.
    pub group: u32,
    /// `false` for one to whom, and from whom, nothing may be relayed: only a data channel reaches it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay: Option<bool>,
    /// What it says of itself (`STATUS`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<&'a RawValue>,
}

/// Facts of this server that every `OPEN` on a page carries.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// Whether data may go over the server, and how much.
    #[serde(serialize_with = "false_or_terms")]
    pub relay: Option<RelayTerms>,
    /// How long one may be away and miss nothing, in ms.
    pub resume_ms: u64,
    /// How often the server pings, in ms.
    pub ping_ms: u64,
    /// How long signalling waits for a peer that is not there, in ms.
    pub expire_ms: u64,
    /// How long a page waits for its host after a restart of the server, in ms. Clients that come back pause no longer.
    pub recovery_ms: u64,
    /// How long an absent member may take to come back before it counts as gone, in ms.
    pub return_ms: u64,
    /// Longest profile in a `STATUS`, in bytes of JSON.
    pub profile_bytes: usize,
}

impl Terms {
    /// For one that may not relay.
    #[must_use]
    pub const fn without_relay(self) -> Self {
        Self { relay: None, ..self }
    }
}

/// What may be relayed.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayTerms {
    /// The longest message.
    pub max_message_bytes: usize,
    /// Of one session; it is read more slowly beyond that. 0: no limit.
    pub max_bytes_per_s: u64,
    /// Bytes that may wait for one session before it is closed. Its peers may fill half of that.
    pub queue_bytes: usize,
}

fn false_or_terms<S: serde::Serializer>(
    relay: &Option<RelayTerms>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match relay {
        Some(terms) => terms.serialize(serializer),
        None => serializer.serialize_bool(false),
    }
}

/// What `OPEN` says on a page.
#[derive(Debug, Serialize)]
pub struct Open<'a> {
    /// The page's name.
    pub page: &'a PageName,
    /// Its host. May be one that is yet to come back (`recovering`).
    pub host: &'a PeerId,
    /// The host's term.
    pub epoch: Epoch,
    /// How many are here, the one told included.
    pub members: usize,
    /// Who is here, in the order they came; for the host alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roster: Option<Vec<RosterEntry<'a>>>,
    /// Whether the one told should dial the host.
    pub p2p: bool,
    /// How long a dial may fairly take on this page, in ms.
    #[serde(rename = "fairMs")]
    pub fair_ms: u64,
    /// The deputy, for one that dials it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deputy: Option<&'a PeerId>,
    /// Set while the server waits for a host it was told of after a restart.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recovering: bool,
    /// How long ago the server began, in ms: with no memory of what was before.
    #[serde(rename = "upMs")]
    pub up_ms: u64,
    /// The server's own facts.
    #[serde(flatten)]
    pub terms: Terms,
    /// ICE servers, as `RTCPeerConnection` takes them.
    pub ice: &'a RawValue,
}

/// What `HOST` says.
#[derive(Debug, Serialize)]
pub struct Host<'a> {
    /// The page's name.
    pub page: &'a PageName,
    /// The new host.
    pub host: &'a PeerId,
    /// Its term.
    pub epoch: Epoch,
    /// Why there is a new one.
    pub cause: Cause,
    /// How many are here.
    pub members: usize,
    /// Whether the one told should dial the host.
    pub p2p: bool,
    /// How long a dial may fairly take on this page, in ms.
    #[serde(rename = "fairMs")]
    pub fair_ms: u64,
    /// The deputy, for one that dials it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deputy: Option<&'a PeerId>,
    /// `false` for one that may not relay, as in its `OPEN`; nothing for all others, whose terms stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay: Option<bool>,
    /// Who is here; for the new host alone.
    #[serde(skip)]
    pub roster: Option<&'a Roster>,
}

#[derive(Serialize)]
struct Message<'a, P> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    src: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<P>,
}

/// Encodes one message.
///
/// # Panics
/// When the payload cannot be encoded, which is a fault of the server's own. A panic ends one session, or one page's actor,
/// which is made anew; an empty frame would reach clients as a broken message.
fn encode<P: Serialize>(
    r#type: &str,
    src: Option<&str>,
    dst: Option<&str>,
    payload: Option<P>,
) -> Frame {
    let text = serde_json::to_string(&Message { r#type, src, dst, payload });
    text.unwrap_or_else(|error| panic!("{} cannot be encoded: {error}", r#type)).into()
}

const NOTHING: Option<()> = None;

/// `OPEN` without a page.
#[must_use]
pub fn open() -> Frame {
    Frame::from_static(r#"{"type":"OPEN"}"#)
}

/// `OPEN` on a page.
#[must_use]
pub fn open_page(open: &Open<'_>) -> Frame {
    encode("OPEN", None, None, Some(open))
}

/// `HOST`.
#[must_use]
pub fn host(host: &Host<'_>) -> Frame {
    const END: &str = "}}";
    const ROSTER: &str = r#","roster":"#;
    let frame = encode("HOST", None, None, Some(host));
    let Some((roster, begun)) = host.roster.zip(frame.strip_suffix(END)) else { return frame };
    // the roster is encoded already: it becomes the last field of the payload
    let mut json = String::with_capacity(begun.len() + ROSTER.len() + roster.len() + END.len());
    json.push_str(begun);
    json.push_str(ROSTER);
    roster.write(&mut json);
    json.push_str(END);
    json.into()
}

/// An entry of the roster, as it stands in it.
#[must_use]
pub fn roster_entry(entry: &RosterEntry<'_>) -> String {
    // strings, numbers and JSON into memory: there is nothing to fail
    serde_json::to_string(entry).unwrap_or_default()
}

/// `JOIN`, to the host.
#[must_use]
pub fn join(entry: &RosterEntry<'_>) -> Frame {
    encode("JOIN", Some(entry.id.as_str()), None, Some(entry))
}

/// `LEAVE`: `src` is gone for good. A stock client closes its connections to it. `lost`: as far as the server can tell;
/// it did not say so, nor was it sent away.
#[must_use]
pub fn leave(src: &PeerId, lost: bool) -> Frame {
    #[derive(Serialize)]
    struct Leave {
        lost: bool,
    }
    encode("LEAVE", Some(src.as_str()), None, lost.then_some(Leave { lost }))
}

/// `EXPIRE`: `absent` did not come in time for what `dst` sent it.
#[must_use]
pub fn expire(absent: &str, dst: &PeerId) -> Frame {
    encode("EXPIRE", Some(absent), Some(dst.as_str()), NOTHING)
}

/// `HEARTBEAT`, the answer to a group member's.
#[must_use]
pub fn heartbeat() -> Frame {
    Frame::from_static(r#"{"type":"HEARTBEAT"}"#)
}

/// `ICE`: what [`Open::ice`] said, anew: its credentials run out.
#[must_use]
pub fn ice(ice: &RawValue) -> Frame {
    #[derive(Serialize)]
    struct Ice<'a> {
        ice: &'a RawValue,
    }
    encode("ICE", None, None, Some(Ice { ice }))
}

/// `PROBE`: whether the page of the host of `epoch` still runs. Its code is to send it back.
#[must_use]
pub fn probe(epoch: Epoch) -> Frame {
    #[derive(Serialize)]
    struct Probe {
        epoch: Epoch,
    }
    encode("PROBE", None, None, Some(Probe { epoch }))
}

/// `DEPUTY`: who would host next, for those who dial it. `None`: there is no deputy any more.
#[must_use]
pub fn deputy(deputy: Option<&PeerId>) -> Frame {
    #[derive(Serialize)]
    struct Deputy<'a> {
        deputy: Option<&'a PeerId>,
    }
    encode("DEPUTY", None, None, Some(Deputy { deputy }))
}

/// `RELAY`: data from `src`, for one or for all: the frame is the same.
#[must_use]
pub fn relay(src: &PeerId, payload: &RawValue) -> Frame {
    encode("RELAY", Some(src.as_str()), None, Some(payload))
}

/// When clients are to come back after a restart, in ms: a new process serves by then.
const RETRY_MS: u64 = 1000;

/// `RESTART`: the server goes away, come back.
#[must_use]
pub fn restart() -> Frame {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Restart {
        retry_ms: u64,
        code: u16,
    }
    let code = Close::Restart.code();
    encode("RESTART", None, None, Some(Restart { retry_ms: RETRY_MS, code }))
}

/// Encodes the message that precedes the close frame of `close`, if there is one. `detail` replaces [`Close::message`].
#[must_use]
pub fn farewell(close: Close, detail: Option<&str>) -> Option<Frame> {
    match close.farewell() {
        Farewell::Nothing => None,
        Farewell::Restart => Some(restart()),
        Farewell::Error(kind) => {
            Some(refusal(kind, detail.unwrap_or(close.message()), close.code(), close.retry()))
        }
    }
}

/// `ERROR`, `ID-TAKEN` or `INVALID-KEY`, before a close.
#[must_use]
pub fn refusal(r#type: &str, msg: &str, code: u16, retry: bool) -> Frame {
    #[derive(Serialize)]
    struct Refusal<'a> {
        msg: &'a str,
        code: u16,
        retry: bool,
    }
    encode(r#type, None, None, Some(Refusal { msg, code, retry }))
}

/// What one peer says to another, with `src` as the server knows it and the payload as it came.
#[must_use]
pub fn passed_on(r#type: &str, src: &PeerId, dst: &PeerId, payload: Option<&RawValue>) -> Frame {
    encode(r#type, Some(src.as_str()), Some(dst.as_str()), payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_passes_through_untouched() {
        let payload = RawValue::from_string(r#"{"b" : 1.0e1, "a":"\u00e9"}"#.into()).ok();
        let id = |text| PeerId::parse(text).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(
            passed_on("OFFER", &id("a\\"), &id("ü"), payload.as_deref()),
            r#"{"type":"OFFER","src":"a\\","dst":"ü","payload":{"b" : 1.0e1, "a":"\u00e9"}}"#
        );
    }

    #[test]
    #[should_panic(expected = "OFFER cannot be encoded: no such thing")]
    fn what_cannot_be_encoded_is_an_error_and_not_an_empty_frame() {
        struct Unencodable;
        impl Serialize for Unencodable {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("no such thing"))
            }
        }
        let _ = encode("OFFER", None, None, Some(Unencodable));
    }
}
