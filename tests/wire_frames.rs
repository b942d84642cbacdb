//! Frames that break the rules are refused by name, before they cost anything, and other clients
//! are not affected.

mod common;

use common::{MIB, PATIENCE, Raw, Server, figure, frame, masked, unmasked};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

const TEXT: u8 = 0x81;
const FIRST_TEXT: u8 = 0x01;
const MORE: u8 = 0x00;
const LAST: u8 = 0x80;
const BINARY: u8 = 0x82;
const PING: u8 = 0x89;
const CLOSE: u8 = 0x88;

/// Checks that a client that sends `bytes` is told why and closed with `code`, and that another one
/// does not notice.
async fn is_refused(server: &Server, what: &str, bytes: &[u8], code: u16) -> Value {
    let mut witness = server.peer("w").await;
    let mut raw = server.raw_websocket("id=x&token=t").await;
    raw.expect("OPEN").await;
    raw.send(bytes).await;
    let (words, closed) = raw.refused().await;
    assert_eq!(closed, code, "{what}: {words}");
    assert_eq!(
        (words["type"].as_str(), &words["payload"]["code"]),
        (Some("ERROR"), &json!(code)),
        "{what}: {words}"
    );
    assert_eq!(words["payload"]["retry"], false, "{what}");
    witness.nothing_more().await;
    witness.goodbye().await;
    words
}

#[tokio::test]
async fn open_is_written_together_with_the_answer_to_the_handshake() {
    let server = Server::start(&[]);
    for query in ["id=a&token=t", "id=a&token=t&page=p"] {
        let mut raw = server.raw_websocket(query).await;
        assert!(!raw.unread().is_empty(), "{query}");
        raw.expect("OPEN").await;
    }
}

#[tokio::test]
async fn a_frame_that_declares_a_gigabyte_is_refused_from_its_header() {
    let server = Server::start(&[]);
    for length in [131_073, 1 << 30, 1 << 62, u64::MAX] {
        is_refused(&server, "a huge frame", &masked(TEXT, length), 1009).await;
        is_refused(&server, "a huge binary frame", &masked(BINARY, length), 1009).await;
        is_refused(&server, "a huge first fragment", &masked(FIRST_TEXT, length), 1009).await;
    }
}

#[tokio::test]
async fn a_refused_frame_that_is_sent_all_the_same_is_never_in_memory() {
    let server = Server::start(&[]);
    let mut witness = server.peer("w").await;
    let memory = server.memory();
    let mut raw = server.raw_websocket("id=x&token=t").await;
    let started = Instant::now();
    let pour = async {
        raw.send(&masked(TEXT, 1 << 30)).await;
        pour_until_closed(&mut raw, &vec![0; 256 * 1024]).await
    };
    let (sent, peak) = server.peak_memory_during(pour).await;
    figure(
        "a declared GiB: sent MiB in ms / memory grew by MiB",
        format!("{sent} in {:?} / {}", started.elapsed(), grown(memory, peak)),
    );
    assert!(peak < memory + 8 * MIB, "{memory} grew to {peak}");
    witness.nothing_more().await;
}

fn grown(before: usize, after: usize) -> usize {
    after.saturating_sub(before) / MIB
}

/// Sends bytes again and again until the server closes the socket. Returns how many MiB.
async fn pour_until_closed(raw: &mut Raw, bytes: &[u8]) -> usize {
    let mut sent = 0;
    let pour = async {
        while raw.try_send(bytes).await {
            sent += bytes.len();
        }
    };
    timeout(PATIENCE, pour).await.expect("the server closes the socket");
    sent / MIB
}

