//! Departures: which peers are sent LEAVE, and when. LEAVE closes P2P connections, so it means gone
//! for good.

mod common;

use common::{Client, Server, eventually, http};
use serde_json::json;

/// Settings with time to return, and a longer time to expire, which shows that nothing is sent.
const PATIENT: [(&str, &str); 3] = [
    ("liveness.return_ms", "300"),
    ("peerjs.expire_ms", "900"),
    ("peerjs.allow_discovery", "true"),
];
/// Settings in which no absent member is reported as gone while a test lasts.
const VERY_PATIENT: [(&str, &str); 2] =
    [("liveness.return_ms", "60000"), ("peerjs.expire_ms", "500")];

async fn two_contacts_and_a_stranger(server: &Server) -> (Client, Client, Client) {
    let (mut a, mut b, stranger) =
        (server.peer("a").await, server.peer("b").await, server.peer("s").await);
    a.meet(&mut b).await;
    (a, b, stranger)
}

#[tokio::test]
async fn contacts_are_sent_leave_after_a_goodbye_and_after_a_normal_close() {
    let server = Server::start(&VERY_PATIENT);
    for code in [None, Some(1000), Some(1001)] {
        let (a, mut b, mut stranger) = two_contacts_and_a_stranger(&server).await;
        match code {
            None => a.goodbye().await,
            code => a.close(code).await,
        }
        let told = b.expect_from("LEAVE", "a").await;
        assert_eq!(told.get("payload"), None, "{code:?}");
        stranger.nothing_until_expire().await;
        b.nothing_more().await;
    }
}

#[tokio::test]
async fn a_member_that_closes_with_1001_and_returns_at_once_was_never_gone() {
    // longer than the time to return
    let server = Server::start(&[VERY_PATIENT[0], ("peerjs.expire_ms", "1500")]);
    let (mut host, mut member) = (server.member("p", "h").await, server.member("p", "m").await);
    host.expect_from("JOIN", "m").await;
    member.meet(&mut host).await;
    host.close(Some(1001)).await;
    let mut host = server.member("p", "h").await;
    assert_eq!(
        (&host.open["host"], &host.open["epoch"]),
        (&member.open["host"], &member.open["epoch"])
    );
    member.nothing_until_expire().await;
    member.close(Some(1001)).await;
    let mut member = server.member("p", "m").await;
    host.nothing_until_expire().await;
    // their contacts are still known
    host.goodbye().await;
    assert_eq!(member.appointed().await["cause"], "left");
    member.expect_from("LEAVE", "h").await;
}

#[tokio::test]
async fn a_page_without_a_socket_may_leave_over_http() {
    let site = "https://site.example";

    let server = Server::start(&[
        VERY_PATIENT[0],
        VERY_PATIENT[1],
        ("auth.admin_token", "admin"),
        ("cors.origins", site),
    ]);
    let leave = async |id: &str, query: &str, origin: &str| {
        http(&server, "POST", &format!("/pages/p/peers/{id}/leave?{query}"), &[("Origin", origin)])
            .await
            .status
    };
    let (mut host, lost) = (server.member("p", "h").await, server.member("p", "x").await);
    host.expect_from("JOIN", "x").await;
    // without the leave it would be waited for a minute
    lost.reset();
    eventually("x is off the roster", async || server.pages().await[0]["members"] == 1).await;
    assert_eq!(
        leave("x", "token=wrong", site).await,
        204,
        "whether anybody is waited for is told to nobody"
    );
    host.nothing_until_expire().await;
    assert_eq!(leave("x", "token=t", site).await, 204);
    assert_eq!(host.expect_from("LEAVE", "x").await.get("payload"), None);
    // a member that has a socket stays
    let mut here = server.member("p", "y").await;
    host.expect_from("JOIN", "y").await;
    assert_eq!(leave("y", "token=t", site).await, 204);
    here.nothing_until_expire().await;
    host.nothing_more().await;
    for (id, query, origin, status) in [
        ("y", "token=t", "https://other.example", 403),
        ("y", "token=", site, 400),
        ("y", "", site, 400),
        ("%2F", "token=t", site, 400),
    ] {
        assert_eq!(leave(id, query, origin).await, status, "{id} {query} {origin}");
    }
}

#[tokio::test]
async fn contacts_are_sent_leave_after_a_timeout() {
    let server = Server::start(&[
        VERY_PATIENT[0],
        VERY_PATIENT[1],
        ("liveness.ping_ms", "100"),
        ("liveness.timeout_ms", "1000"),
    ]);
    let mut silent = server.raw_websocket("id=a&token=t").await;
    let (mut b, mut stranger) = (server.peer("b").await, server.peer("s").await);
    b.send_to("OFFER", "a", json!({}));
    b.expect_from("LEAVE", "a").await;
    assert_eq!(silent.refused().await.1, 4504);
    stranger.nothing_until_expire().await;
    b.nothing_more().await;
}

#[tokio::test]
async fn a_member_whose_socket_was_lost_may_return_unnoticed() {
    let server = Server::start(&PATIENT);
    for by_reset in [true, false] {
        let (a, mut b, _stranger) = two_contacts_and_a_stranger(&server).await;
        if by_reset {
            a.reset()
        } else {
            drop(a)
        }
        eventually("a is off the list", async || server.peers().await == json!(["b", "s"])).await;
        let mut a = server.peer("a").await;
        b.nothing_until_expire().await;
        a.nothing_more().await;
        // its contacts are still known
        a.goodbye().await;
        b.expect_from("LEAVE", "a").await;
    }
}

