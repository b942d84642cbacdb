//! Identity: parameters, keys, replacements, and ids in use.

mod common;

use common::{Query, Server};
use serde_json::json;

/// Checks a refusal, which gives its reason three times: as text, in its payload and in the close.
async fn is_refused(server: &Server, query: &str, kind: &str, code: u16) {
    let (words, closed) = server.refusal(&format!("/peerjs?{query}")).await;
    assert_eq!(words["type"], kind, "{query}: {words}");
    let payload = words["payload"].as_object().unwrap_or_else(|| panic!("{query}: {words}"));
    let mut keys: Vec<_> = payload.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["code", "msg", "retry"], "{query}");
    assert!(payload["msg"].as_str().is_some_and(|msg| msg.len() > 5), "{query}: {words}");
    assert_eq!(
        (&payload["code"], &payload["retry"], closed),
        (&json!(code), &json!(false), code),
        "{query}"
    );
}

#[tokio::test]
async fn a_client_without_id_token_or_key_is_refused() {
    let server = Server::start(&[]);
    for query in [
        "",
        "key=peerjs&id=a",
        "key=peerjs&token=t",
        "id=a&token=t",
        "key=&id=a&token=t",
        "key=peerjs&id=&token=t",
        "key=peerjs&id=a&token=",
        "key=peerjs&page=p",
    ] {
        is_refused(&server, query, "ERROR", 4400).await;
    }
    let (words, _) = server.refusal("/peerjs?key=peerjs&id=a").await;
    assert_eq!(words["payload"]["msg"], "No id, token, or key supplied to websocket server");
    // on a page the token is optional
    server.join("id=a&page=p").await.nothing_more().await;
}

#[tokio::test]
async fn a_wrong_key_is_refused_in_the_form_that_stock_clients_know() {
    let server = Server::start(&[("peerjs.key", "mine")]);
    is_refused(&server, "key=peerjs&id=a&token=t", "INVALID-KEY", 4401).await;
    is_refused(&server, "key=mine2&id=a&token=t&page=p", "INVALID-KEY", 4401).await;
    let mut a = server.connect("/peerjs?key=mine&id=a&token=t").await;
    a.expect("OPEN").await;
}

