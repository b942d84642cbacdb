//! How it is put together, runs and stops.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_server::Server;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::{Instant, sleep, timeout};

use crate::actor::directory::PageDirectory;
use crate::actor::message::ToDirectory;
use crate::admission::Admission;
use crate::http::ticket::TicketCheck;
use crate::http::{routes, service};
use crate::settings::{Settings, ms};
use crate::shared::Shared;
use crate::tls::Certificate;

/// How many connections may wait to be accepted: after a restart all clients come at once.
const BACKLOG: i32 = 8192;
/// How long a drain may take until the rest is cut off. With what follows it stays below 15 s.
const DRAIN: Duration = Duration::from_secs(10);
/// How long plain HTTP requests may take after that.
const LAST_REQUESTS_S: u64 = 2;

/// Listens where the settings say.
///
/// # Errors
/// When the address is wrong or taken.
pub fn listen(settings: &Settings) -> io::Result<TcpListener> {
    let address = (settings.server.host.as_str(), settings.server.port);
    let address = std::net::ToSocketAddrs::to_socket_addrs(&address)?
        .next()
        .ok_or(io::ErrorKind::AddrNotAvailable)?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Linux gives these to each connection. A client that stops reading is noticed by the kernel alone; small messages go out
    // at once.
    socket.set_tcp_user_timeout(Some(ms(settings.liveness.timeout_ms)))?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Serves until `stop` is ready, then drains and returns; over TLS where there is a certificate. Must run inside an actix
/// `System`.
///
/// # Errors
/// When serving fails.
pub async fn run(
    settings: Settings,
    listener: TcpListener,
    certificate: Option<Arc<Certificate>>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let descriptors = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let shared = Shared::new(settings);
    let settings = &shared.settings;
    let admission = Admission::new(settings, descriptors, shared.metrics.connections.clone());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = if settings.server.workers == 0 { cores } else { settings.server.workers };
    let directory = PageDirectory::start_with_pages(Arc::clone(&shared), workers / 2);
    let secret = &settings.auth.ticket_secret;
    let tickets = (!secret.is_empty()).then(|| Arc::new(TicketCheck::new(secret.expose())));
    let world = routes::AppState {
        shared: Arc::clone(&shared),
        admission: Arc::clone(&admission),
        directory: directory.clone(),
        tickets,
    };
    log::info!(
        "listening address={} tls={} path={} max_connections={}",
        listener.local_addr()?,
        certificate.is_some(),
        settings.server.path,
        admission.max_connections()
    );
    if !settings.server.public_url.is_empty() {
        log::info!("public url={}", settings.server.public_url);
    }
    if secret.is_empty() {
        log::info!("anyone may join any page: no tickets are asked for");
    }

    let server = Server::build()
        .workers(workers)
        // counts what is still HTTP, for each worker; sockets are counted where the reason can be told
        .max_concurrent_connections(usize::try_from(descriptors).unwrap_or(usize::MAX))
        .shutdown_timeout(LAST_REQUESTS_S)
        .disable_signals();
    let server = match certificate {
        Some(certificate) => {
            let config = certificate.server_config().map_err(io::Error::other)?;
            server
                .listen("peerstar", listener, move || service::tls(world.clone(), config.clone()))?
        }
        None => server.listen("peerstar", listener, move || service::plain(world.clone()))?,
    };
    let server = server.run();
    let handle = server.handle();
    let mut serving = actix_web::rt::spawn(server);

    tokio::select! {
        () = stop => (),
        // it never ends by itself, unless it could not begin
        ended = &mut serving => return ended.unwrap_or_else(|e| Err(io::Error::other(e))).and(Err(io::Error::other("the server ended"))),
    }
    admission.begin_drain();
    let open = || admission.open();
    log::info!("draining connections={}", open());
    drain(&directory, open());
    let deadline = Instant::now() + DRAIN;
    while open() > 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(20)).await;
    }
    let left = open();
    let stopping = handle.stop(true);
    let _ = timeout(Duration::from_secs(LAST_REQUESTS_S + 1), stopping).await;
    serving.abort();
    log::info!("stopped connections_cut={left}");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "once")]
fn drain(directory: &actix::Addr<PageDirectory>, connections: usize) {
    directory.do_send(ToDirectory::Drain { connections });
}
