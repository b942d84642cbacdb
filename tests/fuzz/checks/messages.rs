//! Messages of a client, and what is passed on of them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use peerstar_core::protocol::id::PeerId;
use peerstar_core::protocol::incoming::{
    Inbound, MAX_CHANNELS, MAX_DIAL_MS, MAX_PROFILE_BYTES, read,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Ids that need escapes.
const SPEAKERS: [&str; 4] = ["me", "back\\slash \\u0041", "Ünï 😀\u{2028}", "''''{}[],:"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Handed<'a> {
    r#type: Cow<'a, str>,
    src: Option<Cow<'a, str>>,
    dst: Option<Cow<'a, str>>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// Nothing panics. A message that is passed on is JSON with the right sender, the right receiver
/// and an untouched payload, and hardly longer than before. An input may hold several messages,
/// with zeros between them.
pub(crate) fn check(input: &[u8]) {
    input.split(|byte| *byte == 0).for_each(check_one);
}

fn check_one(input: &[u8]) {
    let Some((speaker, text)) = input.split_first() else { return };
    let Ok(text) = str::from_utf8(text) else { return };
    let me = SPEAKERS[usize::from(*speaker) % SPEAKERS.len()];
    let src = PeerId::parse(me).unwrap();
    let Ok(inbound) = read(&src, text) else { return };
    let said: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_str(text).expect("understood, and no JSON object");
    let field = |name| said.get(name).map(|value| value.get()).filter(|value| *value != "null");
    let string = |name| field(name).map(|value| serde_json::from_str::<String>(value).unwrap());
    let (r#type, dst, payload) = (string("type").unwrap(), string("dst"), field("payload"));
    let dst = dst.as_deref();
    match inbound {
        Inbound::Forward { kind, dst: to, frame } => {
            assert_eq!(r#type, kind.name());
            assert!(!kind.waits() || payload.is_some_and(|p| p.starts_with('{')), "{text}");
            assert_eq!(dst, Some(to.as_str()));
            assert_handed(&frame, text, kind.name(), Some(me), dst, payload);
        }
        Inbound::Relay { dst: to, frame } => {
            assert_eq!(r#type, "RELAY");
            assert_eq!(dst.filter(|dst| !dst.is_empty()), to.as_ref().map(PeerId::as_str));
            assert!(payload.is_some(), "{text}");
            assert_handed(&frame, text, "RELAY", Some(me), None, payload);
        }
        Inbound::Unreachable(frame) => {
            let absent = dst.expect("nobody is out of reach");
            assert!(PeerId::parse(absent).is_err(), "{absent} may exist");
            assert_handed(&frame, text, "EXPIRE", Some(absent), Some(me), None);
        }
        Inbound::Status(update) => {
            assert_eq!(r#type, "STATUS");
            for (id, ms) in update.channels.iter().flatten() {
                assert!(PeerId::parse(id.as_str()).is_ok() && *ms <= MAX_DIAL_MS, "{text}");
            }
            assert!(
                update.channels.is_none_or(|channels| channels.len() <= MAX_CHANNELS),
                "{text}"
            );
            if let Some(Some(profile)) = update.profile {
                assert!(
                    profile.get().len() <= MAX_PROFILE_BYTES
                        && payload.is_some_and(|p| p.contains(profile.get())),
                    "{text}"
                );
            }
        }
        Inbound::Suspect(_) => assert_eq!(r#type, "SUSPECT"),
        Inbound::Trust(_) => assert_eq!(r#type, "TRUST"),
        Inbound::Resign { .. } => assert_eq!(r#type, "RESIGN"),
        Inbound::Goodbye => {
            assert!(r#type == "LEAVE" && dst.unwrap_or_default().is_empty(), "{text}")
        }
        Inbound::Heartbeat | Inbound::HostHeartbeat(_) => assert_eq!(r#type, "HEARTBEAT"),
        Inbound::Probed => assert_eq!(r#type, "PROBE"),
        Inbound::Ignored => {}
    }
}

fn assert_handed(
    frame: &str,
    text: &str,
    kind: &str,
    src: Option<&str>,
    dst: Option<&str>,
    payload: Option<&str>,
) {
    let handed: Handed<'_> = serde_json::from_str(frame).unwrap_or_else(|e| panic!("{e}: {frame}"));
    assert_eq!(
        (&*handed.r#type, handed.src.as_deref(), handed.dst.as_deref()),
        (kind, src, dst),
        "{frame}"
    );
    assert_eq!(handed.payload.map(RawValue::get), payload, "{frame}");
    assert!(
        frame.len() <= text.len() + 2 * PeerId::MAX_BYTES,
        "{} bytes of {}",
        frame.len(),
        text.len()
    );
}
