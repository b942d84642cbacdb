//! What a client says: one text frame, understood or refused with a reason.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::protocol::id::{Epoch, PeerId};
use crate::protocol::outgoing::{self, Frame};

/// The longest `profile` in a `STATUS`, in bytes of JSON.
pub const MAX_PROFILE_BYTES: usize = 1024;

/// The most entries of `channels` in a `STATUS`: the host, the deputy, and their predecessors.
pub const MAX_CHANNELS: usize = 4;

/// The longest dial in `channels`, in ms.
pub const MAX_DIAL_MS: u32 = 600_000;

/// The messages that peers pass to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignalKind {
    /// Opens a connection.
    Offer,
    /// Accepts one.
    Answer,
    /// A way to reach the sender.
    Candidate,
    /// The sender closes its connections to the receiver.
    Leave,
    /// The sender gives up.
    Expire,
}

impl SignalKind {
    /// Its `type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Offer => "OFFER",
            Self::Answer => "ANSWER",
            Self::Candidate => "CANDIDATE",
            Self::Leave => "LEAVE",
            Self::Expire => "EXPIRE",
        }
    }

    /// Whether it waits for a receiver that is not there yet.
    #[must_use]
    pub const fn waits(self) -> bool {
        matches!(self, Self::Offer | Self::Answer | Self::Candidate)
    }

    /// Whether the two know each other by it, and are told when the other is gone for good.
    #[must_use]
    pub const fn makes_contact(self) -> bool {
        matches!(self, Self::Offer | Self::Answer)
    }
}

/// What a member says of itself; what it leaves out stays as it was.
#[derive(Debug, Clone, Default)]
pub struct StatusUpdate {
    /// Whether it may be elected while others may.
    pub eligible: Option<bool>,
    /// Whether its page is being looked at.
    pub visible: Option<bool>,
    /// Whether it takes part in the relay's fan-out.
    pub relay: Option<bool>,
    /// Whether its page can open data channels at all.
    pub p2p: Option<bool>,
    /// Open data channels of the member, each with the time its dial took in ms. The whole set each time.
    pub channels: Option<Vec<(PeerId, u32)>>,
    /// Anything, for the others to see; `null` takes it back.
    pub profile: Option<Option<Box<RawValue>>>,
}

/// One message understood.
#[derive(Debug)]
pub enum Inbound {
    /// Life, and nothing more.
    Heartbeat,
    /// The answer to a `PROBE`; any text is one.
    Probed,
    /// For another peer; the frame is ready to be delivered.
    Forward {
        /// Which message.
        kind: SignalKind,
        /// For whom.
        dst: PeerId,
        /// With `src` set.
        frame: Frame,
    },
    /// For an id that nobody can have: what to answer.
    Unreachable(Frame),
    /// `LEAVE` without `dst`: I go.
    Goodbye,
    /// `STATUS`.
    Status(StatusUpdate),
    /// `RELAY`: data over the server.
    Relay {
        /// For whom; none: from the host for all, from others for the host.
        dst: Option<PeerId>,
        /// Ready to be delivered.
        frame: Frame,
    },
    /// `SUSPECT`: the host does not answer me.
    Suspect(Suspicion),
    /// `TRUST`: I hear that host again.
    Trust(Suspicion),
    /// `RESIGN`: somebody else is to host.
    Resign {
        /// The term that ends.
        epoch: Epoch,
        /// Who, if it can.
        to: Option<PeerId>,
    },
    /// A type that this server does not know, or one for which there is no receiver.
    Ignored,
}

impl Inbound {
    /// All that [`Inbound::type_name`] may be.
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

