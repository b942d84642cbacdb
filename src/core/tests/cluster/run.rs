//! Runs schedules: those of the folder `schedules`, and random ones by the thousand.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::deep::Deep;
use crate::random::{Kind, schedule};
use crate::script::Script;
use crate::shrink::shrink;
use crate::wide::Wide;
use crate::world::{Body, World};

/// Most runs that it takes to make a failing schedule small.
const SHRINKS: usize = 1500;

/// How a schedule went.
#[derive(Debug, Default, Clone)]
pub(crate) struct Outcome {
    /// The first broken invariant.
    pub broken: Option<String>,
    pub log: Vec<String>,
    pub events: u64,
    pub buried_alive: usize,
}

/// Runs a script.
pub(crate) fn run(script: &Script, kind: Kind, logs: bool) -> Outcome {
    match kind {
        Kind::Wide => run_body(script, Wide::default(), logs),
        Kind::Deep => run_body(script, Deep::default(), logs),
    }
}

fn run_body<B: Body>(script: &Script, body: B, logs: bool) -> Outcome {
    let mut world = World::new(Rc::new(script.clone()), body, logs);
    world.run();
    Outcome {
        broken: world.io.broken.take(),
        log: world.io.log.take().unwrap_or_default(),
        events: world.io.events,
        buried_alive: world.io.buried_alive,
    }
}

/// Returns a failing script made small, with what is broken and the end of what happened.
fn explain(script: &Script, kind: Kind) -> String {
    let code = |outcome: &Outcome| outcome.broken.as_ref().map(|b| b.chars().take(3).collect());
    let first: Option<String> = code(&run(script, kind, false));
    let small = shrink(script.clone(), SHRINKS, |script| code(&run(script, kind, false)) == first);
    let outcome = run(&small, kind, true);
    let log = &outcome.log[outcome.log.len().saturating_sub(80)..];
    format!(
        "{}\n--- the last of what happened\n{}\n--- the script\n{small}",
        outcome.broken.unwrap_or_default(),
        log.join("\n")
    )
}

/// What many random schedules came to.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    pub schedules: AtomicU64,
    pub events: AtomicU64,
    pub buried_alive: AtomicU64,
    pub failures: Mutex<Vec<(u64, String)>>,
}

/// Runs random schedules with these seeds, on so many threads, until the time is over or `most`
/// have failed.
pub(crate) fn run_many(
    kind: Kind,
    seeds: std::ops::Range<u64>,
    threads: usize,
    lasts: Duration,
    most: usize,
) -> Sum {
    let sum = Sum::default();
    let next = AtomicU64::new(seeds.start);
    let stops = AtomicBool::new(false);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stops.load(Ordering::Relaxed) && began.elapsed() < lasts {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = run(&schedule(seed, kind), kind, false);
                    sum.schedules.fetch_add(1, Ordering::Relaxed);
                    sum.events.fetch_add(outcome.events, Ordering::Relaxed);
                    sum.buried_alive.fetch_add(outcome.buried_alive as u64, Ordering::Relaxed);
                    if let Some(broken) = outcome.broken {
                        let mut failures =
                            sum.failures.lock().unwrap_or_else(PoisonError::into_inner);
                        failures.push((seed, broken));
                        stops.fetch_or(failures.len() >= most, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::parse;

    fn number(name: &str, default: u64) -> u64 {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    fn show(kind: Kind, sum: &Sum, took: Duration, explains: bool) -> bool {
        let failures = sum.failures.lock().unwrap();
        let schedules = sum.schedules.load(Ordering::Relaxed);
        println!(
            "{kind:?}: {schedules} schedules, {} a second, {} events each, {} living nodes buried, \
             {} failed",
            schedules * 1000 / (took.as_millis() as u64).max(1),
            sum.events.load(Ordering::Relaxed) / schedules.max(1),
            sum.buried_alive.load(Ordering::Relaxed),
            failures.len()
        );
        for (seed, broken) in failures.iter() {
            println!("seed {seed} failed: {broken}");
        }
        if let Some((seed, _)) = failures.first().filter(|_| explains) {
            println!("\n{}", explain(&schedule(*seed, kind), kind));
        }
        failures.is_empty()
    }

    /// Runs the first schedules, which take some seconds.
    fn short(kind: Kind, count: u64) {
        let began = Instant::now();
        let sum = run_many(kind, 0..count, 1, Duration::from_secs(60), 1);
        assert!(show(kind, &sum, began.elapsed(), true), "a schedule failed");
    }

    #[test]
    fn random_wide_schedules_break_nothing() {
        short(Kind::Wide, 250);
    }

    #[test]
    fn random_deep_schedules_break_nothing() {
        short(Kind::Deep, 700);
    }

    /// Each schedule of the folder, with other delays for each seed.
    #[test]
    fn the_schedules_by_hand_hold() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/schedules");
        let wanted = std::env::var("CLUSTER_SCHEDULE").unwrap_or_default();
        let mut broken = Vec::new();
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        assert_eq!(files.len(), 21);
        for path in files.iter().filter(|path| path.to_string_lossy().contains(&wanted)) {
            let script = parse(&std::fs::read_to_string(path).unwrap()).unwrap();
            let seeds = number("CLUSTER_SCHEDULE_SEEDS", 10);
            let name = path.file_stem().unwrap().to_string_lossy();
            for kind in [Kind::Wide, Kind::Deep] {
                let runs = (0..seeds).map(|seed| Script { seed, ..script.clone() });
                let fails = runs.map(|script| (script.seed, run(&script, kind, false).broken));
                let fails: Vec<_> = fails.filter_map(|(seed, b)| Some((seed, b?))).collect();
                if let Some((seed, what)) = fails.first() {
                    let many = fails.len();
                    broken.push(format!("{name} {kind:?}: {many} of {seeds}, seed {seed}: {what}"));
                }
            }
        }
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }

    /// `scripts/cluster-sim` runs this with its arguments.
    #[test]
    #[ignore = "takes as long as one likes"]
    fn many() {
        let (count, first) = (number("CLUSTER_COUNT", 1000), number("CLUSTER_SEED", 0));
        let most = number("CLUSTER_FAILURES", 1) as usize;
        let threads = number(
            "CLUSTER_THREADS",
            std::thread::available_parallelism().map_or(1, |n| n.get() as u64),
        ) as usize;
        let kinds = match std::env::var("CLUSTER_KIND").as_deref() {
            Ok("wide") => vec![Kind::Wide],
            Ok("deep") => vec![Kind::Deep],
            _ => vec![Kind::Wide, Kind::Deep],
        };
        let mut holds = true;
        for kind in kinds {
            let began = Instant::now();
            let lasts = Duration::from_secs(number("CLUSTER_SECONDS", 100_000));
            let sum = run_many(kind, first..first + count, threads, lasts, most);
            holds &= show(kind, &sum, began.elapsed(), number("CLUSTER_BRIEF", 0) == 0);
        }
        assert!(holds, "schedules failed");
    }

    /// Runs the script in the file `CLUSTER_SCRIPT`, and prints all that happens.
    #[test]
    #[ignore = "for a script that is tried by hand"]
    fn one() {
        let path = std::env::var("CLUSTER_SCRIPT").unwrap();
        let script = parse(&std::fs::read_to_string(path).unwrap()).unwrap();
        let kind = match std::env::var("CLUSTER_KIND").as_deref() {
            Ok("deep") => Kind::Deep,
            _ => Kind::Wide,
        };
        let outcome = run(&script, kind, true);
        println!("{}", outcome.log.join("\n"));
        assert_eq!(outcome.broken, None);
    }
}
