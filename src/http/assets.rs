//! Serves the files for the browser, which are built from `static/` and embedded in the binary.

use actix_web::http::header::{
    CacheControl, CacheDirective, ContentType, ETag, EntityTag, IfNoneMatch,
};
use actix_web::{HttpRequest, HttpResponse, web};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "static/dist/"]
struct Dist;

/// The page at `/` when the binary was built without the demo.
const NOT_BUILT: &str = include_str!("not_built.html");

/// Serves the demo page.
pub fn index(request: &HttpRequest) -> HttpResponse {
    match Dist::get("index.html") {
        Some(file) => serve("index.html", file, request),
        None => HttpResponse::Ok().content_type(ContentType::html()).body(NOT_BUILT),
    }
}

/// Serves one file by its name, or 404.
pub async fn file(name: web::Path<String>, request: HttpRequest) -> HttpResponse {
    match Dist::get(&name).filter(|_| !name.starts_with('.')) {
        Some(file) => serve(&name, file, &request),
        None => HttpResponse::NotFound().body("not found\n"),
    }
}

fn serve(name: &str, file: EmbeddedFile, request: &HttpRequest) -> HttpResponse {
    use actix_web::http::header::Header;
    let hash: String =
        file.metadata.sha256_hash().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let tag = EntityTag::new_strong(hash);
    let known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    // Browsers ask every time: a new version of the server has new files under the same names.
    response.insert_header(CacheControl(vec![CacheDirective::NoCache])).insert_header(ETag(tag));
    if known {
        return response.finish();
    }
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    let charset = if kind.type_() == mime_guess::mime::TEXT { "; charset=utf-8" } else { "" };
    response.content_type(format!("{}{charset}", kind.essence_str())).body(file.data.into_owned())
}
