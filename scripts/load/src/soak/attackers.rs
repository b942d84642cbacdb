//! The process of the attackers, as the soak sees it.

use std::io::{self, BufRead, BufReader};
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::attack::Plan;

/// The process. Dropping it kills the process with all its sockets.
pub(super) struct Attackers {
    process: Child,
    lives: Arc<AtomicUsize>,
}

impl Attackers {
    /// Starts a process with the attackers of these numbers.
    pub(super) fn start(plan: Plan, numbers: Range<usize>, seed: u64) -> io::Result<Self> {
        let Plan { to, pages, first, steal } = plan;
        let mut command = Command::new("nice");
        // they stand for machines of others, and must not take processor time from the server
        command
            .args(["-n", "10"])
            .arg(std::env::current_exe()?)
            .arg("attack")
            .args(["--to", &to.to_string()]);
        let (from, count) = (numbers.start, numbers.len());
        for (name, number) in
            [("--pages", pages), ("--first", first), ("--from", from), ("--count", count)]
        {
            command.args([name, &number.to_string()]);
        }
        command.args(["--seed", &seed.to_string()]).args(steal.then_some("--steal"));
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let lives = Arc::<AtomicUsize>::default();
        if let Some(stdout) = process.stdout.take() {
            let lives = Arc::clone(&lives);
            // the thread ends with the process
            std::thread::spawn(move || {
                let numbers = BufReader::new(stdout)
                    .lines()
                    .map_while(Result::ok)
                    .filter_map(|line| line.parse().ok());
                numbers.for_each(|number| lives.store(number, Ordering::Relaxed));
            });
        }
        Ok(Self { process, lives })
    }

    /// Id of its process.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Number of attacks begun, as of half a second ago or less.
    pub(super) fn lives(&self) -> usize {
        self.lives.load(Ordering::Relaxed)
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
