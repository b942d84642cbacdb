//! The map of what can be asked for.

use std::sync::Arc;

use actix::Addr;
use actix_web::http::{Method, header};
use actix_web::{
    FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, Route, guard, web,
};
use subtle::ConstantTimeEq;

use super::handshake::{self, Refused};
use super::ticket::TicketCheck;
use super::{address, assets, origin};
use crate::actor::directory::PageDirectory;
use crate::actor::message::{Dying, IdsOf, KickFrom, SummariseAll, ToDirectory};
use crate::actor::session;
use crate::actor::writer::ThreadSockets;
use crate::shared::Shared;
use crate::transport::upgrade;
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::{PageKey, PeerId, Token};
use peerstar_core::protocol::outgoing;

/// What every handler is given.
#[derive(Clone)]
pub struct AppState {
    /// Settings and counters.
    pub shared: Arc<Shared>,
    /// Where pages are found.
    pub directory: Addr<PageDirectory>,
    /// Checks tickets, where they are needed.
    pub tickets: Option<Arc<TicketCheck>>,
}

/// All routes, as one thread serves them, with the courier of which `round` is.
pub fn configure(world: AppState, round: ThreadSockets) -> impl FnOnce(&mut web::ServiceConfig) {
    move |app| {
        let path = world.shared.settings.server.path.trim_end_matches('/').to_owned();
        let elsewhere = web::to(|request: HttpRequest| async move { elsewhere(&request) });
        app.app_data(web::Data::new(world))
            .app_data(web::Data::new(round))
            .default_service(elsewhere)
            .service(
                web::scope(&path)
                    .service(
                        web::resource("/")
                            .route(
                                get().guard(wants_html()).to(|request: HttpRequest| async move {
                                    assets::index(&request)
                                }),
                            )
                            .route(get().to(about))
                            .route(other("GET, HEAD, OPTIONS")),
                    )
                    .service(gets("", slash))
                    .service(gets("/health", || async { "ok\n" }))
                    .service(gets("/ready", ready))
                    .service(gets("/metrics", metrics))
                    .service(gets("/pages", pages))
                    .service(
                        web::resource("/pages/{page}/peers/{id}")
                            // where the key is `peers`, GET …/peers/id and …/peers/peers are the routes below
                            .guard(guard::Not(guard::Any(guard::Get()).or(guard::Head())))
                            .route(web::delete().to(kick))
                            .route(other("DELETE, OPTIONS")),
                    )
                    .service(
                        web::resource("/peerjs")
                            .route(web::get().to(websocket))
                            .route(other("GET, OPTIONS")),
                    )
                    .service(
                        web::resource("/pages/{page}/peerjs")
                            .route(web::get().to(websocket_on_page))
                            .route(other("GET, OPTIONS")),
                    )
                    .service(gets("/pages/{page}/{key}/id", id))
                    .service(gets("/pages/{page}/{key}/peers", peers_on_page))
                    .service(
                        web::resource("/pages/{page}/peers/{id}").route(other("DELETE, OPTIONS")),
                    )
                    .service(
                        web::resource("/pages/{page}/peers/{id}/leave")
                            .route(web::post().to(take_leave))
                            .route(other("POST, OPTIONS")),
                    )
                    .service(gets("/{key}/id", id))
                    .service(gets("/{key}/peers", peers))
                    .configure(faults)
                    .service(gets("/{file}", assets::file)),
            );
    }
}

/// A route that answers GET and HEAD.
fn gets<F, Arguments>(path: &str, handler: F) -> Resource
where
    F: Handler<Arguments, Output: Responder + 'static>,
    Arguments: FromRequest + 'static,
{
    web::resource(path).route(get().to(handler)).route(other("GET, HEAD, OPTIONS"))
}

/// The answer to all other methods of a route: what is allowed, with 204 for OPTIONS and 405 for the rest.
fn other(allow: &'static str) -> Route {
    web::to(move |method: Method| async move {
        if method == Method::OPTIONS {
            return options(allow);
        }
        HttpResponse::MethodNotAllowed()
            .insert_header((header::ALLOW, allow))
            .body(format!("this address answers {allow}\n"))
    })
}

fn options(allow: &'static str) -> HttpResponse {
    HttpResponse::NoContent().insert_header((header::ALLOW, allow)).finish()
}

