//! One measurement of one server.

use std::io;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::meter;

/// Result of one run.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Sample {
    /// The figure, in its unit.
    pub value: f64,
    /// Processor time of the load generator for each event, in µs; 0 if nothing is counted.
    pub generator: f64,
    /// Events in a second; 0 if nothing is counted.
    pub rate: f64,
}

impl From<f64> for Sample {
    fn from(value: f64) -> Self {
        Self { value, generator: 0.0, rate: 0.0 }
    }
}

/// A measurement in progress.
#[derive(Debug)]
pub struct Metered {
    /// Processes, and the processor time that each had used.
    processes: Vec<(u32, Duration)>,
    own: Duration,
    since: Instant,
}

/// What the processes of a measurement have used.
#[derive(Debug, Clone)]
pub struct Measured {
    /// What all of them have used together.
    pub sample: Sample,
    /// Processor time of each process for each event, in µs.
    pub each: Vec<f64>,
}

impl Metered {
    /// Begins to measure the processes `pids`.
    ///
    /// # Errors
    /// Fails if there is no such process.
    pub fn begin(pids: &[u32]) -> io::Result<Self> {
        let processes =
            pids.iter().map(|pid| Ok((*pid, meter::cpu(*pid)?))).collect::<io::Result<_>>()?;
        Ok(Self { processes, own: meter::own_cpu()?, since: Instant::now() })
    }

    /// Returns processor time in µs for each of `count` events.
    ///
    /// # Errors
    /// Fails if `count` is 0, or a process has ended.
    pub fn end(&self, count: u64) -> io::Result<Measured> {
        if count == 0 {
            return Err(io::Error::other("nothing was done"));
        }
        let each = |now: Duration, then: Duration| (now - then).as_secs_f64() * 1e6 / count as f64;
        let rate = count as f64 / self.since.elapsed().as_secs_f64();
        let used: Vec<_> = self
            .processes
            .iter()
            .map(|(pid, then)| Ok(each(meter::cpu(*pid)?, *then)))
            .collect::<io::Result<_>>()?;
        let sample =
            Sample { value: used.iter().sum(), generator: each(meter::own_cpu()?, self.own), rate };
        Ok(Measured { sample, each: used })
    }
}

/// Returns the median; of an even number the upper middle one.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
