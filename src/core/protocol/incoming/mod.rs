//! Messages from clients: one text frame, parsed or refused with a reason.

mod error;
mod limits;
mod signal;
mod status;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

pub use error::BadMessage;
pub use limits::{MAX_CHANNELS, MAX_DIAL_MS, MAX_PROFILE_BYTES};
pub use signal::SignalKind;
pub use status::StatusUpdate;

use crate::protocol::id::{Epoch, PeerId};
use crate::protocol::outgoing::{self, Frame};

/// A message from a client, parsed.
#[derive(Debug)]
pub enum Inbound {
    /// `HEARTBEAT`: the client lives.
    Heartbeat,
    /// `HEARTBEAT` with an epoch: the client asks whether it still hosts in that term.
    HostHeartbeat(Epoch),
    /// `PROBE`, sent back. Any text frame answers a probe as well.
    Probed,
    /// A signalling message for another peer.
    Forward {
        /// Kind of the message.
        kind: SignalKind,
        /// Id of the receiver.
        dst: PeerId,
        /// The encoded message, with the client as `src`.
        frame: Frame,
    },
    /// A signalling message for an id that nobody can have. Holds the encoded answer.
    Unreachable(Frame),
    /// `LEAVE` without `dst`: the client leaves.
    Goodbye,
    /// `STATUS`: what the client says of itself.
    Status(StatusUpdate),
    /// `RELAY`: data over the server.
    Relay {
        /// Receiver. `None`: from the host to all, from other members to the host.
        dst: Option<PeerId>,
        /// The message, encoded for its receivers.
        frame: Frame,
    },
    /// `SUSPECT`: the client hears nothing of the host.
    Suspect(Suspicion),
    /// `TRUST`: the client hears that host again.
    Trust(Suspicion),
    /// `RESIGN`: the host hands over.
    Resign {
        /// The term that ends.
        epoch: Epoch,
        /// The successor that the host wants.
        to: Option<PeerId>,
    },
    /// A type that this server does not know, or a message without a receiver.
    Ignored,
}

impl Inbound {
    /// Every value of [`Inbound::type_name`].
    pub const TYPES: [&'static str; 13] = [
        "CANDIDATE",
        "RELAY",
        "HEARTBEAT",
        "OFFER",
        "ANSWER",
        "STATUS",
        "LEAVE",
        "EXPIRE",
        "PROBE",
        "SUSPECT",
        "TRUST",
        "RESIGN",
        "other",
    ];

    /// Returns the `type`, or `other` for a message that is not known or cannot be delivered.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Heartbeat | Self::HostHeartbeat(_) => "HEARTBEAT",
            Self::Probed => "PROBE",
            Self::Forward { kind, .. } => kind.name(),
            Self::Goodbye => "LEAVE",
            Self::Status(_) => "STATUS",
            Self::Relay { .. } => "RELAY",
            Self::Suspect(_) => "SUSPECT",
            Self::Trust(_) => "TRUST",
            Self::Resign { .. } => "RESIGN",
            Self::Unreachable(_) | Self::Ignored => "other",
        }
    }
}

/// The host and term that a `SUSPECT` or `TRUST` is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspicion {
    /// Id of the host.
    pub host: PeerId,
    /// The term of the host.
    pub epoch: Epoch,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow, default)]
    dst: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct HeartbeatPayload {
    #[serde(default)]
    epoch: Option<u64>,
}

#[derive(Deserialize)]
struct SuspectPayload<'a> {
    #[serde(borrow)]
    host: Cow<'a, str>,
    epoch: u64,
}

#[derive(Deserialize)]
struct ResignPayload<'a> {
    epoch: u64,
    #[serde(borrow, default)]
    to: Option<Cow<'a, str>>,
}

/// Parses one text frame from the client `src`.
///
/// # Errors
/// When the text is no message, or a message that would harm its receiver.
pub fn read(src: &PeerId, text: &str) -> Result<Inbound, BadMessage> {
    let message: Message<'_> = object(text).map_err(BadMessage::NoMessage)?;
    let kind = match &*message.r#type {
        "HEARTBEAT" => return heartbeat(message.payload),
        "OFFER" => SignalKind::Offer,
        "ANSWER" => SignalKind::Answer,
        "CANDIDATE" => SignalKind::Candidate,
        "LEAVE" => SignalKind::Leave,
        "EXPIRE" => SignalKind::Expire,
        "STATUS" => return status::read(message.payload).map(Inbound::Status),
        "RELAY" => return relay(src, message.dst.as_deref(), message.payload),
        "SUSPECT" => return suspicion("SUSPECT", message.payload).map(Inbound::Suspect),
        "TRUST" => return suspicion("TRUST", message.payload).map(Inbound::Trust),
        "RESIGN" => return resign(message.payload),
        "PROBE" => return Ok(Inbound::Probed),
        _ => return Ok(Inbound::Ignored),
    };
    signal(kind, src, message.dst.as_deref(), message.payload)
}

