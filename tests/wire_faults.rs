//! A panic of a page's actor costs no member its membership, and the page keeps its host.
#![cfg(feature = "faults")]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::{Client, Query, Server, eventually, http};
use futures_util::future::join_all;
use serde_json::json;

fn server() -> Server {
    let mut server = Server::start(&[("auth.admin_token", "admin"), ("peerjs.expire_ms", "300")]);
    server.may_panic = true;
    server
}

/// Orders a panic, which happens a moment later.
async fn order_to_fail(server: &Server, page: &str) -> u16 {
    http(server, "POST", &format!("/faults/pages/{}", Query::encode(page)), &[]).await.status
}

/// Returns the number of deaths of the actor of `page`.
fn deaths(server: &Server, page: &str) -> usize {
    server
        .log()
        .iter()
        .filter(|line| line.contains("page actor die") && line.contains(&format!("page={page} ")))
        .count()
}

/// Orders a panic and waits for it. Messages in the mailbox of an actor that dies are lost.
async fn fail(server: &Server, page: &str) -> u16 {
    let before = deaths(server, page);
    let status = order_to_fail(server, page).await;
    if status == 204 {
        eventually("the actor died", async || deaths(server, page) > before).await;
    }
    status
}

async fn four(server: &Server, page: &str) -> Vec<Client> {
    let mut members = vec![server.grouped(page, "a").await];
    for id in ["b", "c", "d"] {
        members.push(server.grouped(page, id).await);
        members[0].expect_from("JOIN", id).await;
    }
    members
}

#[tokio::test]
async fn after_a_panic_members_host_and_epoch_stay_and_nothing_is_announced() {
    let server = server();
    let mut members = four(&server, "p").await;
    let before = server.pages().await;
    assert_eq!(fail(&server, "p").await, 204);
    for member in &mut members {
        member.nothing_more().await;
    }
    assert_eq!(server.pages().await, before);
    assert!(server.log().iter().any(|line| line.contains("panicked")), "it did panic");
    // messages flow, and messages to absent peers as well
    let [a, b, ..] = &mut *members else { panic!("four") };
    a.meet(b).await;
    a.nothing_until_expire().await;
}

#[tokio::test]
async fn after_a_panic_a_member_that_knows_an_earlier_host_is_told_of_the_present_one() {
    let server = server();
    let host = server.grouped("p", "a").await;
    let epoch = host.open["epoch"].as_u64().expect("an epoch");
    host.reset();
    eventually("the page is empty", async || server.pages().await == json!([])).await;
    // the page still waits for `a`, and the newcomer has been away since an earlier term
    let earlier = epoch - 1;
    let mut late =
        server.join(&format!("id=b&token=t&page=p&group=2&epoch={earlier}&host=z")).await;
    assert_eq!((&late.open["host"], &late.open["recovering"]), (&json!("z"), &json!(true)));
    fail(&server, "p").await;
    let back = server.join(&format!("id=a&token=t&page=p&group=2&epoch={epoch}&host=a")).await;
    let told = late.appointed().await;
    assert!(told["epoch"].as_u64() >= Some(epoch), "{told} after {epoch}");
    drop(back);
}

/// Acts a little later on each page, so that on one of them it coincides with the panic.
async fn staggered<T>(n: u64, what: impl Future<Output = T>) -> T {
    tokio::time::sleep(Duration::from_micros(200 * n)).await;
    what.await
}

#[tokio::test]
async fn a_join_right_after_a_panic_succeeds_and_the_host_is_told() {
    let server = server();
    let on_page = async |n: u64| {
        let page = format!("page{n}");
        let (mut host, mut b) =
            (server.grouped(&page, "a").await, server.grouped(&page, "b").await);
        host.expect_from("JOIN", "b").await;
        let (status, mut late) = tokio::join!(
            order_to_fail(&server, &page),
            staggered(n, server.grouped(&page, "late"))
        );
        assert_eq!(status, 204);
        assert_eq!((&late.open["host"], &late.open["epoch"]), (&json!("a"), &host.open["epoch"]));
        host.expect_from("JOIN", "late").await;
        eventually("the actor died", async || deaths(&server, &page) == 1).await;
        for member in [&mut host, &mut b, &mut late] {
            member.nothing_more().await;
        }
    };
    join_all((0..40).map(on_page)).await;
}

