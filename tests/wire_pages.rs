//! Pages: their members, and what each member is told.

mod common;

use std::collections::BTreeSet;

use common::{Query, Server};
use serde_json::{Value, json};

#[tokio::test]
async fn the_first_member_of_a_page_hosts_it_and_open_carries_every_fact() {
    let server = Server::start(&[]);
    let before = unix_ms();
    let mut host = server.member("p", "a").await;
    let epoch = host.open["epoch"].take();
    assert!(host.open["upMs"].take().is_u64());
    assert_eq!(
        host.open,
        json!({
            "page": "p", "host": "a", "epoch": null, "members": 1, "roster": [{"id": "a", "group": 0}],
            "p2p": true, "fairMs": 7500, "relay": {"maxMessageBytes": 65536, "maxBytesPerS": 4_194_304, "queueBytes": 1_048_576},
            "upMs": null, "resumeMs": 30000, "pingMs": 5000, "expireMs": 5000, "recoveryMs": 5000,
            "returnMs": 3000, "profileBytes": 1024,
            "ice": [{"urls": ["stun:stun.l.google.com:19302"]}],
        })
    );
    // the clock's milliseconds, because no member claims more
    let epoch = epoch.as_u64().expect("an integer");
    assert!((before..=unix_ms()).contains(&epoch), "{epoch}");
    host.nothing_more().await;
}

#[tokio::test]
async fn members_are_told_the_host_and_only_the_host_is_told_the_members() {
    let server = Server::start(&[
        ("pages.resume_ms", "12345"),
        ("liveness.ping_ms", "4321"),
        ("peerjs.expire_ms", "2345"),
        ("election.recovery_ms", "3456"),
        ("liveness.return_ms", "1234"),
        ("limits.queue_bytes", "262144"),
    ]);
    let mut host = server.member("p", "a").await;
    let mut b = server.grouped("q", "b").await;
    let mut c = server.member("p", "c").await;
    for (n, id) in [(2, "c"), (3, "d")] {
        let told =
            if id == "c" { c.open.clone() } else { server.member("p", id).await.open.clone() };
        assert_eq!(
            (
                &told["host"],
                &told["epoch"],
                &told["members"],
                told.get("roster"),
                told.get("recovering")
            ),
            (&json!("a"), &host.open["epoch"], &json!(n), None, None)
        );
        assert_eq!((&told["resumeMs"], &told["pingMs"]), (&json!(12345), &json!(4321)));
        assert_eq!((&told["expireMs"], &told["recoveryMs"]), (&json!(2345), &json!(3456)));
        assert_eq!((&told["returnMs"], &told["profileBytes"]), (&json!(1234), &json!(1024)));
        assert_eq!(told["relay"]["queueBytes"], json!(262_144));
        let join = host.expect_from("JOIN", id).await;
        assert_eq!(join["payload"], json!({"id": id, "group": 0}));
    }
    c.nothing_more().await;
    b.nothing_more().await;
}

#[tokio::test]
async fn leave_is_sent_to_the_host_and_not_to_strangers() {
    let server = Server::start(&[]);
    let mut host = server.member("p", "a").await;
    let (b, mut c) = (server.member("p", "b").await, server.member("p", "c").await);
    host.expect("JOIN").await;
    host.expect("JOIN").await;
    b.goodbye().await;
    host.expect_from("LEAVE", "b").await;
    host.nothing_more().await;
    c.nothing_more().await;
}

#[tokio::test]
async fn a_profile_is_in_the_roster_and_in_join_and_is_sent_again_when_it_changes() {
    let server = Server::start(&[]);
    let mut host = server.grouped("p", "a").await;
    let profile = json!({"name": "Ann", "colour": [1, 2]});
    let mut b = server.grouped("p", "b").await;
    host.expect_from("JOIN", "b").await;
    b.status(json!({"profile": profile}));
    assert_eq!(
        host.expect_from("JOIN", "b").await["payload"],
        json!({"id": "b", "group": 2, "profile": profile})
    );
    // an unchanged profile and other updates are not announced
    b.status(json!({"profile": profile, "visible": true}));
    b.nothing_more().await;
    host.nothing_more().await;
    b.status(json!({"profile": null}));
    assert_eq!(host.expect_from("JOIN", "b").await["payload"], json!({"id": "b", "group": 2}));
    b.status(json!({"profile": "Bob"}));
    host.expect_from("JOIN", "b").await;
    // the next host reads it in the roster, and is not told its own profile
    let mut c = server.grouped("p", "c").await;
    c.status(json!({"eligible": false}));
    c.nothing_more().await;
    host.goodbye().await;
    let told = b.appointed().await;
    assert_eq!(
        told["roster"],
        json!([{"id": "b", "group": 2, "profile": "Bob"}, {"id": "c", "group": 2}])
    );
    assert_eq!(told["host"], "b");
}