    /// Its `type`; `other` for one that is not known, or cannot be delivered.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Heartbeat => "HEARTBEAT",
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
    /// The host.
    pub host: PeerId,
    /// Its term.
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
struct StatusPayload<'a> {
    eligible: Option<bool>,
    visible: Option<bool>,
    relay: Option<bool>,
    p2p: Option<bool>,
    #[serde(borrow, default)]
    channels: Option<BTreeMap<Cow<'a, str>, u32>>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    profile: Option<&'a RawValue>,
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

/// Tells `"profile": null` from no profile.
fn even_null<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads one text frame from the client `src`.
///
/// # Errors
/// In words for its author, when it is no message or one that would hurt its receiver.
pub fn read(src: &PeerId, text: &str) -> Result<Inbound, String> {
    let message: Message<'_> = object(text).map_err(|e| {
        format!("a message must be a JSON object with a string \"type\", an optional string \"dst\" and a \"payload\": {e}")
    })?;
    let kind = match &*message.r#type {
        "HEARTBEAT" => return Ok(Inbound::Heartbeat),
        "OFFER" => SignalKind::Offer,
        "ANSWER" => SignalKind::Answer,
        "CANDIDATE" => SignalKind::Candidate,
        "LEAVE" => SignalKind::Leave,
        "EXPIRE" => SignalKind::Expire,
        "STATUS" => return status(message.payload).map(Inbound::Status),
        "RELAY" => return relay(src, message.dst.as_deref(), message.payload),
        "SUSPECT" => return suspicion("SUSPECT", message.payload).map(Inbound::Suspect),
        "TRUST" => return suspicion("TRUST", message.payload).map(Inbound::Trust),
        "RESIGN" => {
            let said: ResignPayload<'_> = parse(message.payload, "RESIGN takes {epoch, to}")?;
            let to = said
                .to
                .map(|to| PeerId::parse(&to))
                .transpose()
                .map_err(|bad| format!("RESIGN: to: {bad}"))?;
            return Ok(Inbound::Resign { epoch: Epoch(said.epoch), to });
        }
        "PROBE" => return Ok(Inbound::Probed),
        _ => return Ok(Inbound::Ignored),
    };
    let Some(dst) = message.dst.as_deref().filter(|dst| !dst.is_empty()) else {
        return Ok(if kind == SignalKind::Leave { Inbound::Goodbye } else { Inbound::Ignored });
    };
    // an OFFER without a payload throws in the stock client that gets it
    if kind.waits() && !message.payload.is_some_and(|p| p.get().starts_with('{')) {
        return Err(format!("{} needs a payload that is a JSON object", kind.name()));
    }
    Ok(match PeerId::parse(dst) {
        Ok(dst) => Inbound::Forward {
            kind,
            frame: outgoing::passed_on(kind.name(), src, &dst, message.payload),
            dst,
        },
        Err(_) if kind.waits() => Inbound::Unreachable(outgoing::expire(dst, src)),
        Err(_) => Inbound::Ignored,
    })
}

fn parse<'a, T: Deserialize<'a>>(payload: Option<&'a RawValue>, takes: &str) -> Result<T, String> {
    object(payload.map_or("null", RawValue::get)).map_err(|e| format!("{takes}: {e}"))
}

/// A struct from an object alone: serde takes an array as well, its elements for the fields in turn.
fn object<'a, T: Deserialize<'a>>(json: &'a str) -> serde_json::Result<T> {
    if json.trim_start().starts_with('{') {
        serde_json::from_str(json)
    } else {
        Err(serde::de::Error::custom("no JSON object"))
    }
}

fn relay(src: &PeerId, dst: Option<&str>, payload: Option<&RawValue>) -> Result<Inbound, String> {
    let Some(payload) = payload else { return Err("RELAY needs a payload".into()) };
    let dst = match dst.map(PeerId::parse) {
        None => None,
        Some(Ok(dst)) => Some(dst),
        // an id nobody can have is nobody's
        Some(Err(_)) => return Ok(Inbound::Ignored),
    };
    Ok(Inbound::Relay { dst, frame: outgoing::relay(src, payload) })
}

fn suspicion(kind: &str, payload: Option<&RawValue>) -> Result<Suspicion, String> {
    let said: SuspectPayload<'_> = parse(payload, &format!("{kind} takes {{host, epoch}}"))?;
    let host = PeerId::parse(&said.host).map_err(|bad| format!("{kind}: host: {bad}"))?;
    Ok(Suspicion { host, epoch: Epoch(said.epoch) })
}

fn channels(said: BTreeMap<Cow<'_, str>, u32>) -> Result<Vec<(PeerId, u32)>, String> {
    if said.len() > MAX_CHANNELS {
        return Err(format!(
            "STATUS: channels has {} entries: at most {MAX_CHANNELS} are allowed",
            said.len()
        ));
    }
    let parse = |(id, ms): (Cow<'_, str>, u32)| {
        let id = PeerId::parse(&id).map_err(|bad| format!("STATUS: channels: {bad}"))?;
        if ms > MAX_DIAL_MS {
            return Err(format!(
                "STATUS: channels: {:?} has {ms} ms: must be 0 to {MAX_DIAL_MS}",
                id.as_str()
            ));
        }
        Ok((id, ms))
    };
    said.into_iter().map(parse).collect()
}

