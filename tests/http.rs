//! Plain HTTP: routes, who may use them, and CORS.

mod common;

use std::collections::BTreeSet;

use common::{Query, Server, http};
use serde_json::json;

#[tokio::test]
async fn health_and_readiness() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/health").await.status, 200);
    assert_eq!(server.get("/ready").await.status, 200);
    assert_eq!(server.get("/nothing-here").await.status, 404);
    assert_eq!(server.get("/pages/p/peerjs/nothing").await.status, 404);
}

#[tokio::test]
async fn an_id_is_a_fresh_uuid_as_text_whatever_the_key() {
    let server = Server::start(&[]);
    let mut ids = BTreeSet::new();
    for path in [
        "/peerjs/id",
        "/other/id?ts=1234&version=1.5.5",
        "/pages/p%2Fq/peerjs/id",
        "/pages/~cA/peerjs/id",
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(
            answer.header("content-type").is_some_and(|kind| kind.starts_with("text/")),
            "{answer:?}"
        );
        let id = uuid::Uuid::parse_str(&answer.body)
            .unwrap_or_else(|e| panic!("{path}: {}: {e}", answer.body));
        assert_eq!(answer.body, id.hyphenated().to_string());
        assert!(ids.insert(id), "{id} again");
    }
}

#[tokio::test]
async fn peers_are_listed_only_where_allowed_and_with_the_right_key() {
    let closed = Server::start(&[]);
    assert_eq!(closed.get("/peerjs/peers").await.status, 401);
    assert_eq!(closed.get("/pages/p/peerjs/peers").await.status, 401);

    let server = Server::start(&[("peerjs.allow_discovery", "true")]);
    assert_eq!(server.get("/peerjs/peers").await.json(), json!([]));
    let (_a, _b) = (server.peer("a").await, server.peer("b").await);
    let page = "https://a.org/x";
    let _c = server.member(&Query::encode(page), "c").await;
    assert_eq!(server.get("/peerjs/peers").await.json(), json!(["a", "b"]));
    for segment in [Query::encode(page), "~aHR0cHM6Ly9hLm9yZy94".into()] {
        assert_eq!(
            server.get(&format!("/pages/{segment}/peerjs/peers")).await.json(),
            json!(["c"]),
            "{segment}"
        );
    }
    assert_eq!(server.get("/pages/other/peerjs/peers").await.json(), json!([]));
    assert_eq!(server.get("/other/peers").await.status, 401);
    assert_eq!(server.get("/pages/p/other/peers").await.status, 401);
    assert_eq!(server.get("/pages/~!/peerjs/peers").await.status, 400);
}

#[tokio::test]
async fn only_the_admin_lists_pages() {
    let without = Server::start(&[]);
    for said in ["Bearer ", "Bearer", "Bearer admin", ""] {
        assert_eq!(
            http(&without, "GET", "/pages", &[("Authorization", said)]).await.status,
            401,
            "{said:?}"
        );
    }
    let server = Server::start(&[("auth.admin_token", "admin")]);
    let a = server.member("p", "a").await;
    let _b = server.member("p", "b").await;
    let _q = server.member("%C3%BC", "x").await;
    let _peer = server.peer("no-page").await;
    for said in ["Bearer admi", "Bearer admin1", "admin", "Basic admin", ""] {
        assert_eq!(
            http(&server, "GET", "/pages", &[("Authorization", said)]).await.status,
            401,
            "{said:?}"
        );
    }
    assert_eq!(server.get("/pages").await.status, 401);
    let pages = server.pages().await;
    assert_eq!(pages[0], json!({"page": "p", "host": "a", "epoch": a.open["epoch"], "members": 2}));
    assert_eq!((&pages[1]["page"], pages.as_array().map(Vec::len)), (&json!("ü"), Some(2)));
}

