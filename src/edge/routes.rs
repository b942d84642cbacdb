//! The map of what can be asked for.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::Addr;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, Responder, Route, guard, web};
use subtle::ConstantTimeEq;

use super::handshake::{self, Refused};
use super::ticket::TicketCheck;
use super::{assets, origin, upgrade};
use crate::actor::courier::Round;
use crate::actor::directory::PageDirectory;
use crate::actor::message::{IdsOf, KickFrom, SummariseAll, ToDirectory};
use crate::actor::session;
use crate::core::close::Close;
use crate::core::id::{PageKey, Token};
use crate::shared::Shared;

/// What every handler is given.
#[derive(Clone)]
pub struct World {
    /// Settings and counters.
    pub shared: Arc<Shared>,
    /// Where pages are found.
    pub directory: Addr<PageDirectory>,
    /// Checks tickets, where they are needed.
    pub tickets: Option<Arc<TicketCheck>>,
}

/// All routes, as one thread serves them, with the courier of which `round` is.
pub fn configure(world: World, round: Round) -> impl FnOnce(&mut web::ServiceConfig) {
    move |app| {
        let path = world.shared.settings.server.path.trim_end_matches('/').to_owned();
        app.app_data(web::Data::new(world)).app_data(web::Data::new(round)).service(
            web::scope(&path)
                .route("/", get().guard(wants_html()).to(|request: HttpRequest| async move { assets::index(&request) }))
                .route("/", get().to(about))
                .route("", get().to(slash))
                .route("/health", get().to(|| async { "ok\n" }))
                .route("/ready", get().to(ready))
                .route("/metrics", get().to(metrics))
                .route("/pages", get().to(pages))
                .route("/pages/{page}/peers/{id}", web::delete().to(kick))
                .route("/pages/{page}/peers/{id}/leave", web::post().to(take_leave))
                .route("/peerjs", get().to(websocket))
                .route("/pages/{page}/peerjs", get().to(websocket_on_page))
                .route("/pages/{page}/{key}/id", get().to(id))
                .route("/pages/{page}/{key}/peers", get().to(peers_on_page))
                .route("/{key}/id", get().to(id))
                .route("/{key}/peers", get().to(peers))
                .configure(faults)
                .route("/{file}", get().to(assets::file)),
        );
    }
}

/// GET, and HEAD as those who look after servers ask.
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

fn wants_html() -> impl guard::Guard {
    guard::fn_guard(|ctx| {
        let accept = ctx.head().headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        accept.is_some_and(|accept| accept.contains("text/html"))
    })
}

/// The page's links are relative: its address must end with a slash.
async fn slash(request: HttpRequest, world: web::Data<World>) -> HttpResponse {
    let path = &world.shared.settings.server.path;
    let location = request.uri().query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, location)).finish()
}

/// As PeerServer answers there, which some probe for.
async fn about() -> impl Responder {
    web::Json(serde_json::json!({
        "name": "peerstar",
        "description": "A PeerJS server in which every page has a host",
        "website": "https://peerjs.com/",
    }))
}

async fn ready(world: web::Data<World>) -> HttpResponse {
    if world.shared.draining.load(Ordering::Relaxed) {
        return HttpResponse::ServiceUnavailable().body("draining\n");
    }
    HttpResponse::Ok().body("ready\n")
}

/// A fresh id, whatever the key: a wrong one is refused by the WebSocket, where the stock client words it better.
async fn id() -> String {
    uuid::Uuid::new_v4().to_string()
}

async fn peers(world: web::Data<World>, key: web::Path<String>, request: HttpRequest) -> HttpResponse {
    list_peers(&world, &key, PageKey::Pageless, &request).await
}

async fn peers_on_page(world: web::Data<World>, path: web::Path<(String, String)>, request: HttpRequest) -> HttpResponse {
    match page_of(&world, &request) {
        Ok(page) => list_peers(&world, &path.1, page, &request).await,
        Err(refused) => bad_request(refused),
    }
}

