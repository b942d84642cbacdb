//! The routes, and the handlers of the small ones.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_web::http::{Method, header};
use actix_web::{
    FromRequest, Handler, HttpRequest, HttpResponse, HttpResponseBuilder, Resource, Responder,
    Route, guard, web,
};
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

use super::refusal::Refused;
use super::ticket::TicketCheck;
use super::{address, assets, handshake, origin};
use crate::actor::directory_address::DirectoryAddress;
use crate::actor::message::{
    Dying, Gathered, IdsOf, KickFrom, SummariseAll, ThreadSockets, ToDirectory,
};
use crate::actor::session;
use crate::admission::Admission;
use crate::cluster::peers;
use crate::cluster::token_key::TokenKey;
use crate::shared::Shared;
use crate::transport::upgrade;
use peerstar_core::cluster::NodeId;
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::{PageKey, PeerId, Token};
use peerstar_core::protocol::outgoing;
use peerstar_core::session::Identity;

/// Header that names the nodes of the cluster whose part of an answer is missing.
const MISSING: &str = "peerstar-missing";

/// State that every handler needs.
#[derive(Clone)]
pub struct AppState {
    /// Settings, rules, clock and metrics.
    pub shared: Arc<Shared>,
    /// Limits on the number of connections.
    pub admission: Arc<Admission>,
    /// Cancelled when the server is told to stop: it is not ready any more.
    pub stopping: CancellationToken,
    /// The directory of pages.
    pub directory: DirectoryAddress,
    /// Checks tickets, if they are needed.
    pub tickets: Option<Arc<TicketCheck>>,
    /// Hashes tokens, if this is a node of a cluster.
    pub tokens: Option<TokenKey>,
}

/// Configures all routes for one thread, whose WebSockets are `sockets`.
pub fn configure(state: AppState, sockets: ThreadSockets) -> impl FnOnce(&mut web::ServiceConfig) {
    move |app| {
        let path = state.shared.settings.server.path.trim_end_matches('/').to_owned();
        let elsewhere = web::to(|request: HttpRequest| async move { elsewhere(&request) });
        app.app_data(web::Data::new(state))
            .app_data(web::Data::new(sockets))
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
                            // With the key `peers`, GET …/peers/id and …/peers/peers are the routes
                            // below.
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

/// Returns a resource that answers GET and HEAD.
fn gets<F, Arguments>(path: &str, handler: F) -> Resource
where
    F: Handler<Arguments, Output: Responder + 'static>,
    Arguments: FromRequest + 'static,
{
    web::resource(path).route(get().to(handler)).route(other("GET, HEAD, OPTIONS"))
}

/// Returns the route for all other methods: names the allowed ones, with 204 for OPTIONS and 405
/// for the rest.
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

/// Answers what has no route. Load balancers send `OPTIONS *` and `OPTIONS /` to ask whether the
/// server answers.
fn elsewhere(request: &HttpRequest) -> HttpResponse {
    match (request.method(), request.uri().path()) {
        (&Method::OPTIONS, "*" | "/") => options("GET, HEAD, DELETE, OPTIONS"),
        _ => HttpResponse::NotFound().body("not found\n"),
    }
}

/// Returns a route for GET, and for HEAD as monitors use it.
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

/// Adds the slash at the end of the address: the links of the demo page are relative.
async fn slash(request: HttpRequest, state: web::Data<AppState>) -> HttpResponse {
    let path = &state.shared.settings.server.path;
    let location =
        request.uri().query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, location)).finish()
}

/// Answers like PeerServer, because some clients look for this.
async fn about() -> impl Responder {
    web::Json(serde_json::json!({
        "name": "peerstar",
        "description": "A PeerJS server in which every page has a host",
        "website": "https://peerjs.com/",
    }))
}

/// Says whether new clients should come. Other nodes read in a header whether this one has Redis.
async fn ready(state: web::Data<AppState>) -> HttpResponse {
    let cluster = &state.shared.cluster;
    let (is_node, shared) = (state.shared.is_node(), &state.shared);
    let reason = if state.stopping.is_cancelled() {
        Some("draining\n")
    } else if is_node && !shared.is_ready.load(Ordering::Acquire) {
        Some("not in the cluster yet\n")
    } else if cluster.is_cut_off.load(Ordering::Acquire) {
        Some("Redis cannot be reached, and other nodes reach it\n")
    } else {
        None
    };
    let mut answer = match reason {
        Some(_) => HttpResponse::ServiceUnavailable(),
        None => HttpResponse::Ok(),
    };
    if is_node {
        let has_redis = cluster.has_redis.load(Ordering::Acquire);
        answer.insert_header((peers::HEADER, if has_redis { "yes" } else { "no" }));
    }
    answer.body(reason.unwrap_or("ready\n"))
}

/// Returns a new id, whatever the key. The WebSocket refuses a wrong key, and stock clients report
/// that better.
async fn id() -> String {
    uuid::Uuid::new_v4().to_string()
}

