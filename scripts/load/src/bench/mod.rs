//! The benchmark: peerstar beside others, each alone on this machine. See docs/PERFORMANCE.md.
//!
//! Every message is numbered, and every work checks that all arrived. A server that loses one
//! fails.

pub mod churn;
pub mod command;
pub mod contender;
pub mod crowd;
pub mod death;
pub mod document;
pub mod fanout;
pub mod guard;
pub mod hops;
pub mod idle;
pub mod latency;
pub mod message;
pub mod meter;
pub mod plot;
pub mod relay;
pub mod sample;
pub mod seats;
pub mod table;
pub mod work;

use std::io;

use contender::{Contender, Places};
use table::Samples;
use work::{Scale, WORKS, Work};

/// Plan of a benchmark.
#[derive(Debug)]
pub struct Plan {
    /// Works to measure, by key; all if empty.
    pub only: Vec<String>,
    /// Servers that are measured.
    pub whom: Vec<Contender>,
    /// Runs of each work.
    pub rounds: usize,
    /// Sizes of the works.
    pub scale: Scale,
}

/// Runs the plan, one server after the other in every round, and reports each sample.
///
/// # Errors
/// Fails if a server does not start or loses a message.
pub fn run(plan: &Plan, places: &Places, mut say: impl FnMut(&str)) -> io::Result<Samples> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mut samples = Samples::default();
    let works = WORKS
        .iter()
        .filter(|work| plan.only.is_empty() || plan.only.iter().any(|key| key == work.key));
    for Work { key, contenders, figures, run } in works {
        let whom: Vec<_> =
            contenders.iter().filter(|contender| plan.whom.contains(contender)).collect();
        if let Some(missing) = whom.iter().find(|contender| !contender.is_there(places)) {
            return Err(io::Error::other(format!(
                "{missing} is not installed: scripts/bench does that"
            )));
        }
        for round in 1..=plan.rounds {
            for contender in &whom {
                let taken = run(**contender, places, plan.scale).map_err(|e| {
                    io::Error::new(e.kind(), format!("{key}, round {round}, {contender}: {e}"))
                })?;
                for (figure, sample) in figures.iter().zip(taken) {
                    let generator = if sample.rate > 0.0 {
                        format!("; {:.0}/s, generator {:.2} µs", sample.rate, sample.generator)
                    } else {
                        String::new()
                    };
                    say(&format!(
                        "{}, round {round}, {contender}: {}{generator}",
                        figure.key,
                        figure.unit.say(sample.value)
                    ));
                    samples.add(figure.key, **contender, sample);
                }
            }
        }
    }
    Ok(samples)
}
