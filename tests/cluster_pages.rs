//! A page with members on several nodes.

mod common;

use common::Redis;
use serde_json::json;

#[tokio::test]
async fn members_on_two_nodes_are_one_page() {
    let redis = Redis::start();
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
