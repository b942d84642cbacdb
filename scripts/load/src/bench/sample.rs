//! One measurement.

use std::io;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::meter;

/// What one run of one contender showed.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Sample {
    /// What is asked for, in the unit of the figure.
    pub value: f64,
    /// Processor time of the load generator for one of what is counted, in µs; 0 if nothing is.
    pub generator: f64,
    /// How many a second; 0 if nothing is counted.
    pub rate: f64,
}

impl From<f64> for Sample {
    fn from(value: f64) -> Self {
        Self { value, generator: 0.0, rate: 0.0 }
    }
}

/// A measurement under way.
#[derive(Debug)]
pub struct Metered {
    pid: u32,
    cpu: Duration,
    own: Duration,
    since: Instant,
}

impl Metered {
    /// From now on, of the process `pid`.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn begin(pid: u32) -> io::Result<Self> {
        Ok(Self { pid, cpu: meter::cpu(pid)?, own: meter::own_cpu()?, since: Instant::now() })
    }

    /// Until now: µs of processor time for each of `count`.
    ///
    /// # Errors
    /// When nothing was done, or the process has ended.
    pub fn end(&self, count: u64) -> io::Result<Sample> {
        if count == 0 {
            return Err(io::Error::other("nothing was done"));
        }
        let each = |now: Duration, then: Duration| (now - then).as_secs_f64() * 1e6 / count as f64;
        let rate = count as f64 / self.since.elapsed().as_secs_f64();
        Ok(Sample {
            value: each(meter::cpu(self.pid)?, self.cpu),
            generator: each(meter::own_cpu()?, self.own),
            rate,
        })
    }
}

/// The one in the middle; of an even number the upper.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
