//! A `redis-server` on a free port of loopback, in a folder of its own, without persistence.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so at once")]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use redis::{Connection, FromRedisValue};

/// A server that ends with the test.
pub(crate) struct Redis {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
    options: Vec<String>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts a server. Returns nothing if it ends before it is ready.
fn spawn(port: u16, folder: &std::path::Path, options: &[String]) -> Option<Child> {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    command.args(["--appendonly", "no", "--dir"]).arg(folder).args(options);
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut process = started.expect("redis-server is missing: apt-get install redis-server");
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let is_ready = lines.any(|line| line.is_ok_and(|line| line.contains("Ready to accept")));
    if is_ready {
        // a full pipe would stop the server
        std::thread::spawn(move || lines.for_each(drop));
        return Some(process);
    }
    process.wait().unwrap();
    None
}

impl Redis {
    pub(crate) fn start(options: &[&str]) -> Self {
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        let folder = tempfile::tempdir().unwrap();
        // another program may take the port in the meantime
        let started = (0..10).find_map(|_| {
            let port = free_port();
            Some((spawn(port, folder.path(), &options)?, port))
        });
        let (process, port) = started.expect("redis-server starts");
        Self { process, port, folder, options }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Returns a connection for the test itself.
    pub(crate) fn connection(&self) -> Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    /// Carries out one command over a connection of its own.
    pub(crate) fn run<T: FromRedisValue>(&self, command: &str) -> T {
        run(&mut self.connection(), command)
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts a killed server on its port, with the data that it saved, if it did.
    pub(crate) fn start_again(&mut self) {
        let process = spawn(self.port, self.folder.path(), &self.options);
        self.process = process.expect("redis-server starts again");
    }

    pub(crate) fn restart_with_data(&mut self) {
        let () = self.run("SAVE");
        self.kill();
        self.start_again();
    }

    pub(crate) fn restart_empty(&mut self) {
        self.kill();
        let _ = std::fs::remove_file(self.folder.path().join("dump.rdb"));
        self.start_again();
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Carries out one command, whose words are separated by spaces.
pub(crate) fn run<T: FromRedisValue>(connection: &mut Connection, command: &str) -> T {
    let mut words = command.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    words.for_each(|word| {
        command.arg(word);
    });
    command.query(connection).unwrap_or_else(|error| panic!("{error}"))
}
