//! The deputy: which members are told of it, and that it succeeds the host.

mod common;

use common::{Client, Query, Server};
use serde_json::{Value, json};

/// Joins members. The `OPEN` of each but the host names the same deputy.
fn deputies(members: &[Client]) -> Vec<Option<&Value>> {
    members.iter().map(|member| member.open.get("deputy")).collect()
}

async fn announced_deputy(members: &mut [Client], deputy: Value) {
    for member in members {
        assert_eq!(
            member.expect("DEPUTY").await["payload"],
            json!({"deputy": deputy}),
            "{}",
            member.id
        );
    }
}

#[tokio::test]
async fn without_a_relay_the_deputy_follows_a_lost_host_and_the_next_deputy_is_announced_with_it() {
    let server = Server::start(&[("relay.enabled", "false")]);
    let mut members = server.group("p", &["h", "a", "b", "c"]).await;
    assert_eq!(deputies(&members), [None, Some(&json!("a")), Some(&json!("a")), Some(&json!("a"))]);
    members.remove(0).reset();
    let mut next = None;
    for member in &mut members {
        let told = member.appointed().await;
        assert_eq!(
            (&told["host"], &told["cause"], &told["fairMs"]),
            (&json!("a"), &json!("left"), &json!(7500)),
            "{told}"
        );
        let deputy = told["deputy"].as_str().expect("a deputy").to_owned();
        assert!(["b", "c"].contains(&&*deputy), "{told}");
        assert_eq!(*next.get_or_insert(deputy.clone()), deputy);
        member.nothing_more().await;
    }
}

#[tokio::test]
async fn a_deputy_that_leaves_or_cannot_host_is_replaced_at_once() {
    let server = Server::start(&[("relay.enabled", "false")]);
    let mut members = server.group("p", &["h", "a", "b"]).await;
    members.remove(1).goodbye().await;
    members[0].expect_from("LEAVE", "a").await;
    announced_deputy(&mut members, json!("b")).await;
    members[1].status(json!({"p2p": false}));
    announced_deputy(&mut members, Value::Null).await;
    members[1].status(json!({"p2p": true}));
    announced_deputy(&mut members, json!("b")).await;
    members[1].status(json!({"eligible": false}));
    announced_deputy(&mut members, Value::Null).await;
}

#[tokio::test]
async fn there_is_no_deputy_where_all_is_relayed_or_deputies_are_off() {
    for settings in [&[][..], &[("relay.enabled", "false"), ("pages.deputies", "0")]] {
        let server = Server::start(settings);
        let mut members = server.group("p", &["h", "a", "b"]).await;
        assert_eq!(deputies(&members), [None, None, None]);
        members.remove(0).goodbye().await;
        assert_eq!(members[0].appointed().await.get("deputy"), None);
    }
}

#[tokio::test]
async fn a_deputy_at_another_address_than_the_host_is_preferred() {
    let settings =
        [("relay.enabled", "false"), ("server.proxied", "true"), ("election.policy", "oldest")];
    let server = Server::start(&settings);
    let mut members = Vec::new();
    // "c" has been there longer than "b", but would be lost together with "a"
    for (id, address) in
        [("h", "203.0.113.1"), ("a", "203.0.113.1"), ("c", "203.0.113.1"), ("b", "203.0.113.2")]
    {
        let query = format!("/peerjs?key=peerjs&id={}&page=p&group=2", Query::encode(id));
        let mut member = server.connect_with(&query, &[("x-forwarded-for", address)]).await;
        member.open = member.expect("OPEN").await["payload"].take();
        members.push(member);
    }
    assert_eq!(members[3].open["deputy"], "a");
    members.remove(0).reset();
    for member in &mut members {
        let told = member.appointed().await;
        assert_eq!((&told["host"], &told["deputy"]), (&json!("a"), &json!("b")), "{told}");
    }
}
