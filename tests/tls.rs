//! TLS: HTTP and WebSockets, a new certificate on SIGHUP, and errors about a bad certificate.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{PATIENCE, Server, eventually, run_once};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::Message;

/// Writes a certificate for `localhost` and its key into `directory`.
fn certify(directory: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(directory.join("cert.pem"), made.cert.pem()).expect("written");
    std::fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    made.cert.der().clone()
}

fn start(directory: &Path, more: &[(&str, &str)]) -> Server {
    let file = |name: &str| directory.join(name).to_string_lossy().into_owned();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    Server::start(&[&[("tls.cert", &*cert), ("tls.key", &*key)], more].concat())
}

async fn dial(
    server: &Server,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions");
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let tcp = TcpStream::connect(server.address).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, tcp))
        .await
        .expect("an answer")
}

#[tokio::test]
async fn http_and_websockets_over_tls_and_a_new_certificate_on_sighup() {
    let directory = tempfile::tempdir().expect("a directory");
    let old = certify(directory.path());
    let server = start(directory.path(), &[]);

    let mut plain = dial(&server, &old).await.expect("TLS");
    plain
        .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .expect("sent");
    let mut answer = String::new();
    // an end without close_notify is fine, because the answer has a Content-Length
    let _ = timeout(PATIENCE, plain.read_to_string(&mut answer)).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"), "{answer}");

    let socket = dial(&server, &old).await.expect("TLS");
    let url = "wss://localhost/peerjs?key=peerjs&id=a&token=t&page=p&group=2";
    let (mut socket, _) = tokio_tungstenite::client_async(url, socket).await.expect("a WebSocket");
    let mut next = async |send: Option<&str>| {
        if let Some(text) = send {
            socket.send(Message::text(text)).await.expect("sent");
        }
        let message = timeout(PATIENCE, socket.next())
            .await
            .expect("an answer")
            .expect("open")
            .expect("open");
        message.into_text().expect("text").to_string()
    };
    assert!(next(None).await.starts_with(r#"{"type":"OPEN""#));

    let new = certify(directory.path());
    server.signal("HUP");
    eventually("the new certificate", async || dial(&server, &new).await.is_ok()).await;
    assert!(dial(&server, &old).await.is_err(), "the old one is still shown");
    assert_eq!(
        next(Some(r#"{"type":"HEARTBEAT"}"#)).await,
        r#"{"type":"HEARTBEAT"}"#,
        "the old connection lives on"
    );

    std::fs::write(directory.path().join("cert.pem"), "nonsense").expect("written");
    server.signal("HUP");
    eventually("a complaint", async || {
        server.log().iter().any(|line| line.contains("the old certificate stays"))
    })
    .await;
    dial(&server, &new).await.expect("the one before is still shown");
}

/// Only the socket's own timeout ends a connection whose client reads nothing, and it must be set for
/// TLS, too.
#[tokio::test]
async fn a_client_that_stops_reading_is_disconnected_over_tls() {
    let directory = tempfile::tempdir().expect("a directory");
    let trusted = certify(directory.path());
    let unpaced = [("relay.max_bytes_per_s", "0"), ("limits.messages_per_s", "0")];
    let server = start(
        directory.path(),
        &[&[("liveness.ping_ms", "1000"), ("liveness.timeout_ms", "3000")], &unpaced[..]].concat(),
    );
    // after a first connection, all threads have opened their own descriptors
    let mut first = dial(&server, &trusted).await.expect("TLS");
    first.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    first.read_to_end(&mut Vec::new()).await.expect("an answer, and the end");
    let idle = dial(&server, &trusted).await.expect("TLS");
    let before = server.descriptors() - 1;
    drop((first, idle));
    // the descriptor of the first connection may have been counted as well
    eventually("its descriptor back", async || server.descriptors() <= before).await;
    let before = server.descriptors();

    let jammed = dial(&server, &trusted).await.expect("TLS");
    let (mut jammed, _) =
        tokio_tungstenite::client_async("wss://localhost/peerjs?key=peerjs&id=j&token=t", jammed)
            .await
            .expect("a WebSocket");
    timeout(PATIENCE, jammed.next()).await.expect("OPEN").expect("open").expect("open");
    let sender = dial(&server, &trusted).await.expect("TLS");
    let (mut sender, _) =
        tokio_tungstenite::client_async("wss://localhost/peerjs?key=peerjs&id=s&token=t", sender)
            .await
            .expect("a WebSocket");
    let offer =
        format!(r#"{{"type":"OFFER","dst":"j","payload":{{"sdp":"{}"}}}}"#, "x".repeat(100_000));
    for _ in 0..200 {
        sender.send(Message::text(offer.as_str())).await.expect("sent");
    }
    sender.close(None).await.expect("closed");
    eventually("both descriptors back", async || server.descriptors() <= before).await;
    drop(jammed);
}

#[test]
fn a_bad_certificate_is_refused_at_the_start() {
    let directory = tempfile::tempdir().expect("a directory");
    certify(directory.path());
    let other = tempfile::tempdir().expect("a directory");
    certify(other.path());
    std::fs::write(directory.path().join("empty.pem"), "").expect("written");
    let theirs = other.path().join("key.pem");
    let theirs = theirs.to_string_lossy();
    for (cert, key, words) in [
        ("missing.pem", "key.pem", "tls.cert = \"missing.pem\""),
        ("empty.pem", "key.pem", "no certificate in it"),
        ("cert.pem", "missing.pem", "tls.key = \"missing.pem\""),
        ("cert.pem", "empty.pem", "tls.key = \"empty.pem\""),
        ("cert.pem", &*theirs, "not a key for cert.pem"),
    ] {
        let run = run_once(
            &directory,
            &["--check"],
            &[("PEERSTAR__TLS__CERT", cert), ("PEERSTAR__TLS__KEY", key)],
        );
        assert!(
            run.code == Some(2) && run.stderr.contains(words) && run.stderr.lines().count() == 1,
            "{words}: {}",
            run.stderr
        );
    }
    let good = run_once(
        &directory,
        &["--check"],
        &[("PEERSTAR__TLS__CERT", "cert.pem"), ("PEERSTAR__TLS__KEY", "key.pem")],
    );
    assert_eq!(good.code, Some(0), "{}", good.stderr);
}
