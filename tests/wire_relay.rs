//! RELAY: the data path over the server, between group members.

mod common;

use common::{Client, MIB, Server, eventually, figure};
use serde_json::json;
use tokio::time::{Duration, Instant};

fn relay(client: &Client, payload: &str) {
    client.send_text(format!(r#"{{"type":"RELAY","src":"mallory","payload":{payload}}}"#));
}

#[tokio::test]
async fn the_host_relays_to_all_that_want_it_and_other_members_to_the_host() {
    let server = Server::start(&[]);
    let mut members = server.group("p", &["h", "a", "b", "c"]).await;
    let mut stock = server.member("p", "stock").await;
    let mut elsewhere = server.grouped("q", "a").await;
    members[0].expect_from("JOIN", "stock").await;
    members[3].status(json!({"relay": false}));
    members[3].nothing_more().await;
    let payload = r#"{"z" : 1.0e1, "a":[ 2,"\u00e9"]}"#;
    relay(&members[0], payload);
    for member in &mut members[1..3] {
        assert_eq!(
            member.text().await,
            format!(r#"{{"type":"RELAY","src":"h","payload":{payload}}}"#)
        );
    }
    relay(&members[1], "[1]");
    let told = members[0].expect_from("RELAY", "a").await;
    assert_eq!(told["payload"], json!([1]));
    // it may still send, and be sent to by id
    members[0].send_to("RELAY", "c", json!("for you"));
    assert_eq!(members[3].expect_from("RELAY", "h").await["payload"], "for you");
    members[3].send_to("RELAY", "b", json!(7));
    assert_eq!(members[2].expect_from("RELAY", "c").await["payload"], 7);
    // a stock client neither receives nor sends RELAY
    members[0].send_to("RELAY", "stock", json!({}));
    relay(&stock, "{}");
    for client in members.iter_mut().chain([&mut stock, &mut elsewhere]) {
        client.nothing_more().await;
    }
}

#[tokio::test]
async fn a_former_host_relays_to_the_host_alone() {
    let server = Server::start(&[]);
    let mut members = server.group("p", &["h", "a", "b"]).await;
    let epoch = members[0].open["epoch"].clone();
    members[0].send(json!({"type": "RESIGN", "payload": {"epoch": epoch, "to": "a"}}));
    for member in &mut members {
        assert_eq!(member.appointed().await["host"], "a");
    }
    relay(&members[0], "1");
    members[1].expect_from("RELAY", "h").await;
    members[2].nothing_more().await;
}

#[tokio::test]
async fn messages_from_one_sender_to_one_receiver_keep_their_order() {
    let server = Server::start(&[("limits.messages_per_s", "0")]);
    let mut members = server.group("p", &["h", "a", "b"]).await;
    for n in 0..500 {
        relay(&members[0], &n.to_string());
    }
    for member in &mut members[1..] {
        for n in 0..500 {
            assert_eq!(member.expect_from("RELAY", "h").await["payload"], n);
        }
    }
}

#[tokio::test]
async fn a_relayed_message_that_is_too_long_is_refused() {
    let server = Server::start(&[("relay.max_message_bytes", "2000")]);
    let mut members = server.group("p", &["h", "a"]).await;
    relay(&members[0], &format!("\"{}\"", "x".repeat(1800)));
    members[1].expect_from("RELAY", "h").await;
    relay(&members[1], &format!("\"{}\"", "x".repeat(2100)));
    let (words, code) = members[1].refused().await;
    assert_eq!((words["type"].as_str(), code), (Some("ERROR"), 1009), "{words}");
    members[0].expect_from("LEAVE", "a").await;
    members[0].nothing_more().await;
}

#[tokio::test]
async fn without_a_relay_nothing_is_relayed_and_all_members_dial_the_host() {
    let server = Server::start(&[("relay.enabled", "false")]);
    let mut members = server.group("p", &["h", "a"]).await;
    assert!(members.iter().all(|m| m.open["relay"] == false && m.open["p2p"] == true));
    relay(&members[0], "1");
    relay(&members[1], "1");
    for member in &mut members {
        member.nothing_more().await;
    }
}

#[tokio::test]
async fn the_members_longest_present_dial_the_host_and_the_others_do_not() {
    let server = Server::start(&[("pages.star", "3")]);
    let mut members = server.group("p", &["a", "b", "c", "d", "e"]).await;
    let dial: Vec<_> = members.iter().map(|m| m.open["p2p"].as_bool()).collect();
    assert_eq!(dial, [true, true, true, false, false].map(Some));
    members.remove(0).goodbye().await;
    for (member, dials) in members.iter_mut().zip([true, true, true, false]) {
        assert_eq!(member.appointed().await["p2p"], dials, "{}", member.id);
    }
}

#[tokio::test]
async fn a_relay_over_the_rate_limit_is_slowed_and_loses_nothing() {
    let server = Server::start(&[("relay.max_bytes_per_s", "100000")]);
    let mut members = server.group("p", &["h", "a"]).await;
    let started = Instant::now();
    let data = "x".repeat(10_000);
    for n in 0..40 {
        relay(&members[0], &json!([n, data]).to_string());
    }
    for n in 0..40 {
        assert_eq!(members[1].expect_from("RELAY", "h").await["payload"][0], n);
    }
    // 400 KB at 100 KB a second, of which 100 KB pass at once. A slow machine takes longer, and
    // none takes less.
    assert!(started.elapsed() > Duration::from_millis(2000), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_member_that_does_not_read_is_closed_and_the_others_get_everything() {
    let settings = [
        ("liveness.ping_ms", "100"),
        ("liveness.timeout_ms", "1000"),
        ("limits.queue_bytes", "262144"),
        ("limits.messages_per_s", "0"),
        ("relay.max_bytes_per_s", "0"),
        ("auth.admin_token", "admin"),
    ];
    let server = Server::start(&settings);
    let mut members = server.group("p", &["h", "a", "b"]).await;
    let (memory, descriptors) = (server.memory(), server.descriptors());
    let mut jammed = server.narrow_websocket("id=j&page=p&group=2").await;
    jammed.expect("OPEN").await;
    members[0].expect_from("JOIN", "j").await;
    let data = "x".repeat(30_000);
    let send_all = async {
        for n in 0..600 {
            relay(&members[0], &json!([n, data]).to_string());
            // not faster than the other members read
            for at in [1, 2] {
                assert_eq!(members[at].expect_from("RELAY", "h").await["payload"][0], n);
            }
        }
    };
    let ((), peak) = server.peak_memory_during(send_all).await;
    figure(
        "memory before / peak while 18 MB are relayed past one that does not read, MiB",
        format!("{} / {}", memory / MIB, peak / MIB),
    );
    assert!(peak < memory + 8 * MIB, "{memory} grew to {peak}");
    eventually("it is off the roster", async || server.pages().await[0]["members"] == 3).await;
    eventually("its descriptor is closed", async || server.descriptors() <= descriptors).await;
}
