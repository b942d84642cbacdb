//! Which sites may use the server. One list is for fetches (CORS) and for WebSockets, which CORS
//! does not protect.

use std::sync::Arc;

use actix_cors::Cors;
use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderValue};

use crate::settings::origin::Origin;
use crate::shared::Shared;

/// Returns the rules of CORS, like PeerServer's: any origin is reflected, or only the listed ones.
pub fn cors(shared: &Arc<Shared>) -> Cors {
    let cors = Cors::default().allow_any_method().allow_any_header().max_age(3600);
    if shared.settings.cors.origins.is_empty() {
        return cors.allow_any_origin();
    }
    let shared = Arc::clone(shared);
    let is_listed = move |origin: &HeaderValue| lists(&shared.settings.cors.origins, origin);
    // A request from another site is answered, without the header that would let the site read the
    // answer.
    cors.allowed_origin_fn(move |origin, _| is_listed(origin)).block_on_origin_mismatch(false)
}

/// Returns whether a request's `Origin` is allowed. A request without one is from no browser, and
/// is allowed.
#[must_use]
pub fn allows(origins: &[Origin], request: &HttpRequest) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return true };
    origins.is_empty() || lists(origins, origin)
}

fn lists(origins: &[Origin], said: &HeaderValue) -> bool {
    Origin::from_header(said.as_bytes())
        .is_some_and(|said| origins.iter().any(|allowed| allowed.covers(&said)))
}
