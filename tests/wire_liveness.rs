//! Liveness: the server notices clients that are silent for too long or read too slowly.

mod common;

use std::time::Duration;

use common::{Client, MIB, Raw, Server, eventually, figure, frame};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

/// Longest time that settings allow: in effect never.
const NEVER: &str = "600000";

#[tokio::test]
async fn a_silent_member_times_out_and_the_host_is_sent_leave_at_once() {
    let settings = [
        ("liveness.ping_ms", "100"),
        ("liveness.timeout_ms", "800"),
        ("liveness.host_timeout_ms", NEVER),
        ("liveness.return_ms", "60000"),
    ];
    let server = Server::start(&settings);
    let mut host = server.member("p", "h").await;
    let mut silent = server.raw_websocket("id=x&page=p").await;
    host.expect_from("JOIN", "x").await;
    host.expect_from("LEAVE", "x").await;
    let (words, code) = silent.refused().await;
    assert_eq!(
        (words["type"].as_str(), &words["payload"]["retry"], code),
        (Some("ERROR"), &json!(true), 4504)
    );
    host.nothing_more().await;
}

#[tokio::test]
async fn a_silent_host_is_replaced_sooner_than_a_member_would_be() {
    let settings = [
        ("liveness.ping_ms", "100"),
        ("liveness.timeout_ms", NEVER),
        ("liveness.host_timeout_ms", "600"),
    ];
    let server = Server::start(&settings);
    let mut silent = server.raw_websocket("id=h&page=p").await;
    let mut silent_member = server.raw_websocket("id=x&page=p").await;
    let mut b = server.member("p", "b").await;
    let mut c = server.member("p", "c").await;
    let (told, also) = (b.appointed().await, c.appointed().await);
    assert_eq!(
        (&told["cause"], &told["host"], &told["epoch"]),
        (&json!("timeout"), &also["host"], &also["epoch"])
    );
    assert!(told["host"] == "b" || told["host"] == "c", "the silent one was not elected: {told}");
    assert_eq!(silent.refused().await.1, 4504);
    // the other silent client is a member, and has more time
    silent_member.expect("OPEN").await;
    silent_member.expect("HOST").await;
    assert_eq!(told["members"], 3);
}

#[tokio::test]
async fn a_pong_is_a_sign_of_life() {
    let settings = [
        ("liveness.ping_ms", "100"),
        ("liveness.timeout_ms", "600"),
        ("liveness.host_timeout_ms", "600"),
    ];
    let server = Server::start(&[&settings[..], &[("peerjs.expire_ms", "1800")]].concat());
    let mut host = server.member("p", "h").await;
    let mut member = server.member("p", "m").await;
    let mut peer = server.peer("x").await;
    host.expect("JOIN").await;
    // three times as long as a client may be silent, and neither sends anything meanwhile
    tokio::join!(
        host.nothing_until_expire(),
        member.nothing_until_expire(),
        peer.nothing_until_expire()
    );
}