fn status(payload: Option<&RawValue>) -> Result<StatusUpdate, String> {
    let Some(payload) = payload else { return Ok(StatusUpdate::default()) };
    let status: StatusPayload<'_> =
        parse(Some(payload), "STATUS takes {eligible, visible, relay, p2p, channels, profile}")?;
    if status.profile.is_some_and(|p| p.get().len() > MAX_PROFILE_BYTES) {
        return Err(format!("profile is longer than {MAX_PROFILE_BYTES} bytes of JSON"));
    }
    Ok(StatusUpdate {
        eligible: status.eligible,
        visible: status.visible,
        relay: status.relay,
        p2p: status.p2p,
        channels: status.channels.map(channels).transpose()?,
        profile: status.profile.map(|p| (p.get() != "null").then(|| p.to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(text: &str) -> Result<Inbound, String> {
        read(&PeerId::parse("me").unwrap_or_else(|e| panic!("{e}")), text)
    }

    #[test]
    fn src_is_ours_whatever_the_client_says() {
        let Ok(Inbound::Forward { frame, kind, dst }) =
            hear(r#"{"src":"somebody","type":"OFFER","dst":"you","payload":{"sdp":1}}"#)
        else {
            panic!("not passed on")
        };
        assert_eq!(frame, r#"{"type":"OFFER","src":"me","dst":"you","payload":{"sdp":1}}"#);
        assert_eq!((kind, dst.as_str()), (SignalKind::Offer, "you"));
    }

    #[test]
    fn leave_without_dst_is_goodbye_and_with_one_is_passed_on() {
        assert!(matches!(hear(r#"{"type":"LEAVE"}"#), Ok(Inbound::Goodbye)));
        assert!(matches!(hear(r#"{"type":"LEAVE","dst":null}"#), Ok(Inbound::Goodbye)));
        assert!(matches!(
            hear(r#"{"type":"LEAVE","dst":"a"}"#),
            Ok(Inbound::Forward { kind: SignalKind::Leave, .. })
        ));
    }

    #[test]
    fn unknown_types_are_ignored_and_bad_ones_refused() {
        assert!(matches!(hear(r#"{"type":"DANCE"}"#), Ok(Inbound::Ignored)));
        assert!(matches!(hear(r#"{"type":"OFFER"}"#), Ok(Inbound::Ignored)));
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
            r#"{"type":"TRUST","payload":{"host":"a"}}"#,
            r#"{"type":"TRUST"}"#,
        ] {
            assert!(hear(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_nobody_can_have_expires_at_once() {
        let Ok(Inbound::Unreachable(frame)) = hear(r#"{"type":"OFFER","dst":"a/b","payload":{}}"#)
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
        assert!(matches!(hear(&text), Ok(Inbound::Forward { .. })));
    }

    #[test]
    fn channels_are_the_whole_set_each_time() {
        let channels = |text: &str| match hear(text) {
            Ok(Inbound::Status(update)) => update
                .channels
                .map(|c| c.into_iter().map(|(id, ms)| (id.to_string(), ms)).collect()),
            other => panic!("{other:?}"),
        };
        assert_eq!(channels(r#"{"type":"STATUS","payload":{"p2p":false}}"#), None::<Vec<_>>);
        assert_eq!(channels(r#"{"type":"STATUS","payload":{"channels":{}}}"#), Some(vec![]));
        let (a, u) = (("a".to_owned(), 600_000), ("\u{fc}".to_owned(), 0));
        assert_eq!(
            channels(r#"{"type":"STATUS","payload":{"channels":{"\u00fc":0,"a":600000}}}"#),
            Some(vec![a, u])
        );
    }

    #[test]
    fn a_profile_is_kept_taken_back_or_left_alone() {
        let profile = |text: &str| match hear(text) {
            Ok(Inbound::Status(update)) => update.profile.map(|p| p.map(|p| p.get().to_owned())),
            other => panic!("{other:?}"),
        };
        assert_eq!(profile(r#"{"type":"STATUS","payload":{"visible":false}}"#), None);
        assert_eq!(profile(r#"{"type":"STATUS","payload":{"profile":null}}"#), Some(None));
        assert_eq!(
            profile(r#"{"type":"STATUS","payload":{"profile":"Ann"}}"#),
            Some(Some("\"Ann\"".into()))
        );
        let long = format!(r#"{{"type":"STATUS","payload":{{"profile":"{}"}}}}"#, "x".repeat(1100));
        assert!(hear(&long).is_err());
    }
}