#[tokio::test]
async fn the_longest_message_passes_and_one_byte_more_does_not() {
    let server =
        Server::start(&[("limits.message_bytes", "20000"), ("relay.max_message_bytes", "20000")]);
    let around = r#"{"type":"OFFER","dst":"a","payload":{"x":""}}"#.len();
    let message = |bytes: usize| {
        format!(
            r#"{{"type":"OFFER","dst":"a","payload":{{"x":"{}"}}}}"#,
            "x".repeat(bytes - around)
        )
    };
    let mut peer = server.peer("a").await;
    peer.send_text(message(20_000));
    assert_eq!(
        peer.expect("OFFER").await["payload"]["x"].as_str().map(str::len),
        Some(20_000 - around)
    );
    peer.send_text(message(20_001));
    assert_eq!(peer.refused().await.1, 1009);
    // for fragments the sum counts
    let mut raw = server.raw_websocket("id=a&token=t2").await;
    raw.expect("OPEN").await;
    let text = message(20_000);
    let (first, rest) = text.as_bytes().split_at(7000);
    raw.send(&[frame(FIRST_TEXT, first), frame(PING, b"between"), frame(LAST, rest)].concat())
        .await;
    assert_eq!(
        raw.next_frame().await,
        Some((0x8a, b"between".to_vec())),
        "a ping between fragments is answered"
    );
    raw.expect("OFFER").await;
    raw.send(&[frame(FIRST_TEXT, first), frame(LAST, &[rest, b" "].concat())].concat()).await;
    assert_eq!(raw.refused().await.1, 1009);
}

#[tokio::test]
async fn endless_fragments_are_refused() {
    let server = Server::start(&[("limits.messages_per_s", "0")]);
    let mut witness = server.peer("w").await;
    let memory = server.memory();
    for size in [10_000, 1] {
        let mut raw = server.raw_websocket("id=x&token=t").await;
        raw.send(&frame(FIRST_TEXT, b"{")).await;
        let many = frame(MORE, &vec![b' '; size]).repeat(64 * 1024 / (size + 8) + 1);
        let (sent, peak) = server.peak_memory_during(pour_until_closed(&mut raw, &many)).await;
        figure(
            "endless fragments: bytes each / sent MiB / memory grew by MiB",
            format!("{size} / {sent} / {}", grown(memory, peak)),
        );
        assert!(peak < memory + 8 * MIB, "{memory} grew to {peak}");
    }
    witness.nothing_more().await;
}

#[tokio::test]
async fn endless_empty_fragments_cost_no_memory_and_affect_no_other_client() {
    let server = Server::start(&[]);
    let (mut b, mut c) = (server.peer("b").await, server.peer("c").await);
    let memory = server.memory();
    let mut raw = server.raw_websocket("id=x&token=t").await;
    raw.send(&frame(FIRST_TEXT, b"")).await;
    let many = frame(MORE, b"").repeat(10_000);
    let ((), peak) = server
        .peak_memory_during(until_done(&mut raw, &many, async {
            for _ in 0..200 {
                b.meet(&mut c).await;
            }
        }))
        .await;
    assert!(peak < memory + 8 * MIB, "{memory} grew to {peak}");
}

