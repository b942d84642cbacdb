//! Messages and closes as `tests/fixtures` has them: the core writes, reads and names exactly
//! these. The browser's library is held to the same files by `static/test/fixtures.test.ts`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so at once")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use peerstar_core::protocol::cause::Cause;
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::{Capabilities, Epoch, PageName, PeerId};
use peerstar_core::protocol::incoming::{self, Inbound, Suspicion};
use peerstar_core::protocol::outgoing::{self, Frame, Leave, RelayTerms, RosterEntry, Terms};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

const EPOCH: Epoch = Epoch(1_795_425_719_930);

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
}

fn text(name: &str) -> String {
    let path = path(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the frames of every file in `folder`, exactly as they stand in it, by the file's name.
fn frames(folder: &str) -> BTreeMap<String, Vec<String>> {
    let files = std::fs::read_dir(path(folder)).unwrap();
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let frames: Vec<Box<RawValue>> =
            serde_json::from_str(&text(&format!("{folder}/{name}"))).unwrap();
        let frames = frames.iter().map(|frame| frame.get().to_owned()).collect();
        (name.trim_end_matches(".json").to_owned(), frames)
    };
    files.map(read).collect()
}

fn id(text: &str) -> PeerId {
    PeerId::parse(text).unwrap()
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

fn can() -> Capabilities {
    Capabilities::parse("zip,x-1").unwrap()
}

fn write_open() -> Vec<Frame> {
    let page = PageName::parse("https://example.org/board").unwrap();
    let (ann, bob, profile) = (id("ann"), id("bob"), raw(r#"{"name":"Ann"}"#));
    let ice = r#"[{"urls":["stun:stun.example.org"]}]"#;
    let relay = RelayTerms {
        max_message_bytes: 65_536,
        max_bytes_per_s: 4_194_304,
        queue_bytes: 1_048_576,
    };
    let terms = Terms {
        relay: Some(relay),
        resume_ms: 30_000,
        ping_ms: 5000,
        expire_ms: 5000,
        recovery_ms: 5000,
        return_ms: 4000,
        profile_bytes: 2048,
    };
    let can = can();
    let entry =
        RosterEntry { id: &ann, group: 2, can: &can, may_relay: true, profile: Some(&profile) };
    let entry = outgoing::roster_entry(&entry);
    let roster = ["[", &entry, "]"];
    let first = outgoing::Open {
        page: &page,
        host: &ann,
        epoch: EPOCH,
        members: 1,
        roster: Some(&roster),
        p2p: true,
        fair_ms: 7500,
        deputy: None,
        recovering: false,
        alone: false,
        up_ms: 86_400_000,
        terms,
        ice,
    };
    let to_first = outgoing::open_page(&first);
    let to_second = outgoing::open_page(&outgoing::Open {
        members: 2,
        roster: None,
        deputy: Some(&bob),
        recovering: true,
        alone: true,
        terms: terms.without_relay(),
        ..first
    });
    vec![outgoing::open(), to_first, to_second]
}

fn write_host() -> Vec<Frame> {
    let page = PageName::parse("https://example.org/board").unwrap();
    let (bob, cyd) = (id("bob"), id("cyd"));
    let can = Capabilities::default();
    let stock = RosterEntry { id: &bob, group: 0, can: &can, may_relay: true, profile: None };
    let entries = [stock.clone(), RosterEntry { id: &cyd, group: 2, may_relay: false, ..stock }];
    let [first, second] = entries.map(|entry| outgoing::roster_entry(&entry));
    let roster = ["[", &first, ",", &second, "]"];
    let host = |p2p, deputy, may_relay, roster| {
        outgoing::host(&outgoing::Host {
            page: &page,
            host: &cyd,
            epoch: Epoch(1_795_425_764_512),
            cause: Cause::Left,
            members: 2,
            p2p,
            fair_ms: 7500,
            deputy,
            may_relay,
            roster,
        })
    };
    vec![
        host(false, None, true, None),
        host(true, Some(&bob), false, None),
        host(true, None, true, Some(&roster)),
    ]
}

fn write_join() -> Vec<Frame> {
    let (bob, profile) = (id("bob"), raw(r#"{"name":"Bob"}"#));
    let (none, can) = (Capabilities::default(), can());
    let stock = RosterEntry { id: &bob, group: 0, can: &none, may_relay: true, profile: None };
    let member =
        RosterEntry { group: 2, can: &can, may_relay: false, profile: Some(&profile), ..stock };
    vec![outgoing::join(&stock), outgoing::join(&member)]
}

/// Returns what the server passes on of each frame of a client: of `ann` to `bob`, and of `bob` to
/// `ann`.
fn pass_on(frames: &[String]) -> Vec<Frame> {
    let pass = |text: &String| {
        let to_bob = text.contains(r#""dst":"bob""#);
        let read = incoming::read(&id(if to_bob { "ann" } else { "bob" }), text).unwrap();
        let Inbound::Forward { frame, .. } = read else {
            panic!("{text} is not passed on: {read:?}")
        };
        frame
    };
    frames.iter().map(pass).collect()
}

fn write_refusals() -> Vec<Frame> {
    let refusals = [
        (Close::BadPage, Some("page is empty")),
        (Close::IdTaken, None),
        (Close::InvalidKey, None),
        (Close::Full, None),
    ];
    refusals.iter().map(|(close, detail)| outgoing::farewell(*close, *detail).unwrap()).collect()
}

fn texts(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(ToString::to_string).collect()
}

/// Compares kind by kind, so that a failure names the file.
fn assert_same<T: std::fmt::Debug + PartialEq>(
    ours: &BTreeMap<&str, Vec<T>>,
    files: &BTreeMap<String, Vec<T>>,
) {
    assert_eq!(ours.keys().collect::<Vec<_>>(), files.keys().collect::<Vec<_>>());
    for (kind, values) in files {
        assert_eq!(ours[kind.as_str()], *values, "{kind}.json");
    }
}

#[test]
fn the_server_writes_the_frames_of_to_client() {
    let (ann, bob) = (id("ann"), id("bob"));
    let turn =
        r#"[{"urls":["turn:turn.example.org"],"username":"1795429319:ann","credential":"2Ju="}]"#;
    let written = BTreeMap::from([
        ("alone", vec![outgoing::alone(true), outgoing::alone(false)]),
        ("deputy", vec![outgoing::deputy(Some(&bob)), outgoing::deputy(None)]),
        ("expire", vec![outgoing::expire("bob", &ann)]),
        ("heartbeat", vec![outgoing::heartbeat(), outgoing::host_heartbeat(EPOCH)]),
        ("host", write_host()),
        ("ice", vec![outgoing::ice(turn)]),
        ("join", write_join()),
        ("leave", vec![outgoing::leave(&bob, Leave::Known), outgoing::leave(&bob, Leave::Lost)]),
        ("open", write_open()),
        ("probe", vec![outgoing::probe(EPOCH)]),
        ("refusal", write_refusals()),
        ("relay", vec![outgoing::relay(&ann, &raw(r#"{"n":1}"#))]),
        ("restart", vec![outgoing::restart()]),
        ("signal", pass_on(&frames("to-server")["signal"])),
    ]);
    assert_same(
        &written.into_iter().map(|(kind, frames)| (kind, texts(&frames))).collect(),
        &frames("to-client"),
    );
}

/// Returns what the server understands of a frame from `ann`.
fn understood(text: &str) -> Value {
    let about = |Suspicion { host, epoch }: Suspicion| json!([host.as_str(), epoch.0]);
    match incoming::read(&id("ann"), text).unwrap() {
        Inbound::Heartbeat => json!("heartbeat"),
        Inbound::HostHeartbeat(epoch) => json!({ "heartbeat": epoch.0 }),
        Inbound::Probed => json!("probed"),
        Inbound::Goodbye => json!("goodbye"),
        Inbound::Suspect(suspicion) => json!({ "suspect": about(suspicion) }),
        Inbound::Trust(suspicion) => json!({ "trust": about(suspicion) }),
        Inbound::Resign { epoch, to } => {
            json!({ "resign": [epoch.0, to.map(|to| to.to_string())] })
        }
        Inbound::Relay { dst, frame } => {
            json!({ "relay": [dst.map(|dst| dst.to_string()), frame.to_string()] })
        }
        Inbound::Forward { kind, dst, .. } => json!({ "forward": [kind.name(), dst.as_str()] }),
        Inbound::Status(status) => {
            let channels = status
                .channels
                .map(|all| all.into_iter().map(|(id, ms)| (id.to_string(), ms)).collect());
            let profile = status.profile.map(|profile| profile.map(|p| p.get().to_owned()));
            json!({ "status": {
                "flags": [status.eligible, status.visible, status.relay, status.p2p],
                "channels": channels.map(|channels: Vec<_>| channels),
                "profile": profile,
                "has_profile": profile.is_some(),
            } })
        }
        other @ (Inbound::Unreachable(_) | Inbound::Ignored) => panic!("{text}: {other:?}"),
    }
}

fn status(flags: [Option<bool>; 4], channels: &Value, profile: Option<Option<&str>>) -> Value {
    json!({ "status": {
        "flags": flags, "channels": channels, "profile": profile, "has_profile": profile.is_some(),
    } })
}

#[test]
fn the_server_reads_the_frames_of_to_server() {
    let relayed = r#"{"type":"RELAY","src":"ann","payload":{"n":1}}"#;
    let (yes, no) = (Some(true), Some(false));
    let expected = BTreeMap::from([
        ("heartbeat", vec![json!("heartbeat"), json!({ "heartbeat": EPOCH.0 })]),
        ("leave", vec![json!("goodbye")]),
        ("probe", vec![json!("probed")]),
        ("relay", vec![json!({ "relay": [null, relayed] }), json!({ "relay": ["bob", relayed] })]),
        (
            "resign",
            vec![json!({ "resign": [EPOCH.0, "bob"] }), json!({ "resign": [EPOCH.0, null] })],
        ),
        (
            "signal",
            vec![
                json!({ "forward": ["OFFER", "bob"] }),
                json!({ "forward": ["ANSWER", "ann"] }),
                json!({ "forward": ["CANDIDATE", "ann"] }),
                json!({ "forward": ["LEAVE", "ann"] }),
                json!({ "forward": ["EXPIRE", "ann"] }),
            ],
        ),
        (
            "status",
            vec![
                status([yes, yes, yes, None], &Value::Null, Some(Some(r#"{"name":"Bob"}"#))),
                status([yes, no, yes, no], &Value::Null, None),
                status([None; 4], &Value::Null, Some(None)),
                status([None, None, yes, None], &Value::Null, None),
                status([None; 4], &json!([["ann", 0]]), None),
            ],
        ),
        ("suspect", vec![json!({ "suspect": ["ann", EPOCH.0] })]),
        ("trust", vec![json!({ "trust": ["ann", EPOCH.0] })]),
    ]);
    let read: BTreeMap<_, Vec<_>> = frames("to-server")
        .into_iter()
        .map(|(kind, frames)| (kind, frames.iter().map(|text| understood(text)).collect()))
        .collect();
    assert_same(&expected, &read);
}

#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct CloseRow {
    code: u16,
    name: String,
    retry: bool,
    frame: Option<String>,
}

fn close_rows() -> Vec<CloseRow> {
    serde_json::from_str(&text("closes.json")).unwrap()
}

#[test]
fn the_server_closes_as_the_table_says() {
    let row = |close: &Close| {
        let farewell = outgoing::farewell(*close, None)
            .map(|frame| -> Value { serde_json::from_str(&frame).unwrap() });
        CloseRow {
            code: close.code(),
            name: close.name().to_owned(),
            retry: close.retry(),
            frame: farewell.map(|frame| frame["type"].as_str().unwrap().to_owned()),
        }
    };
    let mut rows: Vec<_> = Close::ALL.iter().map(row).collect();
    rows.sort_unstable();
    assert_eq!(rows, close_rows());
}

#[test]
fn the_protocol_document_has_the_table_of_closes() {
    let document = std::fs::read_to_string(path("../../docs/PROTOCOL.md")).unwrap();
    let section = document.split("\n## ").find(|part| part.starts_with("Closes\n")).unwrap();
    let cells = |line: &str| -> Option<Vec<String>> {
        let cells: Vec<_> =
            line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        cells.first()?.parse::<u16>().is_ok().then_some(cells)
    };
    let documented: Vec<_> = section.lines().filter_map(cells).collect();
    let rows = close_rows();
    assert_eq!(documented.len(), rows.len(), "docs/PROTOCOL.md has one row for each close");
    for (cells, CloseRow { code, name, retry, frame }) in documented.iter().zip(&rows) {
        let start =
            [code.to_string(), format!("`{name}`"), (if *retry { "yes" } else { "no" }).into()];
        assert_eq!(cells[..3], start);
        let shown = frame.as_ref().map_or("none".to_owned(), |frame| format!("`{frame}`"));
        assert!(cells.last().unwrap().starts_with(&shown), "{name}: {cells:?}");
    }
}