async fn list_peers(world: &World, key: &str, page: PageKey, request: &HttpRequest) -> HttpResponse {
    let settings = &world.shared.settings.peerjs;
    if world.tickets.is_some() && !is_admin(world, request) {
        return needs_admin();
    }
    if !settings.allow_discovery || key != settings.key {
        return HttpResponse::Unauthorized().body("peerjs.allow_discovery is off, or the key is wrong\n");
    }
    match world.directory.send(IdsOf(page)).await {
        Ok(ids) => HttpResponse::Ok().json(ids),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

async fn pages(world: web::Data<World>, request: HttpRequest) -> HttpResponse {
    if !is_admin(&world, &request) {
        return needs_admin();
    }
    match world.directory.send(SummariseAll).await {
        Ok(pages) => HttpResponse::Ok().json(pages),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

/// For everybody, unless a token is set.
async fn metrics(world: web::Data<World>, request: HttpRequest) -> HttpResponse {
    if !world.shared.settings.auth.admin_token.is_empty() && !is_admin(&world, &request) {
        return needs_admin();
    }
    // https://prometheus.io/docs/specs/om/open_metrics_spec
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(world.shared.metrics.text())
}

async fn kick(world: web::Data<World>, request: HttpRequest) -> HttpResponse {
    if !is_admin(&world, &request) {
        return needs_admin();
    }
    let id = || handshake::id_in_path(segment(&world, &request, 3)?);
    let (key, id) = match page_of(&world, &request).and_then(|page| Ok((page, id()?))) {
        Ok(found) => found,
        Err(refused) => return bad_request(refused),
    };
    match world.directory.send(KickFrom { key, id }).await {
        Ok(true) => HttpResponse::NoContent().finish(),
        Ok(false) => HttpResponse::NotFound().body("nobody of that id is on that page\n"),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

#[derive(serde::Deserialize)]
struct Proof {
    token: String,
}

/// A page that goes while its socket is closed says so, in a beacon. Whether anybody was waited for is not told.
async fn take_leave(world: web::Data<World>, proof: web::Query<Proof>, request: HttpRequest) -> HttpResponse {
    if !origin::allows(&world.shared.settings.cors.origins, &request) {
        return HttpResponse::Forbidden().body(Close::OriginRefused.message());
    }
    let id = || handshake::id_in_path(segment(&world, &request, 3)?);
    let (key, id) = match page_of(&world, &request).and_then(|page| Ok((page, id()?))) {
        Ok(found) => found,
        Err(refused) => return bad_request(refused),
    };
    match Token::parse(&proof.token) {
        Ok(token) => match world.directory.send(ToDirectory::TakeLeave { key, id, token }).await {
            Ok(()) => HttpResponse::NoContent().finish(),
            Err(_) => HttpResponse::InternalServerError().finish(),
        },
        Err(why) => HttpResponse::BadRequest().body(why.to_string()),
    }
}

fn bad_request(Refused(close, detail): Refused) -> HttpResponse {
    HttpResponse::BadRequest().body(detail.unwrap_or_else(|| close.message().into()))
}

fn needs_admin() -> HttpResponse {
    HttpResponse::Unauthorized()
        .insert_header((header::WWW_AUTHENTICATE, "Bearer"))
        .body("needs auth.admin_token as `Authorization: Bearer`\n")
}

/// Nobody is, while no token is set.
fn is_admin(world: &World, request: &HttpRequest) -> bool {
    let token = &world.shared.settings.auth.admin_token;
    let said = request.headers().get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    !token.is_empty() && said.is_some_and(|said| token.as_bytes().ct_eq(said).into())
}

/// The `n`th part of the path as it was sent: actix decodes all but `%2F`, and once is right.
fn segment<'a>(world: &World, request: &'a HttpRequest, n: usize) -> Result<&'a str, Refused> {
    let below = request.uri().path().strip_prefix(&*world.shared.settings.server.path);
    below.and_then(|below| below.split('/').nth(n)).ok_or_else(|| Close::BadPage.into())
}

fn page_segment<'a>(world: &World, request: &'a HttpRequest) -> Result<&'a str, Refused> {
    segment(world, request, 1)
}

fn page_of(world: &World, request: &HttpRequest) -> Result<PageKey, Refused> {
    page_segment(world, request).and_then(handshake::page_in_path).map(PageKey::Named)
}

async fn websocket(world: web::Data<World>, round: web::Data<Round>, request: HttpRequest) -> actix_web::Result<HttpResponse> {
    answer(&world, &round, identity(&world, &request, None), &request)
}

async fn websocket_on_page(
    world: web::Data<World>,
    round: web::Data<Round>,
    request: HttpRequest,
) -> actix_web::Result<HttpResponse> {
    let identity = page_segment(&world, &request).and_then(|segment| identity(&world, &request, Some(segment)));
    answer(&world, &round, identity, &request)
}

fn identity(world: &World, request: &HttpRequest, page: Option<&str>) -> Result<session::Identity, Refused> {
    handshake::read(request.query_string(), page, &world.shared.settings.peerjs.key, world.tickets.as_deref())
}

/// Every refusal is a WebSocket too: a browser shows a page nothing of a failed handshake.
fn answer(
    world: &World,
    round: &Round,
    identity: Result<session::Identity, Refused>,
    request: &HttpRequest,
) -> actix_web::Result<HttpResponse> {
    let (World { shared, directory, .. }, round) = (world.clone(), round.clone());
    let admitted = identity.and_then(|identity| {
        if !origin::allows(&shared.settings.cors.origins, request) {
            return Err(Close::OriginRefused.into());
        }
        let place = shared.take_place(client_address(&shared, request))?;
        Ok((identity, place))
    });
    match admitted {
        Ok((identity, place)) => upgrade::answer(request, move |upgraded| {
            session::start(identity, place, &shared, &directory, round, upgraded);
        }),
        Err(Refused(close, detail)) => {
            log::debug!("refused close={} peer={:?}", close.name(), request.peer_addr());
            let words = close.farewell(detail.as_deref()).unwrap_or_default();
            upgrade::answer(request, move |upgraded| session::refuse(close, words, &shared, upgraded))
        }
    }
}

/// Whose connection it is. A proxy says so, but only one on a private network is believed.
fn client_address(shared: &Shared, request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    if !shared.settings.server.proxied || !is_private(peer) {
        return Some(peer);
    }
    let forwarded = request.headers().get_all("x-forwarded-for").last().and_then(|value| value.to_str().ok());
    // the last of the last line is what our own proxy saw; what is before it, it was told
    forwarded.and_then(|list| list.rsplit(',').next()?.trim().parse().ok()).or(Some(peer))
}

const fn is_private(address: IpAddr) -> bool {
    match address {
        // 100.64/10 is shared address space (RFC 6598), which cloud routers use
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local() || matches!(v4.octets(), [100, 64..=127, ..]),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(not(feature = "faults"))]
const fn faults(_: &mut web::ServiceConfig) {}

/// `POST faults/pages/{page}`: that page's actor panics.
#[cfg(feature = "faults")]
fn faults(app: &mut web::ServiceConfig) {
    async fn fail(world: web::Data<World>, page: web::Path<String>) -> HttpResponse {
        let Ok(page) = crate::core::id::PageName::parse(&page) else { return HttpResponse::BadRequest().finish() };
        let failed = world.directory.send(crate::actor::message::FailPage(PageKey::Named(page))).await;
        if failed.unwrap_or(false) { HttpResponse::NoContent().finish() } else { HttpResponse::NotFound().finish() }
    }
    app.route("/faults/pages/{page}", web::post().to(fail));
}
