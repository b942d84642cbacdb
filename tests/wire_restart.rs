//! Claims of members after the server lost its memory: the host, and its epoch.

mod common;

use std::time::{SystemTime, UNIX_EPOCH};

use common::{Client, Server, eventually};
use serde_json::json;

/// Joins as a group member with a claim of what it was last told.
async fn rejoin(server: &Server, id: &str, epoch: u64, host: &str) -> Client {
    server.join(&format!("id={id}&token=t&page=p&group=2&epoch={epoch}&host={host}")).await
}

fn epoch_of(payload: &serde_json::Value) -> u64 {
    payload["epoch"].as_u64().expect("an epoch")
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis() as u64
}

/// Makes a page that has seen one change of host. Returns its members, epoch and host.
async fn page_with_a_past(server: &Server) -> (Vec<Client>, u64, String) {
    let first = server.grouped("p", "first").await;
    let mut members = Vec::new();
    for id in ["a", "b", "c", "d", "e"] {
        members.push(server.grouped("p", id).await);
    }
    first.goodbye().await;
    let mut told = json!(null);
    for member in &mut members {
        told = member.appointed().await;
    }
    (members, epoch_of(&told), told["host"].as_str().expect("a host").to_owned())
}

#[tokio::test]
async fn after_a_crash_host_and_epoch_stay_and_no_member_sees_a_change() {
    let mut server = Server::start_to_be_restarted(&[
        ("election.recovery_ms", "60000"),
        ("auth.admin_token", "admin"),
    ]);
    let (old, epoch, host) = page_with_a_past(&server).await;
    server.crash_and_restart();
    let mut back = Vec::new();
    for Client { id, .. } in old.iter().filter(|m| m.id != host) {
        let member = rejoin(&server, id, epoch, &host).await;
        let open = &member.open;
        assert_eq!(
            (&open["host"], &open["epoch"], &open["recovering"]),
            (&json!(host), &json!(epoch), &json!(true)),
            "{open}"
        );
        assert_eq!((&open["members"], open.get("roster")), (&json!(back.len() + 1), None));
        back.push(member);
    }
    let mut host_again = rejoin(&server, &host, epoch, &host).await;
    let open = &host_again.open;
    assert_eq!(
        (&open["host"], &open["epoch"], open.get("recovering")),
        (&json!(host), &json!(epoch), None),
        "{open}"
    );
    assert_eq!(open["roster"].as_array().map(Vec::len), Some(5));
    for member in back.iter_mut().chain([&mut host_again]) {
        member.nothing_more().await;
    }
    assert_eq!(
        server.pages().await,
        json!([{"page": "p", "host": host, "epoch": epoch, "members": 5}])
    );
    // a newcomer is a member like any other, and the epoch grows by one
    let late = server.grouped("p", "late").await;
    assert_eq!((&late.open["host"], late.open.get("recovering")), (&json!(host), None));
    host_again.expect_from("JOIN", "late").await;
    host_again.goodbye().await;
    for member in &mut back {
        assert!(epoch_of(&member.appointed().await) > epoch);
    }
}

#[tokio::test]
async fn a_host_that_returns_first_hosts_at_once() {
    let server = Server::start(&[("election.recovery_ms", "60000")]);
    let epoch = unix_ms() - 5000;
    let mut host = rejoin(&server, "a", epoch, "a").await;
    assert_eq!((epoch_of(&host.open), host.open.get("recovering")), (epoch, None));
    let mut b = rejoin(&server, "b", epoch, "a").await;
    assert_eq!(
        (&b.open["host"], epoch_of(&b.open), b.open.get("recovering")),
        (&json!("a"), epoch, None)
    );
    host.expect_from("JOIN", "b").await;
    host.nothing_more().await;
    b.nothing_more().await;
}

