//! A client that sends arbitrary bytes.

use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{PATIENCE, Server};

/// A socket that does only what the test says. It answers no ping and no close.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

impl Server {
    /// Opens a TCP connection.
    pub(crate) async fn raw(&self) -> Raw {
        Raw {
            stream: TcpStream::connect(self.address).await.expect("it listens"),
            unread: Vec::new(),
        }
    }

    /// Opens a WebSocket at `/peerjs?key=peerjs&{query}`.
    pub(crate) async fn raw_websocket(&self, query: &str) -> Raw {
        let mut raw = self.raw().await;
        raw.shake_hands(query).await;
        raw
    }

    /// Opens a WebSocket with the smallest receive buffer: it fills soon after the test stops
    /// reading.
    pub(crate) async fn narrow_websocket(&self, query: &str) -> Raw {
        let socket =
            Socket::new(Domain::for_address(self.address), Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a buffer");
        socket.connect(&self.address.into()).expect("it listens");
        socket.set_nonblocking(true).expect("a socket");
        let stream = TcpStream::from_std(socket.into()).expect("a socket");
        let mut raw = Raw { stream, unread: Vec::new() };
        raw.shake_hands(query).await;
        raw
    }
}

impl Raw {
    /// Returns bytes that have arrived and that the test has not asked for.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.unread
    }

    pub(crate) async fn shake_hands(&mut self, query: &str) {
        self.shake_hands_and_say(query, &[]).await;
    }

    /// Sends a handshake together with frames, and waits for the answer.
    pub(crate) async fn shake_hands_and_say(&mut self, query: &str, frames: &[u8]) {
        let request = format!(
            "GET /peerjs?key=peerjs&{query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        self.send(&[request.as_bytes(), frames].concat()).await;
        self.expect_upgrade().await;
    }

    /// Checks that the answer to a handshake with the key of RFC 6455 comes next.
    pub(crate) async fn expect_upgrade(&mut self) {
        let head = loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break self.unread.drain(..end + 4).collect::<Vec<_>>();
            }
            assert!(self.read_more().await, "the handshake was not answered");
        };
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    }

    /// Sends all bytes. Returns false if the socket is closed.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        timeout(PATIENCE, self.stream.write_all(bytes))
            .await
            .expect("the server takes it or closes")
            .is_ok()
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        assert!(self.try_send(bytes).await, "the server closed the socket");
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.send(&frame(0x81, text.as_bytes())).await;
    }

    /// Reads some bytes. Returns false at the end of the socket.
    async fn read_more(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        let read = timeout(PATIENCE, self.stream.read(&mut chunk))
            .await
            .expect("the server says something or closes");
        let read = read.unwrap_or(0);
        self.unread.extend_from_slice(&chunk[..read]);
        read > 0
    }

    /// Returns the first byte and the body of the next frame, or nothing at the end of the socket.
    pub(crate) async fn next_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let [first, second, rest @ ..] = &*self.unread {
                assert!(second & 0x80 == 0, "a server does not mask");
                let declared = match second {
                    126 => rest.first_chunk().map(|two| (u16::from_be_bytes(*two).into(), 4)),
                    127 => {
                        rest.first_chunk().map(|eight| (u64::from_be_bytes(*eight) as usize, 10))
                    }
                    short => Some((usize::from(*short), 2)),
                };
                if let Some((length, header)) = declared
                    && self.unread.len() >= header + length
                {
                    let first = *first;
                    let body = self.unread.drain(..header + length).skip(header).collect();
                    return Some((first, body));
                }
            }
            if !self.read_more().await {
                return None;
            }
        }
    }

    /// Returns the next text, and skips pings.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match self.next_frame().await.expect("a message, not the end") {
                (0x81, text) => return serde_json::from_slice(&text).expect("JSON"),
                (0x89, _) => {}
                other => panic!("expected text: {other:?}"),
            }
        }
    }

    /// Returns the next text, which must be of this type.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        let message = self.next().await;
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    /// Reads up to the server's close frame. Returns the last text before it, and its code.
    pub(crate) async fn refused(&mut self) -> (Value, u16) {
        let mut words = Value::Null;
        loop {
            match self.next_frame().await.expect("a close frame before the end") {
                (0x81, text) => words = serde_json::from_slice(&text).expect("JSON"),
                (0x88, body) => return (words, u16::from_be_bytes([body[0], body[1]])),
                _ => {}
            }
        }
    }

    /// Waits for the end of the socket, and discards everything before it.
    pub(crate) async fn ended(&mut self) {
        while self.read_more().await {
            self.unread.clear();
        }
    }

    /// Reads a few bytes, and discards them.
    pub(crate) async fn sip(&mut self, bytes: usize) {
        let mut little = vec![0; bytes];
        let _ = timeout(Duration::from_millis(1), self.stream.read(&mut little)).await;
    }
}

/// Returns a masked frame, as clients must send. `first` has the flags and the opcode.
pub(crate) fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, body.len() as u64, 0x80);
    let mask = [0x11, 0x22, 0x33, 0x44];
    bytes.extend(mask);
    bytes.extend(body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// Returns the header of a masked frame that declares `length`, with its mask and without a body.
pub(crate) fn masked(first: u8, length: u64) -> Vec<u8> {
    [header(first, length, 0x80), vec![0; 4]].concat()
}

/// Returns a frame without a mask, which clients must not send.
pub(crate) fn unmasked(first: u8, body: &[u8]) -> Vec<u8> {
    [header(first, body.len() as u64, 0), body.to_vec()].concat()
}

fn header(first: u8, length: u64, mask: u8) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(mask | length as u8),
        126..=65_535 => {
            bytes.push(mask | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(mask | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes
}
