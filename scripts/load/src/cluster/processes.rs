//! The processes of a cluster: Redis, nodes and the balancer. Dropping one kills its process.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::http;
use crate::server::Server;
use crate::swarm::until;

/// HAProxy's settings, without the nodes.
const BALANCER: &str = include_str!("../../../../deploy/haproxy.cfg");
/// Timeout of the start of a process.
const START: Duration = Duration::from_secs(30);
/// Settings of every node beside the URL of Redis. One worker keeps three nodes and a Redis runnable
/// on two processors.
pub const SETTINGS: [(&str, &str); 3] = [
    ("cluster.secret", "a secret for tests, 32 bytes or more"),
    ("server.proxied", "true"),
    ("server.workers", "1"),
];

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A folder that is removed with its owner.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, port: u16) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("peerstar-{name}-{port}"));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A Redis on a free port of 127.0.0.1, which keeps nothing on disk.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    folder: Folder,
    child: Child,
}

impl Redis {
    /// Starts a Redis, and waits until it answers.
    ///
    /// # Errors
    /// Fails if there is no `redis-server`, or it does not answer in time.
    pub async fn start() -> io::Result<Self> {
        let port = free_port()?;
        let folder = Folder::new("redis", port)?;
        let redis = Self { port, child: Self::launch(port, &folder.0)?, folder };
        redis.answers().await?;
        Ok(redis)
    }

    fn launch(port: u16, folder: &Path) -> io::Result<Child> {
        let missing = |e: io::Error| io::Error::new(e.kind(), format!("redis-server: {e}"));
        Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""])
            .args(["--appendonly", "no", "--maxmemory-policy", "noeviction", "--dir"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(missing)
    }

    async fn answers(&self) -> io::Result<()> {
        let deadline = Instant::now() + START;
        while self.ask("PING").await.is_err() {
            if Instant::now() > deadline {
                return Err(io::Error::other("Redis does not answer"));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Returns the URL for `cluster.url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sends a command without an argument that has white space.
    ///
    /// # Errors
    /// Fails on an I/O error.
    pub async fn ask(&self, command: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        let mut answer = [0; 512];
        let length = stream.read(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer[..length]).trim().to_owned())
    }

    /// Kills the process (SIGKILL). All data is gone.
    ///
    /// # Errors
    /// Fails on an I/O error.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Starts it again after [`Redis::kill`], on the same port.
    ///
    /// # Errors
    /// Fails if it does not answer in time.
    pub async fn start_again(&mut self) -> io::Result<()> {
        self.child = Self::launch(self.port, &self.folder.0)?;
        self.answers().await
    }

    /// Id of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// HAProxy in front of the nodes.
#[derive(Debug)]
pub struct Balancer {
    /// Address on which it listens.
    pub address: SocketAddr,
    child: Child,
    _folder: Folder,
}

impl Balancer {
    /// Starts HAProxy in front of `nodes`.
    ///
    /// # Errors
    /// Fails if there is no `haproxy`, or it does not listen in time.
    pub async fn start(nodes: &[Server]) -> io::Result<Self> {
        let port = free_port()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let folder = Folder::new("haproxy", port)?;
        let file = folder.0.join("haproxy.cfg");
        let mut settings = BALANCER.to_owned();
        // members learn where their sockets are
        settings.push_str("    http-response set-header X-Node %s\n");
        for (n, node) in nodes.iter().enumerate() {
            settings.push_str(&format!("    server node-{n} {}\n", node.address));
        }
        std::fs::write(&file, settings)?;
        let missing = |e: io::Error| io::Error::new(e.kind(), format!("haproxy: {e}"));
        let child = Command::new("haproxy")
            .arg("-q")
            .arg("-f")
            .arg(&file)
            .env("PEERSTAR_BIND", address.to_string())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(missing)?;
        let balancer = Self { address, child, _folder: folder };
        ready(address).await?;
        Ok(balancer)
    }

    /// Id of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Redis, nodes, and the balancer.
#[derive(Debug)]
pub struct Cluster {
    /// The balancer, which members dial.
    pub balancer: Balancer,
    /// The nodes.
    pub nodes: Vec<Server>,
    /// The Redis that the nodes share.
    pub redis: Redis,
}

impl Cluster {
    /// Starts a cluster of `count` nodes of `binary` with these settings, and waits until all are ready.
    ///
    /// # Errors
    /// Fails if a program is missing, or a node is not ready in time.
    pub async fn start(binary: &Path, count: usize, settings: &[(&str, &str)]) -> io::Result<Self> {
        let redis = Redis::start().await?;
        let url = redis.url();
        let settings: Vec<_> = settings
            .iter()
            .copied()
            .chain(SETTINGS)
            .chain([("cluster.url", url.as_str())])
            .collect();
        let mut nodes = Vec::with_capacity(count);
        for _ in 0..count {
            nodes.push(Server::start(binary, &settings)?);
        }
        for node in &nodes {
            ready(node.address).await?;
        }
        let balancer = Balancer::start(&nodes).await?;
        Ok(Self { balancer, nodes, redis })
    }

    /// Has a node drain, and waits until its process has ended.
    ///
    /// # Errors
    /// Fails if it does not end in time, or not well.
    pub async fn drain(&mut self, node: usize) -> io::Result<()> {
        let server = &mut self.nodes[node];
        server.terminate()?;
        until("a node has drained", START, || !matches!(server.ended(), Ok(None))).await?;
        match server.ended()? {
            Some(true) => Ok(()),
            _ => Err(io::Error::other("a node that drained did not end well")),
        }
    }

    /// Starts a node again that has ended, and waits until it is ready.
    ///
    /// # Errors
    /// Fails if it is not ready in time.
    pub async fn revive(&mut self, node: usize) -> io::Result<()> {
        self.nodes[node].start_again()?;
        ready(self.nodes[node].address).await
    }
}

/// Waits until a server says that it is ready.
///
/// # Errors
/// Fails if that takes too long.
async fn ready(address: SocketAddr) -> io::Result<()> {
    let deadline = Instant::now() + START;
    loop {
        if let Ok((200, _)) = http::ask(address, "GET", "/ready").await {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(io::Error::other(format!("{address} is not ready")));
        }
        sleep(Duration::from_millis(50)).await;
    }
}
