//! The server under test: the real binary, in an empty directory, on its own port.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::PATIENCE;

/// Settings as pairs of `section.key` and value.
type Settings = Vec<(String, String)>;

/// A running server. When dropped, it is killed, and its log must not report a fault of the server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
    reader: Option<JoinHandle<()>>,
    log: Arc<Mutex<Vec<String>>>,
    settings: Settings,
    directory: TempDir,
    /// Set by tests that make the server panic.
    pub(crate) may_panic: bool,
    is_dead: bool,
}

impl Server {
    /// Starts a server with these settings.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let settings: Settings =
            settings.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let directory = tempfile::tempdir().expect("a directory");
        let log = Arc::default();
        let (child, reader, address) =
            launch(&settings, &directory, &log).expect("the server starts");
        Self {
            address,
            child,
            reader: Some(reader),
            log,
            settings,
            directory,
            may_panic: false,
            is_dead: false,
        }
    }

    /// Starts a server on an address that nothing else uses, so that its port is free after it was
    /// killed.
    pub(crate) fn start_to_be_restarted(settings: &[(&str, &str)]) -> Self {
        let [a, b] = (std::process::id() as u16).to_be_bytes();
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("a clock")
            .subsec_nanos();
        let host = format!("127.{}.{}.{}", (a ^ nanos as u8).max(1), b, (nanos >> 8) as u8);
        Self::start(&[settings, &[("server.host", &host)]].concat())
    }

    /// Kills the server (SIGKILL) and starts another on the same port. The log is continued.
    pub(crate) fn crash_and_restart(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("waited for");
        let mut settings = self.settings.clone();
        settings.push(("server.port".into(), self.address.port().to_string()));
        let (child, reader, address) =
            launch(&settings, &self.directory, &self.log).expect("the server starts again");
        assert_eq!(address, self.address);
        (self.child, self.reader) = (child, Some(reader));
    }

    /// Kills the server (SIGKILL) for good.
    pub(crate) fn kill(&mut self) {
        self.is_dead = true;
        self.child.kill().expect("killed");
        self.child.wait().expect("waited for");
    }

    /// Returns the lines that the server has written to stderr.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().expect("no test panicked here").clone()
    }

    /// Waits until the log has a line with this text. Returns the line.
    pub(crate) async fn logs(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.log().into_iter().find(|line| line.contains(text)) {
                return line;
            }
            assert!(Instant::now() < deadline, "no line with {text:?} in {:#?}", self.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns the resident memory, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        let kib = line.split_whitespace().nth(1).and_then(|number| number.parse::<usize>().ok());
        kib.expect("a number") * 1024
    }

    /// Returns the number of open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs").count()
    }

    /// Returns the result of `work`, and the most memory that the server had meanwhile.
    pub(crate) async fn peak_memory_during<T>(&self, work: impl Future<Output = T>) -> (T, usize) {
        let mut work = std::pin::pin!(work);
        let mut peak = self.memory();
        loop {
            tokio::select! {
                done = &mut work => return (done, peak.max(self.memory())),
                () = sleep(Duration::from_millis(10)) => peak = peak.max(self.memory()),
            }
        }
    }

    /// Sends a signal, such as "TERM".
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent =
            Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill(1)");
        assert!(sent.success());
    }

    /// Waits until the process has ended.
    pub(crate) async fn exit_within(&mut self, most: Duration) -> ExitStatus {
        let deadline = Instant::now() + most;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                self.is_dead = true;
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "it still runs after {most:?}; its log: {:#?}",
                self.log()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let died = self.child.try_wait().ok().flatten();
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        let log = self.log();
        if std::thread::panicking() {
            super::figure(
                "the server's log ends",
                log[log.len().saturating_sub(30)..].join("\n  "),
            );
            return;
        }
        let faults: Vec<_> = log
            .iter()
            .filter(|line| {
                line.contains("invariant")
                    || (line.contains("panicked") && !self.may_panic)
                    || line.contains("BorrowMut")
            })
            .collect();
        assert!(faults.is_empty(), "the server found fault with itself: {faults:#?}");
        let may_be_dead = self.is_dead || died.is_none_or(|status| status.success());
        assert!(may_be_dead, "the server died: {died:?}");
    }
}

fn command(settings: &Settings, directory: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerstar"));
    command.env_clear().current_dir(directory.path()).stdin(Stdio::null());
    for (key, value) in settings {
        command.env(format!("PEERSTAR__{}", key.to_uppercase().replace('.', "__")), value);
    }
    command
}

type Launched = (Child, JoinHandle<()>, SocketAddr);

fn launch(
    settings: &Settings,
    directory: &TempDir,
    log: &Arc<Mutex<Vec<String>>>,
) -> Result<Launched, String> {
    let mut all: Settings =
        vec![("server.host".into(), "127.0.0.1".into()), ("server.port".into(), "0".into())];
    all.push(("server.workers".into(), "2".into()));
    all.extend_from_slice(settings);
    let spawned = command(&all, directory).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|e| e.to_string())?;
    let stderr = child.stderr.take().ok_or("no stderr")?;
    let (found, address) = mpsc::channel();
    let log = Arc::clone(log);
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let address = listening_address(&line);
            if let Ok(mut log) = log.lock() {
                log.push(line);
            }
            if let Some(address) = address {
                // the receiver is gone if this is too late
                let _ = found.send(address);
            }
        }
    });
    let address = address.recv_timeout(PATIENCE).map_err(|_| "it did not say where it listens")?;
    Ok((child, reader, address))
}

/// Returns the address in the log line that says where the server listens, in either format.
fn listening_address(line: &str) -> Option<SocketAddr> {
    if let Ok(object) = serde_json::from_str::<serde_json::Value>(line) {
        let address = object["address"].as_str().filter(|_| object["message"] == "listening");
        return address?.parse().ok();
    }
    let (_, fields) = line.split_once("listening address=")?;
    fields.split(' ').next()?.parse().ok()
}

/// Result of a run that ended by itself.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the binary to its end in `directory`, with only these arguments and this environment.
pub(crate) fn run_once(
    directory: &TempDir,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Outcome {
    let mut command = command(&Vec::new(), directory);
    let command = command.args(arguments).envs(environment.iter().copied());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let deadline = std::time::Instant::now() + PATIENCE;
    while child.try_wait().expect("it is ours").is_none() {
        if std::time::Instant::now() > deadline {
            child.kill().expect("killed");
            panic!("with {arguments:?} {environment:?} it does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("it ended");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
