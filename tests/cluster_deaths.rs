//! Nodes that die, freeze or leave, while members of their pages are on other nodes.

mod common;

use std::net::TcpListener;
use std::time::Duration;

use common::{Client, Redis, Server, http};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

/// A page on the first of three nodes, whose host is on the second, with a member on the third. The
/// member `x` on the first node is there as well.
struct Spread {
    nodes: Vec<Server>,
    x: Client,
    host: Client,
    guest: Client,
    epoch: Value,
}

async fn spread(redis: &Redis) -> Spread {
    let nodes: Vec<_> = (0..3).map(|_| redis.node(&[])).collect();
    let mut x = nodes[0].grouped("p", "x").await;
    let mut host = nodes[1].grouped("p", "h").await;
    x.expect_from("JOIN", "h").await;
    let mut guest = nodes[2].grouped("p", "g").await;
    x.expect_from("JOIN", "g").await;
    let epoch = x.open["epoch"].clone();
    x.send(json!({"type": "RESIGN", "payload": {"epoch": epoch, "to": "h"}}));
    let told = x.appointed().await;
    for client in [&mut host, &mut guest] {
        let told = client.appointed().await;
        assert_eq!(told["host"], "h", "{told}");
    }
    Spread { nodes, x, host, guest, epoch: told["epoch"].clone() }
}

/// Sends RELAY to the host again and again until it arrives. Every other message to the host may be
/// one of `allowed`.
async fn relays_again(guest: &Client, host: &mut Client, allowed: &[&str], within: Duration) {
    let deadline = Instant::now() + within;
    loop {
        guest.send(json!({"type": "RELAY", "payload": "still there"}));
        let Ok(told) = timeout(Duration::from_millis(100), host.next()).await else {
            assert!(Instant::now() < deadline, "no relay within {within:?}");
            continue;
        };
        if told["type"] == "RELAY" {
            return;
        }
        assert!(allowed.iter().any(|kind| told["type"] == *kind), "the host was told {told}");
    }
}

#[tokio::test]
async fn the_page_of_a_node_that_was_killed_goes_on_with_host_and_epoch() {
    let redis = Redis::start(&[]);
    let Spread { mut nodes, mut x, mut host, mut guest, epoch } = spread(&redis).await;
    let mut other = nodes[1].grouped("p", "o").await;
    host.expect_from("JOIN", "o").await;
    host.meet(&mut guest).await;
    for client in [&mut other, &mut guest] {
        client.meet(&mut x).await;
    }
    nodes[0].kill();
    let allowed = ["LEAVE", "HOST", "ALONE", "DEPUTY", "JOIN"];
    relays_again(&guest, &mut host, &allowed, Duration::from_secs(8)).await;
    // the host is told who is left, in its own epoch
    let told = loop {
        let told = host.next().await;
        if told["type"] == "HOST" {
            break told;
        }
    };
    let roster = told["payload"]["roster"].as_array().expect("a roster");
    let mut ids: Vec<_> = roster.iter().filter_map(|entry| entry["id"].as_str()).collect();
    ids.sort_unstable();
    assert_eq!((ids, &told["payload"]["epoch"]), (vec!["g", "h", "o"], &epoch));
    // who had met the member that died with the node is told so: on the page's new node, and elsewhere
    for client in [&mut other, &mut guest] {
        while client.next().await != json!({"type": "LEAVE", "src": "x", "payload": {"lost": true}})
        {
        }
    }
    // a newcomer on the node that had nothing to do with the page is told the same host
    let newcomer = nodes[1].grouped("p", "n").await;
    assert_eq!((&newcomer.open["host"], &newcomer.open["epoch"]), (&json!("h"), &epoch));
}

#[tokio::test]
async fn a_node_that_was_frozen_beyond_its_lease_yields() {
    let redis = Redis::start(&[]);
    let Spread { nodes, mut x, mut host, guest, epoch } = spread(&redis).await;
    nodes[0].signal("STOP");
    let allowed = ["LEAVE", "HOST", "ALONE", "DEPUTY", "JOIN"];
    relays_again(&guest, &mut host, &allowed, Duration::from_secs(12)).await;
    nodes[0].signal("CONT");
    // the member of the node that was frozen is on the page again, and nobody has heard of another
    // host since
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        host.send_to("RELAY", "x", json!("welcome back"));
        match timeout(Duration::from_millis(200), x.next()).await {
            Ok(told) if told["type"] == "RELAY" => break,
            Ok(told) => {
                let is_known = told["type"] != "HOST" || told["payload"]["epoch"] == epoch;
                assert!(is_known, "x was told {told}");
            }
            Err(_) => assert!(Instant::now() < deadline, "x does not come back"),
        }
    }
}