async fn peers(
    state: web::Data<AppState>,
    key: web::Path<String>,
    request: HttpRequest,
) -> HttpResponse {
    list_peers(&state, &key, PageKey::Pageless, &request).await
}

async fn peers_on_page(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> HttpResponse {
    match page_of(&state, &request) {
        Ok(page) => list_peers(&state, &path.1, page, &request).await,
        Err(refused) => bad_request(refused),
    }
}

async fn list_peers(
    state: &AppState,
    key: &str,
    page: PageKey,
    request: &HttpRequest,
) -> HttpResponse {
    let settings = &state.shared.settings.peerjs;
    if state.tickets.is_some() && !is_admin(state, request) {
        return needs_admin();
    }
    if !settings.allow_discovery || key != settings.key {
        return HttpResponse::Unauthorized()
            .body("peerjs.allow_discovery is off, or the key is wrong\n");
    }
    match state.directory.ask(IdsOf(page)).await {
        Ok(Ok(Gathered { answer, missing })) => {
            with_missing(HttpResponse::Ok(), &missing).json(answer)
        }
        Ok(Err(Dying)) | Err(_) => dying(),
    }
}

async fn pages(state: web::Data<AppState>, request: HttpRequest) -> HttpResponse {
    if !is_admin(&state, &request) {
        return needs_admin();
    }
    match state.directory.ask(SummariseAll).await {
        Ok(Ok(Gathered { answer, missing })) => {
            with_missing(HttpResponse::Ok(), &missing).json(answer)
        }
        Ok(Err(Dying)) | Err(_) => dying(),
    }
}

/// Shows the metrics to everybody, or only to the operator if a token is set.
async fn metrics(state: web::Data<AppState>, request: HttpRequest) -> HttpResponse {
    if !state.shared.settings.auth.admin_token.is_empty() && !is_admin(&state, &request) {
        return needs_admin();
    }
    // https://prometheus.io/docs/specs/om/open_metrics_spec
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(state.shared.metrics.text())
}

async fn kick(state: web::Data<AppState>, request: HttpRequest) -> HttpResponse {
    if !is_admin(&state, &request) {
        return needs_admin();
    }
    let (key, id) = match member_of(&state, &request) {
        Ok(found) => found,
        Err(refused) => return bad_request(refused),
    };
    match state.directory.ask(KickFrom { key, id }).await {
        Ok(Ok(Gathered { answer: true, .. })) => HttpResponse::NoContent().finish(),
        Ok(Ok(Gathered { answer: false, missing })) => {
            with_missing(HttpResponse::NotFound(), &missing)
                .body("nobody of that id is on that page\n")
        }
        Ok(Err(Dying)) | Err(_) => dying(),
    }
}

#[derive(serde::Deserialize)]
struct Proof {
    token: String,
}

/// Takes the leave of a browser's page whose socket is closed, sent as a beacon. The answer does
/// not tell whether there was such a member.
async fn take_leave(
    state: web::Data<AppState>,
    proof: web::Query<Proof>,
    request: HttpRequest,
) -> HttpResponse {
    if !origin::allows(&state.shared.settings.cors.origins, &request) {
        return HttpResponse::Forbidden().body(Close::OriginRefused.message());
    }
    let (key, id) = match member_of(&state, &request) {
        Ok(found) => found,
        Err(refused) => return bad_request(refused),
    };
    match Token::parse(&proof.token).map(|token| as_compared(&state, Some(token))) {
        Ok(None) => HttpResponse::NoContent().finish(),
        Ok(Some(token)) => {
            match state.directory.ask(ToDirectory::TakeLeave { key, id, token }).await {
                Ok(()) => HttpResponse::NoContent().finish(),
                Err(_) => HttpResponse::InternalServerError().finish(),
            }
        }
        Err(why) => HttpResponse::BadRequest().body(why.to_string()),
    }
}

/// Adds a header that names the nodes of the cluster that have not answered in time.
fn with_missing(mut answer: HttpResponseBuilder, missing: &[NodeId]) -> HttpResponseBuilder {
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(ToString::to_string).collect();
        answer.insert_header((MISSING, names.join(",")));
    }
    answer
}

/// Answers while a page's actor has died and its successor does not know all sessions yet.
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

/// Returns whether the request is from the operator. Without a token nobody is.
fn is_admin(state: &AppState, request: &HttpRequest) -> bool {
    let token = &state.shared.settings.auth.admin_token;
    let said = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    !token.is_empty() && said.is_some_and(|said| token.expose().as_bytes().ct_eq(said).into())
}

/// Returns the `n`th segment below `server.path` of the request's path, not decoded: actix would
/// decode all but `%2F`. The segments of `server.path` are counted and not compared, because the
/// request may encode them too.
fn segment<'a>(state: &AppState, request: &'a HttpRequest, n: usize) -> Result<&'a str, Refused> {
    let above = state.shared.settings.server.path.matches('/').count();
    request.uri().path().split('/').nth(above + n).ok_or_else(|| Close::BadPage.into())
}