/// What is below no route. `OPTIONS *` and `OPTIONS /` ask whether the server answers at all, as load balancers do.
fn elsewhere(request: &HttpRequest) -> HttpResponse {
    match (request.method(), request.uri().path()) {
        (&Method::OPTIONS, "*" | "/") => options("GET, HEAD, DELETE, OPTIONS"),
        _ => HttpResponse::NotFound().body("not found\n"),
    }
}

/// GET, and HEAD as those who look after servers ask.
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

fn wants_html() -> impl guard::Guard {
    guard::fn_guard(|ctx| {
        let accept =
            ctx.head().headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        accept.is_some_and(|accept| accept.contains("text/html"))
    })
}

/// The page's links are relative: its address must end with a slash.
async fn slash(request: HttpRequest, world: web::Data<AppState>) -> HttpResponse {
    let path = &world.shared.settings.server.path;
    let location =
        request.uri().query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
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

async fn ready(world: web::Data<AppState>) -> HttpResponse {
    if world.shared.stopping.is_cancelled() {
        return HttpResponse::ServiceUnavailable().body("draining\n");
    }
    HttpResponse::Ok().body("ready\n")
}

/// A fresh id, whatever the key: a wrong one is refused by the WebSocket, where the stock client words it better.
async fn id() -> String {
    uuid::Uuid::new_v4().to_string()
}

async fn peers(
    world: web::Data<AppState>,
    key: web::Path<String>,
    request: HttpRequest,
) -> HttpResponse {
    list_peers(&world, &key, PageKey::Pageless, &request).await
}

async fn peers_on_page(
    world: web::Data<AppState>,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> HttpResponse {
    match page_of(&world, &request) {
        Ok(page) => list_peers(&world, &path.1, page, &request).await,
        Err(refused) => bad_request(refused),
    }
}

async fn list_peers(
    world: &AppState,
    key: &str,
    page: PageKey,
    request: &HttpRequest,
) -> HttpResponse {
    let settings = &world.shared.settings.peerjs;
    if world.tickets.is_some() && !is_admin(world, request) {
        return needs_admin();
    }
    if !settings.allow_discovery || key != settings.key {
        return HttpResponse::Unauthorized()
            .body("peerjs.allow_discovery is off, or the key is wrong\n");
    }
    match world.directory.send(IdsOf(page)).await {
        Ok(Ok(ids)) => HttpResponse::Ok().json(ids),
        Ok(Err(Dying)) | Err(_) => dying(),
    }
}

async fn pages(world: web::Data<AppState>, request: HttpRequest) -> HttpResponse {
    if !is_admin(&world, &request) {
        return needs_admin();
    }
    match world.directory.send(SummariseAll).await {
        Ok(Ok(pages)) => HttpResponse::Ok().json(pages),
        Ok(Err(Dying)) | Err(_) => dying(),
    }
}

/// For everybody, unless a token is set.
async fn metrics(world: web::Data<AppState>, request: HttpRequest) -> HttpResponse {
    if !world.shared.settings.auth.admin_token.is_empty() && !is_admin(&world, &request) {
        return needs_admin();
    }
    // https://prometheus.io/docs/specs/om/open_metrics_spec
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(world.shared.metrics.text())
}

async fn kick(world: web::Data<AppState>, request: HttpRequest) -> HttpResponse {
    if !is_admin(&world, &request) {
        return needs_admin();
    }
    let (key, id) = match member_of(&world, &request) {
        Ok(found) => found,
        Err(refused) => return bad_request(refused),
    };
    match world.directory.send(KickFrom { key, id }).await {
        Ok(Ok(true)) => HttpResponse::NoContent().finish(),
        Ok(Ok(false)) => HttpResponse::NotFound().body("nobody of that id is on that page\n"),
        Ok(Err(Dying)) | Err(_) => dying(),
    }
}

#[derive(serde::Deserialize)]
struct Proof {
    token: String,
}

/// A page that goes while its socket is closed says so, in a beacon. Whether anybody was waited for is not told.
async fn take_leave(
    world: web::Data<AppState>,
    proof: web::Query<Proof>,
    request: HttpRequest,
) -> HttpResponse {
    if !origin::allows(&world.shared.settings.cors.origins, &request) {
        return HttpResponse::Forbidden().body(Close::OriginRefused.message());
    }
    let (key, id) = match member_of(&world, &request) {
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

/// The answer while a page's actor has died: what it knew is known again in a moment.
fn dying() -> HttpResponse {
    HttpResponse::ServiceUnavailable()
        .insert_header((header::RETRY_AFTER, "1"))
        .body("a page failed just now and is made anew: ask again in a second\n")
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
fn is_admin(world: &AppState, request: &HttpRequest) -> bool {
    let token = &world.shared.settings.auth.admin_token;
    let said = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    !token.is_empty() && said.is_some_and(|said| token.expose().as_bytes().ct_eq(said).into())
}

/// The `n`th part, below `server.path`, of the request's path as it was sent: actix decodes all but `%2F`, and once is right.
/// `server.path` is counted, not compared: it may be percent-encoded as well.
fn segment<'a>(world: &AppState, request: &'a HttpRequest, n: usize) -> Result<&'a str, Refused> {
    let above = world.shared.settings.server.path.matches('/').count();
    request.uri().path().split('/').nth(above + n).ok_or_else(|| Close::BadPage.into())
}

fn page_segment<'a>(world: &AppState, request: &'a HttpRequest) -> Result<&'a str, Refused> {
    segment(world, request, 1)
}

fn page_of(world: &AppState, request: &HttpRequest) -> Result<PageKey, Refused> {
    page_segment(world, request).and_then(handshake::page_in_path).map(PageKey::Named)
}

/// The page and the id that `/pages/{page}/peers/{id}` names.
fn member_of(world: &AppState, request: &HttpRequest) -> Result<(PageKey, PeerId), Refused> {
    Ok((page_of(world, request)?, handshake::id_in_path(segment(world, request, 3)?)?))
}

async fn websocket(
    world: web::Data<AppState>,
    round: web::Data<ThreadSockets>,
    request: HttpRequest,
) -> HttpResponse {
    answer(&world, &round, identity(&world, &request, None), &request)
}

async fn websocket_on_page(
    world: web::Data<AppState>,
    round: web::Data<ThreadSockets>,
    request: HttpRequest,
) -> HttpResponse {
    let identity = page_segment(&world, &request)
        .and_then(|segment| identity(&world, &request, Some(segment)));
    answer(&world, &round, identity, &request)
}

fn identity(
    world: &AppState,
    request: &HttpRequest,
    page: Option<&str>,
) -> Result<session::Identity, Refused> {
    handshake::read(
        request.query_string(),
        page,
        &world.shared.settings.peerjs.key,
        world.tickets.as_deref(),
    )
}

/// Every refusal is a WebSocket too: a browser shows a page nothing of a failed handshake.
fn answer(
    world: &AppState,
    round: &ThreadSockets,
    identity: Result<session::Identity, Refused>,
    request: &HttpRequest,
) -> HttpResponse {
    let (AppState { shared, directory, .. }, round) = (world.clone(), round.clone());
    let handshake = match upgrade::check(request) {
        Ok(handshake) => handshake,
        Err(none) => return none.answer(),
    };
    let client = request
        .peer_addr()
        .map(|peer| address::of_client(peer, request.headers(), &shared.settings.server));
    let admitted = identity.and_then(|identity| {
        if !origin::allows(&shared.settings.cors.origins, request) {
            return Err(Close::OriginRefused.into());
        }
        let place = shared.admission.admit(client)?;
        Ok((identity, place))
    });
    match admitted {
        Ok((identity, place)) => handshake.answer(move |upgraded| {
            session::start(identity, place, &shared, &directory, round, upgraded);
        }),
        Err(Refused(close, detail)) => {
            log::debug!(close = close.name(), client = client.map(|address| address.to_string()); "client refused");
            let words = outgoing::farewell(close, detail.as_deref());
            handshake.answer(move |upgraded| session::refuse(close, words, &shared, upgraded))
        }
    }
}

#[cfg(not(feature = "faults"))]
const fn faults(_: &mut web::ServiceConfig) {}

/// `POST faults/pages/{page}`: that page's actor panics.
#[cfg(feature = "faults")]
fn faults(app: &mut web::ServiceConfig) {
    async fn fail(world: web::Data<AppState>, page: web::Path<String>) -> HttpResponse {
        let Ok(page) = peerstar_core::protocol::id::PageName::parse(&page) else {
            return HttpResponse::BadRequest().finish();
        };
        let failed =
            world.directory.send(crate::actor::message::FailPage(PageKey::Named(page))).await;
        if failed.unwrap_or(false) {
            HttpResponse::NoContent().finish()
        } else {
            HttpResponse::NotFound().finish()
        }
    }
    app.route("/faults/pages/{page}", web::post().to(fail));
}
