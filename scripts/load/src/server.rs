//! The server under load: a process of its own, at an address of its own.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Timeout of the start.
const START: Duration = Duration::from_secs(30);
/// Admin token of the server.
pub const ADMIN: &str = "admin";

/// A running server. Dropping it kills the process.
#[derive(Debug)]
pub struct Server {
    /// Address on which it listens.
    pub address: SocketAddr,
    binary: PathBuf,
    settings: Vec<(String, String)>,
    child: Child,
    log: Arc<Mutex<Log>>,
}

/// Counts of lines in the server's log.
#[derive(Debug, Default)]
struct Log {
    panics: usize,
    complaints: Vec<String>,
}

/// Resources that a process uses.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Resident memory, in bytes.
    pub memory: usize,
    /// Number of open descriptors.
    pub descriptors: usize,
    /// Processor time so far, in s.
    pub cpu: f64,
}

impl Server {
    /// Starts `binary` on an address of its own, so that its port is free after a kill. `settings`
    /// are
    /// `("section.key", "value")`.
    ///
    /// # Errors
    /// Fails if the server does not log its address in time.
    pub fn start(binary: impl Into<PathBuf>, settings: &[(&str, &str)]) -> io::Result<Self> {
        let [a, b] = (std::process::id() as u16).to_be_bytes();
        let nanos = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.subsec_nanos());
        // outside 127.0.0.x and 127.0.1.x, from which clients dial
        let host = format!("127.{}.{}.{}", (a ^ nanos as u8).max(2), b, (nanos >> 8) as u8 | 1);
        let ours =
            [("server.host", host.as_str()), ("server.port", "0"), ("auth.admin_token", ADMIN)];
        let settings: Vec<_> = ours
            .iter()
            .chain(settings)
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect();
        let binary = binary.into();
        let log = Arc::default();
        let (child, address) = launch(&binary, &settings, &log)?;
        Ok(Self { address, binary, settings, child, log })
    }

    /// Starts another process with the same settings on an address of its own.
    ///
    /// # Errors
    /// Fails as [`Server::start`] does.
    pub fn start_another(&self) -> io::Result<Self> {
        let log = Arc::default();
        let (child, address) = launch(&self.binary, &self.settings, &log)?;
        Ok(Self {
            address,
            binary: self.binary.clone(),
            settings: self.settings.clone(),
            child,
            log,
        })
    }

    /// Kills the process (SIGKILL).
    ///
    /// # Errors
    /// Fails on an I/O error.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Starts the server again after [`Server::kill`], on the same port.
    ///
    /// # Errors
    /// Fails as [`Server::start`] does.
    pub fn start_again(&mut self) -> io::Result<()> {
        let mut settings = self.settings.clone();
        settings.push(("server.port".into(), self.address.port().to_string()));
        let (child, address) = launch(&self.binary, &settings, &self.log)?;
        (self.child, self.address) = (child, address);
        Ok(())
    }

    /// Asks the process to stop (SIGTERM).
    ///
    /// # Errors
    /// Fails if kill(1) fails.
    pub fn terminate(&self) -> io::Result<()> {
        signal(self.child.id(), "TERM")
    }

    /// Asks the process to stop, and waits until it has ended.
    ///
    /// # Errors
    /// Fails if that takes longer than `most`, or the process does not end well.
    pub fn stop(&mut self, most: Duration) -> io::Result<()> {
        self.terminate()?;
        let deadline = Instant::now() + most;
        loop {
            match self.ended()? {
                Some(true) => return Ok(()),
                Some(false) => return Err(io::Error::other("the server did not end well")),
                None if Instant::now() > deadline => {
                    return Err(io::Error::other(format!(
                        "the server did not end within {most:?}"
                    )));
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Returns whether the process has ended, and whether it ended well.
    ///
    /// # Errors
    /// Fails on an I/O error.
    pub fn ended(&mut self) -> io::Result<Option<bool>> {
        Ok(self.child.try_wait()?.map(|status| status.success()))
    }

    /// Id of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the resources that the process uses.
    ///
    /// # Errors
    /// Fails if the process has ended.
    pub fn usage(&self) -> io::Result<Usage> {
        usage(self.child.id())
    }

    /// Number of panics in the log.
    #[must_use]
    pub fn panics(&self) -> usize {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).panics
    }

    /// Broken invariants in the log.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).complaints.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Sends a signal, such as `TERM`, to the process `pid`.
///
/// # Errors
/// Fails if kill(1) fails.
pub fn signal(pid: u32, name: &str) -> io::Result<()> {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status()?;
    if sent.success() { Ok(()) } else { Err(io::Error::other("kill(1) failed")) }
}

/// Returns the resources that the process `pid` uses.
///
/// # Errors
/// Fails if there is no such process.
pub fn usage(pid: u32) -> io::Result<Usage> {
    let odd = || io::Error::other("/proc reads unlike Linux");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or_else(odd)?;
    let kib: usize =
        line.split_whitespace().next().and_then(|number| number.parse().ok()).ok_or_else(odd)?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // utime and stime are the 12th and 13th field after the name, which may hold any character, in
    // ticks of 10 ms
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: Option<u64> = fields
        .get(11..13)
        .and_then(|both| both.iter().map(|ticks| ticks.parse::<u64>().ok()).sum());
    Ok(Usage {
        memory: kib * 1024,
        descriptors: std::fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
        cpu: ticks.ok_or_else(odd)? as f64 / 100.0,
    })
}

/// Returns the processor time that all processes of this machine have used, in s.
///
/// # Errors
/// Fails where there is no Linux /proc.
pub fn machine_cpu() -> io::Result<f64> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let ticks = stat
        .lines()
        .next()
        .map(|line| line.split_whitespace().skip(1).map_while(|ticks| ticks.parse::<u64>().ok()));
    // user, nice, system, idle, iowait, irq, softirq, and steal of other machines
    let busy =
        ticks.into_iter().flatten().enumerate().filter(|(field, _)| matches!(field, 0..=2 | 5..=7));
    Ok(busy.map(|(_, ticks)| ticks).sum::<u64>() as f64 / 100.0)
}

fn launch(
    binary: &PathBuf,
    settings: &[(String, String)],
    log: &Arc<Mutex<Log>>,
) -> io::Result<(Child, SocketAddr)> {
    let mut command = Command::new(binary);
    command
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    for (key, value) in settings {
        command.env(format!("PEERSTAR__{}", key.to_uppercase().replace('.', "__")), value);
    }
    let mut child = command
        .spawn()
        .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", binary.display())))?;
    let stderr = child.stderr.take().ok_or_else(|| io::Error::other("no stderr"))?;
    let (found, address) = mpsc::channel();
    let log = Arc::clone(log);
    // the thread ends with the process whose log it reads
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once("listening address=") {
                let _ = found.send(rest.split(' ').next().and_then(|address| address.parse().ok()));
            }
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.panics += usize::from(line.contains("panicked at"));
            if line.contains("invariant") || line.contains("BorrowMut") {
                log.complaints.push(line);
            }
        }
    });
    match address.recv_timeout(START) {
        Ok(Some(address)) => Ok((child, address)),
        Ok(None) | Err(_) => {
            child.kill()?;
            Err(io::Error::other("the server did not say where it listens"))
        }
    }
}
