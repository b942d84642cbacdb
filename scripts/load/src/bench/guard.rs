//! Checks whether the server has become slower, by its ratios to the bare relay.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::contender::{Contender, Places};
use super::sample::median;
use super::table::Samples;
use super::work::Scale;
use super::{Plan, run};

/// Figures that are compared.
const WORKS: [&str; 5] = ["relay-1", "relay-8", "fan-out", "memory", "churn"];
/// Factor by which a ratio may exceed the kept one.
const LEEWAY: f64 = 1.3;
/// Runs of each figure in one attempt. A ratio that is too bad gets further attempts.
const ROUNDS: usize = 5;
const GOES: usize = 3;

/// Kept ratios, by figure.
type Ratios = BTreeMap<String, f64>;

/// Measures and compares with the ratios in `file`. With `keep` the new ratios replace those.
///
/// # Errors
/// Fails if a ratio is too bad in every attempt, or a measurement fails.
pub fn guard(
    places: &Places,
    file: &Path,
    keep: bool,
    mut say: impl FnMut(&str),
) -> io::Result<()> {
    if keep {
        let ratios = measured(places, WORKS.map(String::from).into(), 2 * ROUNDS, &mut say)?;
        let ratios = ratios.into_iter().filter(|(figure, _)| WORKS.contains(&figure.as_str()));
        let kept: Ratios =
            ratios.map(|(figure, ratio)| (figure, (ratio * 100.0).round() / 100.0)).collect();
        return std::fs::write(file, serde_json::to_string_pretty(&kept)? + "\n");
    }
    let text = std::fs::read_to_string(file)
        .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", file.display())))?;
    let kept: Ratios = serde_json::from_str(&text)?;
    let mut left: Vec<String> = WORKS.map(String::from).into();
    for go in 1..=GOES {
        let ratios = measured(places, left.clone(), ROUNDS, |_| ())?;
        left.retain(|work| {
            let (now, before) = (ratios.get(work), kept.get(work));
            let is_worse = now.zip(before).is_none_or(|(now, before)| *now > before * LEEWAY);
            let number =
                |ratio: Option<&f64>| ratio.map_or("nothing".into(), |ratio| format!("{ratio:.2}"));
            let verdict = if is_worse { "too much" } else { "well" };
            say(&format!(
                "{work}: {} of the bare relay, {} kept: {verdict}",
                number(now),
                number(before)
            ));
            is_worse
        });
        if left.is_empty() {
            return Ok(());
        }
        if go < GOES {
            say("once more what was too much");
        }
    }
    let what =
        format!("more than {LEEWAY} times the kept ratio to the bare relay: {}", left.join(", "));
    Err(io::Error::other(what + "; if it has to be, scripts/bench --guard --keep"))
}

/// Returns the median over the rounds of the ratio in each round. Other load on the machine hits
/// both sides of a round.
fn measured(
    places: &Places,
    only: Vec<String>,
    rounds: usize,
    say: impl FnMut(&str),
) -> io::Result<Ratios> {
    let plan = Plan {
        only,
        whom: vec![Contender::Peerstar, Contender::Bare],
        rounds,
        scale: Scale::GUARD,
    };
    let Samples(samples) = run(&plan, places, say)?;
    let ratio = |by: &BTreeMap<Contender, Vec<super::sample::Sample>>| {
        let rounds = by.get(&Contender::Peerstar)?.iter().zip(by.get(&Contender::Bare)?);
        Some(median(rounds.map(|(ours, bare)| ours.value / bare.value).collect()))
    };
    Ok(samples.iter().filter_map(|(figure, by)| Some((figure.clone(), ratio(by)?))).collect())
}