#[tokio::test]
async fn a_member_that_leaves_together_with_a_panic_is_reported_as_gone() {
    let server = server();
    let on_page = async |n: u64| {
        let page = format!("page{n}");
        let (mut host, b) = (server.grouped(&page, "a").await, server.grouped(&page, "b").await);
        host.expect_from("JOIN", "b").await;
        tokio::join!(order_to_fail(&server, &page), staggered(n, b.goodbye()));
        host.expect_from("LEAVE", "b").await;
        eventually("the actor died", async || deaths(&server, &page) == 1).await;
        host.nothing_more().await;
    };
    join_all((0..40).map(on_page)).await;
}

#[tokio::test]
async fn a_host_that_leaves_after_a_panic_is_succeeded_by_an_eligible_member() {
    let server = server();
    let mut members = four(&server, "p").await;
    for member in &mut members {
        member.status(json!({"eligible": member.id == "c", "profile": member.id}));
        if member.id != "a" {
            member.nothing_more().await;
        }
    }
    for id in ["b", "c", "d"] {
        members[0].expect_from("JOIN", id).await;
    }
    fail(&server, "p").await;
    for member in &mut members {
        member.nothing_more().await;
    }
    let epoch = members[0].open["epoch"].as_u64().expect("an epoch");
    members.remove(0).goodbye().await;
    for member in &mut members {
        let told = member.appointed().await;
        assert_eq!(
            (&told["host"], &told["cause"]),
            (&json!("c"), &json!("left")),
            "what they said of themselves is known"
        );
        assert!(told["epoch"].as_u64() > Some(epoch), "{told} after {epoch}");
        if member.id == "c" {
            let profiles: Vec<_> = told["roster"]
                .as_array()
                .expect("a roster")
                .iter()
                .map(|e| &e["profile"])
                .collect();
            assert_eq!(profiles.len(), 3);
            assert!(profiles.iter().all(|profile| profile.is_string()), "{told}");
        }
    }
}

#[tokio::test]
async fn a_host_that_leaves_together_with_a_panic_is_replaced_once() {
    let server = server();
    for page in ["p", "q", "r"] {
        let mut members = four(&server, page).await;
        let epoch = members[0].open["epoch"].as_u64().expect("an epoch");
        let host = members.remove(0);
        tokio::join!(order_to_fail(&server, page), host.goodbye());
        let mut hosts = Vec::new();
        for member in &mut members {
            let told = member.appointed().await;
            assert!(told["epoch"].as_u64() > Some(epoch), "{told}");
            hosts.push((told["host"].clone(), told["epoch"].clone()));
        }
        assert!(hosts.iter().all(|told| *told == hosts[0]), "{hosts:?}");
    }
}

#[tokio::test]
async fn two_panics_in_a_row_lose_no_member() {
    let server = server();
    let on_page = async |n: u64| {
        let page = format!("page{n}");
        let mut members = four(&server, &page).await;
        // without waiting: some questions reach an actor at which not all members have resumed
        for _ in 0..5 {
            order_to_fail(&server, &page).await;
        }
        eventually("all are members again", async || {
            let pages = server.pages().await;
            pages
                .as_array()
                .is_some_and(|all| all.iter().any(|p| p["page"] == *page && p["members"] == 4))
        })
        .await;
        for member in &mut members {
            member.nothing_more().await;
        }
    };
    join_all((0..10).map(on_page)).await;
}

#[tokio::test]
async fn a_panic_is_counted_and_no_member_joins_again() {
    let server = server();
    let _members = server.group("p", &["a", "b"]).await;
    fail(&server, "p").await;
    eventually("the death is counted", async || {
        let metrics =
            http(&server, "GET", "/metrics", &[("Authorization", "Bearer admin")]).await.body;
        metrics.contains("peerstar_page_restarts_total 1\n")
            && metrics.contains("peerstar_joins_total 2\n")
    })
    .await;
}

