//! Looks at members and processes while a fault is on.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::server;
use crate::swarm::Swarm;

/// Interval between two looks.
const EVERY: Duration = Duration::from_millis(50);

/// What was seen during a fault.
#[derive(Debug)]
pub(super) struct Observer {
    pids: Vec<u32>,
    /// Pages without a host, and since when.
    hostless: HashMap<usize, Instant>,
    /// Longest time for which a page had no host that its members know and that is in.
    pub(super) longest_hostless: Duration,
    /// Highest resident memory of each process, in bytes.
    pub(super) memory: Vec<usize>,
}

impl Observer {
    /// Returns an observer of these processes.
    pub(super) fn new(pids: Vec<u32>) -> Self {
        Self {
            memory: vec![0; pids.len()],
            pids,
            hostless: HashMap::new(),
            longest_hostless: Duration::ZERO,
        }
    }

    /// Looks again and again.
    pub(super) async fn watch(&mut self, swarm: &Swarm) -> ! {
        loop {
            self.look(swarm);
            sleep(EVERY).await;
        }
    }

    /// Looks once more.
    pub(super) fn look(&mut self, swarm: &Swarm) {
        let now = Instant::now();
        for (page, members) in swarm.by_page().iter().enumerate() {
            let mut present = members.iter().filter(|seat| seat.up.get()).peekable();
            if present.peek().is_none() || present.any(|seat| seat.hosts()) {
                self.hostless.remove(&page);
            } else {
                let since = *self.hostless.entry(page).or_insert(now);
                self.longest_hostless = self.longest_hostless.max(now - since);
            }
        }
        for (pid, most) in self.pids.iter().zip(&mut self.memory) {
            // a process that was killed uses nothing
            if let Ok(usage) = server::usage(*pid) {
                *most = usage.memory.max(*most);
            }
        }
    }
}
