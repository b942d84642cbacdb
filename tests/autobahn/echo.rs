//! A server that echoes text messages, built on the server's frame reader and socket, for the Autobahn
//! test suite (scripts/autobahn). Prints its port.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::web::Bytes;
use peerstar::settings::Settings;
use peerstar::shared::Shared;
use peerstar::transport::connection::Stream;
use peerstar::transport::socket::{ClosedBy, Inflow, ReadState, Socket, hang_up};
use peerstar::transport::upgrade::Upgraded;
use peerstar_core::frame::reader::{Event, Opcode, ProtocolViolation};
use peerstar_core::protocol::close::Close;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

fn main() -> io::Result<()> {
    let mut settings = Settings::default();
    // The suite sends messages of up to 16 MB, as fast as it can.
    settings.limits.message_bytes = 16 << 20;
    settings.limits.messages_per_s = 1_000_000;
    settings.relay.max_bytes_per_s = 1 << 30;
    let shared = Shared::new(settings);
    actix_web::rt::System::new().block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        writeln!(io::stdout(), "{}", listener.local_addr()?.port())?;
        loop {
            let (tcp, _) = listener.accept().await?;
            let shared = Arc::clone(&shared);
            actix_web::rt::spawn(async move {
                if let Ok(upgraded) = handshake(tcp).await {
                    echo(upgraded, &shared).await;
                }
            });
        }
    })
}

/// Reads the head of a request and makes the answer.
async fn handshake(mut tcp: TcpStream) -> io::Result<Upgraded> {
    let mut head = Vec::new();
    let end = loop {
        if tcp.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(at) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = String::from_utf8_lossy(&head[..end]).into_owned();
    let mut lines = text.lines().filter_map(|line| line.split_once(": "));
    let key = lines
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
        .ok_or(io::ErrorKind::InvalidData)?
        .1;
    let accept = actix_http::ws::hash_key(key.as_bytes());
    let accept = String::from_utf8_lossy(&accept);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    let ahead = Bytes::copy_from_slice(&head[end..]);
    Ok(Upgraded { stream: Stream::Plain(tcp), ahead, answer: answer.into() })
}

/// Echoes text messages until either side closes.
async fn echo(upgraded: Upgraded, shared: &Shared) {
    let (settings, now) = (&shared.settings, shared.clock.now());
    let socket = Rc::new(RefCell::new(Socket::new(upgraded, Arc::default(), settings, now)));
    socket.borrow_mut().release_handshake();
    let closed_by = poll_fn(|cx| poll_echo(&mut socket.borrow_mut(), cx, shared)).await;
    if let Some(closed_by) = closed_by {
        hang_up(socket, None, closed_by);
    }
}

/// Ready with the side that closed first, or with nothing if the connection is lost.
fn poll_echo(socket: &mut Socket, cx: &mut Context<'_>, shared: &Shared) -> Poll<Option<ClosedBy>> {
    loop {
        let now = shared.clock.now();
        let _ = socket.poll_flush(cx);
        let mut bytes = match socket.poll_read(cx, now) {
            Inflow::Bytes(bytes) => bytes,
            Inflow::Nothing(until) => {
                if let Some(until) = until {
                    wake_after(until.since(now) + Duration::from_millis(1), cx);
                }
                return Poll::Pending;
            }
            Inflow::End => return Poll::Ready(None),
        };
        let (mut at, mut frames) = (0, 0);
        loop {
            match socket.next(&mut bytes[at..], now) {
                Ok(Some((event, length))) => {
                    let (opcode, body) = match event {
                        Event::Text(text) => (Opcode::Text, Bytes::from(text.into_owned())),
                        Event::Ping(body) => (Opcode::Pong, Bytes::copy_from_slice(body)),
                        Event::Close(_, body) => (Opcode::Close, Bytes::copy_from_slice(body)),
                        Event::Pong | Event::Fragment => {
                            at += length;
                            frames += 1;
                            continue;
                        }
                    };
                    socket.answer(opcode, body);
                    if opcode == Opcode::Close {
                        return Poll::Ready(Some(ClosedBy::Client));
                    }
                    at += length;
                    frames += 1;
                }
                Ok(None) => break,
                Err(violation) => {
                    socket.close(match violation {
                        ProtocolViolation::TooBig => Close::TooBig,
                        ProtocolViolation::Malformed => Close::ProtocolError,
                        ProtocolViolation::NotText => Close::InvalidUtf8,
                        ProtocolViolation::Binary => Close::BinaryRefused,
                    });
                    return Poll::Ready(Some(ClosedBy::Server));
                }
            }
        }
        socket.keep(bytes, at, frames, ReadState::Ready, now);
    }
}

fn wake_after(delay: Duration, cx: &mut Context<'_>) {
    let waker = cx.waker().clone();
    let mut alarm = Box::pin(sleep(delay));
    actix_web::rt::spawn(async move {
        poll_fn(|cx| Pin::new(&mut alarm).poll(cx)).await;
        waker.wake();
    });
}
