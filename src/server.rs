//! The server as a whole: how it listens, serves and drains.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_server::Server;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::actor::cluster::start as node;
use crate::actor::directory::PageDirectory;
use crate::actor::directory_address::DirectoryAddress;
use crate::actor::message::ToDirectory;
use crate::admission::Admission;
use crate::cluster::address::Address;
use crate::cluster::peers;
use crate::cluster::token_key::TokenKey;
use crate::http::ticket::TicketCheck;
use crate::http::{routes, service};
use crate::settings::{Settings, ms};
use crate::shared::Shared;
use crate::tls::Certificate;
use peerstar_core::cluster::solitude::{Solitude, Step};

/// Number of connections that may wait to be accepted. After a restart all clients come at once.
const BACKLOG: i32 = 8192;
/// Time that a drain may take before the remaining connections are cut. With [`LAST_REQUESTS_S`] it
/// stays below 15 s.
const DRAIN: Duration = Duration::from_secs(10);
/// Time that plain HTTP requests may take after the drain, in seconds.
const LAST_REQUESTS_S: u64 = 2;
/// Interval at which a node looks whether it has Redis.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why the server can never work with these settings.
#[derive(Debug, thiserror::Error)]
#[error("cluster.url: {0}")]
pub struct Hopeless(String);

/// The node has lost Redis for so long that its clients are better off elsewhere.
#[derive(Debug, thiserror::Error)]
#[error("Redis cannot be reached: the clients of this node are with others now")]
pub struct CutOff;

/// Listens on the address of the settings.
///
/// # Errors
/// When the address cannot be resolved, or is in use.
pub fn listen(settings: &Settings) -> io::Result<TcpListener> {
    let address = (settings.server.host.as_str(), settings.server.port);
    let address = std::net::ToSocketAddrs::to_socket_addrs(&address)?
        .next()
        .ok_or(io::ErrorKind::AddrNotAvailable)?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Each connection inherits these options from the listener on Linux. The timeout ends a connection
    // whose client reads nothing; without a delay small messages go out at once.
    socket.set_tcp_user_timeout(Some(ms(settings.liveness.timeout_ms)))?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Serves until `stopping` is cancelled, then drains and returns. Serves over TLS where there is a
/// certificate, and as a node of a cluster where there is the address of its Redis. Must run inside
/// an actix `System`.
///
/// # Errors
/// When the server cannot start, or ends by itself.
pub async fn run(
    settings: Settings,
    listener: TcpListener,
    certificate: Option<Arc<Certificate>>,
    redis: Option<Address>,
    stopping: CancellationToken,
) -> io::Result<()> {
    let descriptors = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let shared = Shared::new(settings);
    let settings = &shared.settings;
    let admission = Admission::new(settings, descriptors, shared.metrics.connections.clone());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = if settings.server.workers == 0 { cores } else { settings.server.workers };
    let directory = match redis {
        Some(redis) => DirectoryAddress::Node(node::start(&shared, redis, workers / 2)?),
        None => {
            let shared = Arc::clone(&shared);
            DirectoryAddress::Alone(PageDirectory::start_with_pages(shared, workers / 2))
        }
    };
    let secret = &settings.auth.ticket_secret;
    let tickets = (!secret.is_empty()).then(|| Arc::new(TicketCheck::new(secret.expose())));
    let cluster = &settings.cluster;
    let tokens = if shared.is_node() {
        Some(TokenKey::new(cluster.secret.expose()).map_err(io::Error::other)?)
    } else {
        None
    };
    let state = routes::AppState {
        shared: Arc::clone(&shared),
        admission: Arc::clone(&admission),
        stopping: stopping.clone(),
        directory: directory.clone(),
        tickets,
        tokens,
    };
    log::info!(
        address:% = listener.local_addr()?,
        tls = certificate.is_some(),
        path = settings.server.path,
        max_connections = admission.max_connections();
        "listening"
    );
    if !settings.server.public_url.is_empty() {
        log::info!(url = settings.server.public_url; "public address");
    }
    if secret.is_empty() {
        log::info!("anyone may join any page: tickets are not required");
    }

    let server = Server::build()
        .workers(workers)
        // limits plain HTTP on each worker; `Admission` limits WebSockets, and can tell clients why
        .max_concurrent_connections(usize::try_from(descriptors).unwrap_or(usize::MAX))
        .shutdown_timeout(LAST_REQUESTS_S)
        .disable_signals();
    let server = match certificate {
        Some(certificate) => {
            let config = certificate.server_config().map_err(io::Error::other)?;
            server
                .listen("peerstar", listener, move || service::tls(state.clone(), config.clone()))?
        }
        None => server.listen("peerstar", listener, move || service::plain(state.clone()))?,
    };
    let server = server.run();
    let handle = server.handle();
    let mut serving = actix_web::rt::spawn(server);

    let cut_off = solitude(Arc::clone(&shared));
    let mut why = Ok(());
    tokio::select! {
        () = stopping.cancelled() => (),
        () = cut_off, if shared.is_node() => {
            why = Err(io::Error::other(CutOff));
            stopping.cancel();
        }
        () = shared.stops_hopeless.cancelled() => {
            let why = shared.hopeless.get().cloned().unwrap_or_default();
            return Err(io::Error::other(Hopeless(why)));
        }
        // a server that could start does not end by itself
        ended = &mut serving => {
            let ended = ended.unwrap_or_else(|error| Err(io::Error::other(error)));
            return ended.and(Err(io::Error::other("the server ended")));
        }
    }
    log::info!(connections = admission.connections(); "draining");
    directory.tell(ToDirectory::Drain { connections: admission.connections() });
    let emptied = async {
        admission.wait_until_empty().await;
        if shared.is_node() {
            shared.drained.cancelled().await;
        }
    };
    let _ = timeout(DRAIN, emptied).await;
    let left = admission.connections();
    let _ = timeout(Duration::from_secs(LAST_REQUESTS_S + 1), handle.stop(true)).await;
    serving.abort();
    log::info!(connections_cut = left; "stopped");
    why
}

/// Watches whether this node alone has lost Redis. Returns when it is to leave for that.
async fn solitude(shared: Arc<Shared>) {
    let (cluster, mut solitude) = (&shared.cluster, Solitude::default());
    loop {
        sleep(LOOK_EVERY).await;
        let has_redis = cluster.has_redis.load(Ordering::Acquire);
        let others = cluster.others();
        // alone in its cluster, or never in it: nobody is better off
        let is_lost = !has_redis && others.count > 0;
        match solitude.tick(shared.clock.now(), is_lost) {
            Step::Rest => {}
            Step::Ask => {
                let answer = peers::ask(&others.addresses).await;
                solitude.answered(shared.clock.now(), answer);
            }
            Step::Leave => {
                log::error!("Redis cannot be reached: this node leaves its clients to others");
                return;
            }
        }
        let is_alone = solitude.is_alone();
        match (cluster.is_cut_off.swap(is_alone, Ordering::AcqRel), is_alone) {
            (false, true) => log::warn!("other nodes have Redis, and this one has not"),
            (true, false) => log::info!("this node is no more the only one without Redis"),
            (true, true) | (false, false) => {}
        }
    }
}