#[tokio::test]
async fn claims_that_disagree_end_in_one_election_of_the_host_most_others_claim() {
    let server = Server::start(&[("election.recovery_ms", "60000")]);
    let epoch = unix_ms() - 5000;
    let mut members = Vec::new();
    for (id, host) in [("b", "a"), ("c", "c"), ("d", "c"), ("e", "c")] {
        let member = rejoin(&server, id, epoch, host).await;
        assert_eq!(
            (&member.open["host"], &member.open["recovering"]),
            (&json!("a"), &json!(true)),
            "{id}"
        );
        members.push(member);
    }
    let before = unix_ms();
    let mut a = rejoin(&server, "a", epoch, "a").await;
    let decided = epoch_of(&a.open);
    assert_eq!((&a.open["host"], a.open.get("recovering")), (&json!("c"), None));
    assert!(
        decided > epoch && decided >= before,
        "{decided}: above every claim and not behind the clock"
    );
    for member in &mut members {
        let told = member.appointed().await;
        assert_eq!(
            (&told["host"], &told["cause"], epoch_of(&told)),
            (&json!("c"), &json!("restarted"), decided)
        );
        assert_eq!(told.get("roster").is_some(), member.id == "c");
    }
    for member in members.iter_mut().chain([&mut a]) {
        member.nothing_more().await;
    }
}

#[tokio::test]
async fn no_member_makes_itself_host_against_the_claims_of_others() {
    let server = Server::start(&[("election.recovery_ms", "60000")]);
    let epoch = unix_ms() - 5000;
    let mut b = rejoin(&server, "b", epoch, "a").await;
    let mut liar = rejoin(&server, "liar", epoch + 3, "liar").await;
    let told = b.appointed().await;
    assert_ne!(told["host"], "a", "a is not there");
    assert_eq!(
        (&told["cause"], told["epoch"].as_u64() > Some(epoch + 3)),
        (&json!("restarted"), true),
        "{told}"
    );
    assert_eq!(liar.open["host"], told["host"]);
    // a itself returns too late, and changes nothing
    let a = rejoin(&server, "a", epoch, "a").await;
    assert_eq!((&a.open["host"], &a.open["epoch"]), (&told["host"], &told["epoch"]));
    let host = if told["host"] == "b" { &mut b } else { &mut liar };
    host.expect_from("JOIN", "a").await;
    b.nothing_more().await;
    liar.nothing_more().await;
}

#[tokio::test]
async fn a_host_that_does_not_return_is_replaced_after_recovery_ms() {
    let server = Server::start(&[("election.recovery_ms", "500")]);
    let epoch = unix_ms() - 5000;
    let mut b = rejoin(&server, "b", epoch, "gone").await;
    let mut c = rejoin(&server, "c", epoch, "gone").await;
    assert_eq!((&b.open["recovering"], &c.open["recovering"]), (&json!(true), &json!(true)));
    let (told, also) = (b.appointed().await, c.appointed().await);
    assert_eq!(
        (&told["host"], &told["epoch"], &told["cause"]),
        (&also["host"], &also["epoch"], &json!("restarted"))
    );
    assert!(epoch_of(&told) > epoch);
    assert!(told["host"] == "b" || told["host"] == "c");
    b.nothing_more().await;
    c.nothing_more().await;
}

#[tokio::test]
async fn a_claim_far_above_the_clock_is_ignored() {
    let server = Server::start(&[("election.recovery_ms", "60000")]);
    let far = unix_ms() + 660_000;
    let mut a = rejoin(&server, "a", far, "x").await;
    assert_eq!((&a.open["host"], a.open.get("recovering")), (&json!("a"), None));
    assert!(epoch_of(&a.open) < far);
    let b = rejoin(&server, "b", far, "b").await;
    assert_eq!((&b.open["host"], &b.open["epoch"]), (&json!("a"), &a.open["epoch"]));
    a.expect_from("JOIN", "b").await;
    a.nothing_more().await;
}

