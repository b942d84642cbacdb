//! Odd handshakes: what proxies make of an upgrade and of a path, and what load balancers ask.

mod common;

use std::time::{Duration, Instant};

use common::{Response, Server, http};
use serde_json::json;

/// Returns an upgrade of `path` in a version of HTTP, with more header lines.
fn upgrade(path: &str, version: &str, lines: &str) -> String {
    format!(
        "GET {path} {version}\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    )
}

const WEBSOCKET: &str = "Upgrade: websocket\r\n";
const PATH: &str = "/peerjs?key=peerjs&id=a&token=t";

async fn refused(server: &Server, request: &str) -> Response {
    let answer = server.exchange(request.as_bytes()).await;
    assert!((400..500).contains(&answer.status), "{request:?}: {answer:?}");
    assert!(!answer.body.is_empty(), "{request:?}: {answer:?} says nothing");
    answer
}

#[tokio::test]
async fn an_upgrade_with_a_body_is_refused_with_the_reason_and_never_answered_101() {
    let server = Server::start(&[]);
    for lines in [
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: Chunked\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 99999999999\r\n",
    ] {
        for body in ["", "0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"] {
            let request = upgrade(PATH, "HTTP/1.1", &format!("{WEBSOCKET}{lines}")) + body;
            let answer = refused(&server, &request).await;
            assert!(answer.status == 400 && answer.body.contains("no body"), "{lines}: {answer:?}");
        }
    }
    // an empty body is no body
    let mut raw = server.raw().await;
    raw.send(upgrade(PATH, "HTTP/1.1", &format!("{WEBSOCKET}Content-Length: 0\r\n")).as_bytes())
        .await;
    raw.expect_upgrade().await;
    raw.expect("OPEN").await;
}

#[tokio::test]
async fn an_upgrade_that_the_http_library_ignores_is_refused() {
    let server = Server::start(&[]);
    for line in [
        "Upgrade: websocket, h2c\r\n",
        "Upgrade: h2c, websocket\r\n",
        "Upgrade: websocket/13\r\n",
        "Upgrade: websocket;\r\n",
    ] {
        let answer = refused(&server, &upgrade(PATH, "HTTP/1.1", line)).await;
        assert!(answer.body.contains("`websocket` and nothing else"), "{line}: {answer:?}");
    }
}

#[tokio::test]
async fn an_upgrade_over_http_1_0_is_refused_with_its_usual_cause() {
    let server = Server::start(&[]);
    for lines in [WEBSOCKET, ""] {
        let answer = refused(&server, &upgrade(PATH, "HTTP/1.0", lines)).await;
        assert_eq!(
            (answer.status, answer.header("upgrade")),
            (426, Some("websocket")),
            "{answer:?}"
        );
        assert!(
            answer.body.contains("HTTP/1.1") && answer.body.contains("proxy_http_version 1.1"),
            "{answer:?}"
        );
    }
    // as nginx sends it by default
    let answer = refused(
        &server,
        "GET /peerjs?key=peerjs&id=a&token=t HTTP/1.0\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(answer.status == 426 && answer.body.contains("proxy_http_version 1.1"), "{answer:?}");
}

#[tokio::test]
async fn other_requests_that_are_no_handshake_are_refused_with_the_reason() {
    let server = Server::start(&[]);
    for (request, status, words) in [
        (format!("GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "proxy_set_header Upgrade"),
        (upgrade(PATH, "HTTP/1.1", ""), 400, "proxy_set_header Upgrade"),
        (
            upgrade(PATH, "HTTP/1.1", WEBSOCKET).replace("Version: 13", "Version: 12"),
            426,
            "version 13",
        ),
        (
            upgrade(PATH, "HTTP/1.1", WEBSOCKET).replace("Sec-WebSocket-Version: 13\r\n", ""),
            426,
            "version 13",
        ),
        (
            upgrade(PATH, "HTTP/1.1", WEBSOCKET).replace("Sec-WebSocket-Key", "X-Key"),
            400,
            "no WebSocket handshake",
        ),
        (upgrade(PATH, "HTTP/1.1", WEBSOCKET).replace("GET ", "POST "), 405, "GET, OPTIONS"),
    ] {
        let answer = refused(&server, &request).await;
        assert!(answer.status == status && answer.body.contains(words), "{request}: {answer:?}");
    }
}

#[tokio::test]
async fn percent_encoded_unreserved_characters_equal_plain_ones_in_every_part_of_a_path() {
    let server = Server::start(&[
        ("server.path", "/a~pp/"),
        ("peerjs.allow_discovery", "true"),
        ("peerjs.key", "k~ey"),
        ("auth.admin_token", "admin"),
    ]);
    // https://a.org/x
    for (n, path) in [
        "/a~pp/pages/~aHR0cHM6Ly9hLm9yZy94/peerjs",
        "/a~pp/pages/%7EaHR0cHM6Ly9hLm9yZy94/peerjs",
        "/a~pp/pages/%7eaHR0cHM6Ly9hLm9yZy94/peerjs",
        "/a~pp/pages/~%61HR0cHM6Ly9hLm9yZy94/peerjs",
        "/a%7Epp/%70ages/%7EaHR0cHM6Ly9hLm9yZy94/peer%6As",
        "/%61%7epp/pages/https%3A%2F%2F%61.org%2F%78/%70eerjs",
    ]
    .iter()
    .enumerate()
    {
        let mut member = server.connect(&format!("{path}?key=k~ey&id=m{n}&group=2")).await;
        let open = member.expect("OPEN").await;
        assert_eq!(open["payload"]["page"], "https://a.org/x", "{path}");
        let list = path
            .rsplit_once('/')
            .map(|(page, _)| format!("{page}/k%7Eey/peers"))
            .unwrap_or_default();
        assert_eq!(server.get(&list).await.json(), json!([format!("m{n}")]), "{list}");
        let kick = list.replace("k%7Eey/peers", &format!("p%65ers/%6D{n}"));
        assert_eq!(
            http(&server, "DELETE", &kick, &[("Authorization", "Bearer admin")]).await.status,
            204,
            "{kick}"
        );
        member.refused().await;
    }
    for path in ["/%61~pp/%68ealth", "/a~pp/k%7Eey/id", "/a~pp/%6B~ey/peers", "/a~pp/"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn options_is_answered_on_every_route_with_what_is_allowed() {
    let server = Server::start(&[]);
    let below = Server::start(&[("server.path", "/app/")]);
    for (path, allow) in [
        ("*", "GET, HEAD, DELETE, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
        ("/health", "GET, HEAD, OPTIONS"),
        ("/ready", "GET, HEAD, OPTIONS"),
        ("/metrics", "GET, HEAD, OPTIONS"),
        ("/pages", "GET, HEAD, OPTIONS"),
        ("/peerjs", "GET, OPTIONS"),
        ("/pages/p/peerjs", "GET, OPTIONS"),
        ("/pages/p/peers/a", "DELETE, OPTIONS"),
        ("/pages/p/peerjs/id", "GET, HEAD, OPTIONS"),
        ("/pages/p/peerjs/peers", "GET, HEAD, OPTIONS"),
        ("/peerjs/id", "GET, HEAD, OPTIONS"),
        ("/peerjs/peers", "GET, HEAD, OPTIONS"),
        ("/peerstar.js", "GET, HEAD, OPTIONS"),
    ] {
        let there = if path == "*" { path.to_owned() } else { format!("/app{path}") };
        for (server, path) in [(&server, path), (&below, &*there)] {
            for head in [
                "HTTP/1.1\r\nHost: x\r\n",
                "HTTP/1.0\r\n",
                "HTTP/1.1\r\nHost: x\r\nOrigin: https://a.org\r\n",
            ] {
                let answer = server.exchange(format!("OPTIONS {path} {head}\r\n").as_bytes()).await;
                assert_eq!(
                    (answer.status, answer.header("allow")),
                    (204, Some(allow)),
                    "{path} {head:?}: {answer:?}"
                );
            }
            if path != "*" {
                for method in ["PUT", "PATCH", "BREW"] {
                    let answer = http(server, method, path, &[]).await;
                    assert_eq!(
                        (answer.status, answer.header("allow")),
                        (405, Some(allow)),
                        "{method} {path}: {answer:?}"
                    );
                }
            }
        }
    }
    // HAProxy's health check, on any path
    assert_eq!(below.exchange(b"OPTIONS / HTTP/1.0\r\n\r\n").await.status, 204);
    for path in ["/", "/nothing/at/all/here"] {
        assert_eq!(below.get(path).await.status, 404);
    }
    // an upgrade does not change that
    let options = upgrade("/health", "HTTP/1.1", WEBSOCKET).replace("GET ", "OPTIONS ");
    assert_eq!(server.exchange(options.as_bytes()).await.status, 204);
}

/// Firefox drops the `open` event and the text of a refusal whose close frame comes with the answer
/// to the handshake.
#[tokio::test]
async fn the_close_frame_of_a_refusal_comes_50_ms_after_the_handshake_or_later() {
    let server = Server::start(&[]);
    // refused before there is a session, and by a page
    let _first = server.join("id=a&token=t&page=p").await;
    for (query, kind, code) in
        [("id=b&token=t&page=", "ERROR", 4405), ("id=a&token=u&page=p", "ID-TAKEN", 4409)]
    {
        let mut refused = server.raw_websocket(query).await;
        let opened = Instant::now();
        refused.expect(kind).await;
        assert_eq!(refused.unread(), b"", "{query}: something came with the text");
        assert_eq!(refused.refused().await.1, code, "{query}");
        assert!(opened.elapsed() >= Duration::from_millis(50), "{query}: {:?}", opened.elapsed());
    }
}
