//! A Redis of one test, on a free loopback port, and servers that share it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{PATIENCE, Server};

/// The secret of every cluster here.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A running Redis. When dropped, it is killed.
pub(crate) struct Redis {
    pub(crate) port: u16,
    child: Child,
    directory: TempDir,
}

fn launch(port: u16, directory: &TempDir, options: &[&str]) -> Child {
    let child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "no", "--maxmemory-policy", "noeviction"])
        .args(options)
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server starts: is Debian's package redis-server installed?");
    let deadline = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "redis-server does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a Redis with more options.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let directory = tempfile::tempdir().expect("a directory");
        Self { port, child: launch(port, &directory, options), directory }
    }

    /// Kills Redis (SIGKILL), which loses all that it knew.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("waited for");
    }

    /// Starts Redis again, empty, after [`Redis::kill`].
    pub(crate) fn restart(&mut self) {
        self.child = launch(self.port, &self.directory, &[]);
    }

    /// Starts a server that is a node of the cluster.
    pub(crate) fn node(&self, settings: &[(&str, &str)]) -> Server {
        let url = format!("redis://127.0.0.1:{}", self.port);
        let mut all = vec![
            ("cluster.url", url.as_str()),
            ("cluster.secret", SECRET),
            ("server.workers", "1"),
        ];
        all.extend_from_slice(settings);
        Server::start(&all)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
