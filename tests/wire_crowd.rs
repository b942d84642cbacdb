//! Many members at once: a large page, and many joins and leaves on one page.

mod common;

use std::thread::yield_now;
use std::time::Instant;

use common::{Client, PATIENCE, Raw, Server, eventually, figure, many_sockets};
use futures_util::future::join_all;
use serde_json::json;

async fn join_with_claim(server: &Server, page: &str, id: String) -> Client {
    server.member(page, &id).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_members_whose_host_dies_are_told_the_same_new_host_once() {
    many_sockets();
    let server = Server::start(&[("liveness.return_ms", "60000")]);
    let before = server.memory();
    let host = server.member("p", "host").await;
    let epoch = host.open["epoch"].as_u64().expect("an epoch");
    let mut members = Vec::new();
    for batch in 0..20 {
        members.extend(
            join_all(
                (0..50).map(|n| join_with_claim(&server, "p", format!("m{}", batch * 50 + n))),
            )
            .await,
        );
    }
    figure("memory a member, KiB", (server.memory() - before) / 1024 / 1000);
    let started = Instant::now();
    host.reset();
    let told = join_all(members.iter_mut().map(Client::appointed)).await;
    figure("all 1,000 knew the next host after, ms", started.elapsed().as_millis());
    let host = told[0]["host"].as_str().expect("a host").to_owned();
    let next = &told[0]["epoch"];
    assert!(next.as_u64() > Some(epoch), "{next} after {epoch}");
    assert!(members.iter().any(|m| m.id == host), "{host} is one of them");
    for (told, member) in told.iter().zip(&members) {
        assert_eq!(
            (&told["host"], &told["epoch"], &told["cause"]),
            (&json!(host), next, &json!("left"))
        );
        assert_eq!(told["members"], 1000);
        let roster = told.get("roster").and_then(|roster| roster.as_array()).map(Vec::len);
        assert_eq!(roster, (member.id == host).then_some(1000), "{}", member.id);
    }
    join_all(members.iter_mut().map(Client::nothing_more)).await;
}

/// Returns whether bytes have arrived that were not read.
fn has_arrived(member: &Raw) -> bool {
    let socket = socket2::SockRef::from(&member.stream);
    socket.peek(&mut [std::mem::MaybeUninit::uninit()]).is_ok_and(|bytes| bytes > 0)
}

#[tokio::test]
async fn the_frame_of_a_new_host_is_written_before_any_other() {
    many_sockets();
    // no member is told anything else
    let server = Server::start(&[
        ("election.policy", "oldest"),
        ("liveness.return_ms", "60000"),
        ("liveness.ping_ms", "60000"),
        ("liveness.timeout_ms", "120000"),
        ("liveness.host_timeout_ms", "120000"),
    ]);
    // the roster for the first member fills more than one write
    for (page, size, deaths) in [("large", 300, 30), ("small", 32, 30)] {
        let mut members = Vec::new();
        for n in 0..size {
            let query = format!("id=m{n}-{}&token=t&page={page}", "x".repeat(100));
            let mut member = server.raw_websocket(&query).await;
            member.expect("OPEN").await;
            members.push(member);
        }
        let mut late = 0;
        for _ in 0..deaths {
            drop(members.remove(0));
            let (host, others) = members.split_first().expect("a host");
            let since = Instant::now();
            while !others.iter().any(has_arrived) {
                assert!(since.elapsed() < PATIENCE, "nobody was told");
                yield_now();
            }
            late += usize::from(!has_arrived(host));
            for (n, member) in members.iter_mut().enumerate() {
                let told = member.expect("HOST").await;
                let roster = told["payload"]["roster"].as_array().map(Vec::len);
                assert_eq!(roster, (n == 0).then_some(members_left(size, &told)), "{told}");
            }
        }
        // a kernel under load may deliver the frames of two threads in another order
        assert!(
            late <= deaths / 10,
            "the host of {page} was told after another {late} times of {deaths}"
        );
    }
}

fn members_left(most: usize, told: &serde_json::Value) -> usize {
    let members =
        told["payload"]["members"].as_u64().and_then(|members| usize::try_from(members).ok());
    members.filter(|members| *members < most).expect("a count")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_that_races_with_the_end_of_its_page_succeeds() {
    let server = Server::start(&[("liveness.return_ms", "0"), ("auth.admin_token", "admin")]);
    let rounds = 600;
    let come_and_go = async |task: usize| {
        let mut last = 0;
        for round in 0..rounds {
            let id = format!("m{task}");
            // panics unless OPEN arrives
            let mut member = server.member("p", &id).await;
            let epoch = member.open["epoch"].as_u64().expect("an epoch");
            assert!(epoch >= last, "{epoch} after {last}");
            last = epoch;
            assert_eq!(
                member.open.get("roster").is_some(),
                member.open["host"] == *id,
                "{}",
                member.open
            );
            member.send_to("CANDIDATE", &id, json!({"round": round}));
            // a host also hears of the joins and leaves meanwhile
            loop {
                let message = member.next().await;
                match message["type"].as_str() {
                    Some("CANDIDATE") => break,
                    Some("HOST") => {
                        let epoch = message["payload"]["epoch"].as_u64().expect("an epoch");
                        assert!(epoch > last, "{epoch} after {last}");
                        last = epoch;
                    }
                    Some("JOIN" | "LEAVE") => {}
                    _ => panic!("{message}"),
                }
            }
            match round % 3 {
                0 => member.goodbye().await,
                1 => member.reset(),
                _ => member.close(Some(1001)).await,
            }
        }
    };
    join_all((0..4).map(come_and_go)).await;
    eventually("the page is forgotten", async || server.pages().await == json!([])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_short_lived_pages_leak_nothing() {
    let server = Server::start(&[("auth.admin_token", "admin"), ("liveness.return_ms", "100")]);
    let crowd = async |round: usize| {
        let pages: Vec<_> = (0..100).map(|n| format!("page-{round}-{n}")).collect();
        drop(join_all(pages.iter().map(|page| join_with_claim(&server, page, "a".into()))).await);
        eventually("the pages are forgotten", async || server.pages().await == json!([])).await;
    };
    crowd(0).await;
    let (memory, descriptors) = (server.memory(), server.descriptors());
    for round in 1..6 {
        crowd(round).await;
    }
    let grown = server.memory().saturating_sub(memory);
    figure("memory after 500 more pages grew by, KiB", grown / 1024);
    assert!(grown < 8 * common::MIB, "{grown}");
    eventually("their sockets are closed", async || server.descriptors() <= descriptors + 4).await;
}