#[tokio::test]
async fn a_member_whose_socket_was_lost_is_gone_for_good_after_return_ms() {
    let server = Server::start(&PATIENT);
    for by_reset in [true, false] {
        let (a, mut b, mut stranger) = two_contacts_and_a_stranger(&server).await;
        if by_reset {
            a.reset()
        } else {
            drop(a)
        }
        b.expect_from("LEAVE", "a").await;
        stranger.nothing_until_expire().await;
        b.nothing_more().await;
        // and a later client with this id is a stranger
        let a = server.peer("a").await;
        a.goodbye().await;
        b.nothing_until_expire().await;
    }
}

#[tokio::test]
async fn a_member_whose_socket_was_lost_is_not_reported_before_return_ms() {
    let server = Server::start(&VERY_PATIENT);
    let (a, mut b, _stranger) = two_contacts_and_a_stranger(&server).await;
    a.reset();
    b.nothing_until_expire().await;
}

#[tokio::test]
async fn a_new_member_with_the_id_of_a_lost_one_shows_that_the_first_is_gone_for_good() {
    let server = Server::start(&VERY_PATIENT);
    let (a, mut b, _stranger) = two_contacts_and_a_stranger(&server).await;
    a.reset();
    // the join is pending for a moment if the reset has not arrived yet
    let mut other = server.join("id=a&token=other").await;
    b.expect_from("LEAVE", "a").await;
    other.nothing_more().await;
    other.goodbye().await;
    b.nothing_until_expire().await;
}

#[tokio::test]
async fn a_page_less_peer_that_closes_without_a_code_keeps_its_connections() {
    let server = Server::start(&PATIENT);
    let (a, mut b, _stranger) = two_contacts_and_a_stranger(&server).await;
    a.close(None).await;
    eventually("a is off the list", async || server.peers().await == json!(["b", "s"])).await;
    b.nothing_until_expire().await;
    // peer.reconnect(), and then a LEAVE
    let mut a = server.peer("a").await;
    a.meet(&mut b).await;
    a.goodbye().await;
    b.expect_from("LEAVE", "a").await;
}

#[tokio::test]
async fn peers_that_never_answered_or_sent_only_candidates_are_no_contacts() {
    let server = Server::start(&PATIENT);
    let (a, mut b) = (server.peer("a").await, server.peer("b").await);
    a.send_to("CANDIDATE", "b", json!({}));
    b.expect("CANDIDATE").await;
    a.goodbye().await;
    b.nothing_until_expire().await;
}

#[tokio::test]
async fn a_parked_offer_makes_contacts_too() {
    let server = Server::start(&VERY_PATIENT);
    let mut a = server.peer("a").await;
    a.send_to("OFFER", "late", json!({}));
    let mut late = server.peer("late").await;
    late.expect("OFFER").await;
    late.goodbye().await;
    a.expect_from("LEAVE", "late").await;
    a.nothing_more().await;
}

#[tokio::test]
async fn each_of_many_contacts_is_sent_one_leave() {
    let server = Server::start(&VERY_PATIENT);
    let mut a = server.peer("a").await;
    let mut others = Vec::new();
    for n in 0..60 {
        let mut other = server.peer(&format!("b{n}")).await;
        a.meet(&mut other).await;
        other.meet(&mut a).await;
        others.push(other);
    }
    a.goodbye().await;
    for other in &mut others {
        other.expect_from("LEAVE", "a").await;
        other.nothing_more().await;
    }
}

#[tokio::test]
async fn a_lost_member_leaves_the_roster_at_once_and_the_host_is_sent_leave_after_return_ms() {
    let server = Server::start(&[PATIENT[0], PATIENT[1], ("auth.admin_token", "admin")]);
    let mut host = server.member("p", "h").await;
    let mut contact = server.member("p", "c").await;
    let mut lost = server.member("p", "x").await;
    host.expect_from("JOIN", "c").await;
    host.expect_from("JOIN", "x").await;
    lost.meet(&mut contact).await;
    lost.reset();
    eventually("x is off the roster", async || server.pages().await[0]["members"] == 2).await;
    host.expect_from("LEAVE", "x").await;
    contact.expect_from("LEAVE", "x").await;
    host.nothing_until_expire().await;
    contact.nothing_more().await;
}

#[tokio::test]
async fn a_member_that_returns_in_time_is_not_reported_as_gone() {
    let server = Server::start(&[VERY_PATIENT[0], VERY_PATIENT[1], ("auth.admin_token", "admin")]);
    let mut host = server.member("p", "h").await;
    let mut lost = server.member("p", "x").await;
    host.expect_from("JOIN", "x").await;
    lost.meet(&mut host).await;
    lost.reset();
    eventually("x is off the roster", async || server.pages().await[0]["members"] == 1).await;
    let back = server.member("p", "x").await;
    host.expect_from("JOIN", "x").await;
    host.nothing_until_expire().await;
    back.goodbye().await;
    host.expect_from("LEAVE", "x").await;
    host.nothing_more().await;
}

#[tokio::test]
async fn a_client_whose_message_is_refused_is_gone_for_good() {
    let server = Server::start(&VERY_PATIENT);
    let (mut a, mut b, _stranger) = two_contacts_and_a_stranger(&server).await;
    a.send_text("nonsense");
    assert_eq!(a.refused().await.1, 4422);
    b.expect_from("LEAVE", "a").await;
}
