//! Which sites may use the server: the same list for fetches (CORS) and for WebSockets, which CORS does not guard.

use actix_cors::Cors;
use actix_web::HttpRequest;
use actix_web::http::header;

/// CORS as PeerServer has it: any origin, reflected, or only those listed.
pub fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default().allow_any_method().allow_any_header().max_age(3600);
    if origins.is_empty() {
        return cors.allow_any_origin();
    }
    // a request from elsewhere is answered, without the header that would let its page read the answer
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin)).block_on_origin_mismatch(false)
}

/// Whether a WebSocket may come from where this one says it does. One that says nothing is no browser.
#[must_use]
pub fn allows(origins: &[String], request: &HttpRequest) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return true };
    origins.is_empty() || origins.iter().any(|allowed| origin.as_bytes().eq_ignore_ascii_case(allowed.as_bytes()))
}
