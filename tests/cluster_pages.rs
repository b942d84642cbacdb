//! A page with members on several nodes.

mod common;

use common::{Redis, SECRET, http, run_once};
use serde_json::json;

#[tokio::test]
async fn members_on_two_nodes_are_one_page() {
    let redis = Redis::start(&[]);
    let (one, two) = (redis.node(&[]), redis.node(&[]));
    let mut host = one.grouped("p", "h").await;
    assert_eq!((&host.open["host"], host.open["members"].as_u64()), (&json!("h"), Some(1)));
    let mut guest = two.grouped("p", "g").await;
    assert_eq!((&guest.open["host"], guest.open["members"].as_u64()), (&json!("h"), Some(2)));
    assert_eq!(guest.open["epoch"], host.open["epoch"]);
    host.expect_from("JOIN", "g").await;

    // signalling, in both directions and in order
    host.meet(&mut guest).await;
    for n in 0..20 {
        guest.send_to("CANDIDATE", "h", json!({"n": n}));
    }
    guest.send_to("OFFER", "h", json!({"n": 20}));
    guest.send_to("CANDIDATE", "h", json!({"n": 21}));
    for n in 0..22 {
        assert_eq!(host.next().await["payload"]["n"], n);
    }
    // data over the server
    guest.send(json!({"type": "RELAY", "payload": [1]}));
    assert_eq!(host.expect_from("RELAY", "g").await["payload"], json!([1]));
    host.send(json!({"type": "RELAY", "payload": [2]}));
    assert_eq!(guest.expect_from("RELAY", "h").await["payload"], json!([2]));
    host.nothing_more().await;
    guest.nothing_more().await;

    // the host leaves: the member on the other node is host
    host.goodbye().await;
    let told = guest.appointed().await;
    assert_eq!((&told["host"], told["roster"].as_array().map(Vec::len)), (&json!("g"), Some(1)));
    guest.expect_from("LEAVE", "h").await;
}

#[tokio::test]
async fn the_operator_is_answered_for_the_whole_cluster_by_any_node() {
    const ADMIN: (&str, &str) = ("Authorization", "Bearer secret");
    let redis = Redis::start(&[]);
    let settings = [("auth.admin_token", "secret"), ("peerjs.allow_discovery", "true")];
    let (one, two) = (redis.node(&settings), redis.node(&settings));
    let mut host = one.grouped("p", "h").await;
    let mut guest = two.grouped("p", "g").await;
    host.expect_from("JOIN", "g").await;
    let mut other = two.grouped("q", "o").await;
    for node in [&one, &two] {
        let pages = http(node, "GET", "/pages", &[ADMIN]).await;
        assert_eq!(pages.status, 200);
        let pages = pages.json();
        let found: Vec<_> = pages.as_array().into_iter().flatten().collect();
        assert_eq!(found.len(), 2, "{pages}");
        assert_eq!((&found[0]["page"], &found[0]["members"]), (&json!("p"), &json!(2)));
        assert_eq!((&found[1]["page"], &found[1]["host"]), (&json!("q"), &json!("o")));
        let peers = http(node, "GET", "/pages/p/peerjs/peers", &[]).await;
        assert_eq!(peers.json(), json!(["h", "g"]));
        let ready = node.get("/ready").await;
        assert_eq!(ready.status, 200);
    }
    // a member is sent away by the node that has neither its page nor its socket
    let kicked = http(&two, "DELETE", "/pages/p/peers/h", &[ADMIN]).await;
    assert_eq!(kicked.status, 204);
    assert_eq!(host.refused().await.1, 4411);
    assert_eq!(guest.appointed().await["host"], "g");
    let unknown = http(&one, "DELETE", "/pages/nowhere/peers/h", &[ADMIN]).await;
    assert_eq!(unknown.status, 404);
    other.nothing_more().await;
    // what a node that does not answer has is missing, and that is said
    one.signal("STOP");
    let pages = http(&two, "GET", "/pages", &[ADMIN]).await;
    assert!(pages.header("peerstar-missing").is_some());
    one.signal("CONT");
}

