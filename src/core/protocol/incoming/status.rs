//! `STATUS`: what a member says of itself.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::BadMessage;
use super::limits::{MAX_CHANNELS, MAX_DIAL_MS, MAX_PROFILE_BYTES};
use super::payload;
use crate::protocol::id::PeerId;

/// A change of what a member says of itself. `None` leaves a field as it was.
#[derive(Debug, Clone, Default)]
pub struct StatusUpdate {
    /// Whether the member may be elected while others may.
    pub eligible: Option<bool>,
    /// Whether somebody looks at the page of the member.
    pub visible: Option<bool>,
    /// Whether the member takes part in the relay's fan-out.
    pub relay: Option<bool>,
    /// Whether the page of the member can open data channels at all.
    pub p2p: Option<bool>,
    /// Open data channels of the member, each with the time its dial took in ms. The whole set each
    /// time.
    pub channels: Option<Vec<(PeerId, u32)>>,
    /// A JSON value for other members to see. `Some(None)` takes it back.
    pub profile: Option<Option<Box<RawValue>>>,
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

/// Tells `"profile": null` from no profile.
fn even_null<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads the payload of a `STATUS`.
pub(super) fn read(json: Option<&RawValue>) -> Result<StatusUpdate, BadMessage> {
    if json.is_none() {
        return Ok(StatusUpdate::default());
    }
    let status: StatusPayload<'_> = payload(json).map_err(BadMessage::Status)?;
    if status.profile.is_some_and(|p| p.get().len() > MAX_PROFILE_BYTES) {
        return Err(BadMessage::ProfileTooLong);
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

fn channels(entries: BTreeMap<Cow<'_, str>, u32>) -> Result<Vec<(PeerId, u32)>, BadMessage> {
    if entries.len() > MAX_CHANNELS {
        return Err(BadMessage::TooManyChannels { count: entries.len() });
    }
    let parse = |(id, ms): (Cow<'_, str>, u32)| {
        let id = PeerId::parse(&id).map_err(BadMessage::ChannelId)?;
        if ms > MAX_DIAL_MS {
            return Err(BadMessage::DialTooLong { id: id.to_string(), ms });
        }
        Ok((id, ms))
    };
    entries.into_iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::parsed;
    use super::super::{BadMessage, Inbound};

    fn update(text: &str) -> super::StatusUpdate {
        match parsed(text) {
            Ok(Inbound::Status(update)) => update,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn channels_are_the_whole_set_each_time() {
        let channels = |text: &str| {
            let channels = update(text).channels;
            channels.map(|c| c.into_iter().map(|(id, ms)| (id.to_string(), ms)).collect())
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
        let profile = |text: &str| update(text).profile.map(|p| p.map(|p| p.get().to_owned()));
        assert_eq!(profile(r#"{"type":"STATUS","payload":{"visible":false}}"#), None);
        assert_eq!(profile(r#"{"type":"STATUS","payload":{"profile":null}}"#), Some(None));
        assert_eq!(
            profile(r#"{"type":"STATUS","payload":{"profile":"Ann"}}"#),
            Some(Some("\"Ann\"".into()))
        );
        let long = format!(r#"{{"type":"STATUS","payload":{{"profile":"{}"}}}}"#, "x".repeat(1100));
        assert!(matches!(parsed(&long), Err(BadMessage::ProfileTooLong)));
    }

    #[test]
    fn a_refusal_names_the_field_and_what_is_allowed() {
        let refusal = |text: &str| parsed(text).err().map(|bad| bad.to_string());
        assert_eq!(
            refusal(r#"{"type":"STATUS","payload":{"channels":{"a":600001}}}"#).as_deref(),
            Some(r#"STATUS: channels: "a" has 600001 ms: must be 0 to 600000"#)
        );
        assert_eq!(
            refusal(r#"{"type":"STATUS","payload":{"channels":{"a":1,"b":2,"c":3,"d":4,"e":5}}}"#)
                .as_deref(),
            Some("STATUS: channels has 5 entries: at most 4 are allowed")
        );
        assert_eq!(
            refusal(r#"{"type":"STATUS","payload":{"channels":{"a/b":1}}}"#).as_deref(),
            Some("STATUS: channels: id has one of / < > \"")
        );
    }
}
