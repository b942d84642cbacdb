//! What a process has used, from /proc.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::server::usage;

fn odd() -> io::Error {
    io::Error::other("/proc reads unlike Linux")
}

/// On a processor so far, to the nanosecond: `schedstat` of one thread.
fn on_cpu(thread: &Path) -> io::Result<Duration> {
    let text = std::fs::read_to_string(thread.join("schedstat"))?;
    text.split(' ')
        .next()
        .and_then(|nanos| nanos.parse().ok())
        .map(Duration::from_nanos)
        .ok_or_else(odd)
}

/// Processor time so far of the process `pid`: of all the threads it has now.
///
/// # Errors
/// When there is no such process.
pub fn cpu(pid: u32) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        sum += on_cpu(&thread?.path())?;
    }
    Ok(sum)
}

/// Processor time so far of the thread that asks.
///
/// # Errors
/// When /proc is not there.
pub fn own_cpu() -> io::Result<Duration> {
    on_cpu(Path::new("/proc/thread-self"))
}

/// Resident memory of the process `pid`, in bytes.
///
/// # Errors
/// When there is no such process.
pub fn memory(pid: u32) -> io::Result<usize> {
    usage(pid).map(|usage| usage.memory)
}

/// What this machine is, as far as figures depend on it.
///
/// # Errors
/// When /proc is not there.
pub fn machine() -> io::Result<String> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("processor", |(_, name)| name);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cores = std::thread::available_parallelism()?;
    Ok(format!("{cores} cores of {model}, Linux {}", kernel.trim()))
}