#[tokio::test]
async fn a_redis_that_can_never_serve_ends_the_server_with_2() {
    let redis = Redis::start(&["--cluster-enabled", "yes"]);
    let directory = tempfile::tempdir().expect("a directory");
    let url = redis.url();
    let outcome = run_once(
        &directory,
        &[],
        &[
            ("PEERSTAR__SERVER__PORT", "0"),
            ("PEERSTAR__CLUSTER__URL", &url),
            ("PEERSTAR__CLUSTER__SECRET", SECRET),
        ],
    );
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("cluster.url: this is Redis in the mode"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn settings_of_a_cluster_that_cannot_work_are_refused_and_no_secret_is_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    for (url, secret, words) in [
        ("http://a", SECRET, "cluster.url must begin with redis://"),
        ("redis://a", "short", "cluster.secret: with cluster.url it must be at least 32 bytes"),
        ("env:NOT_SET", SECRET, "the environment variable NOT_SET is not set"),
    ] {
        let environment = [("PEERSTAR__CLUSTER__URL", url), ("PEERSTAR__CLUSTER__SECRET", secret)];
        let outcome = run_once(&directory, &["--check"], &environment);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
    let environment = [
        ("PEERSTAR__CLUSTER__URL", "env:REDIS"),
        ("PEERSTAR__CLUSTER__SECRET", SECRET),
        ("REDIS", "redis://u:hunter2@a"),
    ];
    let outcome = run_once(&directory, &["--check"], &environment);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(!outcome.stdout.contains(SECRET) && !outcome.stdout.contains("hunter2"));
}

#[tokio::test]
async fn members_of_two_nodes_talk_by_way_of_a_third_in_order() {
    let redis = Redis::start(&[]);
    let nodes = [redis.node(&[]), redis.node(&[]), redis.node(&[])];
    let mut first = nodes[0].grouped("p", "x").await;
    let mut ann = nodes[1].grouped("p", "ann").await;
    let mut bob = nodes[2].grouped("p", "bob").await;
    first.expect_from("JOIN", "ann").await;
    first.expect_from("JOIN", "bob").await;
    ann.meet(&mut bob).await;
    for n in 0..60 {
        // an OFFER passes the page's actor, a CANDIDATE does not
        let kind = if n % 7 == 0 { "OFFER" } else { "CANDIDATE" };
        ann.send_to(kind, "bob", json!({"n": n}));
    }
    for n in 0..60 {
        assert_eq!(bob.next().await["payload"]["n"], n);
    }
    // a message for nobody expires, by the clock of the page's node
    ann.nothing_until_expire().await;
    // whoever has met a member is told that it has left
    bob.goodbye().await;
    first.expect_from("LEAVE", "bob").await;
    ann.expect_from("LEAVE", "bob").await;
    for client in [&mut first, &mut ann] {
        client.nothing_more().await;
    }
}

#[tokio::test]
async fn a_node_with_other_settings_names_them_and_serves() {
    let redis = Redis::start(&[]);
    let one = redis.node(&[]);
    let two = redis.node(&[("liveness.return_ms", "2000"), ("limits.connections_per_ip", "500")]);
    for node in [&one, &two] {
        let line = node.logs("another node has other settings").await;
        assert!(line.ends_with("settings=liveness.return_ms"), "{line}");
        // the gauge follows within a quarter of a second
        while !http(node, "GET", "/metrics", &[]).await.body.contains("different_nodes 1\n") {}
    }
    let mut host = one.grouped("p", "h").await;
    let _guest = two.grouped("p", "g").await;
    host.expect_from("JOIN", "g").await;
}

#[tokio::test]
async fn clients_without_a_page_find_each_other_on_any_node() {
    let redis = Redis::start(&[]);
    let (one, two) = (redis.node(&[]), redis.node(&[]));
    let mut ann = one.peer("ann").await;
    let mut bob = two.peer("bob").await;
    ann.meet(&mut bob).await;
    bob.meet(&mut ann).await;
    // the same id with another token is refused while its holder lives, on any node
    let (told, code) = two.refusal("/peerjs?key=peerjs&id=ann&token=other").await;
    assert_eq!((&told["type"], code), (&json!("ID-TAKEN"), 4409));
    // the same id and token replace the socket on the other node
    let mut again = two.peer("ann").await;
    assert_eq!(ann.closed().await.0, 4410);
    again.meet(&mut bob).await;
}
