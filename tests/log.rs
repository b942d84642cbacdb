//! The log: strangers cause no errors in it, nobody forges a line, and its lines have fields.

mod common;

use common::{Query, Server, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Bytes that port scanners send to any open port, by name.
const NOISE: [(&str, &[u8]); 7] = [
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello \r\n\r\n"),
    ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("no Host", b"GET / HTTP/1.1\r\n\r\n"),
    (
        "two bodies",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    ("CONNECT", b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("bad chunk", b"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
];

async fn make_noise(server: &Server, noise: &[u8]) {
    let mut stream = TcpStream::connect(server.address).await.expect("it listens");
    // a server that has seen enough may close at once
    let _ = stream.write_all(noise).await;
    let _ = timeout(common::PATIENCE, stream.read_to_end(&mut Vec::new())).await.expect("an end");
}

/// Returns the lines of a JSON log that have this level.
fn lines_at(server: &Server, level: &str) -> Vec<Value> {
    let lines = server
        .log()
        .into_iter()
        .map(|line| serde_json::from_str::<Value>(&line).unwrap_or_else(|e| panic!("{line}: {e}")));
    lines.filter(|line| line["level"] == level).collect()
}

async fn counted(server: &Server) -> f64 {
    let metrics = server.get("/metrics").await.body;
    let values = metrics.lines().filter(|line| line.starts_with("peerstar_bad_requests_total{"));
    values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[tokio::test]
async fn bytes_of_port_scanners_are_counted_and_logged_at_debug() {
    let server = Server::start(&[("log.format", "json"), ("log.filter", "debug")]);
    for (name, noise) in NOISE {
        make_noise(&server, noise).await;
        assert_eq!(lines_at(&server, "ERROR"), Vec::<Value>::new(), "{name}");
        assert_eq!(lines_at(&server, "WARN"), Vec::<Value>::new(), "{name}");
    }
    // CONNECT and a body that is not read are well-formed requests
    eventually("the noise is counted", async || counted(&server).await >= 5.0).await;
    eventually("the noise is logged", async || {
        lines_at(&server, "DEBUG")
            .iter()
            .filter(|line| {
                line["message"] == "bad request"
                    && line["reason"] == "malformed"
                    && line["error"].is_string()
            })
            .count()
            >= 5
    })
    .await;
}

#[tokio::test]
async fn noise_on_the_tls_port_is_logged_at_debug() {
    let directory = tempfile::tempdir().expect("a directory");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(directory.path().join("cert.pem"), made.cert.pem()).expect("written");
    std::fs::write(directory.path().join("key.pem"), made.signing_key.serialize_pem())
        .expect("written");
    let file = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let server = Server::start(&[
        ("tls.cert", &cert),
        ("tls.key", &key),
        ("log.format", "json"),
        ("log.filter", "debug"),
    ]);
    for (name, noise) in NOISE {
        make_noise(&server, noise).await;
        assert_eq!(
            (lines_at(&server, "ERROR"), lines_at(&server, "WARN")),
            (vec![], vec![]),
            "{name}"
        );
    }
    let said = || {
        lines_at(&server, "DEBUG")
            .iter()
            .filter(|line| line["message"] == "bad request" && line["reason"] == "tls")
            .count()
    };
    eventually("the noise is logged", async || said() == NOISE.len()).await;
}

/// An id with a forged field, a forged line and characters that hide text.
const HOSTILE_ID: &str = "victim departure=goodbye members=0 id=x\u{2028}[ERROR] \u{202e}txt";
/// A page's name of the same kind.
const HOSTILE_PAGE: &str = "p host=y\nleave page=\"q\" id=z\u{2028}\u{202e}\u{1b}[31m";

/// Lets a member of a hostile name join a page, host it, and leave, so that another is elected.
async fn run_hostile_names(server: &Server) {
    let page = Query::encode(HOSTILE_PAGE);
    let member = server.grouped(&page, &Query::encode(HOSTILE_ID)).await;
    let mut other = server.grouped(&page, "b").await;
    drop(member);
    other.appointed().await;
    eventually("the election is logged", async || {
        server.log().iter().any(|line| line.contains("host elected"))
    })
    .await;
    let hidden = |c: char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c);
    let log = server.log();
    assert!(!log.iter().any(|line| line.contains(hidden)), "{log:#?}");
}

#[tokio::test]
async fn a_hostile_name_forges_no_field_and_no_line_of_text() {
    let server = Server::start(&[("log.filter", "debug"), ("liveness.return_ms", "0")]);
    run_hostile_names(&server).await;
    let log = server.log();
    let about: Vec<_> = log
        .iter()
        .filter(|line| {
            line.contains("] member left page=") || line.contains("] host elected page=")
        })
        .collect();
    assert_eq!(about.len(), 2, "{log:#?}");
    assert!(
        about.iter().all(|line| line
            .contains(r#"page="p host=y\nleave page=\"q\" id=z\u{2028}\u{202e}\u{1b}[31m""#)),
        "{about:#?}"
    );
    assert!(
        about[0].contains(
            r#"id="victim departure=goodbye members=0 id=x\u{2028}[ERROR] \u{202e}txt" departure="#
        ),
        "{about:#?}"
    );
}

#[tokio::test]
async fn in_json_each_field_is_a_field_of_the_object() {
    let server = Server::start(&[
        ("log.filter", "debug"),
        ("log.format", "json"),
        ("liveness.return_ms", "0"),
    ]);
    run_hostile_names(&server).await;
    let lines = lines_at(&server, "DEBUG");
    let line = |message: &str| {
        let line = lines.iter().find(|line| line["message"] == message);
        line.unwrap_or_else(|| panic!("no {message} in {lines:#?}"))
    };
    let joined = line("member joined");
    assert_eq!((&joined["page"], &joined["members"]), (&json!(HOSTILE_PAGE), &json!(1)));
    assert!(joined["session"].is_u64() && joined["target"] == "peerstar::actor::page", "{joined}");
    let left = line("member left");
    assert_eq!((&left["id"], &left["departure"]), (&json!(HOSTILE_ID), &json!("lost")));
    let elected = line("host elected");
    assert_eq!((&elected["host"], &elected["cause"]), (&json!("b"), &json!("left")));
    assert!(elected["epoch"].is_u64(), "{elected}");
    let listening = &lines_at(&server, "INFO")[0];
    assert_eq!(listening["message"], "listening");
    assert_eq!((&listening["tls"], &listening["path"]), (&json!(false), &json!("/")));
}
