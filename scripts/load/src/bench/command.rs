//! Options of the command `load bench`.

use std::io;
use std::path::PathBuf;

use super::contender::{Contender, Places};
use super::work::{Scale, WORKS};
use super::{Plan, document, guard, hops, run};

/// Selection of what is measured.
#[derive(Debug, clap::Args)]
pub struct Bench {
    /// Measure less of everything, in under two minutes.
    #[arg(long)]
    quick: bool,
    /// Number of runs of each. The median counts.
    #[arg(long)]
    rounds: Option<usize>,
    /// Measure only these works, such as relay-1.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Measure only peerstar and the bare relay.
    #[arg(long)]
    bare: bool,
    /// Put the figures into docs/PERFORMANCE.md.
    #[arg(long, conflicts_with_all = ["quick", "bare"])]
    write: bool,
    /// Fail if the server has become slower than the ratios to the bare relay in
    /// scripts/load/baseline.json allow.
    #[arg(long)]
    guard: bool,
    /// With --guard: put the new ratios there.
    #[arg(long, requires = "guard")]
    keep: bool,
    /// Measure three nodes and their Redis, beside socket.io, in place of the servers that are one
    /// process.
    #[arg(long, conflicts_with_all = ["bare", "write", "guard"])]
    hops: bool,
    /// Folder in which the other servers are installed.
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Root of the project.
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

impl Bench {
    /// Runs the benchmark with the server `peerstar`. The bare relay is beside that binary.
    ///
    /// # Errors
    /// Fails if a message is lost, or something cannot be measured.
    pub fn run(self, peerstar: PathBuf, mut say: impl FnMut(&str)) -> io::Result<()> {
        let Self { quick, rounds, only, bare, write, guard, keep, hops, cache, root } = self;
        let places = Places { peerstar, cache: cache.unwrap_or_default() };
        if guard {
            return guard::guard(&places, &root.join("scripts/load/baseline.json"), keep, say);
        }
        if hops {
            let length = if quick { Scale::QUICK.length } else { Scale::FULL.length };
            let plan = hops::Plan { only, rounds: rounds.unwrap_or(5), length };
            return hops::run(&plan, &places, say);
        }
        if let Some(unknown) =
            only.iter().find(|key| WORKS.iter().all(|work| work.key != key.as_str()))
        {
            let known: Vec<_> = WORKS.iter().map(|work| work.key).collect();
            return Err(io::Error::other(format!(
                "--only {unknown}: there are {}",
                known.join(", ")
            )));
        }
        let plan = Plan {
            only,
            whom: if bare {
                vec![Contender::Peerstar, Contender::Bare]
            } else {
                Contender::ALL.into()
            },
            rounds: rounds.unwrap_or(if quick { 3 } else { 5 }),
            scale: if quick { Scale::QUICK } else { Scale::FULL },
        };
        if quick {
            let Scale { crowd, page, .. } = plan.scale;
            say(&format!(
                "quick: {crowd} connections in place of 15,000, pages of {page} in place of 10,000\n"
            ));
        }
        let samples = run(&plan, &places, &mut say)?;
        say(&format!("\n{}\n{}", samples.markdown(), samples.generator()));
        if write { document::write(&root.join("docs"), samples) } else { Ok(()) }
    }
}
