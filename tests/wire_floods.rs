//! Floods of messages, handshakes and connections are slowed or refused, and other clients are not
//! affected.

mod common;

use std::time::Duration;

use common::{MIB, Raw, Server, eventually, figure, frame, many_sockets};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

#[tokio::test]
async fn a_flood_of_tiny_frames_is_slowed_and_costs_no_memory_and_no_other_client() {
    let server = Server::start(&[]);
    let (mut b, mut c) = (server.peer("b").await, server.peer("c").await);
    let tiny = [
        frame(0x81, br#"{"type":"HEARTBEAT"}"#),
        frame(0x89, b""),
        frame(0x8a, b""),
        frame(0x81, br#"{"type":"STATUS","payload":{"visible":true}}"#),
        // each of these is answered to a client that does not read
        frame(0x81, br#"{"type":"OFFER","dst":"a/b","payload":{}}"#),
    ];
    let mut floods = Vec::new();
    for n in 0..tiny.len() {
        let mut raw = server.raw_websocket(&format!("id=x{n}&token=t")).await;
        raw.expect("OPEN").await;
        floods.push(raw);
    }
    let memory = server.memory();
    let mut poured = vec![0; tiny.len()];
    let work = async {
        let pours = floods
            .iter_mut()
            .zip(&tiny)
            .zip(&mut poured)
            .map(|((raw, frame), poured)| pour(raw, frame, poured));
        tokio::select! {
            () = async {
                let started = Instant::now();
                // at least this long, so that growing memory would show
                while started.elapsed() < Duration::from_secs(3) {
                    b.meet(&mut c).await;
                }
            } => {}
            _ = futures_util::future::join_all(pours) => {}
        }
    };
    let ((), peak) = server.peak_memory_during(work).await;
    figure(
        "five floods of 3 s: poured by each, KiB",
        format!("{:?}", poured.iter().map(|n| n / 1024).collect::<Vec<_>>()),
    );
    figure("memory grew by, MiB", peak.saturating_sub(memory) / MIB);
    assert!(peak < memory + 16 * MIB, "{memory} grew to {peak}");
    assert!(poured.iter().all(|poured| *poured < 64 * MIB), "nobody slowed it: {poured:?}");
    b.nothing_more().await;
}

/// Sends the frame again and again until the socket is closed, and counts the bytes that were
/// taken.
async fn pour(raw: &mut Raw, frame: &[u8], poured: &mut usize) {
    let many = frame.repeat(2000);
    let mut rest = &many[..];
    loop {
        match raw.stream.write(rest).await {
            Ok(taken) => {
                *poured += taken;
                rest = &rest[taken..];
                if rest.is_empty() {
                    rest = &many;
                }
            }
            // a refusal is an answer, too
            Err(_) => return std::future::pending().await,
        }
    }
}

#[tokio::test]
async fn messages_beyond_the_rate_limit_are_late_and_not_lost() {
    let server = Server::start(&[("limits.messages_per_s", "200")]);
    let mut a = server.peer("a").await;
    let started = Instant::now();
    for n in 0..800 {
        a.send_to("OFFER", "a", json!({"n": n}));
    }
    for n in 0..800 {
        assert_eq!(a.expect("OFFER").await["payload"]["n"], n);
    }
    // 200 at once, and the others at 200 a second: 3 s. A slow machine takes longer, and none takes
    // less.
    assert!(started.elapsed() > Duration::from_millis(2500), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_rate_of_zero_is_no_limit() {
    let server = Server::start(&[("limits.messages_per_s", "0")]);
    let mut a = server.peer("a").await;
    (0..5000).for_each(|n| a.send_to("OFFER", "a", json!({"n": n})));
    for n in 0..5000 {
        assert_eq!(a.expect("OFFER").await["payload"]["n"], n);
    }
}

#[tokio::test]
async fn one_connection_carries_one_request() {
    let server = Server::start(&[]);
    for end in ["\r\n", "\n"] {
        let request = format!("GET /health HTTP/1.1{end}Host: x{end}{end}");
        let mut raw = server.raw().await;
        raw.send(format!("\r\n{}", request.repeat(3000)).as_bytes()).await;
        let mut answers = Vec::new();
        // the connection may end by a reset, because there was more to read
        let _ = raw.stream.read_to_end(&mut answers).await;
        let answers = String::from_utf8_lossy(&answers).to_ascii_lowercase();
        assert_eq!(answers.matches("http/1.1 200").count(), 1, "{end:?}: {answers}");
        assert!(answers.contains("connection: close"), "{answers}");
    }
}

#[tokio::test]
async fn requests_with_endless_bodies_leak_nothing() {
    let server = Server::start(&[]);
    server.get("/health").await;
    let before = server.descriptors();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (path, more) in [
        ("/health", ""),
        ("/peerjs?key=peerjs&id=a&token=t", upgrade),
        ("/health", "Upgrade: h2c\r\n"),
    ] {
        for _ in 0..20 {
            let mut raw = server.raw().await;
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{more}\r\n"
            );
            raw.send(request.as_bytes()).await;
            raw.sip(1).await;
        }
    }
    eventually("all descriptors are given back", async || server.descriptors() <= before).await;
}

#[tokio::test]
async fn a_thousand_half_open_handshakes_affect_no_client_and_are_closed() {
    many_sockets();
    let server = Server::start(&[]);
    let mut b = server.peer("b").await;
    let (memory, descriptors) = (server.memory(), server.descriptors());
    let beginnings = [
        "",
        "G",
        "GET /peerjs?key=peerjs&id=x&token=t HTTP/1.1\r\n",
        "GET /peerjs HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nX",
    ];
    let mut half_open = Vec::new();
    for n in 0..1000 {
        let mut raw = server.raw().await;
        raw.send(beginnings[n % beginnings.len()].as_bytes()).await;
        half_open.push(raw);
    }
    let mut c = server.peer("c").await;
    b.meet(&mut c).await;
    server.member("p", "a").await.nothing_more().await;
    let grown = server.memory().saturating_sub(memory);
    figure("memory for 1,000 half-open handshakes, KiB", grown / 1024);
    assert!(grown < 64 * MIB, "{grown}");
    eventually("they are closed", async || server.descriptors() <= descriptors + 4).await;
    b.meet(&mut c).await;
}

#[tokio::test]
async fn connections_from_one_address_are_limited() {
    let server = Server::start(&[("limits.connections_per_ip", "2")]);
    let (a, mut b) = (server.peer("a").await, server.peer("b").await);
    let (words, code) = server.refusal("/peerjs?key=peerjs&id=c&token=t").await;
    assert_eq!(
        (words["type"].as_str(), &words["payload"]["retry"], code),
        (Some("ERROR"), &json!(true), 4529)
    );
    // the address that it sends is not believed
    let said = [("x-forwarded-for", "1.2.3.4")];
    assert_eq!(
        server.connect_with("/peerjs?key=peerjs&id=c&token=t", &said).await.refused().await.1,
        4529
    );
    a.goodbye().await;
    eventually("its place is free", async || {
        server.connect("/peerjs?key=peerjs&id=c&token=t").await.next().await["type"] == "OPEN"
    })
    .await;
    b.nothing_more().await;
}

#[tokio::test]
async fn behind_a_proxy_the_clients_address_is_the_one_that_the_proxy_saw() {
    let server = Server::start(&[("limits.connections_per_ip", "1"), ("server.proxied", "true")]);
    let join_behind_proxy = async |id: &str, list: &str| {
        server
            .connect_with(
                &format!("/peerjs?key=peerjs&id={id}&token=t"),
                &[("x-forwarded-for", list)],
            )
            .await
    };
    let mut a = join_behind_proxy("a", "1.2.3.4").await;
    a.expect("OPEN").await;
    let mut b = join_behind_proxy("b", "9.9.9.9, 1.2.3.5").await;
    b.expect("OPEN").await;
    // the entry that the proxy received comes before the entry that it added
    assert_eq!(join_behind_proxy("c", "7.7.7.7, 1.2.3.4").await.refused().await.1, 4529);
    a.nothing_more().await;
}

#[tokio::test]
async fn all_connections_together_are_limited() {
    let server = Server::start(&[("server.max_connections", "2")]);
    let (_a, mut b) = (server.peer("a").await, server.peer("b").await);
    assert_eq!(server.refusal("/peerjs?key=peerjs&id=c&token=t").await.1, 4503);
    assert_eq!(server.get("/health").await.status, 200);
    b.nothing_more().await;
}

#[tokio::test]
async fn refused_sockets_that_stay_are_closed() {
    let server = Server::start(&[]);
    // once this is answered, everything that an idle server has open is open
    server.get("/health").await;
    let descriptors = server.descriptors();
    let mut refused = Vec::new();
    for _ in 0..50 {
        // these clients do not close their side
        let mut raw = server.raw_websocket("id=&token=t").await;
        assert_eq!(raw.refused().await.1, 4400);
        refused.push(raw);
    }
    eventually("the server closes them", async || server.descriptors() <= descriptors + 1).await;
}
