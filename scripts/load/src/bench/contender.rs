//! The servers that are compared: how each is started, and how a client speaks to it.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::cluster;
use crate::server::Server;
use crate::words;

/// Timeout of a start.
const START: Duration = Duration::from_secs(20);

/// Limits that are lifted for peerstar, because the others have none. All else is as in
/// settings.toml.
pub const LIFTED: [(&str, &str); 4] = [
    ("limits.messages_per_s", "0"),
    ("relay.max_bytes_per_s", "0"),
    ("limits.queue_bytes", "67108864"),
    ("pages.max_members", "0"),
];

/// A server that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Contender {
    /// The server of this project.
    Peerstar,
    /// The relay of src/bin/bare-relay.rs.
    Bare,
    /// PeerServer: npm `peer`.
    PeerServer,
    /// matchbox: crates.io `matchbox_server`.
    Matchbox,
    /// The signalling server of npm `y-webrtc`.
    YWebrtc,
    /// npm `socket.io`, several processes of which are one server; see socket-io.cjs.
    SocketIo,
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Peerstar => "peerstar",
            Self::Bare => "bare relay",
            Self::PeerServer => "PeerServer",
            Self::Matchbox => "matchbox",
            Self::YWebrtc => "y-webrtc",
            Self::SocketIo => "socket.io",
        })
    }
}

/// Places of the binaries.
#[derive(Debug, Clone)]
pub struct Places {
    /// peerstar's binary. The bare relay is beside it.
    pub peerstar: PathBuf,
    /// Folder into which scripts/bench installs the others.
    pub cache: PathBuf,
}

/// A running server. Dropping it kills the process.
#[derive(Debug)]
pub struct Running {
    /// Which server this is.
    pub contender: Contender,
    /// Address on which it listens.
    pub address: SocketAddr,
    /// Id of its process.
    pub pid: u32,
    process: Process,
}

