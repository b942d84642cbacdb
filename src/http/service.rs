//! Serves connections: HTTP and WebSockets, with TLS or without.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::{DispatchError, ParseError};
use actix_http::{HttpService, KeepAlive};
use actix_service::{ServiceFactory, ServiceFactoryExt, fn_factory, fn_service, map_config};
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_web::dev::AppConfig;
use actix_web::rt::net::TcpStream;
use actix_web::{App, Error};
use rustls::ServerConfig;

use super::origin;
use super::routes::{self, AppState};
use crate::actor::message::ThreadSockets;
use crate::shared::Shared;
use crate::transport::connection::{Connection, Stream};
use crate::transport::upgrade;

/// Time in which the head of a request must arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Time in which a connection must be closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves connections without encryption.
pub fn plain(
    state: AppState,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> {
    fn_service(|tcp: TcpStream| async move {
        let peer = tcp.peer_addr().ok();
        Ok((Connection::new(Stream::Plain(tcp)), peer))
    })
    .and_then(http(state))
}

/// Serves connections over TLS.
pub fn tls(
    state: AppState,
    config: ServerConfig,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> {
    let shared = Arc::clone(&state.shared);
    let acceptor = Acceptor::new(config).map_init_err(|_| ());
    acceptor
        .map_err(move |error| bad_request(&shared, "tls", &format!("{error:?}")))
        .map(|tls: TlsStream<TcpStream>| {
            let peer = tls.get_ref().0.peer_addr().ok();
            (Connection::new(Stream::Tls(Box::new(tls))), peer)
        })
        .and_then(http(state))
}

/// Serves HTTP and upgrades by the same routes. Called on each thread that serves, and starts the
/// thread's writer.
fn http(
    state: AppState,
) -> impl ServiceFactory<
    (Connection, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = (),
    InitError = (),
> {
    let (sockets, shared) = (ThreadSockets::start(), Arc::clone(&state.shared));
    let app = move || {
        let routes = routes::configure(state.clone(), sockets.clone());
        map_config(App::new().wrap(origin::cors(&state.shared)).configure(routes), |()| {
            AppConfig::default()
        })
    };
    let requests = app().map_err(|error: Error| error.error_response());
    let upgrades = fn_factory(move || {
        let app = app().new_service(());
        async move {
            let app = Rc::new(app.await?);
            Ok::<_, ()>(fn_service(move |(request, framed)| {
                upgrade::serve(Rc::clone(&app), request, framed)
            }))
        }
    });
    HttpService::build()
        .keep_alive(KeepAlive::Disabled)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(CLOSE_TIMEOUT)
        .upgrade(upgrades)
        .h1(requests)
        .map_err(move |error| bad_request(&shared, reason(&error), &error.to_string()))
}

/// Counts a connection that ended without a valid request. Any client can cause that, so it is
/// logged at debug level.
fn bad_request(shared: &Shared, reason: &'static str, error: &str) {
    shared.metrics.bad_request(reason);
    log::debug!(reason, error; "bad request");
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library may name more ways to fail")]
const fn reason(error: &DispatchError) -> &'static str {
    match error {
        DispatchError::Parse(ParseError::TooLarge) => "too-long",
        DispatchError::Parse(_) => "malformed",
        DispatchError::Io(_) | DispatchError::DisconnectTimeout => "lost",
        _ => "other",
    }
}
