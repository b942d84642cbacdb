//! The least that a relay has to do, as a yardstick. It passes on a message for `dst`, or without
//! `dst` to the whole page,
//! and sets `src`. It has no limits, hosts, timeouts or parked messages, and is not for public use.
//!
//! Each connection is one task. A sender appends a frame to the receiver's bytes and wakes its
//! task, which
//! sends everything in one write.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use base64::Engine as _;
use peerstar_load::frame::{self, CLOSE, PING, PONG, TEXT};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Fields of a client's message that a relay needs.
#[derive(Deserialize)]
struct Said<'a> {
    r#type: &'a str,
    #[serde(borrow, default)]
    dst: Option<&'a str>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

/// A connection as the others see it.
struct Peer {
    id: Box<str>,
    page: Box<str>,
    waiting: Mutex<Vec<u8>>,
    wake: Notify,
}

type Peers = HashMap<Box<str>, Arc<Peer>>;

#[derive(Default)]
struct Relay {
    peers: RwLock<Peers>,
    pages: RwLock<HashMap<Box<str>, Peers>>,
}

impl Peer {
    fn tell(&self, put: impl FnOnce(&mut Vec<u8>)) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = waiting.is_empty();
        put(&mut waiting);
        drop(waiting);
        if is_first {
            self.wake.notify_one();
        }
    }
}

impl Relay {
    fn come(&self, peer: &Arc<Peer>) {
        self.peers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(peer.id.clone(), Arc::clone(peer));
        if !peer.page.is_empty() {
            let mut pages = self.pages.write().unwrap_or_else(PoisonError::into_inner);
            pages.entry(peer.page.clone()).or_default().insert(peer.id.clone(), Arc::clone(peer));
        }
    }

    fn go(&self, peer: &Peer) {
        self.peers.write().unwrap_or_else(PoisonError::into_inner).remove(&peer.id);
        let mut pages = self.pages.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(page) = pages.get_mut(&peer.page) {
            page.remove(&peer.id);
            if page.is_empty() {
                pages.remove(&peer.page);
            }
        }
    }

    fn pass_on(&self, from: &Peer, text: &[u8]) {
        let Ok(Said { r#type, dst, payload: Some(payload) }) = serde_json::from_slice(text) else {
            return;
        };
        let (id, payload) = (&*from.id, payload.get());
        if let Some(dst) = dst {
            if let Some(to) = self.peers.read().unwrap_or_else(PoisonError::into_inner).get(dst) {
                let parts = [
                    r#"{"type":""#,
                    r#type,
                    r#"","src":""#,
                    id,
                    r#"","dst":""#,
                    dst,
                    r#"","payload":"#,
                    payload,
                    "}",
                ];
                to.tell(|out| push_parts(out, &parts));
            }
        } else if let Some(page) =
            self.pages.read().unwrap_or_else(PoisonError::into_inner).get(&from.page)
        {
            let mut framed = Vec::new();
            push_parts(
                &mut framed,
                &[r#"{"type":""#, r#type, r#"","src":""#, id, r#"","payload":"#, payload, "}"],
            );
            page.values()
                .filter(|to| to.id != from.id)
                .for_each(|to| to.tell(|out| out.extend_from_slice(&framed)));
        }
    }
}

fn push_parts(out: &mut Vec<u8>, parts: &[&str]) {
    frame::push_header(out, 0x80 | TEXT, parts.iter().map(|part| part.len() as u64).sum(), false);
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
}

/// Unmasks the first client frame of `bytes`. Returns its opcode, the range of its body, and its
/// whole length.
fn unmasked(bytes: &mut [u8]) -> Option<(u8, std::ops::Range<usize>)> {
    let (at, length) = match *bytes {
        [_, 0xfe, a, b, ..] => (4, usize::from(u16::from_be_bytes([a, b]))),
        [_, 0xff, a, b, c, d, e, f, g, h, ..] => {
            (10, u64::from_be_bytes([a, b, c, d, e, f, g, h]) as usize)
        }
        [_, 0xfe | 0xff, ..] => return None,
        [_, short, ..] => (2, usize::from(short & 0x7f)),
        _ => return None,
    };
    let body = at + 4..at + 4 + length;
    let [.., a, b, c, d] = *bytes.get(..at + 4)? else { return None };
    let mask = [a, b, c, d];
    bytes
        .get_mut(body.clone())?
        .iter_mut()
        .zip(mask.iter().cycle())
        .for_each(|(byte, mask)| *byte ^= mask);
    Some((bytes[0] & 0x0f, body))
}

/// Reads the request, answers it, and returns the client.
async fn handshake(stream: &mut TcpStream, inbox: &mut Vec<u8>) -> io::Result<Peer> {
    let end = loop {
        if let Some(at) = inbox.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(inbox).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&inbox[..end]).into_owned();
    inbox.drain(..end);
    let odd = || io::Error::other("no WebSocket request");
    let query = head.split(' ').nth(1).and_then(|target| target.split_once('?')).ok_or_else(odd)?.1;
    let parameter = |name: &str| {
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(Box::from)
    };
    let key =
        head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).ok_or_else(odd)?;
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = base64::engine::general_purpose::STANDARD.encode(hash.finalize());
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes();
    push_parts(&mut answer, &[r#"{"type":"OPEN"}"#]);
    let id = parameter("id").ok_or_else(odd)?;
    Ok(Peer {
        id,
        page: parameter("page").unwrap_or_default(),
        waiting: Mutex::new(answer),
        wake: Notify::new(),
    })
}

async fn serve(relay: Arc<Relay>, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut inbox = Vec::with_capacity(4096);
    let me = Arc::new(handshake(&mut stream, &mut inbox).await?);
    relay.come(&me);
    me.wake.notify_one();
    let end = talk(&relay, &me, &mut stream, &mut inbox).await;
    relay.go(&me);
    end
}

async fn talk(
    relay: &Relay,
    me: &Peer,
    stream: &mut TcpStream,
    inbox: &mut Vec<u8>,
) -> io::Result<()> {
    let mut outbox = Vec::new();
    loop {
        tokio::select! {
            read = stream.read_buf(inbox) => {
                if read? == 0 {
                    return Ok(());
                }
                let mut done = 0;
                while let Some((opcode, body)) = unmasked(&mut inbox[done..]) {
                    let text = &inbox[done..][body.clone()];
                    match opcode {
                        TEXT => relay.pass_on(me, text),
                        PING => me.tell(|out| {
                            frame::push_header(out, 0x80 | PONG, text.len() as u64, false);
                            out.extend_from_slice(text);
                        }),
                        CLOSE => return stream.write_all(&[0x80 | CLOSE, 0]).await,
                        _ => {}
                    }
                    done += body.end;
                }
                inbox.drain(..done);
            }
            () = me.wake.notified() => {
                std::mem::swap(&mut outbox, &mut *me.waiting.lock().unwrap_or_else(PoisonError::into_inner));
                stream.write_all(&outbox).await?;
                outbox.clear();
            }
        }
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let address: SocketAddr =
        std::env::args().nth(1).and_then(|address| address.parse().ok()).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "bare-relay ADDRESS:PORT, where it is to listen",
            )
        })?;
    let listener = TcpListener::bind(address).await?;
    let relay = Arc::new(Relay::default());
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(Arc::clone(&relay), stream));
    }
}
