//! Nodes at random against the model of the registry: C3, C7, C8, C9, C10, C11, C12 as far as
//! nodes alone answer for them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so at once")]
#![allow(clippy::print_stderr, reason = "what happened in a run, for who looks for a fault")]

mod attacks;
mod checks;
mod links;
mod newcomers;
#[allow(dead_code, reason = "the tests of the room itself draw in more ways")]
#[path = "../../cluster/random.rs"]
mod random;
mod world;

use std::time::Duration;

use peerstar_core::cluster::Generation;
use world::{World, page};

const SECOND: Duration = Duration::from_secs(1);

/// What may go wrong in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Faults {
    None,
    Nodes,
    Cuts,
    Registry,
    All,
}

fn live(seed: u64, faults: Faults) -> World {
    let mut world = World::new(seed, 3);
    let mut generations = 0;
    let mut replica = world.registry.clone();
    for _ in 0..120 {
        let at = world.now;
        let alive: Vec<_> =
            (0..world.processes.len()).filter(|one| world.processes[*one].is_alive).collect();
        if alive.is_empty() {
            world.start();
            continue;
        }
        let process = alive[world.random.below(alive.len() as u64) as usize];
        let for_how_long = [500, 1500, 3000, 6000, 9000][world.random.below(5) as usize];
        let (nodes, cuts, registry) = (
            matches!(faults, Faults::Nodes | Faults::All),
            matches!(faults, Faults::Cuts | Faults::All),
            matches!(faults, Faults::Registry | Faults::All),
        );
        match world.random.below(40) {
            0..20 => {
                let page = page(world.random.below(3));
                if world.is_running(process) {
                    world.connect(process, page);
                }
            }
            20..28 => {
                let sessions: Vec<_> = world.sessions.keys().copied().collect();
                if !sessions.is_empty() {
                    let n = world.random.below(sessions.len() as u64) as usize;
                    world.end(sessions[n]);
                }
            }
            28 if nodes && alive.len() > 1 => {
                world.kill(process);
                world.fault(at + 6000);
            }
            29 | 30 if nodes && alive.len() < 4 => world.start(),
            31 if nodes && alive.len() > 1 && world.is_running(process) => {
                world.processes[process].frozen_until = at + for_how_long;
                world.fault(at + for_how_long + 6000);
            }
            32 if nodes && alive.len() > 1 && world.is_running(process) => {
                world.drain(process);
                world.fault(at + 6000);
            }
            33 if cuts => {
                world.processes[process].cut_until = at + for_how_long;
                world.fault(at + for_how_long + 6000);
            }
            34 if cuts => {
                world.disconnect(process);
                world.fault(at + 6000);
            }
            35 if registry => {
                world.hung_until = at + for_how_long;
                world.fault(at + for_how_long + 6000);
            }
            36 if registry => {
                world.down_until = at + for_how_long;
                world.disconnect_all();
                world.fault(at + for_how_long + 6000);
            }
            37 if registry => {
                generations += 1;
                world.has_forgotten = true;
                let generation = Generation(format!("g{generations}").as_str().into());
                match world.random.below(4) {
                    0 => world.registry.delete_all(generation),
                    1 => world.registry.delete_members(generation),
                    2 => world.registry.restart(generation),
                    _ => {
                        // a replica that lags is promoted
                        world.registry = replica.clone();
                        world.registry.restart(generation);
                    }
                }
                world.disconnect_all();
                world.fault(at + 6000);
            }
            38 => replica = world.registry.clone(),
            _ => {}
        }
        let pause = [5, 50, 300, 1000, 3000][world.random.below(5) as usize];
        world.run(Duration::from_millis(pause));
    }
    let calm = world.fault.max(world.now) - world.now;
    world.run(Duration::from_millis(calm) + 30 * SECOND);
    world.check_calm();
    // a record without a page hinders nobody
    for orphan in world.orphans() {
        let alive = |one: &usize| world.processes[*one].is_alive;
        if let Some(process) = (0..world.processes.len()).rfind(alive) {
            world.connect(process, orphan);
            world.run(5 * SECOND);
            world.check_calm();
            assert!(world.sessions.values().all(|session| session.is_member));
        }
    }
    world
}

/// Runs many seeds, or the one of the environment.
fn live_often(faults: Faults, seeds: u64) -> [u64; 5] {
    if let Ok(seed) = std::env::var("SEED") {
        live(seed.parse().unwrap(), faults);
        return [1; 5];
    }
    let seeds = std::env::var("SEEDS").map_or(seeds, |seeds| seeds.parse().unwrap());
    let mut counts = [0; 5];
    for seed in 0..seeds {
        let lived = std::panic::catch_unwind(|| live(seed, faults));
        let world = lived.unwrap_or_else(|_| panic!("SEED={seed}, faults: {faults:?}"));
        let seen = [world.joins, world.sent_away, world.takeovers, world.raised, world.burials];
        counts.iter_mut().zip(seen).for_each(|(count, seen)| *count += seen);
    }
    eprintln!("{faults:?}: joins, sent away, takeovers, raised, buried: {counts:?}");
    counts
}

#[test]
fn without_faults_everybody_is_let_in() {
    let [joins, sent_away, _, raised, burials] = live_often(Faults::None, 30);
    assert!(joins > 100);
    assert_eq!((sent_away, raised, burials), (0, 0, 0));
}

#[test]
fn nodes_die_freeze_and_leave() {
    let [_, _, takeovers, _, burials] = live_often(Faults::Nodes, 60);
    assert!(takeovers > 0 && burials > 0);
}

#[test]
fn nodes_are_cut_off() {
    let [.., burials] = live_often(Faults::Cuts, 60);
    assert!(burials > 0);
}

#[test]
fn the_registry_hangs_dies_and_forgets() {
    live_often(Faults::Registry, 60);
}

#[test]
fn everything_at_once() {
    let [.., raised, burials] = live_often(Faults::All, 120);
    assert!(raised > 0 && burials > 0);
}

#[test]
fn a_page_moves_to_the_node_of_its_members() {
    let mut world = World::new(1, 2);
    world.run(10 * SECOND);
    world.connect(0, page(0));
    world.run(SECOND);
    world.connect(1, page(0));
    world.run(SECOND);
    assert!(world.processes[0].actors.contains_key(&page(0)));
    let first = *world.sessions.keys().next().unwrap();
    world.end(first);
    world.run(15 * SECOND);
    assert!(world.processes[0].actors.is_empty());
    assert!(world.processes[1].actors.contains_key(&page(0)));
    world.check_calm();
}

#[test]
fn a_drained_node_tells_the_others_at_once() {
    let mut world = World::new(1, 2);
    world.run(10 * SECOND);
    world.connect(0, page(0));
    world.run(SECOND);
    world.connect(1, page(0));
    world.run(SECOND);
    world.drain(0);
    world.run(SECOND);
    assert!(world.processes[1].actors.contains_key(&page(0)));
    assert!(!world.processes[0].is_alive, "the drain is over");
    world.check_calm();
}