#[tokio::test]
async fn a_later_claim_above_the_epoch_raises_it_and_keeps_the_host() {
    let server = Server::start(&[("election.recovery_ms", "100"), ("peerjs.expire_ms", "300")]);
    let (mut a, mut b) = (server.grouped("p", "a").await, server.grouped("p", "b").await);
    a.expect("JOIN").await;
    // the page is not new any more
    a.nothing_until_expire().await;
    let claimed = epoch_of(&a.open) + 20_000;
    let mut c = rejoin(&server, "c", claimed, "c").await;
    let lifted = epoch_of(&c.open);
    assert_eq!(c.open["host"], "a");
    assert!(lifted > claimed && lifted <= claimed + 1024, "{lifted} above {claimed}");
    for member in [&mut a, &mut b] {
        let told = member.appointed().await;
        assert_eq!((&told["host"], epoch_of(&told)), (&json!("a"), lifted));
    }
    // a member that claims a lower epoch changes nothing
    let mut d = rejoin(&server, "d", claimed - 5, "d").await;
    assert_eq!(epoch_of(&d.open), lifted);
    for member in [&mut b, &mut c, &mut d] {
        member.nothing_more().await;
    }
}

#[tokio::test]
async fn a_host_without_a_claim_yields_to_a_claimant_while_the_page_is_new() {
    let server = Server::start(&[("election.recovery_ms", "60000")]);
    let epoch = unix_ms() - 5000;
    let mut newcomer = server.grouped("p", "newcomer").await;
    assert_eq!(newcomer.open["host"], "newcomer");
    let mut member = rejoin(&server, "old", epoch, "old").await;
    let told = newcomer.appointed().await;
    assert_eq!((&told["host"], &told["cause"]), (&json!("old"), &json!("restarted")));
    assert!(epoch_of(&told) > epoch_of(&newcomer.open));
    assert_eq!((&member.open["host"], &member.open["epoch"]), (&json!("old"), &told["epoch"]));
    // a claim does not outrank another claim
    let third = rejoin(&server, "third", epoch, "third").await;
    assert_eq!((&third.open["host"], &third.open["epoch"]), (&json!("old"), &told["epoch"]));
    member.expect_from("JOIN", "third").await;
    newcomer.nothing_more().await;
}

#[tokio::test]
async fn epochs_grow_when_a_page_is_forgotten_and_when_the_server_is() {
    let mut server = Server::start_to_be_restarted(&[("auth.admin_token", "admin")]);
    let mut last = 0;
    for round in 0..4 {
        if round == 2 {
            server.crash_and_restart();
        }
        let member = server.grouped("p", "a").await;
        let epoch = epoch_of(&member.open);
        assert!(epoch > last, "{epoch} after {last} in round {round}");
        last = epoch;
        member.goodbye().await;
        eventually("the page is forgotten", async || server.pages().await == json!([])).await;
    }
}

/// Claims have epochs above the server's clock when that was set back during the restart.
#[tokio::test]
async fn a_claim_ten_minutes_above_the_clock_is_believed_and_one_above_that_is_not() {
    let server = Server::start(&[("election.recovery_ms", "100"), ("peerjs.expire_ms", "300")]);
    let mut a = server.grouped("p", "a").await;
    // the page is not new any more
    a.nothing_until_expire().await;
    let far = rejoin(&server, "far", unix_ms() + 660_000, "far").await;
    assert_eq!((&far.open["host"], &far.open["epoch"]), (&json!("a"), &a.open["epoch"]));
    a.expect_from("JOIN", "far").await;
    let claimed = unix_ms() + 300_000;
    let old = rejoin(&server, "old", claimed, "old").await;
    assert_eq!(old.open["host"], "a");
    assert!(epoch_of(&old.open) > claimed);
    assert_eq!(a.appointed().await["epoch"], old.open["epoch"]);
}

#[tokio::test]
async fn open_tells_how_long_ago_the_server_started() {
    let mut server = Server::start_to_be_restarted(&[]);
    let up = |member: &Client| member.open["upMs"].as_u64().expect("an integer");
    let first = server.grouped("p", "a").await;
    let began = unix_ms() - up(&first);
    // a page that is created later does not get a lower epoch
    let other = server.grouped("q", "a").await;
    assert!(up(&other) >= up(&first));
    server.crash_and_restart();
    let after = server.grouped("p", "b").await;
    assert!(unix_ms() - up(&after) > began, "{} ms up, and it began again", up(&after));
}
