//! `GET metrics`: the metrics count what happens.

mod common;

use common::{Server, eventually, http};
use serde_json::json;

/// Returns the value of a line of metrics.
async fn value(server: &Server, line: &str) -> f64 {
    let metrics = server.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    let value =
        metrics.body.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {line} in {}", metrics.body))
}

#[tokio::test]
async fn joins_messages_elections_and_refusals_are_counted() {
    let server = Server::start(&[("liveness.return_ms", "0")]);
    assert_eq!(value(&server, "peerstar_connections").await, 0.0);
    let (mut a, mut b) = (server.grouped("p", "a").await, server.grouped("p", "b").await);
    a.expect("JOIN").await;
    a.send(json!({"type": "RELAY", "payload": "hello"}));
    b.expect("RELAY").await;
    b.send(json!({"type": "OFFER", "dst": "nobody-yet", "payload": {"sdp": 1}}));
    b.send(json!({"type": "NONSENSE"}));
    b.send(json!({"type": "HEARTBEAT"}));
    b.expect("HEARTBEAT").await;
    server.refusal("/peerjs?key=wrong&id=c&token=t&page=p").await;
    for (line, wanted) in [
        ("peerstar_connections", 2.0),
        ("peerstar_pages", 1.0),
        ("peerstar_joins_total", 2.0),
        ("peerstar_messages_total{type=\"RELAY\"}", 1.0),
        ("peerstar_messages_total{type=\"OFFER\"}", 1.0),
        ("peerstar_messages_total{type=\"other\"}", 1.0),
        ("peerstar_messages_total{type=\"HEARTBEAT\"}", 1.0),
        ("peerstar_waiting_messages", 1.0),
        ("peerstar_refusals_total{reason=\"invalid-key\"}", 1.0),
        ("peerstar_invariant_violations_total", 0.0),
        ("peerstar_page_restarts_total", 0.0),
    ] {
        eventually(line, async || value(&server, line).await == wanted).await;
    }
    assert!(value(&server, "peerstar_relayed_bytes_total").await > 20.0);
    a.goodbye().await;
    b.appointed().await;
    assert_eq!(value(&server, "peerstar_elections_total{cause=\"left\"}").await, 1.0);
    assert_eq!(value(&server, "peerstar_election_seconds_count").await, 1.0);
    assert_eq!(value(&server, "peerstar_closes_total{reason=\"left\"}").await, 1.0);
}

#[tokio::test]
async fn with_an_admin_token_the_metrics_are_for_the_admin() {
    let server = Server::start(&[("auth.admin_token", "admin")]);
    assert_eq!(server.get("/metrics").await.status, 401);
    assert_eq!(
        http(&server, "GET", "/metrics", &[("Authorization", "Bearer wrong")]).await.status,
        401
    );
    let metrics = http(&server, "GET", "/metrics", &[("Authorization", "Bearer admin")]).await;
    assert!(metrics.body.ends_with("# EOF\n"), "{}", metrics.body);
}
