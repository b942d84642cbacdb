//! The servers of a soak: one, or the nodes of a cluster.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::cluster::{Balancer, Cluster, Redis};
use crate::http;
use crate::server::{self, Server, Usage};

/// Settings of the servers: they are asked for the members of pages.
const SETTINGS: [(&str, &str); 1] = [("peerjs.allow_discovery", "true")];
/// Time in which a server that was asked to stop must have ended.
const DRAINED: Duration = Duration::from_secs(15);

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The process is killed.
    Kill,
    /// The process is asked to stop.
    Drain,
}

/// The servers of a soak.
pub(super) struct Site {
    servers: Vec<Server>,
    rest: Option<(Balancer, Redis)>,
    /// Server that ends next.
    next: usize,
}

impl Site {
    /// Starts one server, or a cluster of several behind a balancer.
    ///
    /// # Errors
    /// Fails if a program is missing or does not start in time.
    pub(super) async fn start(binary: &Path, nodes: usize) -> io::Result<Self> {
        if nodes == 1 {
            let server = Server::start(binary, &SETTINGS)?;
            // a server at rest has opened all its descriptors once it has answered
            http::ask(server.address, "GET", "/health").await?;
            return Ok(Self { servers: vec![server], rest: None, next: 0 });
        }
        let Cluster { balancer, nodes, redis } = Cluster::start(binary, nodes, &SETTINGS).await?;
        Ok(Self { servers: nodes, rest: Some((balancer, redis)), next: 0 })
    }

    /// The servers.
    pub(super) fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Whether there are several servers.
    pub(super) const fn is_cluster(&self) -> bool {
        self.rest.is_some()
    }

    /// Address that well-behaved members dial.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        match &self.rest {
            Some((balancer, _)) => Ok(balancer.address),
            None => self.first().map(|server| server.address),
        }
    }

    /// A server that answers for all.
    pub(super) fn first(&self) -> io::Result<&Server> {
        self.servers.first().ok_or_else(|| io::Error::other("a server did not come back"))
    }

    /// Resources that each server uses.
    pub(super) fn usage(&self) -> io::Result<Vec<Usage>> {
        self.servers.iter().map(Server::usage).collect()
    }

    /// Processor time that all processes of the site have used, in s.
    pub(super) fn cpu(&self) -> io::Result<f64> {
        let rest = self.rest.iter().flat_map(|(balancer, redis)| [balancer.pid(), redis.pid()]);
        let pids = self.servers.iter().map(Server::pid).chain(rest);
        pids.map(|pid| Ok(server::usage(pid)?.cpu)).sum()
    }

    /// Ends one server, each in its turn, and starts it again. Returns its number.
    ///
    /// # Errors
    /// Fails if it does not end in time, or does not start.
    pub(super) async fn replace(&mut self, ending: Ending) -> io::Result<usize> {
        let number = self.next;
        self.next = (number + 1) % self.servers.len();
        let mut server = self.servers.remove(number);
        let again = spawn_blocking(move || {
            match ending {
                Ending::Kill => server.kill()?,
                Ending::Drain => server.stop(DRAINED)?,
            }
            server.start_again().map(|()| server)
        });
        let server = again.await.map_err(io::Error::other)??;
        self.servers.insert(number, server);
        Ok(number)
    }

    /// Kills Redis, and starts it again without its data after `away`.
    ///
    /// # Errors
    /// Fails if it does not start in time.
    pub(super) async fn replace_redis(&mut self, away: Duration) -> io::Result<()> {
        if let Some((_, redis)) = &mut self.rest {
            redis.kill()?;
            sleep(away).await;
            redis.start_again().await?;
        }
        Ok(())
    }
}
