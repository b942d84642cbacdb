//! SIGTERM: all clients are told to return, no member sees a change of host, and the process ends.

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::{Client, Event, Server, eventually, figure, many_sockets};
use futures_util::future::join_all;
use serde_json::json;

/// The server ends within this time.
const SOON: Duration = Duration::from_secs(15);

async fn is_told_to_come_back(client: &mut Client) {
    let told = client.expect("RESTART").await;
    let payload = told["payload"].as_object().expect("a payload");
    assert!(payload["retryMs"].as_u64().is_some_and(|ms| (1..=60_000).contains(&ms)), "{told}");
    assert_eq!(payload["code"], 1012, "{told}");
    assert_eq!(client.closed().await, (1012, "restart".into()));
}

/// Connects 480 members of 24 pages and 20 peers without a page. Half of them never close their
/// side.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_clients_are_told_of_the_drain_and_the_process_ends_even_if_none_closes() {
    many_sockets();
    let mut server = Server::start(&[("log.filter", "debug")]);
    let mut polite = Vec::new();
    let mut rude = Vec::new();
    for page in 0..24 {
        for n in 0..20 {
            let id = format!("m{n}");
            if n % 2 == 0 {
                polite.push(server.member(&format!("page{page}"), &id).await);
            } else {
                rude.push(server.raw_websocket(&format!("id={id}&token=t&page=page{page}")).await);
            }
        }
    }
    for n in 0..20 {
        polite.push(server.peer(&format!("peer{n}")).await);
    }
    // skips what hosts were told of newcomers
    join_all(polite.iter_mut().map(settle)).await;

    let started = Instant::now();
    server.signal("TERM");
    join_all(polite.iter_mut().map(is_told_to_come_back)).await;
    figure("all were told after, ms", started.elapsed().as_millis());
    for raw in &mut rude {
        raw.expect("OPEN").await;
        raw.expect("RESTART").await;
        assert_eq!(raw.refused().await.1, 1012);
    }
    let status = server.exit_within(SOON).await;
    figure("the process ended after, ms", started.elapsed().as_millis());
    assert!(status.success(), "{status}");
    hosts_were_told_first(&server.log());
}

async fn settle(client: &mut Client) {
    client.send_to("CANDIDATE", &client.id, json!({}));
    while client.next().await["type"] != "CANDIDATE" {}
}

/// Returns whether hosts were told first, by the log of dismissals.
fn hosts_were_told_first(log: &[String]) {
    let first = |what: &str| -> BTreeMap<String, String> {
        // lines about clients without a page have no page
        let mut first = BTreeMap::new();
        for line in log.iter().filter(|line| line.contains(what)) {
            let field = |name: &str| {
                line.split(' ')
                    .find_map(|part| part.strip_prefix(name))
                    .unwrap_or_default()
                    .to_owned()
            };
            first.entry(field("page=")).or_insert_with(|| field("session="));
        }
        first
    };
    let (joined, dismissed) = (first(" member joined page="), first(" member dismissed page="));
    assert_eq!(joined.len(), 24, "the log says who came first");
    assert_eq!(dismissed, joined);
    assert!(
        !log.iter().any(|line| line.contains(" host elected ")),
        "nobody is elected while the server goes"
    );
}

#[tokio::test]
async fn a_draining_server_is_not_ready_and_refuses_clients() {
    let mut server = Server::start(&[]);
    // so many that the drain takes a while
    let mut clients = Vec::new();
    for n in 0..200 {
        clients.push(server.member(&format!("page{}", n / 2), &format!("m{n}")).await);
    }
    // a client that stays until it is cut off keeps the server running
    let jammed = jam(&server).await;
    server.signal("TERM");
    eventually("it is not ready", async || server.get("/ready").await.status == 503).await;
    assert_eq!(server.get("/health").await.status, 200, "it lives all the same");
    // on an existing page, on a new page, and without a page
    for query in ["id=new&token=t&page=page99", "id=new&token=t&page=new", "id=new&token=t"] {
        let mut client = server.connect(&format!("/peerjs?key=peerjs&{query}")).await;
        is_told_to_come_back(&mut client).await;
    }
    let status = server.exit_within(SOON).await;
    assert!(status.success(), "{status}");
    drop(jammed);
}

