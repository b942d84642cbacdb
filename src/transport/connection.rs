//! A client's connection, plain or TLS. HTTP reads one request from it, and a WebSocket the rest.
//!
//! actix-http decodes all requests of a connection before it answers the first, and keeps them all:
//! some 12 KB for each 40 bytes. Therefore no second request is let through. No client needs one:
//! what is served over HTTP is small.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream of bytes in both directions.
pub enum Stream {
    /// A stream without encryption.
    Plain(TcpStream),
    /// A stream over TLS. Boxed, because the state of TLS is some hundreds of bytes.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Returns the TCP stream below.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Returns whether the client has ended its stream. The last bytes may not have been read yet.
    pub fn is_ended(&self) -> bool {
        let ready = self.tcp().ready(Interest::READABLE).now_or_never();
        ready.is_some_and(|ready| ready.is_ok_and(|ready| ready.is_read_closed()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

/// How much of a request's head was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    /// Nothing but empty lines, which are ignored.
    Empty,
    /// A part of a line.
    WithinLine,
    /// A whole line. An empty line after it ends the head. As in httparse, the end of a line may
    /// lack its CR.
    LineEnded,
    /// The whole head of the request.
    Whole,
}

impl Head {
    const fn then(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::WithinLine, b'\n') => Self::LineEnded,
            (Self::LineEnded, b'\n') | (Self::Whole, _) => Self::Whole,
            (Self::Empty, b'\r' | b'\n') => Self::Empty,
            (Self::LineEnded, b'\r') => Self::LineEnded,
            _ => Self::WithinLine,
        }
    }
}

/// Time after the head of the request at which HTTP sees the end of the stream.
const ENDED_AFTER: Duration = Duration::from_secs(1);

/// A stream that ends after the head of the first request. No route reads a body.
pub struct Connection {
    stream: Stream,
    head: Head,
    /// Bytes that were read after the head.
    ahead: Bytes,
    end: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    /// Wraps a stream of which nothing was read.
    #[must_use]
    pub const fn new(stream: Stream) -> Self {
        Self { stream, head: Head::Empty, ahead: Bytes::new(), end: None }
    }

    /// Returns the stream, and the bytes that were read after the head.
    #[must_use]
    pub fn into_parts(self) -> (Stream, Bytes) {
        (self.stream, self.ahead)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.head == Head::Whole {
            // Any answer takes less time. Without an end, actix-http would wait for a body.
            let end = this.end.get_or_insert_with(|| Box::pin(sleep(ENDED_AFTER)));
            return end.as_mut().poll(cx).map(Ok);
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        let fresh = &buffer.filled()[before..];
        let end = fresh.iter().position(|byte| {
            this.head = this.head.then(*byte);
            this.head == Head::Whole
        });
        if let Some(end) = end {
            let end = before + end + 1;
            this.ahead = Bytes::copy_from_slice(&buffer.filled()[end..]);
            buffer.set_filled(end);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
