//! ICE servers: their form in OPEN, and new TURN credentials before the old ones expire.

mod common;

use common::Server;
use serde_json::{Value, json};

const SERVERS: &str = r#"[{"urls":["stun:s.org"]},{"urls":["turn:t.org"]}]"#;

/// Returns when the TURN credentials in `ice` expire, in seconds since 1970. They must be those of
/// `id`.
fn expiry(ice: &Value, id: &str) -> u64 {
    assert_eq!(
        (&ice[0], &ice[1]["urls"]),
        (&json!({"urls": ["stun:s.org"]}), &json!(["turn:t.org"]))
    );
    let (expiry, whose) =
        ice[1]["username"].as_str().and_then(|name| name.split_once(':')).expect("expiry:id");
    assert_eq!(whose, id);
    // SHA-1 has 20 bytes, which are 28 characters in base64
    assert_eq!(ice[1]["credential"].as_str().map(str::len), Some(28), "{ice}");
    expiry.parse().expect("a number")
}

#[tokio::test]
async fn every_client_gets_its_own_turn_credentials_in_open() {
    let server = Server::start(&[
        ("ice.servers", SERVERS),
        ("ice.turn_secret", "north"),
        ("ice.turn_ttl_s", "600"),
    ]);
    let a = server.grouped("p", "a").await;
    let b = server.member("p", "b").await;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock")
        .as_secs();
    for (member, id) in [(&a, "a"), (&b, "b")] {
        let expiry = expiry(&member.open["ice"], id);
        assert!((now + 590..=now + 600).contains(&expiry), "{expiry} at {now}");
    }
    assert_ne!(a.open["ice"][1]["credential"], b.open["ice"][1]["credential"]);
}

#[tokio::test]
async fn without_a_secret_all_clients_get_the_same_ice_servers() {
    let servers =
        r#"[{"urls":["stun:s.org"]},{"urls":["turn:t.org"],"username":"u","credential":"c"}]"#;
    let server = Server::start(&[("ice.servers", servers)]);
    for id in ["a", "b"] {
        let member = server.grouped("p", id).await;
        assert_eq!(member.open["ice"], serde_json::from_str::<Value>(servers).expect("JSON"));
    }
}

#[tokio::test]
async fn new_credentials_arrive_before_the_old_ones_expire() {
    let server = Server::start(&[
        ("ice.servers", SERVERS),
        ("ice.turn_secret", "north"),
        ("ice.turn_ttl_s", "5"),
    ]);
    let mut a = server.grouped("p", "a").await;
    let first = expiry(&a.open["ice"], "a");
    let told = a.expect("ICE").await;
    let second = expiry(&told["payload"]["ice"], "a");
    assert!(second > first, "{second} after {first}");
    // and they are sent more than once
    assert!(expiry(&a.expect("ICE").await["payload"]["ice"], "a") > second);
}
