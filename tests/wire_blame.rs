//! A sender that sends too much is told, and a receiver that is sent too much is not closed for it.

mod common;

use std::collections::BTreeMap;

use common::{Server, eventually, frame};
use serde_json::json;

/// A message of `bytes` or a little more for `dst`.
fn offer(dst: &str, bytes: usize) -> serde_json::Value {
    json!({"type": "OFFER", "dst": dst, "payload": {"sdp": "x".repeat(bytes)}})
}

#[tokio::test]
async fn parked_messages_do_not_overflow_the_queue_of_a_newcomer_and_the_rest_expires() {
    const EACH: usize = 16;
    let server =
        Server::start(&[("peerjs.expire_ms", "60000"), ("peerjs.allow_discovery", "true")]);
    let mut dialers = Vec::new();
    for n in 0..12 {
        let mut dialer = server.peer(&format!("d{n}")).await;
        (0..EACH).for_each(|_| dialer.send(offer("v", 31_000)));
        // once this is back, all offers have been parked or refused
        dialer.send_to("CANDIDATE", &format!("d{n}"), json!({"end": true}));
        let mut expired = 0;
        while dialer.next().await["type"] == "EXPIRE" {
            expired += 1;
        }
        dialers.push(expired);
    }
    let mut newcomer = server.peer("v").await;
    newcomer.send_to("CANDIDATE", "v", json!({"end": true}));
    let mut delivered = BTreeMap::<String, usize>::new();
    loop {
        let message = newcomer.next().await;
        if message["type"] == "CANDIDATE" {
            break;
        }
        assert_eq!(message["type"], "OFFER");
        *delivered.entry(message["src"].as_str().expect("a sender").to_owned()).or_default() += 1;
    }
    for (n, expired) in dialers.iter().enumerate() {
        let delivered = delivered.get(&format!("d{n}")).copied().unwrap_or_default();
        assert_eq!(delivered + expired, EACH, "each of d{n}'s was delivered or expired");
    }
    assert!(
        !delivered.is_empty() && dialers.iter().sum::<usize>() > 0,
        "{delivered:?} {dialers:?}"
    );
    newcomer.nothing_more().await;
}

#[tokio::test]
async fn a_peer_that_sends_more_than_a_member_reads_does_not_have_it_closed() {
    let server =
        Server::start(&[("limits.queue_bytes", "131072"), ("peerjs.allow_discovery", "true")]);
    let mut reader = server.narrow_websocket("id=r&token=t").await;
    reader.expect("OPEN").await;
    let mut stranger = server.raw_websocket("id=s&token=t").await;
    stranger.expect("OPEN").await;
    let flood = frame(0x81, offer("r", 60_000).to_string().as_bytes());
    // more than the kernel's buffers take
    for _ in 0..100 {
        stranger.send(&flood).await;
    }
    // the first offer that finds the queue full expires
    stranger.expect("EXPIRE").await;
    assert_eq!(server.peers().await.as_array().map(Vec::len), Some(2), "the reader is still there");
}

#[tokio::test]
async fn a_member_that_relays_more_than_the_host_reads_does_not_have_the_host_replaced() {
    let server = Server::start(&[("limits.queue_bytes", "131072"), ("auth.admin_token", "admin")]);
    let mut host = server.narrow_websocket("id=h&page=p&group=2").await;
    let epoch = host.expect("OPEN").await["payload"]["epoch"].clone();
    let mut member = server.grouped("p", "m").await;
    host.expect("JOIN").await;
    let data = "x".repeat(60_000);
    (0..100).for_each(|n| member.send(json!({"type": "RELAY", "payload": [n, data]})));
    // the page has handled all of that by now
    member.send_to("CANDIDATE", "m", json!({}));
    member.expect("CANDIDATE").await;
    // there is still room for the server's own messages
    member.send(json!({"type": "SUSPECT", "payload": {"host": "h", "epoch": epoch}}));
    member.send_to("CANDIDATE", "m", json!({}));
    member.expect("CANDIDATE").await;
    assert_eq!(
        server.pages().await[0],
        json!({"page": "p", "host": "h", "epoch": epoch, "members": 2})
    );
    // delivered messages are in order, and the rest is dropped
    let mut relayed = Vec::new();
    loop {
        let message = host.next().await;
        if message["type"] == "PROBE" {
            break;
        }
        assert_eq!(message["type"], "RELAY");
        relayed.push(message["payload"][0].as_u64().expect("its number"));
    }
    assert!(relayed.len() < 100 && relayed.is_sorted(), "{relayed:?}");
    member.nothing_more().await;
}

#[tokio::test]
async fn a_crowd_that_joins_at_once_does_not_have_its_host_closed() {
    common::many_sockets();
    let server = Server::start(&[("limits.queue_bytes", "131072"), ("auth.admin_token", "admin")]);
    let mut host = server.narrow_websocket("id=h&page=p&token=t").await;
    host.expect("OPEN").await;
    let crowd = futures_util::future::join_all((0..1000).map(|n| {
        let server = &server;
        async move { server.member("p", &format!("m{n}")).await }
    }));
    let crowd = crowd.await;
    for member in &crowd {
        assert_eq!(member.open["host"], "h");
    }
    eventually("the host hears of all", async || server.pages().await[0]["members"] == 1001).await;
    for _ in 0..1000 {
        host.expect("JOIN").await;
    }
}