#[tokio::test]
async fn the_admin_kicks_a_member() {
    let server = Server::start(&[("auth.admin_token", "admin")]);
    let page = "https://a.org/x";
    let mut host = server.grouped(&Query::encode(page), "a").await;
    let mut b = server
        .join(&format!(
            "id={}&token=t&page={}&group=2",
            Query::encode("b%41 ü"),
            Query::encode(page)
        ))
        .await;
    host.expect("JOIN").await;
    let url = |id: &str| format!("/pages/{}/peers/{}", Query::encode(page), Query::encode(id));
    let admin = [("Authorization", "Bearer admin")];
    for said in [&[][..], &[("Authorization", "Bearer other")]] {
        assert_eq!(http(&server, "DELETE", &url("b%41 ü"), said).await.status, 401);
    }
    for (path, status) in [
        (url("c"), 404),
        (format!("/pages/other/peers/{}", Query::encode("b%41 ü")), 404),
        (url("a/b"), 400),
        ("/pages/~!/peers/b".into(), 400),
        (url("b%41 ü"), 204),
        (url("b%41 ü"), 404),
        ("/pages/~aHR0cHM6Ly9hLm9yZy94/peers/a".into(), 204),
    ] {
        assert_eq!(http(&server, "DELETE", &path, &admin).await.status, status, "{path}");
    }
    host.expect("LEAVE").await;
    for gone in [&mut b, &mut host] {
        let (words, code) = gone.refused().await;
        assert_eq!(
            (&words["type"], &words["payload"]["retry"], code),
            (&json!("ERROR"), &json!(false), 4411),
            "{words}"
        );
    }
}

#[tokio::test]
async fn an_absent_member_is_gone_once_the_admin_kicks_it() {
    let server = Server::start(&[("auth.admin_token", "admin"), ("liveness.return_ms", "60000")]);
    let mut host = server.grouped("p", "a").await;
    let lost = server.grouped("p", "b").await;
    host.expect("JOIN").await;
    lost.reset();
    while server.pages().await[0]["members"] != 1 {}
    for status in [204, 404] {
        assert_eq!(
            http(&server, "DELETE", "/pages/p/peers/b", &[("Authorization", "Bearer admin")])
                .await
                .status,
            status
        );
    }
    let leave = host.expect("LEAVE").await;
    assert_eq!((&leave["src"], &leave["payload"]), (&json!("b"), &json!(null)));
}

#[tokio::test]
async fn the_root_is_a_page_for_browsers_and_peer_servers_json_for_others() {
    let server = Server::start(&[]);
    let answer = server.get("/").await.json();
    for key in ["name", "description", "website"] {
        assert!(answer[key].as_str().is_some_and(|text| !text.is_empty()), "{answer}");
    }
    let accept = [("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")];
    let page = http(&server, "GET", "/", &accept).await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")),
        "{page:?}"
    );
    assert!(
        page.body.contains("</html>") || page.body.contains("<!doctype html>"),
        "{}",
        page.body
    );
    // the file comes from the binary: the server runs in an empty directory
    if let Some(tag) = page.header("etag") {
        let again = http(&server, "GET", "/", &[accept[0], ("If-None-Match", tag)]).await;
        assert_eq!((again.status, &*again.body), (304, ""));
    }
}