#[tokio::test]
async fn a_client_that_does_not_read_does_not_hold_up_the_drain() {
    let mut server = Server::start(&[("liveness.timeout_ms", "600000")]);
    let jammed = jam(&server).await;
    server.signal("TERM");
    let status = server.exit_within(SOON).await;
    assert!(status.success(), "{status}");
    drop(jammed);
}

/// Returns a client whose session cannot write to it.
async fn jam(server: &Server) -> common::Raw {
    let jammed = server.narrow_websocket("id=jammed&token=t").await;
    let mut sender = server.peer("sender").await;
    let payload = json!({"x": "x".repeat(100_000)});
    // more than the kernel's buffers hold, and less than the queue
    for _ in 0..45 {
        sender.send_to("OFFER", "jammed", payload.clone());
        sender.send_to("CANDIDATE", "sender", json!({}));
        while sender.next().await["type"] != "CANDIDATE" {}
    }
    jammed
}

#[tokio::test]
async fn clients_that_dial_again_and_again_do_not_hold_up_the_drain() {
    let mut server = Server::start(&[("log.filter", "info")]);
    // so many that the drain takes a while
    let mut members = Vec::new();
    for n in 0..200 {
        members.push(server.member(&format!("page{n}"), "m").await);
    }
    server.signal("TERM");
    eventually("it is not ready", async || server.get("/ready").await.status == 503).await;
    // At each moment most of these dial, or are being refused.
    let address = server.address;
    let dialling = (0..40).map(|n| tokio::spawn(dial_until_it_ends(address, n)));
    let dialling = join_all(dialling);
    join_all(members.iter_mut().map(is_told_to_come_back)).await;
    assert!(server.exit_within(SOON).await.success());
    dialling.await;
    let log = server.log();
    assert!(log.iter().any(|line| line.ends_with("stopped connections_cut=0")), "{log:?}");
}

/// Dials, reads until the server closes, and dials again, until nothing listens any more.
async fn dial_until_it_ends(address: std::net::SocketAddr, n: usize) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let request = format!(
        "GET /peerjs?key=peerjs&id=d{n}&token=t&page=new{n} HTTP/1.1\r\nHost: x\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    while let Ok(mut stream) = tokio::net::TcpStream::connect(address).await {
        let mut answer = Vec::new();
        if stream.write_all(request.as_bytes()).await.is_ok() {
            let _ = stream.read_to_end(&mut answer).await;
        }
    }
}

#[tokio::test]
async fn a_server_without_clients_ends_at_once() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&[]);
        server.peer("a").await.goodbye().await;
        server.signal(signal);
        assert!(server.exit_within(SOON).await.success());
    }
}

#[tokio::test]
async fn a_host_that_leaves_during_a_drain_is_not_replaced() {
    let mut server = Server::start(&[]);
    let mut members = Vec::new();
    for n in 0..100 {
        members.push(server.member("p", &format!("m{n}")).await);
    }
    let mut host = members.remove(0);
    for _ in 0..99 {
        host.expect("JOIN").await;
    }
    server.signal("TERM");
    is_told_to_come_back(&mut host).await;
    drop(host);
    for member in &mut members {
        is_told_to_come_back(member).await;
        assert_eq!(member.event().await, Event::Lost);
    }
    assert!(server.exit_within(SOON).await.success());
}

#[tokio::test]
async fn a_page_elects_until_the_drain_reaches_it_and_not_after() {
    let mut server = Server::start(&[]);
    // so many that the drain takes a second
    let (mut hosts, mut others) = (Vec::new(), Vec::new());
    for page in 0..100 {
        hosts.push(server.member(&format!("page{page}"), "h").await);
        others.push(server.member(&format!("page{page}"), "m").await);
    }
    server.signal("TERM");
    hosts.into_iter().for_each(Client::reset);
    let mut elected = 0;
    for member in &mut others {
        let mut told = member.next().await;
        if told["type"] == "HOST" {
            assert_eq!(told["payload"]["host"], "m", "{told}");
            elected += 1;
            told = member.next().await;
        }
        assert_eq!(told["type"], "RESTART");
        assert_eq!(member.closed().await, (1012, "restart".into()));
    }
    figure("of 100 pages that lost their host in a drain of 1 s, elected", elected);
    assert!(elected > 0, "no page was yet to be told");
    assert!(server.exit_within(SOON).await.success());
}