/// Any payload but an object with an `epoch` is ignored.
fn heartbeat(json: Option<&RawValue>) -> Result<Inbound, BadMessage> {
    if !json.is_some_and(|json| json.get().starts_with('{')) {
        return Ok(Inbound::Heartbeat);
    }
    let HeartbeatPayload { epoch } = payload(json).map_err(BadMessage::Heartbeat)?;
    Ok(epoch.map_or(Inbound::Heartbeat, |epoch| Inbound::HostHeartbeat(Epoch(epoch))))
}

fn signal(
    kind: SignalKind,
    src: &PeerId,
    dst: Option<&str>,
    payload: Option<&RawValue>,
) -> Result<Inbound, BadMessage> {
    let Some(dst) = dst.filter(|dst| !dst.is_empty()) else {
        return Ok(if kind == SignalKind::Leave { Inbound::Goodbye } else { Inbound::Ignored });
    };
    // a stock client that receives an OFFER without a payload throws
    if kind.waits() && !payload.is_some_and(|p| p.get().starts_with('{')) {
        return Err(BadMessage::SignalPayload { kind: kind.name() });
    }
    Ok(match PeerId::parse(dst) {
        Ok(dst) => Inbound::Forward {
            kind,
            frame: outgoing::passed_on(kind.name(), src, &dst, payload),
            dst,
        },
        Err(_) if kind.waits() => Inbound::Unreachable(outgoing::expire(dst, src)),
        Err(_) => Inbound::Ignored,
    })
}

fn relay(
    src: &PeerId,
    dst: Option<&str>,
    payload: Option<&RawValue>,
) -> Result<Inbound, BadMessage> {
    let payload = payload.ok_or(BadMessage::RelayPayload)?;
    let dst = match dst.map(PeerId::parse) {
        None => None,
        Some(Ok(dst)) => Some(dst),
        // nobody can have such an id
        Some(Err(_)) => return Ok(Inbound::Ignored),
    };
    Ok(Inbound::Relay { dst, frame: outgoing::relay(src, payload) })
}

fn suspicion(kind: &'static str, json: Option<&RawValue>) -> Result<Suspicion, BadMessage> {
    let suspect: SuspectPayload<'_> =
        payload(json).map_err(|error| BadMessage::Suspicion { kind, error })?;
    let host =
        PeerId::parse(&suspect.host).map_err(|bad| BadMessage::SuspectedHost { kind, bad })?;
    Ok(Suspicion { host, epoch: Epoch(suspect.epoch) })
}

fn resign(json: Option<&RawValue>) -> Result<Inbound, BadMessage> {
    let resign: ResignPayload<'_> = payload(json).map_err(BadMessage::Resign)?;
    let to = resign.to.map(|to| PeerId::parse(&to)).transpose().map_err(BadMessage::Successor)?;
    Ok(Inbound::Resign { epoch: Epoch(resign.epoch), to })
}

fn payload<'a, T: Deserialize<'a>>(json: Option<&'a RawValue>) -> serde_json::Result<T> {
    object(json.map_or("null", RawValue::get))
}