#[tokio::test]
async fn only_files_of_the_binary_are_served() {
    let server = Server::start(&[]);
    for path in [
        "/..%2F..%2Fetc%2Fpasswd",
        "/settings.toml",
        "/.gitignore",
        "/%2e%2e/Cargo.toml",
        "/index.html%00",
    ] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn any_origin_is_reflected_by_default() {
    let server = Server::start(&[]);
    for path in ["/peerjs/id", "/", "/peerjs/peers", "/health"] {
        let answer = http(&server, "GET", path, &[("Origin", "https://a.org")]).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://a.org"), "{path}");
    }
    let preflight = [
        ("Origin", "https://a.org"),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "x-y"),
    ];
    let answer = http(&server, "OPTIONS", "/peerjs/id", &preflight).await;
    assert!((200..300).contains(&answer.status), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://a.org"));
    let mut peer = server
        .connect_with("/peerjs?key=peerjs&id=a&token=t", &[("origin", "https://any.org")])
        .await;
    peer.expect("OPEN").await;
}

#[tokio::test]
async fn listed_origins_guard_the_websocket_too() {
    let server = Server::start(&[("cors.origins", "https://a.org, https://b.org:8443")]);
    let allowed = async |origin: &str| {
        let answer = http(&server, "GET", "/peerjs/id", &[("Origin", origin)]).await;
        answer.header("access-control-allow-origin").map(str::to_owned)
    };
    let listed = ["https://a.org", "https://b.org:8443"];
    for origin in listed {
        assert_eq!(allowed(origin).await.as_deref(), Some(origin));
        let mut peer =
            server.connect_with("/peerjs?key=peerjs&id=a&token=t", &[("origin", origin)]).await;
        peer.expect("OPEN").await;
        peer.goodbye().await;
    }
    for origin in [
        "https://c.org",
        "http://a.org",
        "https://a.org.evil.org",
        "https://b.org",
        "https://evil-a.org",
        "null",
    ] {
        assert_eq!(allowed(origin).await, None, "{origin}");
        let mut peer =
            server.connect_with("/peerjs?key=peerjs&id=a&token=t", &[("origin", origin)]).await;
        let (words, code) = peer.refused().await;
        assert_eq!(
            (words["type"].as_str(), &words["payload"]["retry"], code),
            (Some("ERROR"), &json!(false), 4403),
            "{origin}"
        );
    }
    // a client without an Origin is no browser
    server.peer("a").await;
}

#[tokio::test]
async fn all_routes_are_served_below_server_path() {
    for prefix in ["/app/", "/app", "/a/b.c/"] {
        let server = Server::start(&[("server.path", prefix), ("peerjs.allow_discovery", "true")]);
        let prefix = prefix.trim_end_matches('/');
        let at = |path: &str| format!("{prefix}{path}");
        let _peer = server.join_at(&at("/peerjs"), "id=a&token=t").await;
        let member = server.join_at(&at("/pages/x%2Fy/peerjs"), "id=b").await;
        assert_eq!(member.open["page"], "x/y");
        assert_eq!(server.get(&at("/peerjs/peers")).await.json(), json!(["a"]));
        assert_eq!(server.get(&at("/pages/x%2Fy/peerjs/peers")).await.json(), json!(["b"]));
        for path in ["/health", "/ready", "/peerjs/id", "/"] {
            assert_eq!(server.get(&at(path)).await.status, 200, "{path} below {prefix}");
        }
        assert_eq!(server.get("/peerjs/id").await.status, 404);
        for query in ["", "?page=x%2Fy&z"] {
            let answer = server.get(&format!("{prefix}{query}")).await;
            let to = format!("{prefix}/{query}");
            assert_eq!((answer.status, answer.header("location")), (308, Some(&*to)));
        }
    }
}

#[tokio::test]
async fn a_websocket_route_without_an_upgrade_is_a_client_error() {
    let server = Server::start(&[]);
    for path in ["/peerjs?key=peerjs&id=a&token=t", "/peerjs", "/pages/p/peerjs?key=peerjs&id=a"] {
        let answer = server.get(path).await;
        assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
    }
    assert_eq!(http(&server, "POST", "/peerjs/id", &[]).await.status / 100, 4);
}

/// Returns the code with which the server closes a WebSocket from `origin`, or nothing if it is open.
async fn close_for(server: &Server, origin: &str) -> Option<u16> {
    let mut peer =
        server.connect_with("/peerjs?key=peerjs&id=a&token=t", &[("origin", origin)]).await;
    let first = peer.next().await;
    if first["type"] == "OPEN" {
        peer.goodbye().await;
        return None;
    }
    Some(peer.closed().await.0)
}

#[tokio::test]
async fn origins_are_compared_as_browsers_write_them_and_a_pattern_covers_subdomains() {
    let listed = "https://example.org:443/, http://PLAIN.org:80, https://*.wild.org, null, file://, capacitor://localhost";
    let server = Server::start(&[("cors.origins", listed)]);
    for origin in [
        "https://example.org",
        "http://plain.org",
        "https://a.wild.org",
        "https://a.b.wild.org",
        "null",
        "file://",
        "capacitor://localhost",
    ] {
        let answer = http(&server, "GET", "/peerjs/id", &[("Origin", origin)]).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "{origin}");
        assert_eq!(close_for(&server, origin).await, None, "{origin}");
    }
    for origin in [
        "http://example.org",
        "https://wild.org",
        "https://evilwild.org",
        "https://a.wild.org:444",
        "https://*.wild.org",
        "",
    ] {
        let answer = http(&server, "GET", "/peerjs/id", &[("Origin", origin)]).await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        assert_eq!(close_for(&server, origin).await, Some(4403), "{origin}");
    }
    let preflight = [("Origin", "https://a.wild.org"), ("Access-Control-Request-Method", "GET")];
    let answer = http(&server, "OPTIONS", "/peerjs/id", &preflight).await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, Some("https://a.wild.org")),
        "{answer:?}"
    );
}

