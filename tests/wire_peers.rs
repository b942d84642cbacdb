//! Page-less peers: the server behaves like PeerServer, message for message.

mod common;

use common::{Client, Event, Server, eventually};
use serde_json::json;

#[tokio::test]
async fn a_peer_is_sent_open_and_nothing_else() {
    let server = Server::start(&[]);
    let mut peer = server.connect("/peerjs?key=peerjs&id=a&token=t&version=1.5.5").await;
    assert_eq!(peer.text().await, r#"{"type":"OPEN"}"#);
    peer.nothing_more().await;
}

#[tokio::test]
async fn signalling_reaches_its_receiver_with_the_true_sender_and_an_unchanged_payload() {
    let server = Server::start(&[]);
    let (mut a, mut b, mut c) =
        (server.peer("a").await, server.peer("b").await, server.peer("c").await);
    for kind in ["OFFER", "ANSWER", "CANDIDATE"] {
        let payload =
            r#"{"z" : [1.0e1, 10000000000000000000001],"a":"\u00e9 \ud83d\ude00 é","a":2 }"#;
        a.send_text(format!(
            r#"{{"src":"mallory","payload":{payload},"dst":"b","type":"{kind}","more":[{{}}]}}"#
        ));
        assert_eq!(
            b.text().await,
            format!(r#"{{"type":"{kind}","src":"a","dst":"b","payload":{payload}}}"#)
        );
    }
    a.nothing_more().await;
    c.nothing_more().await;
}

#[tokio::test]
async fn leave_and_expire_are_delivered_or_dropped() {
    let server = Server::start(&[("peerjs.expire_ms", "300")]);
    let (mut a, mut b) = (server.peer("a").await, server.peer("b").await);
    for kind in ["LEAVE", "EXPIRE"] {
        a.send(json!({"type": kind, "src": "mallory", "dst": "b"}));
        let told = b.expect_from(kind, "a").await;
        assert_eq!(told["dst"], "b");
        a.send(json!({"type": kind, "dst": "absent"}));
    }
    a.nothing_until_expire().await;
    let mut late = server.peer("absent").await;
    late.nothing_more().await;
}

#[tokio::test]
async fn messages_to_an_absent_peer_are_parked_in_order() {
    let server = Server::start(&[]);
    let (mut a, mut b) = (server.peer("a").await, server.peer("b").await);
    for n in 0..50 {
        let kind = ["OFFER", "CANDIDATE", "ANSWER"][n % 3];
        a.send_to(kind, "late", json!({"n": n}));
        // both senders' messages keep their order
        a.nothing_more().await;
        b.send_to("CANDIDATE", "late", json!({"n": n}));
        b.nothing_more().await;
    }
    let mut late = server.peer("late").await;
    for n in 0..50 {
        let kind = ["OFFER", "CANDIDATE", "ANSWER"][n % 3];
        assert_eq!(late.expect_from(kind, "a").await["payload"]["n"], n);
        assert_eq!(late.expect_from("CANDIDATE", "b").await["payload"]["n"], n);
    }
    late.nothing_more().await;
    late.goodbye().await;
    // a delivered message is not delivered again to the next peer with that id
    server.peer("late").await.nothing_more().await;
}

#[tokio::test]
async fn a_message_that_was_delivered_late_does_not_expire_too() {
    let server = Server::start(&[("peerjs.expire_ms", "400")]);
    let mut a = server.peer("a").await;
    a.send_to("OFFER", "late", json!({}));
    let mut late = server.peer("late").await;
    late.expect_from("OFFER", "a").await;
    a.nothing_until_expire().await;
}

#[tokio::test]
async fn a_sender_gets_one_expire_for_each_absent_peer() {
    let server = Server::start(&[("peerjs.expire_ms", "300")]);
    let (mut a, mut b) = (server.peer("a").await, server.peer("b").await);
    for absent in ["x", "y"] {
        a.send_to("OFFER", absent, json!({}));
        for n in 0..5 {
            a.send_to("CANDIDATE", absent, json!({"n": n}));
        }
    }
    b.send_to("OFFER", "x", json!({}));
    assert_eq!(a.text().await, r#"{"type":"EXPIRE","src":"x","dst":"a"}"#);
    assert_eq!(a.text().await, r#"{"type":"EXPIRE","src":"y","dst":"a"}"#);
    assert_eq!(b.text().await, r#"{"type":"EXPIRE","src":"x","dst":"b"}"#);
    a.nothing_until_expire().await;
    // an expired message is gone
    let mut x = server.peer("x").await;
    x.nothing_more().await;
}

#[tokio::test]
async fn every_message_to_an_absent_peer_expires_on_its_own() {
    let server = Server::start(&[("peerjs.expire_ms", "150")]);
    let mut a = server.peer("a").await;
    for _ in 0..3 {
        a.send_to("OFFER", "x", json!({}));
        a.expect_from("EXPIRE", "x").await;
    }
    a.nothing_more().await;
}

#[tokio::test]
async fn messages_beyond_the_parking_limit_expire_at_once_and_the_rest_is_delivered() {
    let server = Server::start(&[("peerjs.expire_ms", "60000")]);
    let mut a = server.peer("a").await;
    let sent = 400;
    for n in 0..sent {
        a.send_to("OFFER", "late", json!({"n": n}));
    }
    a.send_to("OFFER", &a.id, json!({"end": true}));
    let mut expired = 0;
    loop {
        let told = a.next().await;
        match told["type"].as_str() {
            Some("EXPIRE") => expired += 1,
            _ => break assert_eq!(told["payload"]["end"], true),
        }
    }
    assert!((1..sent).contains(&expired), "{expired} of {sent} expired at once");
    let mut late = server.peer("late").await;
    for n in 0..sent - expired {
        assert_eq!(late.expect_from("OFFER", "a").await["payload"]["n"], n);
    }
    late.nothing_more().await;
}

#[tokio::test]
async fn leave_without_a_receiver_ends_the_session() {
    let server = Server::start(&[("peerjs.allow_discovery", "true")]);
    for leave in [
        json!({"type": "LEAVE"}),
        json!({"type": "LEAVE", "dst": ""}),
        json!({"type": "LEAVE", "dst": null}),
    ] {
        let mut a = server.peer("a").await;
        a.send(leave);
        assert_eq!(a.closed().await, (1000, "left".into()));
        eventually("a is gone", async || server.peers().await == json!([])).await;
    }
}

#[tokio::test]
async fn unknown_types_and_messages_to_nobody_are_ignored() {
    let server = Server::start(&[]);
    let (mut a, mut b) = (server.peer("a").await, server.peer("b").await);
    for text in [
        r#"{"type":"GREETINGS","dst":"b","payload":{}}"#,
        r#"{"type":"offer","dst":"b","payload":{}}"#,
        r#"{"type":"OPEN","dst":"b"}"#,
        r#"{"type":"ERROR","dst":"b","payload":{"msg":"boo"}}"#,
        r#"{"type":"ID-TAKEN","dst":"b"}"#,
        r#"{"type":"HOST","dst":"b","payload":{}}"#,
        r#"{"type":"JOIN","dst":"b","src":"c"}"#,
        r#"{"type":"RESTART","dst":"b"}"#,
        r#"{"type":"OFFER","payload":{}}"#,
        r#"{"type":"CANDIDATE","dst":"","payload":{}}"#,
        r#"{"type":""}"#,
    ] {
        a.send_text(text);
    }
    a.nothing_more().await;
    b.nothing_more().await;
}

#[tokio::test]
async fn a_heartbeat_of_a_stock_client_is_not_answered() {
    let server = Server::start(&[]);
    let mut a = server.peer("a").await;
    (0..3).for_each(|_| a.send(json!({"type": "HEARTBEAT"})));
    a.nothing_more().await;
}

#[tokio::test]
async fn a_peer_may_send_to_itself() {
    let server = Server::start(&[]);
    let mut a = server.peer("a").await;
    a.send_to("OFFER", "a", json!({"x": 1}));
    assert_eq!(a.expect_from("OFFER", "a").await["payload"]["x"], 1);
}

#[tokio::test]
async fn an_offer_that_would_throw_in_its_receiver_is_refused_with_the_reason() {
    let server = Server::start(&[]);
    let mut b = server.peer("b").await;
    for payload in ["", r#","payload":null"#, r#","payload":5"#, r#","payload":[{}]"#] {
        let mut a = server.peer("a").await;
        a.send_text(format!(r#"{{"type":"OFFER","dst":"b"{payload}}}"#));
        let (words, code) = a.refused().await;
        assert_eq!((words["type"].as_str(), code), (Some("ERROR"), 4422), "{payload}: {words}");
        b.nothing_more().await;
    }
}

#[tokio::test]
async fn a_client_beyond_the_concurrent_limit_is_told_so_and_a_returned_permit_is_given_again() {
    let server = Server::start(&[("peerjs.concurrent_limit", "2")]);
    let (a, mut b) = (server.peer("a").await, server.peer("b").await);
    let (words, code) = server.refusal("/peerjs?key=peerjs&id=c&token=t").await;
    assert_eq!(words["type"], "ERROR");
    assert_eq!(words["payload"]["msg"], "Server has reached its concurrent user limit");
    assert_eq!(
        (words["payload"]["code"].as_u64(), words["payload"]["retry"].as_bool()),
        (Some(4503), Some(true))
    );
    assert_eq!(code, 4503);
    b.nothing_more().await;
    a.goodbye().await;
    eventually("c is let in", async || is_admitted(&server, "c").await).await;
    b.nothing_more().await;
}

async fn is_admitted(server: &Server, id: &str) -> bool {
    let mut client: Client = server.connect(&format!("/peerjs?key=peerjs&id={id}&token=t")).await;
    client.event().await == Event::Text(r#"{"type":"OPEN"}"#.into())
}
