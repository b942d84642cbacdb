//! Single attacks on nodes, each as a script.

use std::time::Duration;

use peerstar_core::protocol::id::PageKey;

use super::world::{World, page};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Nodes that have settled.
fn settled(nodes: usize) -> World {
    let mut world = World::new(1, nodes);
    world.run(10 * SECOND);
    world
}

fn is_on(world: &World, process: usize, page: &PageKey) -> bool {
    world.processes[process].actors.contains_key(page)
}

#[test]
fn an_answer_to_a_claim_that_comes_after_a_freeze_creates_no_page() {
    let mut world = settled(3);
    world.connect(0, page(0));
    world.run(8 * MS);
    assert!(world.registry.record(&page(0)).is_some() && !is_on(&world, 0, &page(0)));
    world.processes[0].frozen_until = world.now + 9000;
    world.connect(1, page(0));
    world.run(8 * SECOND);
    assert!(is_on(&world, 1, &page(0)), "taken over");
    world.run(2 * SECOND);
    assert!(!is_on(&world, 0, &page(0)));
    world.check_calm();
}

#[test]
fn a_join_waits_for_a_release_that_hangs() {
    let mut world = settled(2);
    world.connect(0, page(0));
    world.run(SECOND);
    world.end_all();
    world.hung_until = world.now + 700;
    world.run(20 * MS);
    assert!(!is_on(&world, 0, &page(0)), "retired");
    world.connect(0, page(0));
    world.connect(1, page(0));
    world.run(600 * MS);
    assert_eq!(world.members(), 0);
    world.run(SECOND);
    assert_eq!(world.members(), 2);
    world.check_calm();
}

#[test]
fn deaths_in_a_chain_leave_the_page_to_the_last() {
    let mut world = settled(4);
    for process in 0..4 {
        world.connect(process, page(0));
        world.run(100 * MS);
    }
    for process in 0..3 {
        let holder = (0..4).find(|one| is_on(&world, *one, &page(0))).unwrap();
        world.kill(holder);
        let died = world.now;
        while !(0..4).any(|one| is_on(&world, one, &page(0))) {
            world.run(20 * MS);
        }
        assert!(world.now - died < 3500, "death {process} is noticed after {}", world.now - died);
    }
    world.run(SECOND);
    assert_eq!(world.members(), 1);
    world.check_calm();
}

#[test]
fn the_node_of_the_host_takes_a_lost_page() {
    for host in [1, 2] {
        let mut world = settled(3);
        world.connect(0, page(0));
        world.run(100 * MS);
        // the first member hosts until it goes, then the next
        world.connect(host, page(0));
        world.run(100 * MS);
        world.connect(3 - host, page(0));
        world.run(100 * MS);
        let first = *world.sessions.keys().next().unwrap();
        world.end(first);
        world.run(200 * MS);
        world.kill(0);
        world.run(5 * SECOND);
        assert!(is_on(&world, host, &page(0)));
        assert_eq!(world.takeovers, 1, "the next page is told of the host");
        world.check_calm();
    }
}

#[test]
fn a_hint_counts_for_a_minute_and_its_epoch_always() {
    for (seconds, hints) in [(50, 1), (70, 0)] {
        let mut world = settled(3);
        world.connect(0, page(0));
        world.run(SECOND);
        let epoch = world.registry.record(&page(0)).unwrap().epoch;
        world.kill(0);
        world.run(seconds * SECOND);
        world.connect(1, page(0));
        world.run(SECOND);
        assert_eq!(world.takeovers, hints);
        assert!(world.registry.record(&page(0)).unwrap().epoch >= epoch);
    }
}

#[test]
fn records_of_dead_nodes_are_removed_after_ten_minutes() {
    let mut world = settled(2);
    world.connect(0, page(0));
    world.run(SECOND);
    world.kill(0);
    world.run(600 * SECOND);
    assert!(world.registry.record(&page(0)).is_some());
    world.run(150 * SECOND);
    assert!(world.registry.record(&page(0)).is_none());
}

#[test]
fn without_the_registry_pages_go_on_and_say_so() {
    let mut world = settled(2);
    world.connect(0, page(0));
    world.connect(1, page(1));
    world.run(SECOND);
    world.down_until = world.now + 20_000;
    world.disconnect_all();
    world.run(5 * SECOND);
    assert!(world.decides(0) && world.processes[0].actors[&page(0)].alone);
    // a page that is here takes newcomers, another one sends them away within eight seconds
    world.connect(0, page(0));
    world.connect(0, page(1));
    world.run(SECOND);
    assert_eq!((world.members(), world.sent_away), (3, 0));
    world.run(7 * SECOND);
    assert_eq!((world.members(), world.sent_away), (3, 1));
    world.run(10 * SECOND);
    assert!(!world.processes[0].actors[&page(0)].alone, "all is well again");
    assert_eq!(world.burials, 0);
    world.check_calm();
}

#[test]
fn while_the_registry_is_away_each_node_serves_its_own_pageless_clients() {
    let mut world = settled(2);
    world.connect(0, PageKey::Pageless);
    world.run(SECOND);
    world.down_until = world.now + 20_000;
    world.disconnect_all();
    world.run(5 * SECOND);
    world.connect(1, PageKey::Pageless);
    world.run(SECOND);
    assert_eq!(world.members(), 2);
    world.run(20 * SECOND);
    assert_eq!(world.members(), 2);
    world.check_calm();
}

#[test]
fn a_registry_that_was_emptied_is_told_again_and_nobody_notices() {
    for seconds in [0, 3, 8] {
        let mut world = settled(3);
        for process in 0..3 {
            world.connect(process, page(0));
            world.connect(process, page(1 + process as u64));
        }
        world.run(SECOND);
        let before: Vec<_> = world.fences();
        world.down_until = world.now + seconds * 1000;
        world.empty_registry("g1");
        world.run(Duration::from_secs(seconds.saturating_sub(1)));
        // newcomers elsewhere, before the pages' own nodes may be back
        for process in 0..3 {
            world.connect(process, page(1 + (process as u64 + 1) % 3));
        }
        world.run(SECOND + 4 * SECOND);
        world.connect(2, page(9));
        world.run(4 * SECOND);
        assert_eq!(world.burials, 0);
        assert!(before.iter().all(|page| world.fences().contains(page)), "no page moves");
        assert_eq!(world.members(), 10);
        world.check_calm();
    }
}

#[test]
fn who_lost_half_of_the_cluster_says_so_until_as_many_are_back() {
    let mut world = settled(2);
    world.connect(0, page(0));
    world.run(SECOND);
    world.kill(1);
    world.run(5 * SECOND);
    assert!(world.processes[0].actors[&page(0)].alone && world.decides(0));
    world.start();
    world.run(2 * SECOND);
    assert!(!world.processes[0].actors[&page(0)].alone);
}