#[tokio::test]
async fn a_profile_that_is_too_long_is_refused() {
    let server = Server::start(&[]);
    let mut a = server.grouped("p", "a").await;
    a.status(json!({"profile": "x".repeat(1022)}));
    a.nothing_more().await;
    a.status(json!({"profile": "x".repeat(1023)}));
    let (words, code) = a.refused().await;
    assert_eq!(code, 4422);
    assert!(words["payload"]["msg"].as_str().is_some_and(|msg| msg.contains("profile")), "{words}");
}

#[tokio::test]
async fn signalling_never_crosses_pages() {
    let server = Server::start(&[("peerjs.expire_ms", "300")]);
    let mut all = [
        server.peer("b").await,
        server.member("p", "b").await,
        server.member("q", "b").await,
        server.member("P", "b").await,
        server.member("p/", "b").await,
    ];
    let mut speakers =
        [server.peer("a").await, server.member("p", "a").await, server.member("q", "a").await];
    for host in &mut all[1..3] {
        host.expect_from("JOIN", "a").await;
    }
    for (n, speaker) in speakers.iter().enumerate() {
        speaker.send_to("OFFER", "b", json!({"n": n}));
    }
    for (n, hearer) in all[..3].iter_mut().enumerate() {
        assert_eq!(hearer.expect_from("OFFER", "a").await["payload"]["n"], n);
    }
    for client in &mut all {
        client.nothing_more().await;
    }
    // a peer of another page is absent here, and gets nothing when it leaves
    let elsewhere = server.member("q", "z").await;
    all[2].expect_from("JOIN", "z").await;
    speakers[1].send_to("OFFER", "z", json!({}));
    speakers[1].expect_from("EXPIRE", "z").await;
    elsewhere.goodbye().await;
    speakers[1].nothing_more().await;
}

#[tokio::test]
async fn a_page_may_be_named_in_the_query_the_path_in_base64url_and_behind_the_token() {
    let server = Server::start(&[]);
    let page = "https://a.org/x%2Fy?z=1&ü+w/";
    let encoded = Query::encode(page);
    let in_base64 = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, page);
    assert!(!in_base64.len().is_multiple_of(4), "a name that would need padding");
    let ways = [
        ("/peerjs".to_owned(), format!("id=a&page={encoded}")),
        (format!("/pages/{encoded}/peerjs"), "id=b".into()),
        (format!("/pages/~{in_base64}/peerjs"), "id=c&token=t".into()),
        (format!("/pages/~{in_base64}=/peerjs"), "id=d&version=1.5.5".into()),
        ("/peerjs".into(), format!("id=e&token=xyz&page={encoded}&version=1.5.5")),
        (format!("/pages/{encoded}/peerjs"), format!("id=f&page={encoded}")),
    ];
    let mut clients = Vec::new();
    for (path, query) in &ways {
        let client = server.join_at(path, query).await;
        assert_eq!(
            (&client.open["page"], &client.open["host"]),
            (&json!(page), &json!("a")),
            "{path} {query}"
        );
        assert_eq!(client.open["members"], clients.len() + 1);
        clients.push(client);
    }
}

#[tokio::test]
async fn a_page_in_a_path_is_decoded_exactly_once_and_must_agree_with_the_query() {
    let server = Server::start(&[]);
    for (segment, page) in [
        ("a%252Fb", "a%2Fb"),
        ("a+b", "a+b"),
        ("%7EfmE", "~a"),
        ("~fmE", "~a"),
        ("a%20b", "a b"),
        ("%2e%2e", ".."),
    ] {
        let member = server.join_at(&format!("/pages/{segment}/peerjs"), "id=a").await;
        assert_eq!(member.open["page"], page, "{segment}");
    }
    for path in [
        "/pages/~!!/peerjs?key=peerjs&id=a",
        "/pages/%7Ea/peerjs?key=peerjs&id=a",
        "/pages/%FF/peerjs?key=peerjs&id=a",
        "/pages/p/peerjs?key=peerjs&id=a&page=q",
    ] {
        let (words, code) = server.refusal(path).await;
        assert_eq!((words["type"].as_str(), code), (Some("ERROR"), 4405), "{path}");
    }
}

#[tokio::test]
async fn ids_are_unique_on_their_page() {
    let server = Server::start(&[]);
    let _a = server.member("p", "a").await;
    assert_eq!(server.refusal("/peerjs?key=peerjs&id=a&token=other&page=p").await.1, 4409);
    server.join("id=a&token=other&page=q").await;
}