#[tokio::test]
async fn a_full_link_drops_what_the_host_relays_and_stays() {
    let redis = Redis::start(&[]);
    let (one, two) = (redis.node(&[]), redis.node(&[]));
    let mut host = one.grouped("p", "h").await;
    let mut guest = two.grouped("p", "g").await;
    host.expect_from("JOIN", "g").await;
    two.signal("STOP");
    // 4 MB at once: as much as a session may relay in a second, and more than a link holds
    let data = "x".repeat(60_000);
    for _ in 0..70 {
        host.send(json!({"type": "RELAY", "payload": data}));
    }
    while metric(&one, "relays_dropped").await == 0 {}
    assert_eq!(metric(&one, "links_down").await, 0);
    two.signal("CONT");
    host.send(json!({"type": "RELAY", "payload": "last"}));
    let mut heard = 0;
    loop {
        let told = guest.expect_from("RELAY", "h").await;
        if told["payload"] == "last" {
            break;
        }
        heard += 1;
        host.send(json!({"type": "RELAY", "payload": "last"}));
    }
    assert!((1..70).contains(&heard), "{heard} of 70 arrive");
    assert_eq!(metric(&one, "links_down").await, 0);
    // nobody was closed, and the host is told nothing of all this
    guest.send(json!({"type": "RELAY", "payload": "back"}));
    assert_eq!(host.expect_from("RELAY", "g").await["payload"], "back");
}

#[tokio::test]
async fn a_node_that_alone_has_lost_redis_is_not_ready_and_leaves() {
    let redis = Redis::start(&[]);
    let () = redis.run("ACL SETUSER lone on >secret ~* &* +@all");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let port = port.expect("a port").port().to_string();
    let address = format!("http://127.0.0.1:{port}/");
    let one = redis.node(&[("server.port", &port), ("cluster.address", &address)]);
    let url = redis.url().replace("redis://", "redis://lone:secret@");
    let mut two = redis.node(&[("cluster.url", &url)]);
    for node in [&one, &two] {
        while node.get("/ready").await.status != 200 {}
        while metric(node, "links").await < 1 {}
    }
    let () = redis.run("ACL SETUSER lone off");
    let _: u64 = redis.run("CLIENT KILL USER lone");
    let until = Instant::now() + Duration::from_secs(30);
    while two.get("/ready").await.status == 200 {
        assert!(Instant::now() < until, "it stays ready");
    }
    assert_eq!(two.get("/ready").await.header("peerstar-redis"), Some("no"));
    let ready = one.get("/ready").await;
    assert_eq!((ready.status, ready.header("peerstar-redis")), (200, Some("yes")));
    assert_eq!(two.exit_within(Duration::from_secs(60)).await.code(), Some(1));
}

/// Returns a number of a node.
async fn metric(node: &Server, name: &str) -> u64 {
    let metrics = http(node, "GET", "/metrics", &[]).await.body;
    let name = format!("peerstar_cluster_{name} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
    line.and_then(|number| number.parse().ok()).expect("a number")
}

#[tokio::test]
async fn redis_may_be_killed_and_come_back_empty() {
    let mut redis = Redis::start(&[]);
    let Spread { nodes, x: _x, mut host, guest, epoch } = spread(&redis).await;
    redis.kill();
    tokio::time::sleep(Duration::from_secs(1)).await;
    redis.start_again();
    relays_again(&guest, &mut host, &["ALONE"], Duration::from_secs(10)).await;
    // when all nodes have said which pages they have, newcomers are let in again
    let newcomer = nodes[2].grouped("p", "n").await;
    assert_eq!((&newcomer.open["host"], &newcomer.open["epoch"]), (&json!("h"), &epoch));
    let mut other = nodes[0].grouped("another", "o").await;
    assert_eq!(other.open["host"], "o");
    other.nothing_more().await;
}

#[tokio::test]
async fn a_node_that_drains_gives_its_pages_up() {
    let redis = Redis::start(&[]);
    let Spread { mut nodes, mut x, mut host, guest, epoch } = spread(&redis).await;
    nodes[0].signal("TERM");
    while x.next().await["type"] != "RESTART" {}
    assert!(nodes[0].exit_within(Duration::from_secs(20)).await.success());
    let allowed = ["LEAVE", "HOST", "ALONE", "DEPUTY", "JOIN"];
    relays_again(&guest, &mut host, &allowed, Duration::from_secs(8)).await;
    let newcomer = nodes[1].grouped("p", "n").await;
    assert_eq!((&newcomer.open["host"], &newcomer.open["epoch"]), (&json!("h"), &epoch));
}
