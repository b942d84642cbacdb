//! What is done with a connection: HTTP on it, and WebSockets, with TLS or without.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive};
use actix_service::{ServiceFactory, ServiceFactoryExt, fn_factory, fn_service, map_config};
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_web::dev::AppConfig;
use actix_web::rt::net::TcpStream;
use actix_web::{App, Error};
use rustls::ServerConfig;

use super::connection::{Connection, Stream};
use super::routes::{self, World};
use super::{origin, upgrade};
use crate::actor::courier::Round;

/// How long the head of a request may take to come.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection may take to be closed.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// Serves connections as they are.
pub fn plain(world: World) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()> {
    fn_service(|tcp: TcpStream| async move {
        let peer = tcp.peer_addr().ok();
        Ok((Connection::new(Stream::Plain(tcp)), peer))
    })
    .and_then(http(world))
}

/// Serves connections over TLS.
pub fn tls(
    world: World,
    config: ServerConfig,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()> {
    let acceptor = Acceptor::new(config);
    let acceptor = acceptor.map_init_err(|_| ()).map_err(|error| DispatchError::Io(io::Error::other(error.to_string())));
    acceptor
        .map(|tls: TlsStream<TcpStream>| {
            let peer = tls.get_ref().0.peer_addr().ok();
            (Connection::new(Stream::Tls(Box::new(tls))), peer)
        })
        .and_then(http(world))
}

/// HTTP, and the upgrades from it, by the same routes; on the thread that is to serve it.
fn http(
    world: World,
) -> impl ServiceFactory<(Connection, Option<SocketAddr>), Config = (), Response = (), Error = DispatchError, InitError = ()> {
    let round = Round::start();
    let app = move || {
        let origins = &world.shared.settings.cors.origins;
        let routes = routes::configure(world.clone(), round.clone());
        map_config(App::new().wrap(origin::cors(origins)).configure(routes), |()| AppConfig::default())
    };
    let requests = app().map_err(|error: Error| error.error_response());
    let upgrades = fn_factory(move || {
        let app = app().new_service(());
        async move {
            let app = Rc::new(app.await?);
            Ok::<_, ()>(fn_service(move |(request, framed)| upgrade::serve(Rc::clone(&app), request, framed)))
        }
    });
    HttpService::build()
        .keep_alive(KeepAlive::Disabled)
        .client_request_timeout(HEAD_WITHIN)
        .client_disconnect_timeout(CLOSED_WITHIN)
        .upgrade(upgrades)
        .h1(requests)
}