#[tokio::test]
async fn text_that_is_not_utf8_is_refused_whole_and_in_fragments() {
    let server = Server::start(&[]);
    for bytes in
        [&b"{\"type\":\"\xff\"}"[..], b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80"]
    {
        is_refused(&server, "not UTF-8", &frame(TEXT, bytes), 1007).await;
        let (one, two) = bytes.split_at(bytes.len() / 2);
        let parts = [frame(FIRST_TEXT, one), frame(MORE, b""), frame(LAST, two)].concat();
        is_refused(&server, "not UTF-8 in fragments", &parts, 1007).await;
    }
}

#[tokio::test]
async fn a_character_may_be_split_over_fragments() {
    let server = Server::start(&[]);
    let mut raw = server.raw_websocket("id=x&token=t").await;
    raw.expect("OPEN").await;
    let text = r#"{"type":"OFFER","dst":"x","payload":{"ü":"😀"}}"#.as_bytes();
    let mut parts = frame(FIRST_TEXT, &text[..1]);
    text[1..text.len() - 1].iter().for_each(|byte| parts.extend(frame(MORE, &[*byte])));
    parts.extend(frame(LAST, &text[text.len() - 1..]));
    raw.send(&parts).await;
    assert_eq!(raw.expect("OFFER").await["payload"], json!({"ü": "😀"}));
}

#[tokio::test]
async fn a_frame_may_arrive_byte_by_byte() {
    let server = Server::start(&[]);
    let mut raw = server.raw_websocket("id=x&token=t").await;
    raw.expect("OPEN").await;
    raw.stream.set_nodelay(true).expect("a socket");
    for byte in frame(
        TEXT,
        format!(r#"{{"type":"OFFER","dst":"x","payload":{{"x":"{}"}}}}"#, "x".repeat(200))
            .as_bytes(),
    ) {
        raw.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    raw.expect("OFFER").await;
}

#[tokio::test]
async fn binary_is_refused() {
    let server = Server::start(&[]);
    is_refused(&server, "binary", &frame(BINARY, b"{\"type\":\"HEARTBEAT\"}"), 1003).await;
    is_refused(&server, "empty binary", &frame(BINARY, b""), 1003).await;
    is_refused(
        &server,
        "binary in fragments",
        &[frame(0x02, b"a"), frame(LAST, b"b")].concat(),
        1003,
    )
    .await;
}

#[tokio::test]
async fn text_that_is_no_message_is_refused_with_the_reason() {
    let server = Server::start(&[]);
    for text in [
        "",
        " ",
        "nonsense",
        "{",
        "{}",
        "[]",
        "null",
        "\"OFFER\"",
        r#"["OFFER","x"]"#,
        r#"{"type":5}"#,
        r#"{"type":null}"#,
        r#"{"type":"OFFER","dst":5,"payload":{}}"#,
        r#"{"type":"OFFER","dst":"x","payload":{}}}"#,
        r#"{"type":"OFFER","dst":"x","payload":{"a":}}"#,
        r#"{"type":"HEARTBEAT"}{"type":"HEARTBEAT"}"#,
        r#"{"type":"STATUS","payload":{"visible":"yes"}}"#,
        "\u{feff}{\"type\":\"HEARTBEAT\"}",
    ] {
        let words = is_refused(&server, text, &frame(TEXT, text.as_bytes()), 4422).await;
        assert!(
            words["payload"]["msg"]
                .as_str()
                .is_some_and(|msg| msg.len() > 10 && !msg.contains("WebSocket")),
            "{words}"
        );
    }
}

#[tokio::test]
async fn deeply_nested_json_breaks_nothing() {
    let server = Server::start(&[]);
    let deep = format!("{}{}", "[".repeat(60_000), "]".repeat(60_000));
    let open = format!(r#"{{"type":"OFFER","dst":"x","payload":{}"#, "[".repeat(120_000));
    is_refused(&server, "unclosed nesting", &frame(TEXT, open.as_bytes()), 4422).await;
    is_refused(&server, "nesting for a message", &frame(TEXT, deep.as_bytes()), 4422).await;
    let mut peer = server.peer("a").await;
    peer.send_text(format!(r#"{{"type":"WHATEVER","x":{deep}}}"#));
    peer.nothing_more().await;
}

#[tokio::test]
async fn frames_that_break_the_websocket_protocol_are_refused() {
    let server = Server::start(&[]);
    let message = br#"{"type":"HEARTBEAT"}"#;
    for (what, bytes) in [
        ("no mask", unmasked(TEXT, message)),
        ("a ping without a mask", unmasked(PING, b"")),
        ("a reserved opcode", frame(0x83, message)),
        ("a reserved control opcode", frame(0x8b, b"")),
        ("a long ping", masked(PING, 126)),
        ("a ping of a gigabyte", masked(PING, 1 << 30)),
        ("a long pong", frame(0x8a, &[b'x'; 126])),
        ("a long close", frame(CLOSE, &[b'x'; 126])),
        ("a ping in fragments", frame(0x09, b"")),
        ("a continuation of nothing", frame(MORE, b"x")),
        ("the end of nothing", frame(LAST, b"x")),
        ("a message inside another", [frame(FIRST_TEXT, b"{"), frame(TEXT, message)].concat()),
        (
            "a fragmented message inside another",
            [frame(FIRST_TEXT, b"{"), frame(FIRST_TEXT, b"{")].concat(),
        ),
    ] {
        is_refused(&server, what, &bytes, 1002).await;
    }
}

#[tokio::test]
async fn reserved_bits_are_refused() {
    let server = Server::start(&[]);
    for first in [0xc1, 0xa1, 0x91, 0xc9, 0xf1] {
        is_refused(&server, "a reserved bit", &frame(first, br#"{"type":"HEARTBEAT"}"#), 1002)
            .await;
    }
}

#[tokio::test]
async fn odd_close_frames_end_the_connection_and_nothing_else() {
    let server = Server::start(&[("peerjs.allow_discovery", "true")]);
    let mut witness = server.peer("w").await;
    for body in [
        &b""[..],
        b"\x03",
        b"\x03\xe8",
        b"\x03\xe8bye",
        b"\x03\xe8\xff\xff",
        b"\x00\x00",
        b"\x03\xed",
        b"\xff\xff",
    ] {
        let mut raw = server.raw_websocket("id=x&token=t").await;
        raw.expect("OPEN").await;
        raw.send(&frame(CLOSE, body)).await;
        raw.ended().await;
        common::eventually("it is gone", async || server.peers().await == json!(["w"])).await;
    }
    witness.nothing_more().await;
}

#[tokio::test]
async fn frames_sent_together_with_the_handshake_are_all_handled() {
    let server = Server::start(&[("liveness.return_ms", "60000")]);
    let mut b = server.peer("b").await;
    let offer = |n: usize| {
        frame(TEXT, format!(r#"{{"type":"OFFER","dst":"b","payload":{{"n":{n}}}}}"#).as_bytes())
    };
    // more messages than are kept while there is no page
    let said = [(0..100).flat_map(offer).collect(), frame(CLOSE, &1000_u16.to_be_bytes())].concat();
    let mut a = server.raw().await;
    a.shake_hands_and_say("id=a&token=t", &said).await;
    for n in 0..100 {
        assert_eq!(b.expect_from("OFFER", "a").await["payload"]["n"], n);
    }
    // at once, because it sent a normal close
    b.expect_from("LEAVE", "a").await;
}

#[tokio::test]
async fn after_both_have_closed_the_server_ends_the_connection() {
    let server = Server::start(&[]);
    for (what, bytes) in [
        ("its own close", frame(CLOSE, b"\x03\xe8")),
        ("the server's close", frame(TEXT, br#"{"type":"LEAVE"}"#)),
    ] {
        let mut raw = server.raw_websocket("id=x&token=t").await;
        raw.expect("OPEN").await;
        raw.send(&bytes).await;
        assert_eq!(raw.refused().await.1, 1000);
        let _ = raw.try_send(&frame(CLOSE, b"\x03\xe8")).await;
        let closed = Instant::now();
        raw.ended().await;
        figure(
            "the end of the socket comes so long after both close frames",
            format!("{:?} after {what}", closed.elapsed()),
        );
    }
}

#[tokio::test]
async fn frames_after_a_refused_frame_are_ignored() {
    let server = Server::start(&[]);
    let mut witness = server.peer("w").await;
    let mut raw = server.raw_websocket("id=x&token=t").await;
    raw.expect("OPEN").await;
    let offer = frame(TEXT, br#"{"type":"OFFER","dst":"w","payload":{}}"#);
    raw.send(&[offer.clone(), frame(BINARY, b""), offer].concat()).await;
    assert_eq!(raw.refused().await.1, 1003);
    witness.expect_from("OFFER", "x").await;
    witness.expect_from("LEAVE", "x").await;
    witness.nothing_more().await;
}

/// Sends `bytes` again and again until `work` is done.
async fn until_done(raw: &mut Raw, bytes: &[u8], work: impl Future<Output = ()>) {
    let pour = async {
        while raw.stream.writable().await.is_ok() {
            let _ = tokio::io::AsyncWriteExt::write(&mut raw.stream, bytes).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = pour => {}
    }
}
