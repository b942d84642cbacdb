//! A host that is replaced although it is still here: suspected, hidden, or by its own wish.

mod common;

use common::{Client, Server};
use serde_json::{Value, json};

fn suspect(client: &Client, host: &str, epoch: &Value) {
    client.send(json!({"type": "SUSPECT", "payload": {"host": host, "epoch": epoch}}));
}

fn trust(client: &Client, host: &str, epoch: &Value) {
    client.send(json!({"type": "TRUST", "payload": {"host": host, "epoch": epoch}}));
}

/// Reports sixteen quick dials and no open data channel. The fair time is 3 s then.
fn dial_quickly(client: &Client) {
    for n in 0..4 {
        let channels: serde_json::Map<_, _> =
            (0..4).map(|m| (format!("quick-{n}-{m}"), json!(1))).collect();
        client.status(json!({"channels": channels}));
    }
    client.status(json!({"channels": {}}));
}

async fn all_are_told_the_same(members: &mut [Client], host: &str, cause: &str) {
    for member in members {
        let told = member.appointed().await;
        assert_eq!((&told["host"], &told["cause"]), (&json!(host), &json!(cause)), "{}", member.id);
    }
}

#[tokio::test]
async fn a_suspected_host_that_answers_stays_whichever_member_suspects_it() {
    let server = Server::start(&[("liveness.probe_ms", "300"), ("peerjs.expire_ms", "900")]);
    let mut members = server.group("p", &["h", "a", "b", "c"]).await;
    let epoch = members[0].open["epoch"].clone();
    for _ in 0..3 {
        members[1..].iter().for_each(|member| suspect(member, "h", &epoch));
        let probe = members[0].expect("PROBE").await;
        assert_eq!(probe["payload"], json!({"epoch": epoch}));
        members[0].send(json!({"type": "PROBE", "payload": {"epoch": epoch}}));
        for member in &mut members[1..] {
            member.nothing_until_expire().await;
        }
    }
    // the suspicions arrive one by one, and one probe answers several of them
    members[0].send(json!({"type": "HEARTBEAT"}));
    members[0].expect("HEARTBEAT").await;
}

#[tokio::test]
async fn a_suspected_host_that_only_answers_pings_is_replaced_and_stays_a_member() {
    let server = Server::start(&[("liveness.probe_ms", "300"), ("election.policy", "oldest")]);
    let mut members = server.group("p", &["h", "a", "b"]).await;
    let epoch = members[0].open["epoch"].clone();
    suspect(&members[2], "h", &epoch);
    members[0].expect("PROBE").await;
    all_are_told_the_same(&mut members, "a", "stalled").await;
    members[0].send_to("OFFER", "b", json!({}));
    members[2].expect_from("OFFER", "h").await;
}

#[tokio::test]
async fn suspicions_of_earlier_hosts_of_other_members_and_of_strangers_are_ignored() {
    let server = Server::start(&[("liveness.probe_ms", "100"), ("peerjs.expire_ms", "400")]);
    let mut members = server.group("p", &["h", "a"]).await;
    let epoch = members[0].open["epoch"].as_u64().expect("an epoch");
    suspect(&members[1], "h", &json!(epoch - 1));
    suspect(&members[1], "h", &json!(epoch + 1));
    suspect(&members[1], "a", &json!(epoch));
    suspect(&members[0], "h", &json!(epoch));
    let elsewhere = server.grouped("q", "a").await;
    suspect(&elsewhere, "h", &json!(epoch));
    members[1].nothing_until_expire().await;
    members[0].nothing_more().await;
}

#[tokio::test]
async fn without_a_relay_a_host_that_most_members_cannot_reach_for_the_fair_time_is_replaced() {
    let server = Server::start(&[
        ("relay.enabled", "false"),
        ("pages.deputies", "0"),
        ("liveness.probe_ms", "60000"),
        ("election.policy", "oldest"),
        ("peerjs.expire_ms", "3500"),
    ]);
    let mut members = server.group("p", &["h", "a", "b", "c"]).await;
    let epoch = members[0].open["epoch"].clone();
    dial_quickly(&members[1]);
    suspect(&members[1], "h", &epoch);
    suspect(&members[1], "h", &epoch);
    suspect(&members[2], "h", &epoch);
    suspect(&members[3], "h", &epoch);
    trust(&members[3], "h", &epoch);
    // a member that hears the host again does not count any more, and two of four are not enough
    members[3].nothing_until_expire().await;
    suspect(&members[3], "h", &epoch);
    members[0].expect("PROBE").await;
    let told = members[0].appointed().await;
    assert_eq!(
        (&told["host"], &told["cause"], &told["fairMs"]),
        (&json!("a"), &json!("unreachable"), &json!(6000)),
        "{told}"
    );
    all_are_told_the_same(&mut members[1..], "a", "unreachable").await;
}