#[tokio::test]
async fn a_replaced_host_keeps_its_seat_and_nothing_is_announced() {
    let server = Server::start(&[]);
    let (mut host, mut b) = (server.member("p", "a").await, server.member("p", "b").await);
    host.expect("JOIN").await;
    let mut again = server.member("p", "a").await;
    assert_eq!(host.closed().await.0, 4410);
    assert_eq!((&again.open["host"], &again.open["epoch"]), (&json!("a"), &host.open["epoch"]));
    assert_eq!(ids(&again.open["roster"]), ["a", "b"].map(String::from).into());
    let mut b_again = server.member("p", "b").await;
    assert_eq!(b.closed().await.0, 4410);
    assert_eq!(b_again.open["members"], 2);
    again.nothing_more().await;
    b_again.nothing_more().await;
}

#[tokio::test]
async fn a_heartbeat_of_a_group_member_is_answered() {
    let server = Server::start(&[]);
    let (mut grouped, mut stock) = (server.grouped("p", "a").await, server.member("p", "b").await);
    grouped.expect("JOIN").await;
    grouped.send(json!({"type": "HEARTBEAT"}));
    assert_eq!(grouped.text().await, r#"{"type":"HEARTBEAT"}"#);
    stock.send(json!({"type": "HEARTBEAT"}));
    stock.nothing_more().await;
}

#[tokio::test]
async fn a_host_is_told_whether_it_still_hosts() {
    let server = Server::start(&[]);
    let (mut a, mut b) = (server.grouped("p", "a").await, server.grouped("p", "b").await);
    a.expect("JOIN").await;
    let epoch = a.open["epoch"].as_u64().expect("an epoch");
    let ask = |epoch: u64| json!({"type": "HEARTBEAT", "payload": {"epoch": epoch}});
    a.send(ask(epoch));
    assert_eq!(a.next().await, ask(epoch));
    a.send(ask(epoch + 1));
    a.nothing_more().await;
    b.send(ask(epoch));
    b.nothing_more().await;
    // an answer follows all that was said before the question
    a.send(json!({"type": "RESIGN", "payload": {"epoch": epoch}}));
    a.send(ask(epoch));
    let told = a.appointed().await;
    assert_eq!(told["host"], "b");
    a.nothing_more().await;
    b.appointed().await;
    b.send(ask(told["epoch"].as_u64().expect("an epoch")));
    assert_eq!(b.expect("HEARTBEAT").await["payload"]["epoch"], told["epoch"]);
}

#[tokio::test]
async fn pages_and_their_members_have_limits() {
    let server = Server::start(&[("pages.max", "2"), ("pages.max_members", "2")]);
    let _p = server.member("p", "a").await;
    let q = server.member("q", "a").await;
    let (words, code) = server.refusal("/peerjs?key=peerjs&id=a&page=r").await;
    assert_eq!(
        (&words["payload"]["code"], &words["payload"]["retry"], code),
        (&json!(4506), &json!(true), 4506)
    );
    // page-less peers are on no page
    server.peer("a").await;
    let mut b = server.member("p", "b").await;
    let (words, code) = server.refusal("/peerjs?key=peerjs&id=c&page=p").await;
    assert_eq!(
        (&words["payload"]["code"], &words["payload"]["retry"], code),
        (&json!(4505), &json!(true), 4505)
    );
    // a member may join again all the same
    let mut again = server.member("p", "b").await;
    assert_eq!(b.closed().await.0, 4410);
    again.nothing_more().await;
    // an empty page does not count
    q.goodbye().await;
    common::eventually("there is room for another page", async || {
        let mut r = server.connect("/peerjs?key=peerjs&id=a&page=r").await;
        r.next().await["type"] == "OPEN"
    })
    .await;
}

#[tokio::test]
async fn without_a_relay_a_page_is_full_at_the_size_of_a_star() {
    let server = Server::start(&[("relay.enabled", "false"), ("pages.star", "2")]);
    let (_a, _b) = (server.member("p", "a").await, server.member("p", "b").await);
    assert_eq!(server.refusal("/peerjs?key=peerjs&id=c&page=p").await.1, 4505);
}

#[tokio::test]
async fn no_message_of_the_server_carries_a_connection_id() {
    let server = Server::start(&[]);
    let mut host = server.member("p", "a").await;
    let mut b = server.member("p", "b").await;
    let told = [host.open.to_string(), b.open.to_string(), host.text().await];
    host.goodbye().await;
    assert!(
        told.iter().chain([&b.text().await]).all(|text| !text.contains("connectionId")),
        "{told:?}"
    );
}

fn ids(roster: &Value) -> BTreeSet<String> {
    let entries = roster.as_array().unwrap_or_else(|| panic!("no roster: {roster}"));
    entries.iter().map(|entry| entry["id"].as_str().expect("an id").to_owned()).collect()
}

fn unix_ms() -> u64 {
    let since =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    since.as_millis() as u64
}
