//! Nodes that are not like the others: with another clock, version, or settings.

use std::time::Duration;

use peerstar_core::cluster::fingerprint::Fingerprint;
use peerstar_core::cluster::io::Change;
use peerstar_core::cluster::node::NodeRules;
use peerstar_core::protocol::id::Epoch;

use super::world::{RULES, World, page};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE_MS: u64 = 60_000;

/// Returns how often a process said so.
fn said(world: &World, process: usize, is: impl Fn(&Change) -> bool) -> usize {
    world.changes.iter().filter(|(by, change)| *by == process && is(change)).count()
}

fn is_in(world: &World, process: usize) -> bool {
    world.registry.view().get(world.processes[process].state.node()).is_some()
}

#[test]
fn a_node_whose_clock_is_far_ahead_is_let_in_when_that_is_mended() {
    let mut world = World::new(1, 2);
    world.run(10 * SECOND);
    world.start();
    world.processes[2].ahead = 5 * MINUTE_MS + 2000;
    world.run(60 * SECOND);
    assert!(!is_in(&world, 2));
    assert_eq!(said(&world, 2, |change| matches!(change, Change::Ahead { .. })), 1);
    let highest = world.registry.view().epoch();
    let theirs = world.processes[0].epoch.max(world.processes[1].epoch);
    assert!(highest <= theirs && theirs.0 < world.processes[2].epoch.0 - 5 * MINUTE_MS);
    // nobody is there whom the node could have taken for dead
    assert!(is_in(&world, 0) && is_in(&world, 1) && world.burials == 0);
    (world.processes[2].ahead, world.processes[2].epoch) = (4 * MINUTE_MS, Epoch(0));
    world.run(5 * SECOND);
    assert!(is_in(&world, 2));
    world.connect(2, page(0));
    world.run(SECOND);
    world.check_calm();
    assert_eq!(world.members(), 1);
}

#[test]
fn the_dead_keep_nobody_out() {
    let mut world = World::new(1, 2);
    world.run(10 * SECOND);
    world.kill(0);
    world.kill(1);
    world.run(Duration::from_millis(10 * MINUTE_MS));
    world.start();
    world.run(8 * SECOND);
    assert!(is_in(&world, 2));
    assert_eq!(said(&world, 2, |change| matches!(change, Change::Ahead { .. })), 0);
    world.connect(2, page(0));
    world.run(SECOND);
    world.check_calm();
}

#[test]
fn a_rolling_deploy_of_another_version_ends_with_every_page_on_the_new_nodes() {
    let mut world = World::new(1, 2);
    world.run(10 * SECOND);
    world.connect(0, page(0));
    world.run(SECOND);
    world.start_with(NodeRules { version: 2, ..RULES });
    world.run(3 * SECOND);
    assert!(is_in(&world, 2) && world.processes[2].links.is_empty());
    assert_eq!(said(&world, 2, |change| matches!(change, Change::OtherVersion { .. })), 2);
    assert_eq!(world.processes[2].state.different_nodes(), 2);
    // the page lives on an old node: a client of the new one is told to come back
    let sent_away = world.sent_away;
    world.connect(2, page(0));
    world.run(10 * SECOND);
    assert_eq!((world.members(), world.sent_away), (1, sent_away + 1));
    // a page of its own
    world.connect(2, page(1));
    world.run(SECOND);
    assert_eq!(world.members(), 2);
    world.drain(0);
    world.drain(1);
    world.run(5 * SECOND);
    world.connect(2, page(0));
    world.run(SECOND);
    assert!(world.processes[2].actors.contains_key(&page(0)));
    world.check_calm();
}

#[test]
fn other_settings_are_said_once_for_all_that_have_them() {
    let mut world = World::new(1, 2);
    world.run(10 * SECOND);
    let settings = Fingerprint::new([1, 2, 3]);
    world.start_with(NodeRules { settings, ..RULES });
    world.run(SECOND);
    assert_eq!(said(&world, 2, |change| matches!(change, Change::OtherSettings { .. })), 0);
    world.start_with(NodeRules { settings: Fingerprint::new([1, 9, 3]), ..RULES });
    world.start_with(NodeRules { settings: Fingerprint::new([1, 9, 3]), ..RULES });
    world.run(SECOND);
    let is_about = |change: &Change| matches!(change, Change::OtherSettings { .. });
    assert!(said(&world, 2, is_about) >= 1);
    assert!((3..=4).all(|process| said(&world, process, is_about) == 1));
    assert_eq!(world.processes[2].links.len(), 4, "they are linked all the same");
}