#[tokio::test]
async fn invalid_ids_pages_and_parameters_are_refused_by_name() {
    let server = Server::start(&[]);
    let (long, longer) = ("x".repeat(129), "p".repeat(1025));
    for id in [
        "a/b",
        "<b>",
        "a\"b",
        "a\nb",
        "a\u{0}",
        "\u{7f}",
        "\u{85}",
        "../..",
        &long,
        &"é".repeat(65),
    ] {
        is_refused(&server, &format!("key=peerjs&token=t&id={}", Query::encode(id)), "ERROR", 4404)
            .await;
    }
    is_refused(&server, &format!("key=peerjs&id=a&page={longer}"), "ERROR", 4405).await;
    is_refused(&server, "key=peerjs&id=a&token=t&page=", "ERROR", 4405).await;
    let token = "t".repeat(513);
    for query in [
        "id=%FF",
        "id=a&page=%C3",
        "id=a&id=b",
        "id=a&page=p&epoch=1",
        "id=a&page=p&host=b",
        "id=a&page=p&epoch=-1&host=b",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([format!("id=a&token={token}"), "id=a&page=p&epoch=9007199254740992&host=b".into()])
    {
        is_refused(&server, &format!("key=peerjs&token=t&{query}"), "ERROR", 4406).await;
    }
}

#[tokio::test]
async fn ids_and_page_names_up_to_their_limits_are_accepted() {
    let server = Server::start(&[]);
    for id in ["x".repeat(128), "é".repeat(64), "a b".into(), "Ünï+%25&=?#".into(), "😀".into()]
    {
        let mut peer = server.join(&format!("token=t&id={}", Query::encode(&id))).await;
        peer.id = id;
        peer.nothing_more().await;
    }
    for page in
        ["p".repeat(1024), "é".repeat(512), "https://a.org/x?y=z&w#f\n\u{0}".into(), " ".into()]
    {
        let member = server.join(&format!("id=a&page={}", Query::encode(&page))).await;
        assert_eq!(member.open["page"], *page);
    }
}

#[tokio::test]
async fn the_same_id_and_token_replaces_the_old_socket_which_is_closed() {
    let server = Server::start(&[
        ("peerjs.expire_ms", "600"),
        ("liveness.return_ms", "200"),
        ("peerjs.allow_discovery", "true"),
    ]);
    let (mut old, mut other) = (server.peer("a").await, server.peer("b").await);
    old.meet(&mut other).await;
    let mut new = server.peer("a").await;
    assert_eq!(old.closed().await, (4410, "replaced".into()));
    other.send_to("OFFER", "a", json!({"x": 1}));
    assert_eq!(new.expect_from("OFFER", "b").await["payload"]["x"], 1);
    // no member left: nothing is sent, not even after return_ms
    other.nothing_until_expire().await;
    new.nothing_more().await;
    assert_eq!(server.peers().await, json!(["a", "b"]));
    // and the new socket has the contacts of the old one
    new.goodbye().await;
    other.expect_from("LEAVE", "a").await;
}

#[tokio::test]
async fn an_id_in_use_is_refused_to_another_client() {
    let server = Server::start(&[]);
    let (mut owner, other) = (server.peer("a").await, server.peer("b").await);
    let (words, code) = server.refusal("/peerjs?key=peerjs&id=a&token=other").await;
    assert_eq!((words["type"].as_str(), code), (Some("ID-TAKEN"), 4409), "{words}");
    assert_eq!(
        (&words["payload"]["code"], &words["payload"]["retry"]),
        (&json!(4409), &json!(false))
    );
    other.send_to("OFFER", "a", json!({}));
    owner.expect_from("OFFER", "b").await;
    owner.nothing_more().await;
}

#[tokio::test]
async fn a_member_without_a_token_cannot_be_replaced() {
    let server = Server::start(&[]);
    let mut owner = server.join("id=a&page=p").await;
    for token in ["", "&token=", "&token=t"] {
        let (words, code) = server.refusal(&format!("/peerjs?key=peerjs&id=a&page=p{token}")).await;
        assert_eq!((words["type"].as_str(), code), (Some("ID-TAKEN"), 4409), "{words}");
    }
    owner.nothing_more().await;
}

#[tokio::test]
async fn the_id_of_a_member_that_does_not_answer_goes_to_the_newcomer() {
    let server = Server::start(&[]);
    let mut silent = server.raw_websocket("id=a&token=t").await;
    silent.expect("OPEN").await;
    let mut contact = server.peer("b").await;
    contact.send_to("OFFER", "a", json!({}));
    silent.expect("OFFER").await;

    let mut newcomer = server.join("id=a&token=other").await;
    let (words, code) = silent.refused().await;
    assert_eq!((words["type"].as_str(), code), (Some("ERROR"), 4504), "{words}");
    // the contact that it knew is gone for good
    contact.expect_from("LEAVE", "a").await;
    contact.send_to("OFFER", "a", json!({"x": 1}));
    assert_eq!(newcomer.expect_from("OFFER", "b").await["payload"]["x"], 1);
    newcomer.nothing_more().await;
}

#[tokio::test]
async fn a_message_to_a_pending_join_is_not_lost() {
    // no pong answers the server's ping
    let settings = [
        ("liveness.ping_ms", "60000"),
        ("liveness.timeout_ms", "200000"),
        ("liveness.host_timeout_ms", "200000"),
    ];
    let server = Server::start(&settings);
    let mut silent = server.raw_websocket("id=a&token=t").await;
    silent.expect("OPEN").await;
    let mut other = server.peer("b").await;
    // it sends more messages before it has joined than are kept
    let mut newcomer = server.connect("/peerjs?key=peerjs&id=a&token=other").await;
    for n in 0..100 {
        newcomer.send_to("OFFER", "b", json!({"n": n}));
    }
    newcomer.expect("OPEN").await;
    for n in 0..100 {
        assert_eq!(other.expect_from("OFFER", "a").await["payload"]["n"], n);
    }
}

#[tokio::test]
async fn a_pending_join_that_gives_up_does_not_affect_the_holder_of_the_id() {
    let server = Server::start(&[]);
    let mut silent = server.raw_websocket("id=a&token=t").await;
    silent.expect("OPEN").await;
    drop(server.connect("/peerjs?key=peerjs&id=a&token=other").await);
    let b = server.peer("b").await;
    b.send_to("OFFER", "a", json!({}));
    silent.expect("OFFER").await;
    // a second newcomer finds the id in use, as the first did
    server.join("id=a&token=third").await.nothing_more().await;
}

#[tokio::test]
async fn the_same_id_may_be_used_on_two_pages_and_without_one() {
    let server = Server::start(&[]);
    let mut clients =
        [server.peer("a").await, server.member("p", "a").await, server.member("q", "a").await];
    for client in &mut clients {
        client.nothing_more().await;
    }
}

#[tokio::test]
async fn what_a_group_member_can_do_is_in_its_roster_entry() {
    let server = Server::start(&[("election.policy", "oldest")]);
    let mut a = server.join("id=a&token=t&page=p&group=2&can=zip,x-1").await;
    assert_eq!(a.open["roster"], json!([{"id": "a", "group": 2, "can": ["zip", "x-1"]}]));
    let mut b = server.join("id=b&token=t&page=p&group=2&can=b").await;
    let entry = json!({"id": "b", "group": 2, "can": ["b"]});
    assert_eq!(a.expect_from("JOIN", "b").await["payload"], entry);
    // without names, and for a stock client, there is none
    server.join("id=c&token=t&page=p&group=2&can=").await;
    assert_eq!(a.expect_from("JOIN", "c").await["payload"], json!({"id": "c", "group": 2}));
    server.join("id=d&token=t&page=p&can=zip").await;
    assert_eq!(a.expect_from("JOIN", "d").await["payload"], json!({"id": "d", "group": 0}));
    a.goodbye().await;
    let told = b.appointed().await;
    assert_eq!(told["roster"][0], entry);
    let names = |n: usize| vec!["a"; n].join(",");
    let refusal = async |can: &str| {
        let path = format!("/peerjs?key=peerjs&id=e&page=p&group=2&can={can}");
        let (words, code) = server.refusal(&path).await;
        (words["payload"]["msg"].as_str().unwrap_or_default().to_owned(), code)
    };
    assert_eq!(refusal(&names(17)).await, ("can has more than 16 names".into(), 4406));
    let (words, code) = refusal("a,,b").await;
    assert!(words.starts_with("can has a name that is not") && code == 4406, "{words}");
}
