//! From a request to a WebSocket: the handler answers the handshake, and what it leaves with the answer is given the stream.
//!
//! The only file that knows actix-web-actors, of which we take the handshake. Its actor would live in the body of the
//! response, where a client that stops reading stops it for good, with two buffers of 8 KB and the HTTP dispatcher kept
//! for as long as it stays.

use std::rc::Rc;
use std::time::Duration;

use actix_codec::{Encoder, Framed};
use actix_http::body::BodySize;
use actix_http::h1::{Codec, Message, SendResponse};
use actix_http::{ConnectionType, Request, Response};
use actix_service::Service;
use actix_web::body::MessageBody;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use actix_web_actors::ws;
use tokio::time::timeout;

use super::connection::{Connection, Stream};

/// How long an answer that is no WebSocket may take to be written. (`SendResponse` may miss that it is.)
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

/// The stream of a client whose handshake is answered.
pub struct Upgraded {
    /// The stream.
    pub stream: Stream,
    /// What was read of it already.
    pub ahead: Bytes,
    /// What is to be written first.
    pub answer: Bytes,
}

type TakeOver = Box<dyn FnOnce(Upgraded)>;

/// Answers a handshake; `take_over` is then given the stream.
///
/// # Errors
/// When the request is no proper handshake (RFC 6455, 4.2.1).
pub fn answer(request: &HttpRequest, take_over: impl FnOnce(Upgraded) + 'static) -> actix_web::Result<HttpResponse> {
    let mut response = ws::handshake(request)?.finish();
    response.extensions_mut().insert::<TakeOver>(Box::new(take_over));
    Ok(response)
}

/// Serves a request that asks for an upgrade, of which we know only WebSockets.
pub async fn serve<B>(
    app: Rc<impl Service<Request, Response: Into<Response<B>>, Error = actix_web::Error>>,
    request: Request,
    framed: Framed<Connection, Codec>,
) -> actix_web::Result<()>
where
    B: MessageBody,
    B::Error: Into<actix_http::Error>,
{
    let mut response: Response<B> = app.call(request).await?.into();
    let Some(take_over) = response.extensions_mut().remove::<TakeOver>() else {
        response.head_mut().set_connection_type(ConnectionType::Close);
        let _ = timeout(ANSWERED_WITHIN, SendResponse::new(framed, response)).await;
        return Ok(());
    };
    let mut parts = framed.into_parts();
    parts.codec.encode(Message::Item((response.drop_body(), BodySize::None)), &mut parts.write_buf)?;
    let (stream, ahead) = parts.io.into_parts();
    take_over(Upgraded { stream, ahead, answer: parts.write_buf.freeze() });
    Ok(())
}
