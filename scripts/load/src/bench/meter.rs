//! Reads from /proc what a process has used.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::server::usage;

fn odd() -> io::Error {
    io::Error::other("/proc reads unlike Linux")
}

/// Reads processor time in ns from `schedstat` of one thread.
fn on_cpu(thread: &Path) -> io::Result<Duration> {
    let text = std::fs::read_to_string(thread.join("schedstat"))?;
    text.split(' ')
        .next()
        .and_then(|nanos| nanos.parse().ok())
        .map(Duration::from_nanos)
        .ok_or_else(odd)
}

/// Returns the processor time so far of all present threads of the process `pid`.
///
/// # Errors
/// Fails if there is no such process.
pub fn cpu(pid: u32) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        sum += on_cpu(&thread?.path())?;
    }
    Ok(sum)
}

/// Returns the processor time so far of the calling thread.
///
/// # Errors
/// Fails on systems without /proc.
pub fn own_cpu() -> io::Result<Duration> {
    on_cpu(Path::new("/proc/thread-self"))
}

/// Returns resident memory of the process `pid`, in bytes.
///
/// # Errors
/// Fails if there is no such process.
pub fn memory(pid: u32) -> io::Result<usize> {
    usage(pid).map(|usage| usage.memory)
}

/// Describes this machine, as far as figures depend on it.
///
/// # Errors
/// Fails on systems without /proc.
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