#[tokio::test]
async fn connections_are_counted_by_the_address_that_the_outermost_proxy_saw() {
    let limited = [("server.proxied", "true"), ("limits.connections_per_ip", "1")];
    let server = Server::start(&limited);
    let behind_two = Server::start(&[limited[0], limited[1], ("server.proxy_hops", "2")]);
    let mut open = Vec::new();
    let mut n = 0;
    let mut join = async |server: &Server, forwarded: &str| {
        n += 1;
        let path = format!("/peerjs?key=peerjs&id=a{n}&token=t");
        let mut peer = server.connect_with(&path, &[("x-forwarded-for", forwarded)]).await;
        let is_in = peer.next().await["type"] == "OPEN";
        open.push(peer);
        is_in
    };
    for (forwarded, is_in) in [
        ("203.0.113.5:50123", true),
        ("203.0.113.5:50124", false),
        ("203.0.113.5", false),
        ("6.6.6.6, 203.0.113.5:1", false),
        ("203.0.113.6:50123", true),
        ("[2001:db8:1:2::1]:443", true),
        ("2001:db8:1:2:3:4:5:6", false),
        ("[2001:db8:1:3::1]:443", true),
    ] {
        assert_eq!(join(&server, forwarded).await, is_in, "{forwarded}");
    }
    for (forwarded, is_in) in [
        ("203.0.113.5:1, 198.51.100.7", true),
        ("203.0.113.6:1, 198.51.100.7", true),
        ("203.0.113.5:2, 198.51.100.8", false),
        ("6.6.6.6, 203.0.113.5, 198.51.100.8", false),
    ] {
        assert_eq!(join(&behind_two, forwarded).await, is_in, "{forwarded}");
    }
}

#[tokio::test]
async fn a_key_or_an_id_may_have_the_name_of_a_route() {
    let server = Server::start(&[
        ("peerjs.key", "peers"),
        ("peerjs.allow_discovery", "true"),
        ("auth.admin_token", "admin"),
    ]);
    assert!(uuid::Uuid::parse_str(&server.get("/pages/p/peers/id").await.body).is_ok());
    for id in ["id", "peers"] {
        let mut member = server.connect(&format!("/pages/p/peerjs?key=peers&id={id}")).await;
        member.expect("OPEN").await;
        assert_eq!(server.get("/pages/p/peers/peers").await.json(), json!([id]));
        let kicked = http(
            &server,
            "DELETE",
            &format!("/pages/p/peers/{id}"),
            &[("Authorization", "Bearer admin")],
        )
        .await;
        assert_eq!((kicked.status, member.refused().await.1), (204, 4411));
    }
    assert_eq!(server.get("/pages/p/peers/a").await.status, 405);
}