#[tokio::test]
async fn a_host_that_most_members_suspect_is_replaced_only_by_a_deputy_that_more_members_reach() {
    let server = Server::start(&[
        ("relay.enabled", "false"),
        ("liveness.probe_ms", "60000"),
        ("election.policy", "oldest"),
        ("peerjs.expire_ms", "3500"),
    ]);
    let mut members = server.group("p", &["h", "a", "b", "c", "d"]).await;
    let epoch = members[0].open["epoch"].clone();
    dial_quickly(&members[1]);
    members[1].status(json!({"channels": {"h": 900}}));
    members[2].status(json!({"channels": {"a": 900}}));
    members[2..].iter().for_each(|member| suspect(member, "h", &epoch));
    // one member reaches the host, and one the deputy
    members[4].nothing_until_expire().await;
    members[3].status(json!({"channels": {"a": 1000}}));
    members[0].expect("PROBE").await;
    for member in &mut members {
        let told = member.appointed().await;
        assert_eq!(
            (&told["host"], &told["cause"], &told["deputy"]),
            (&json!("a"), &json!("unreachable"), &json!("b")),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_status_or_suspicion_that_breaks_a_rule_is_refused_with_the_reason() {
    let server = Server::start(&[]);
    for (message, words) in [
        (
            json!({"type": "STATUS", "payload": {"channels": {"a": 600_001}}}),
            "channels: \"a\" has 600001 ms: must be 0 to 600000",
        ),
        (
            json!({"type": "STATUS", "payload": {"channels": {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}}}),
            "at most 4",
        ),
        (
            json!({"type": "STATUS", "payload": {"p2p": "no"}}),
            "STATUS takes {eligible, visible, relay, p2p, channels, profile}",
        ),
        (json!({"type": "TRUST", "payload": {"host": "a"}}), "TRUST takes {host, epoch}"),
    ] {
        let mut member = server.grouped("p", "a").await;
        member.send(message);
        let (told, code) = member.refused().await;
        let said = told["payload"]["msg"].as_str().expect("words");
        assert!(code == 4422 && said.contains(words), "{told}");
    }
}

#[tokio::test]
async fn a_host_may_hand_over_to_a_named_member_or_to_any() {
    let server = Server::start(&[]);
    let mut members = server.group("p", &["h", "a", "b"]).await;
    let mut epoch = members[0].open["epoch"].clone();
    // the member does not host, or does not host any more
    members[1].send(json!({"type": "RESIGN", "payload": {"epoch": epoch, "to": "a"}}));
    members[1].nothing_more().await;
    members[0].send(json!({"type": "RESIGN", "payload": {"epoch": 5}}));
    members[0].nothing_more().await;
    members[0].send(json!({"type": "RESIGN", "payload": {"epoch": epoch, "to": "b"}}));
    for member in &mut members {
        let told = member.appointed().await;
        assert_eq!(
            (&told["host"], &told["cause"], &told["members"]),
            (&json!("b"), &json!("resigned"), &json!(3))
        );
        assert!(told["epoch"].as_u64() > epoch.as_u64());
        assert_eq!(told.get("roster").is_some(), member.id == "b");
        if member.id == "b" {
            epoch = told["epoch"].clone();
        }
    }
    // the named successor is not there: another member is elected, and not the host itself
    members[2].send(json!({"type": "RESIGN", "payload": {"epoch": epoch, "to": "nobody"}}));
    for member in &mut members {
        let told = member.appointed().await;
        assert!(told["host"] == "h" || told["host"] == "a", "{told}");
    }
}

#[tokio::test]
async fn a_host_that_is_alone_cannot_resign() {
    let server = Server::start(&[]);
    let mut alone = server.grouped("p", "a").await;
    alone.send(json!({"type": "RESIGN", "payload": {"epoch": alone.open["epoch"]}}));
    alone.nothing_more().await;
}

#[tokio::test]
async fn a_hidden_host_yields_to_a_visible_member() {
    let server = Server::start(&[("election.hidden_ms", "300"), ("peerjs.expire_ms", "900")]);
    let mut members = server.group("p", &["h", "a", "b"]).await;
    for member in &members {
        member.status(json!({"visible": false}));
    }
    // no member is visible, so none is better
    members[1].nothing_until_expire().await;
    members[0].nothing_more().await;
    members[2].status(json!({"visible": true}));
    all_are_told_the_same(&mut members, "b", "resigned").await;
}

#[tokio::test]
async fn a_hidden_host_that_is_visible_again_in_time_stays() {
    let server = Server::start(&[("election.hidden_ms", "600000"), ("peerjs.expire_ms", "300")]);
    let mut members = server.group("p", &["h", "a"]).await;
    members[0].status(json!({"visible": false}));
    members[0].nothing_until_expire().await;
    members[1].nothing_more().await;
    members[0].status(json!({"visible": true}));
    members[0].nothing_more().await;
}
