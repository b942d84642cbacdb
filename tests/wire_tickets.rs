//! Tickets, with `auth.ticket_secret` set. The claims of a ticket are tested beside their code.

mod common;

use common::{Server, http};
use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn server() -> Server {
    Server::start(&[
        ("auth.ticket_secret", SECRET),
        ("peerjs.allow_discovery", "true"),
        ("auth.admin_token", "admin"),
    ])
}

/// Returns a ticket that expires in a minute.
fn ticket(mut claims: Value) -> String {
    claims["exp"] = json!(get_current_timestamp() + 60);
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes()))
        .expect("signed")
}

#[tokio::test]
async fn a_ticket_admits_to_its_page_and_to_no_other() {
    let server = server();
    let (page, any, nowhere) =
        (ticket(json!({"page": "p"})), ticket(json!({"page_prefix": ""})), ticket(json!({})));
    for (query, path) in [
        (format!("id=a&token=t&page=p&group=2&ticket={page}"), "/peerjs"),
        (format!("id=b&page=q&ticket={any}"), "/peerjs"),
        (format!("id=c&token=t&ticket={page}"), "/pages/p/peerjs"),
        (format!("id=d&token=t&ticket={nowhere}"), "/peerjs"),
    ] {
        server.join_at(path, &query).await;
    }
    for (query, words) in [
        ("id=x&token=t&page=p".to_owned(), "a ticket is needed"),
        ("id=x&token=t&page=p&ticket=".into(), "not a JSON Web Token"),
        (format!("id=x&token=t&page=q&ticket={page}"), "another page"),
        (format!("id=x&token=t&ticket={page}"), "another page"),
        (format!("id=x&token=t&page=p&ticket={nowhere}"), "another page"),
    ] {
        let (told, code) = server.refusal(&format!("/peerjs?key=peerjs&{query}")).await;
        assert_eq!(
            (&told["type"], &told["payload"]["code"], code),
            (&json!("ERROR"), &json!(4407), 4407),
            "{query}: {told}"
        );
        assert!(
            told["payload"]["msg"].as_str().is_some_and(|msg| msg.contains(words)),
            "{query}: {told}"
        );
    }
}

#[tokio::test]
async fn a_client_with_an_expired_ticket_is_told_to_return_with_another() {
    let server = server();
    let claims = json!({"page": "p", "exp": get_current_timestamp() - 40});
    let old = encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes()))
        .expect("signed");
    let (told, code) =
        server.refusal(&format!("/peerjs?key=peerjs&id=a&token=t&page=p&ticket={old}")).await;
    assert_eq!((&told["payload"]["retry"], code), (&json!(true), 4507), "{told}");
}

#[tokio::test]
async fn a_member_that_may_not_host_is_never_elected_and_waits_for_one_that_may() {
    let server = server();
    let guest = ticket(json!({"page": "p", "host": false}));
    let guest = format!("token=t&page=p&group=2&ticket={guest}");
    let (told, code) = server.refusal(&format!("/peerjs?key=peerjs&id=early&{guest}")).await;
    assert_eq!((&told["payload"]["retry"], code), (&json!(true), 4509), "{told}");
    let host = server
        .join(&format!("id=a&token=t&page=p&group=2&ticket={}", ticket(json!({"page": "p"}))))
        .await;
    let mut guest = server.join(&format!("id=b&{guest}")).await;
    assert_eq!(guest.open["host"], "a");
    host.goodbye().await;
    assert_eq!(guest.refused().await.1, 4509, "nobody is left who may host");
}

#[tokio::test]
async fn a_member_that_may_not_relay_is_told_so_and_dials() {
    let server = Server::start(&[("auth.ticket_secret", SECRET), ("pages.star", "1")]);
    let _host = server
        .join(&format!("id=a&token=t&page=p&group=2&ticket={}", ticket(json!({"page": "p"}))))
        .await;
    let ticket = ticket(json!({"page": "p", "relay": false}));
    let told = server.join(&format!("id=b&token=t&page=p&group=2&ticket={ticket}")).await;
    assert_eq!((&told.open["relay"], &told.open["p2p"]), (&json!(false), &json!(true)));
    // there is no other member: it would host next
    assert_eq!(told.open["deputy"], "b");
}

#[tokio::test]
async fn where_tickets_are_needed_only_the_admin_may_list_ids() {
    let server = server();
    server.join(&format!("id=a&token=t&page=p&ticket={}", ticket(json!({"page": "p"})))).await;
    for path in ["/peerjs/peers", "/pages/p/peerjs/peers"] {
        assert_eq!(server.get(path).await.status, 401, "{path}");
        assert_eq!(
            http(&server, "GET", path, &[("Authorization", "Bearer admin")]).await.status,
            200,
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_log_says_whether_anyone_may_join_and_no_secret() {
    let says_open =
        |server: &Server| server.log().iter().any(|line| line.contains("anyone may join"));
    let with = server();
    with.get("/health").await;
    assert!(!says_open(&with), "{:#?}", with.log());
    let told = format!("{:?}", with.log());
    assert!(!told.contains(SECRET) && !told.contains("admin"), "{told}");
    let without = Server::start(&[]);
    without.get("/health").await;
    assert!(says_open(&without));
}

#[tokio::test]
async fn a_ticket_and_a_secret_may_end_with_a_line_break() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).expect("written");
    let ticket = ticket(json!({"page": "p"}));
    for (key, secret) in [
        ("auth.ticket_secret", format!("{SECRET}\r\n")),
        ("auth.ticket_secret_file", file.to_string_lossy().into()),
    ] {
        let server = Server::start(&[(key, &secret)]);
        for (n, ticket) in [ticket.clone(), format!("{ticket}%0A"), format!("%20{ticket}+%0D%0A")]
            .iter()
            .enumerate()
        {
            server.join(&format!("id=a{n}&token=t&page=p&ticket={ticket}")).await;
        }
    }
}

#[tokio::test]
async fn a_client_with_a_ticket_that_is_not_valid_yet_is_told_to_return() {
    let server = server();
    let now = get_current_timestamp();
    for (nbf, code, retry) in
        [(now + 45, 4510, true), (now + 7200, 4510, true), (now + 200_000, 4407, false)]
    {
        let claims = json!({"page": "p", "nbf": nbf, "exp": nbf + 60});
        let early =
            encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes()))
                .expect("signed");
        let (told, closed) =
            server.refusal(&format!("/peerjs?key=peerjs&id=a&token=t&page=p&ticket={early}")).await;
        assert_eq!((&told["payload"]["retry"], closed), (&json!(retry), code), "{told}");
        assert!(told["payload"]["msg"].as_str().is_some_and(|msg| msg.contains("nbf")), "{told}");
    }
}