/// Parses a struct from an object alone. Serde would take an array as well, its elements for the
/// fields in turn.
fn object<'a, T: Deserialize<'a>>(json: &'a str) -> serde_json::Result<T> {
    if json.trim_start().starts_with('{') {
        serde_json::from_str(json)
    } else {
        Err(serde::de::Error::custom("no JSON object"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what the client `me` means by `text`.
    pub(super) fn parsed(text: &str) -> Result<Inbound, BadMessage> {
        read(&PeerId::parse("me").unwrap_or_else(|e| panic!("{e}")), text)
    }

    #[test]
    fn the_server_sets_src_whatever_the_client_says() {
        let Ok(Inbound::Forward { frame, kind, dst }) =
            parsed(r#"{"src":"somebody","type":"OFFER","dst":"you","payload":{"sdp":1}}"#)
        else {
            panic!("not passed on")
        };
        assert_eq!(frame, r#"{"type":"OFFER","src":"me","dst":"you","payload":{"sdp":1}}"#);
        assert_eq!((kind, dst.as_str()), (SignalKind::Offer, "you"));
    }

    #[test]
    fn leave_without_dst_is_goodbye_and_with_dst_is_passed_on() {
        assert!(matches!(parsed(r#"{"type":"LEAVE"}"#), Ok(Inbound::Goodbye)));
        assert!(matches!(parsed(r#"{"type":"LEAVE","dst":null}"#), Ok(Inbound::Goodbye)));
        assert!(matches!(
            parsed(r#"{"type":"LEAVE","dst":"a"}"#),
            Ok(Inbound::Forward { kind: SignalKind::Leave, .. })
        ));
    }

    #[test]
    fn unknown_types_are_ignored_and_malformed_messages_refused() {
        assert!(matches!(parsed(r#"{"type":"DANCE"}"#), Ok(Inbound::Ignored)));
        assert!(matches!(parsed(r#"{"type":"OFFER"}"#), Ok(Inbound::Ignored)));
        for bad in [
            "",
            "nonsense",
            "[]",
            "{}",
            "null",
            r#"{"type":1}"#,
            r#"{"type":"OFFER","dst":7,"payload":{}}"#,
            r#"{"type":"OFFER","dst":"a"}"#,
            r#"{"type":"OFFER","dst":"a","payload":null}"#,
            r#"{"type":"CANDIDATE","dst":"a","payload":"x"}"#,
            r#"{"type":"OFFER","dst":"a","payload":{"#,
            r#"{"type":"A","type":"B"}"#,
            r#"["OFFER","a",{}]"#,
            r#"{"type":"STATUS","payload":[true,true,true,null]}"#,
            r#"{"type":"STATUS","payload":{"eligible":"yes"}}"#,
            r#"{"type":"STATUS","payload":{"p2p":1}}"#,
            r#"{"type":"STATUS","payload":{"channels":["a"]}}"#,
            r#"{"type":"STATUS","payload":{"channels":{"a":-1}}}"#,
            r#"{"type":"STATUS","payload":{"channels":{"a":1.5}}}"#,
            r#"{"type":"STATUS","payload":{"channels":{"a":600001}}}"#,
            r#"{"type":"STATUS","payload":{"channels":{"a/b":1}}}"#,
            r#"{"type":"STATUS","payload":{"channels":{"a":1,"b":2,"c":3,"d":4,"e":5}}}"#,
            r#"{"type":"HEARTBEAT","payload":{"epoch":-1}}"#,
            r#"{"type":"HEARTBEAT","payload":{"epoch":"1"}}"#,
            r#"{"type":"TRUST","payload":{"host":"a"}}"#,
            r#"{"type":"TRUST"}"#,
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_a_heartbeat_with_an_epoch_is_about_hosting() {
        assert!(matches!(
            parsed(r#"{"type":"HEARTBEAT","payload":{"epoch":7}}"#),
            Ok(Inbound::HostHeartbeat(Epoch(7)))
        ));
        for payload in ["null", "7", "\"x\"", "[1]", "{}", r#"{"epoch":null}"#, r#"{"n":1}"#] {
            let text = format!(r#"{{"type":"HEARTBEAT","payload":{payload}}}"#);
            assert!(matches!(parsed(&text), Ok(Inbound::Heartbeat)), "{text}");
        }
    }

    #[test]
    fn a_message_to_an_id_that_nobody_can_have_expires_at_once() {
        let Ok(Inbound::Unreachable(frame)) =
            parsed(r#"{"type":"OFFER","dst":"a/b","payload":{}}"#)
        else {
            panic!("not refused")
        };
        assert_eq!(frame, r#"{"type":"EXPIRE","src":"a/b","dst":"me"}"#);
    }

    #[test]
    fn deep_nesting_is_read_without_a_deep_stack() {
        let text = format!(
            r#"{{"type":"OFFER","dst":"a","payload":{{"x":{}{}}}}}"#,
            "[".repeat(50_000),
            "]".repeat(50_000)
        );
        assert!(matches!(parsed(&text), Ok(Inbound::Forward { .. })));
    }
}
