//! Turns a request into a WebSocket: the handler answers the handshake, and leaves a function that
//! is given the stream.
//!
//! This is the only file that uses actix-web-actors, and it uses the handshake alone. The actor of
//! that crate would live in the body of the response: a client that stops reading would stop the
//! actor for good. It would also keep two buffers of 8 KB and the HTTP dispatcher for as long as
//! the client stays.

use std::rc::Rc;
use std::time::Duration;

use actix_codec::{Encoder, Framed};
use actix_http::body::BodySize;
use actix_http::h1::{Codec, Message, SendResponse};
use actix_http::{ConnectionType, Request, Response};
use actix_service::Service;
use actix_web::body::MessageBody;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{StatusCode, Version};
use actix_web::web::Bytes;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use actix_web_actors::ws::{self, HandshakeError};
use tokio::time::timeout;

use super::connection::{Connection, Stream};

/// Time in which an answer that is no WebSocket must be written. (`SendResponse` may miss that it
/// was written.)
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// The stream of a client whose handshake is answered.
pub struct Upgraded {
    /// The stream of the client.
    pub stream: Stream,
    /// Bytes that were read from it already.
    pub ahead: Bytes,
    /// The answer to the handshake, which is written first.
    pub answer: Bytes,
}

type HandOver = Box<dyn FnOnce(Upgraded)>;

/// Marks a request whose stream can be handed over. Other requests would be answered with 101 and
/// then end.
struct Upgradable;

/// The answer to a valid handshake.
pub struct Handshake(HttpResponse);

impl Handshake {
    /// Returns the answer. When it was made, `hand_over` is given the stream.
    #[must_use]
    pub fn answer(mut self, hand_over: impl FnOnce(Upgraded) + 'static) -> HttpResponse {
        self.0.extensions_mut().insert::<HandOver>(Box::new(hand_over));
        self.0
    }
}

/// Why a request is no handshake, for the person who set up the proxies.
pub struct NoHandshake {
    status: StatusCode,
    words: String,
}

impl NoHandshake {
    const fn bad(words: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, words }
    }

    /// Returns the answer that says so.
    #[must_use]
    pub fn answer(self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status);
        if self.status == StatusCode::UPGRADE_REQUIRED {
            answer
                .insert_header((header::UPGRADE, "websocket"))
                .insert_header((header::SEC_WEBSOCKET_VERSION, "13"));
        }
        answer.body(self.words)
    }
}

/// Checks that a request is a WebSocket handshake.
///
/// # Errors
/// Returns why the request is no handshake (RFC 6455, 4.2.1), and what a proxy may have to do with
/// that.
pub fn check(request: &HttpRequest) -> Result<Handshake, NoHandshake> {
    const NGINX: &str = "With nginx in front, set `proxy_http_version 1.1;`, `proxy_set_header Upgrade $http_upgrade;` and \
                         `proxy_set_header Connection upgrade;`.";
    if request.version() < Version::HTTP_11 {
        let words = format!(
            "a WebSocket needs HTTP/1.1, and this request is of an older version. {NGINX}\n"
        );
        return Err(NoHandshake { status: StatusCode::UPGRADE_REQUIRED, words });
    }
    let headers = request.headers();
    let length = headers.get(header::CONTENT_LENGTH).map(HeaderValue::as_bytes);
    if headers.contains_key(header::TRANSFER_ENCODING)
        || length.is_some_and(|length| length.trim_ascii() != b"0")
    {
        let found = "a WebSocket handshake has no body, and this request announces one";
        let words = format!(
            "{found} (Transfer-Encoding or Content-Length). A proxy in front may have added that.\n"
        );
        return Err(NoHandshake::bad(words));
    }
    match ws::handshake(request) {
        // The HTTP library ignores an upgrade to several protocols.
        Ok(_) if request.extensions().get::<Upgradable>().is_none() => {
            Err(NoHandshake::bad("`Upgrade` must be `websocket` and nothing else\n".into()))
        }
        Ok(mut answer) => Ok(Handshake(answer.finish())),
        Err(error @ (HandshakeError::NoWebsocketUpgrade | HandshakeError::NoConnectionUpgrade)) => {
            let words = format!(
                "this is the address of a WebSocket, and the request is none: {error}. {NGINX}\n"
            );
            Err(NoHandshake::bad(words))
        }
        Err(error @ (HandshakeError::NoVersionHeader | HandshakeError::UnsupportedVersion)) => {
            let words = format!("{error}: this server speaks version 13\n");
            Err(NoHandshake { status: StatusCode::UPGRADE_REQUIRED, words })
        }
        Err(error @ (HandshakeError::GetMethodRequired | HandshakeError::BadWebsocketKey)) => {
            Err(NoHandshake::bad(format!("this is no WebSocket handshake: {error}\n")))
        }
    }
}

/// Serves a request that asks for an upgrade. Only upgrades to WebSocket succeed.
pub async fn serve<B>(
    app: Rc<impl Service<Request, Response: Into<Response<B>>, Error = actix_web::Error>>,
    request: Request,
    framed: Framed<Connection, Codec>,
) -> actix_web::Result<()>
where
    B: MessageBody,
    B::Error: Into<actix_http::Error>,
{
    request.extensions_mut().insert(Upgradable);
    let mut response: Response<B> = match app.call(request).await {
        Ok(response) => response.into(),
        Err(error) => {
            refuse(framed, Response::from(error.error_response()).drop_body()).await;
            return Ok(());
        }
    };
    let Some(hand_over) = response.extensions_mut().remove::<HandOver>() else {
        refuse(framed, response).await;
        return Ok(());
    };
    let mut parts = framed.into_parts();
    parts
        .codec
        .encode(Message::Item((response.drop_body(), BodySize::None)), &mut parts.write_buf)?;
    let (stream, ahead) = parts.io.into_parts();
    hand_over(Upgraded { stream, ahead, answer: parts.write_buf.freeze() });
    Ok(())
}

/// Writes an answer that is no upgrade, and closes the connection.
async fn refuse<B>(framed: Framed<Connection, Codec>, mut response: Response<B>)
where
    B: MessageBody,
    B::Error: Into<actix_http::Error>,
{
    response.head_mut().set_connection_type(ConnectionType::Close);
    let _ = timeout(ANSWER_TIMEOUT, SendResponse::new(framed, response)).await;
}
