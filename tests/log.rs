//! The log: strangers write no errors into it, and nobody forges a line.

mod common;

use common::{Query, Server, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What comes to any open port, by name.
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

fn lines_at(server: &Server, level: &str) -> Vec<String> {
    server
        .log()
        .into_iter()
        .filter(|line| line.contains(&format!("\"level\":\"{level}\"")))
        .collect()
}

async fn counted(server: &Server) -> f64 {
    let metrics = server.get("/metrics").await.body;
    let values = metrics.lines().filter(|line| line.starts_with("peerstar_bad_requests_total{"));
    values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[tokio::test]
async fn strangers_noise_is_counted_and_said_at_debug() {
    let server = Server::start(&[("log.format", "json"), ("log.filter", "debug")]);
    for (name, noise) in NOISE {
        make_noise(&server, noise).await;
        assert_eq!(lines_at(&server, "ERROR"), Vec::<String>::new(), "{name}");
        assert_eq!(lines_at(&server, "WARN"), Vec::<String>::new(), "{name}");
    }
    // a CONNECT and a body that nobody reads are well-formed requests
    eventually("the noise is counted", async || counted(&server).await >= 5.0).await;
    eventually("the noise is said", async || {
        lines_at(&server, "DEBUG")
            .iter()
            .filter(|line| line.contains("bad request reason=malformed"))
            .count()
            >= 5
    })
    .await;
}

#[tokio::test]
async fn noise_on_the_tls_port_is_counted_too() {
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
            .filter(|line| line.contains("bad request reason=tls"))
            .count()
    };
    eventually("the noise is said", async || said() == NOISE.len()).await;
}

#[tokio::test]
async fn what_a_client_calls_itself_forges_no_field_and_no_line() {
    let server = Server::start(&[("log.filter", "debug"), ("liveness.return_ms", "0")]);
    let id = "victim departure=goodbye members=0 id=x\u{2028}[ERROR] \u{202e}txt";
    let page = "p host=y\nleave page=\"q\" id=z\u{2028}\u{202e}\u{1b}[31m";
    let member = server.grouped(&Query::encode(page), &Query::encode(id)).await;
    let mut other = server.grouped(&Query::encode(page), "b").await;
    drop(member);
    other.appointed().await;
    eventually("it is said who left", async || {
        server.log().iter().any(|line| line.contains("] elect page="))
    })
    .await;
    let log = server.log();
    let about: Vec<_> = log
        .iter()
        .filter(|line| line.contains("] leave page=") || line.contains("] elect page="))
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
    let hidden = |c: char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c);
    assert!(!log.iter().any(|line| line.contains(hidden)), "{log:#?}");
}