#[tokio::test]
async fn a_panic_does_not_affect_other_pages() {
    let server = server();
    let (mut p, mut q) = (server.member("p", "a").await, server.member("q/%", "a").await);
    assert_eq!(fail(&server, "none").await, 404);
    assert_eq!(fail(&server, "q/%").await, 204);
    p.nothing_more().await;
    q.nothing_more().await;
}

#[tokio::test]
async fn group_members_of_a_page_on_its_own_are_told_so() {
    let server = Server::start(&[]);
    let (mut ann, mut sam) = (server.grouped("p", "ann").await, server.member("p", "sam").await);
    ann.expect_from("JOIN", "sam").await;
    let order = async |method| http(&server, method, "/faults/pages/p/alone", &[]).await.status;
    assert_eq!(order("PUT").await, 204);
    assert_eq!(ann.expect("ALONE").await["payload"], json!({"alone": true}));
    assert_eq!(order("PUT").await, 204);
    let mut bob = server.grouped("p", "bob").await;
    assert_eq!((&bob.open["alone"], ann.open.get("alone")), (&json!(true), None));
    ann.expect_from("JOIN", "bob").await;
    let tom = server.member("p", "tom").await;
    assert_eq!(tom.open.get("alone"), None, "a stock client is told nothing");
    ann.expect_from("JOIN", "tom").await;
    assert_eq!(order("DELETE").await, 204);
    for member in [&mut ann, &mut bob] {
        assert_eq!(member.expect("ALONE").await["payload"], json!({"alone": false}));
        member.nothing_more().await;
    }
    sam.nothing_more().await;
    assert_eq!(server.grouped("p", "cyd").await.open.get("alone"), None);
}

#[tokio::test]
async fn a_page_that_dies_repeatedly_closes_its_members_and_starts_again() {
    let server = server();
    let mut members = four(&server, "p").await;
    for _ in 0..6 {
        fail(&server, "p").await;
    }
    for member in &mut members {
        let (words, code) = member.refused().await;
        assert_eq!(
            (words["type"].as_str(), &words["payload"]["retry"], code),
            (Some("ERROR"), &json!(true), 4500)
        );
    }
    let back = server.member("p", "z").await;
    assert_eq!((&back.open["host"], &back.open["members"]), (&json!("z"), &json!(1)));
}

#[tokio::test]
async fn an_operator_who_asks_while_a_page_dies_is_told_to_ask_again() {
    let mut server =
        Server::start(&[("auth.admin_token", "admin"), ("peerjs.allow_discovery", "true")]);
    server.may_panic = true;
    let server = &server;
    let admin = [("Authorization", "Bearer admin")];
    let on_page = async |n: u64| {
        let page = format!("page{n}");
        let mut members = four(server, &page).await;
        let fail = async {
            for _ in 0..3 {
                order_to_fail(server, &page).await;
            }
        };
        let (list, ids) = (format!("/pages/{page}/peers/b"), format!("/pages/{page}/peerjs/peers"));
        let ask = async {
            for _ in 0..10 {
                let answer = http(server, "GET", "/pages", &admin).await;
                let has = |page: &str| {
                    answer
                        .json()
                        .as_array()
                        .is_some_and(|all| all.iter().any(|p| p["page"] == page))
                };
                assert!(answer.status == 503 || has(&page), "{answer:?}");
                assert!(answer.status != 503 || answer.body.contains("ask again"), "{answer:?}");
                let answer = http(server, "GET", &ids, &admin).await;
                let listed =
                    || serde_json::from_value::<BTreeSet<String>>(answer.json()).expect("ids");
                assert!(
                    answer.status == 503 || listed().into_iter().eq(["a", "b", "c", "d"]),
                    "{answer:?}"
                );
            }
        };
        tokio::join!(staggered(n, fail), ask);
        // the member is there: 404 would be wrong until it was kicked
        let mut statuses = Vec::new();
        let kick = async {
            loop {
                statuses.push(http(server, "DELETE", &list, &admin).await.status);
                if statuses.last() != Some(&503) {
                    break;
                }
            }
        };
        tokio::join!(order_to_fail(server, &page), staggered(n, kick));
        assert_eq!(statuses.last(), Some(&204), "{statuses:?}");
        assert_eq!(members[1].refused().await.1, 4411);
    };
    join_all((0..20).map(on_page)).await;
}