#[derive(Debug)]
enum Process {
    Ours(Server),
    Others(Child),
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Process::Others(child) = &mut self.process {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Running {
    /// Checks its log for faults that it found in itself, if it logs them.
    ///
    /// # Errors
    /// Returns the faults as text.
    pub fn is_well(&self) -> io::Result<()> {
        let Process::Ours(server) = &self.process else { return Ok(()) };
        match (server.panics(), server.complaints()) {
            (0, complaints) if complaints.is_empty() => Ok(()),
            (panics, complaints) => {
                Err(io::Error::other(format!("{panics} panics, {complaints:?}")))
            }
        }
    }
}

impl Contender {
    /// All servers that are one process, in the order of the table's columns.
    pub const ALL: [Self; 5] =
        [Self::Peerstar, Self::Bare, Self::PeerServer, Self::Matchbox, Self::YWebrtc];

    /// Starts the server on a free port.
    ///
    /// # Errors
    /// Fails if it does not listen in time.
    pub fn start(self, places: &Places) -> io::Result<Running> {
        self.start_on(places, None)
    }

    /// Starts the server, as one of several that share a Redis if a URL of one is given.
    ///
    /// # Errors
    /// Fails if it does not listen in time.
    pub fn start_on(self, places: &Places, redis: Option<&str>) -> io::Result<Running> {
        if self == Self::Peerstar {
            let settings: Vec<_> =
                LIFTED
                    .into_iter()
                    .chain(redis.into_iter().flat_map(|url| {
                        cluster::SETTINGS.into_iter().chain([("cluster.url", url)])
                    }))
                    .collect();
            let server = Server::start(&places.peerstar, &settings)?;
            return Ok(Running {
                contender: self,
                address: server.address,
                pid: server.pid(),
                process: Process::Ours(server),
            });
        }
        // another process may take the port first
        let mut tries = 0;
        loop {
            tries += 1;
            let free = TcpListener::bind(("0.0.0.0", 0))?.local_addr()?.port();
            match self.start_at(free, places, redis) {
                Err(e) if tries == 3 => return Err(e),
                Err(_) => {}
                running => return running,
            }
        }
    }

    fn start_at(self, port: u16, places: &Places, redis: Option<&str>) -> io::Result<Running> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = self.command(places, address);
        let child = command
            .env_remove("RUST_LOG")
            .env("REDIS", redis.unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.map_err(|e| {
            io::Error::new(e.kind(), format!("{}: {e}", command.get_program().display()))
        })?;
        let deadline = Instant::now() + START;
        while let Err(e) = TcpStream::connect(address) {
            if Instant::now() > deadline || child.try_wait()?.is_some() {
                let _ = child.kill();
                return Err(io::Error::new(
                    e.kind(),
                    format!("{self} does not listen at {address}: {e}"),
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Running { contender: self, address, pid: child.id(), process: Process::Others(child) })
    }

    fn command(self, places: &Places, address: SocketAddr) -> Command {
        let node = |script: &str| {
            let mut command = Command::new("node");
            command.arg(places.cache.join("npm/node_modules").join(script));
            command
        };
        match self {
            Self::Peerstar | Self::Bare => {
                let mut command = Command::new(places.peerstar.with_file_name("bare-relay"));
                command.arg(address.to_string());
                command
            }
            Self::PeerServer => {
                let mut command = node("peer/dist/bin/peerjs.js");
                let port = address.port().to_string();
                command.args([
                    "--host",
                    "127.0.0.1",
                    "--port",
                    &port,
                    "--concurrent_limit",
                    "1000000",
                ]);
                command
            }
            Self::Matchbox => {
                let mut command = Command::new(places.cache.join("bin/matchbox_server"));
                command.arg(address.to_string());
                command
            }
            Self::YWebrtc => {
                let mut command = node("y-webrtc/bin/server.js");
                command.env("PORT", address.port().to_string());
                command
            }
            Self::SocketIo => {
                let mut command = Command::new("node");
                command
                    .args(["--eval", include_str!("../../socket-io.cjs")])
                    .env("NODE_PATH", places.cache.join("npm/node_modules"))
                    .env("PORT", address.port().to_string());
                command
            }
        }
    }

    /// Returns whether it is installed.
    #[must_use]
    pub fn is_there(self, places: &Places) -> bool {
        let Places { peerstar, cache } = places;
        let file: &Path = match self {
            Self::Peerstar => peerstar,
            Self::Bare => &peerstar.with_file_name("bare-relay"),
            Self::PeerServer => &cache.join("npm/node_modules/peer/dist/bin/peerjs.js"),
            Self::Matchbox => &cache.join("bin/matchbox_server"),
            Self::YWebrtc => &cache.join("npm/node_modules/y-webrtc/bin/server.js"),
            Self::SocketIo => &cache.join("npm/node_modules/@socket.io/redis-streams-adapter"),
        };
        file.exists()
    }

    /// Returns the address that a client with `id` dials to join `page`. An empty `page` means
    /// none.
    #[must_use]
    pub fn address(self, page: &str, id: &str) -> String {
        match self {
            Self::Peerstar | Self::Bare if !page.is_empty() => words::address(page, id, None),
            Self::Peerstar | Self::Bare | Self::PeerServer => {
                format!("/peerjs?key=peerjs&id={id}&token={id}")
            }
            Self::Matchbox => format!("/{page}"),
            Self::YWebrtc => "/".into(),
            Self::SocketIo => {
                format!("/socket.io/?EIO=4&transport=websocket&id={id}&page={page}")
            }
        }
    }

    /// Returns how its first message to a client that is in begins.
    #[must_use]
    pub const fn welcome(self) -> &'static str {
        match self {
            Self::Peerstar | Self::Bare | Self::PeerServer => r#"{"type":"OPEN""#,
            Self::Matchbox => r#"{"IdAssigned":""#,
            Self::YWebrtc => r#"{"type":"pong""#,
            Self::SocketIo => r#"40{"sid""#,
        }
    }

    /// Returns what a client sends once its socket is open, to join `page` and be welcomed.
    #[must_use]
    pub fn hello(self, page: &str) -> Vec<String> {
        match self {
            Self::YWebrtc => vec![
                format!(r#"{{"type":"subscribe","topics":["{page}"]}}"#),
                r#"{"type":"ping"}"#.into(),
            ],
            // CONNECT to the default namespace
            Self::SocketIo => vec!["40".into()],
            Self::Peerstar | Self::Bare | Self::PeerServer | Self::Matchbox => Vec::new(),
        }
    }

    /// Returns a message to one member.
    #[must_use]
    pub fn signal(self, dst: &str, payload: &str) -> String {
        match self {
            Self::Matchbox => format!(r#"{{"Signal":{{"receiver":"{dst}","data":{payload}}}}}"#),
            Self::SocketIo => format!(r#"42["to","{dst}",{payload}]"#),
            Self::Peerstar | Self::Bare | Self::PeerServer | Self::YWebrtc => {
                format!(r#"{{"type":"CANDIDATE","dst":"{dst}","payload":{payload}}}"#)
            }
        }
    }

    /// Returns a message of the host to all members of `page`.
    #[must_use]
    pub fn to_all(self, page: &str, payload: &str) -> String {
        match self {
            Self::YWebrtc => {
                format!(r#"{{"type":"publish","topic":"{page}","payload":{payload}}}"#)
            }
            Self::SocketIo => format!(r#"42["all",{payload}]"#),
            Self::Peerstar | Self::Bare | Self::PeerServer | Self::Matchbox => {
                format!(r#"{{"type":"RELAY","payload":{payload}}}"#)
            }
        }
    }
}