#[tokio::test]
async fn any_frame_is_a_sign_of_life() {
    let settings = [
        ("liveness.ping_ms", "100"),
        ("liveness.timeout_ms", "1500"),
        ("liveness.host_timeout_ms", "1500"),
    ];
    let server = Server::start(&settings);
    let mut raw = server.raw_websocket("id=a&page=p").await;
    raw.expect("OPEN").await;
    let started = Instant::now();
    let mut kinds = [r#"{"type":"HEARTBEAT"}"#, r#"{"type":"WHATEVER"}"#].iter().cycle();
    while started.elapsed() < Duration::from_millis(4500) {
        raw.send_text(kinds.next().expect("for ever")).await;
        sleep(Duration::from_millis(100)).await;
    }
    raw.send_text(r#"{"type":"OFFER","dst":"a","payload":{}}"#).await;
    raw.expect("OFFER").await;
}

/// Sends messages to `dst` until the server takes no more.
async fn flood(sender: &mut Client, dst: &str, messages: usize, bytes: usize) {
    let payload = json!({"x": "x".repeat(bytes)});
    for n in 0..messages {
        sender.send_to("OFFER", dst, payload.clone());
        if n % 10 == 9 {
            // not faster than the server reads; EXPIRE says that the receiver is gone
            sender.send_to("CANDIDATE", &sender.id, json!({"n": n}));
            while sender.next().await["type"] != "CANDIDATE" {}
        }
    }
}

const JAM: [(&str, &str); 7] = [
    ("liveness.ping_ms", "100"),
    ("liveness.timeout_ms", "1000"),
    ("liveness.host_timeout_ms", "1000"),
    ("liveness.return_ms", "0"),
    ("limits.queue_bytes", "262144"),
    ("limits.messages_per_s", "0"),
    ("peerjs.allow_discovery", "true"),
];

#[tokio::test]
async fn a_client_that_stops_reading_is_removed_with_bounded_memory_and_a_closed_socket() {
    let server = Server::start(&JAM);
    let mut sender = server.peer("s").await;
    let (mut b, mut c) = (server.peer("b").await, server.peer("c").await);
    // the first flood also fills the buffers of the sender's session
    flood(&mut sender, "s2", 20, 50_000).await;
    let (memory, descriptors) = (server.memory(), server.descriptors());

    let jammed = server.narrow_websocket("id=j&token=t").await;
    eventually("it is a peer", async || {
        server.peers().await.as_array().is_some_and(|all| all.contains(&json!("j")))
    })
    .await;
    let others = async {
        for _ in 0..100 {
            b.meet(&mut c).await;
        }
    };
    let work = async { tokio::join!(flood(&mut sender, "j", 700, 50_000), others) };
    let (_, peak) = server.peak_memory_during(work).await;
    figure(
        "memory before / peak while 35 MB are sent to one that does not read, MiB",
        format!("{} / {}", memory / MIB, peak / MIB),
    );
    eventually("it is off the list", async || server.peers().await == json!(["s", "b", "c"])).await;
    assert!(peak < memory + 12 * MIB, "{memory} grew to {peak}");

    let started = Instant::now();
    eventually("its descriptor is closed", async || server.descriptors() <= descriptors).await;
    figure("its descriptor was closed after, ms", started.elapsed().as_millis());
    b.meet(&mut c).await;
    drop(jammed);
}

#[tokio::test]
async fn a_host_that_stops_reading_is_replaced_and_the_members_are_told_once() {
    let server = Server::start(&JAM);
    // once this is answered, everything that an idle server has open is open
    server.peers().await;
    let descriptors = server.descriptors();
    let mut jammed = server.narrow_websocket("id=j&page=p").await;
    jammed.expect("OPEN").await;
    let (mut b, mut c) = (server.member("p", "b").await, server.member("p", "c").await);
    let payload = json!({"x": "x".repeat(60_000)});
    for _ in 0..200 {
        b.send_to("OFFER", "j", payload.clone());
    }
    let mut told = c.next().await;
    assert_eq!(told["type"], "HOST", "{told}");
    let told = told["payload"].take();
    assert!(told["cause"] == "left" || told["cause"] == "timeout", "{told}");
    assert!(told["host"] == "b" || told["host"] == "c", "{told}");
    // b is told the same, between the answers to its offers
    loop {
        let message = b.next().await;
        match message["type"].as_str() {
            Some("HOST") => break assert_eq!(message["payload"]["epoch"], told["epoch"]),
            Some("EXPIRE" | "LEAVE") => assert_eq!(message["src"], "j"),
            _ => panic!("{message}"),
        }
    }
    drop((b, c));
    eventually("its descriptor is closed", async || server.descriptors() <= descriptors).await;
    drop(jammed);
}

#[tokio::test]
async fn a_client_that_stops_reading_below_its_queue_limit_times_out() {
    let mut settings = JAM.to_vec();
    settings.push(("limits.queue_bytes", "67108864"));
    let server = Server::start(&settings);
    let (mut sender, descriptors) = (server.peer("s").await, server.descriptors());
    let jammed = server.narrow_websocket("id=j&token=t").await;
    flood(&mut sender, "j", 200, 50_000).await;
    eventually("it is off the list", async || server.peers().await == json!(["s"])).await;
    eventually("its descriptor is closed", async || server.descriptors() <= descriptors).await;
    drop(jammed);
}

#[tokio::test]
async fn a_client_that_reads_very_slowly_is_removed_in_time_and_its_memory_is_bounded() {
    let server = Server::start(&JAM);
    let mut sender = server.peer("s").await;
    flood(&mut sender, "s2", 20, 50_000).await;
    let memory = server.memory();
    let mut trickling = server.narrow_websocket("id=j&token=t").await;
    eventually("it is a peer", async || server.peers().await == json!(["s", "j"])).await;
    let work = async {
        tokio::select! {
            () = async { loop { trickle(&mut trickling).await } } => {}
            () = async {
                flood(&mut sender, "j", 700, 50_000).await;
                eventually("it is off the list", async || server.peers().await == json!(["s"])).await;
            } => {}
        }
    };
    let ((), peak) = server.peak_memory_during(work).await;
    figure(
        "memory before / peak while 35 MB are sent to one that trickles, MiB",
        format!("{} / {}", memory / MIB, peak / MIB),
    );
    assert!(peak < memory + 12 * MIB, "{memory} grew to {peak}");
    // the sender is still served
    flood(&mut sender, "nobody", 10, 10).await;
}

async fn trickle(raw: &mut Raw) {
    raw.sip(16).await;
    sleep(Duration::from_millis(20)).await;
}

#[tokio::test]
async fn a_client_that_floods_and_leaves_is_missed_before_its_bytes_are_read() {
    let settings = [
        ("liveness.ping_ms", "300"),
        ("liveness.timeout_ms", NEVER),
        ("liveness.host_timeout_ms", NEVER),
        ("liveness.return_ms", "0"),
        ("limits.messages_per_s", "20"),
    ];
    let server = Server::start(&settings);
    let mut host = server.member("p", "h").await;
    let mut pourer = server.raw_websocket("id=x&page=p").await;
    host.expect_from("JOIN", "x").await;
    // with bytes left to read, its system would discard what it sent
    pourer.expect("OPEN").await;
    // reading all this takes more than a minute, with signs of life all the time
    let padding = "x".repeat(1000);
    pourer
        .send(
            &frame(0x81, format!(r#"{{"type":"HEARTBEAT","payload":"{padding}"}}"#).as_bytes())
                .repeat(1500),
        )
        .await;
    drop(pourer);
    host.expect_from("LEAVE", "x").await;
}

#[tokio::test]
async fn a_long_frame_on_a_slow_connection_is_a_sign_of_life_for_a_limited_time() {
    let settings = [
        ("liveness.ping_ms", "100"),
        ("liveness.timeout_ms", "500"),
        ("liveness.host_timeout_ms", "500"),
    ];
    let server = Server::start(&settings);
    let mut slow = server.raw_websocket("id=a&page=p").await;
    slow.expect("OPEN").await;
    let payload = "x".repeat(1000);
    let offer = frame(
        0x81,
        format!(r#"{{"type":"OFFER","dst":"a","payload":{{"x":"{payload}"}}}}"#).as_bytes(),
    );
    // three times as long as a client may be silent
    for part in offer.chunks(offer.len() / 15) {
        slow.send(part).await;
        sleep(Duration::from_millis(100)).await;
    }
    slow.expect("OFFER").await;
    // a frame that never ends
    let trickle = async {
        for byte in &frame(0x81, "x".repeat(10_000).as_bytes())[..200] {
            slow.stream.write_all(&[*byte]).await?;
            sleep(Duration::from_millis(50)).await;
        }
        std::io::Result::Ok(())
    };
    trickle.await.expect_err("the server closes it");
}