fn page_segment<'a>(state: &AppState, request: &'a HttpRequest) -> Result<&'a str, Refused> {
    segment(state, request, 1)
}

fn page_of(state: &AppState, request: &HttpRequest) -> Result<PageKey, Refused> {
    page_segment(state, request).and_then(handshake::page_in_path).map(PageKey::Named)
}

/// Returns the page and the id that `/pages/{page}/peers/{id}` names.
fn member_of(state: &AppState, request: &HttpRequest) -> Result<(PageKey, PeerId), Refused> {
    Ok((page_of(state, request)?, handshake::id_in_path(segment(state, request, 3)?)?))
}

async fn websocket(
    state: web::Data<AppState>,
    sockets: web::Data<ThreadSockets>,
    request: HttpRequest,
) -> HttpResponse {
    answer(&state, &sockets, identity(&state, &request, None), &request)
}

async fn websocket_on_page(
    state: web::Data<AppState>,
    sockets: web::Data<ThreadSockets>,
    request: HttpRequest,
) -> HttpResponse {
    let identity = page_segment(&state, &request)
        .and_then(|segment| identity(&state, &request, Some(segment)));
    answer(&state, &sockets, identity, &request)
}

fn identity(
    state: &AppState,
    request: &HttpRequest,
    page: Option<&str>,
) -> Result<Identity, Refused> {
    let identity = handshake::read(
        request.query_string(),
        page,
        &state.shared.settings.peerjs.key,
        state.tickets.as_deref(),
    )?;
    Ok(Identity { token: as_compared(state, identity.token), ..identity })
}

/// Returns a token as pages compare it. The nodes of a cluster tell each other a hash alone.
fn as_compared(state: &AppState, token: Option<Token>) -> Option<Token> {
    match &state.tokens {
        Some(key) => key.hash(&token?),
        None => token,
    }
}

/// Answers a WebSocket's handshake. A refused client gets a WebSocket too: a browser hides a failed
/// handshake from its page.
fn answer(
    state: &AppState,
    sockets: &ThreadSockets,
    identity: Result<Identity, Refused>,
    request: &HttpRequest,
) -> HttpResponse {
    let AppState { shared, directory, admission, stopping, .. } = state.clone();
    let sockets = sockets.clone();
    let handshake = match upgrade::check(request) {
        Ok(handshake) => handshake,
        Err(no_handshake) => return no_handshake.answer(),
    };
    let client = request
        .peer_addr()
        .map(|peer| address::of_client(peer, request.headers(), &shared.settings.server));
    let admitted = identity.and_then(|identity| {
        if !origin::allows(&shared.settings.cors.origins, request) {
            return Err(Close::OriginRefused.into());
        }
        // Without a permit: those that dial again and again would keep the drain waiting.
        if stopping.is_cancelled() {
            return Err(Close::Restart.into());
        }
        let permit = admission.admit(client)?;
        Ok((identity, permit))
    });
    match admitted {
        Ok((identity, permit)) => handshake.answer(move |upgraded| {
            session::start(identity, permit, &shared, &directory, sockets, upgraded);
        }),
        Err(Refused(close, detail)) => {
            log::debug!(close = close.name(), client = client.map(|address| address.to_string()); "client refused");
            let farewell = outgoing::farewell(close, detail.as_deref());
            handshake.answer(move |upgraded| session::refuse(close, farewell, &shared, upgraded))
        }
    }
}

#[cfg(not(feature = "faults"))]
const fn faults(_: &mut web::ServiceConfig) {}

/// Adds `POST faults/pages/{page}`, which makes that page's actor panic, and `PUT` and `DELETE
/// faults/pages/{page}/alone`, which begin and end its time on its own.
#[cfg(feature = "faults")]
fn faults(app: &mut web::ServiceConfig) {
    use crate::actor::message::{Fault, ToPage};
    use peerstar_core::page::Input;

    async fn send(state: web::Data<AppState>, page: &str, message: ToPage) -> HttpResponse {
        let Ok(page) = peerstar_core::protocol::id::PageName::parse(page) else {
            return HttpResponse::BadRequest().finish();
        };
        let sent = state.directory.ask(Fault { key: PageKey::Named(page), message }).await;
        if sent.unwrap_or(false) {
            HttpResponse::NoContent().finish()
        } else {
            HttpResponse::NotFound().finish()
        }
    }
    async fn fail(state: web::Data<AppState>, page: web::Path<String>) -> HttpResponse {
        send(state, &page, ToPage::Fail).await
    }
    async fn begin_alone(state: web::Data<AppState>, page: web::Path<String>) -> HttpResponse {
        send(state, &page, ToPage::Input(Input::Alone(true))).await
    }
    async fn end_alone(state: web::Data<AppState>, page: web::Path<String>) -> HttpResponse {
        send(state, &page, ToPage::Input(Input::Alone(false))).await
    }
    app.route("/faults/pages/{page}", web::post().to(fail))
        .route("/faults/pages/{page}/alone", web::put().to(begin_alone))
        .route("/faults/pages/{page}/alone", web::delete().to(end_alone));
}
