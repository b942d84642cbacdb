//! Thousands of WebSockets on one thread. An event costs a few hundred nanoseconds: bare epoll, and
//! one read
//! buffer for all.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::time::Duration;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket as RawSocket, Type};

use crate::frame;
use crate::socket::Route;

/// An event of a socket.
#[derive(Debug, Clone, Copy)]
pub enum Heard<'a> {
    /// The socket is open: the server answered 101.
    Open,
    /// A text message arrived.
    Text(&'a [u8]),
    /// The socket is closed, with the code of a close frame or with 1006 without one. Its number is
    /// free.
    Gone(u16),
}

#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    is_open: bool,
    /// Bytes of an incomplete frame.
    unread: Vec<u8>,
    out: Vec<u8>,
    close_code: u16,
}

/// Many WebSockets, each known by its number.
#[derive(Debug)]
pub struct Crowd {
    /// Addresses at which sockets take turns.
    to: Vec<SocketAddr>,
    poll: Poll,
    sockets: Vec<Option<Socket>>,
    free: Vec<usize>,
    dialled: usize,
    scratch: Vec<u8>,
    happened: Option<Events>,
}

impl Crowd {
    /// Returns an empty crowd.
    ///
    /// # Errors
    /// Fails on an I/O error.
    pub fn new(to: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            to: vec![to],
            poll: Poll::new()?,
            sockets: Vec::new(),
            free: Vec::new(),
            dialled: 0,
            scratch: vec![0; 256 * 1024],
            happened: Some(Events::with_capacity(1024)),
        })
    }

    /// Lets the next sockets take turns at these addresses, from the first one on.
    ///
    /// # Panics
    /// If there is no address.
    pub fn aim(&mut self, to: &[SocketAddr]) {
        assert!(!to.is_empty(), "there is a server");
        self.to = to.to_vec();
        self.dialled = self.dialled.next_multiple_of(self.to.len());
    }

    /// Returns the addresses at which the next sockets take turns.
    #[must_use]
    pub fn targets(&self) -> &[SocketAddr] {
        &self.to
    }

    /// Number of sockets in the crowd.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.sockets.len() - self.free.len()
    }

    /// Begins a dial. Returns the number of the socket.
    ///
    /// # Errors
    /// Fails on an I/O error.
    pub fn dial(&mut self, path_and_query: &str) -> io::Result<usize> {
        let to = self.to[self.dialled % self.to.len()];
        let Route { from, .. } = Route::nth(to, self.dialled);
        self.dialled += 1;
        let raw = RawSocket::new(Domain::IPV4, Type::STREAM, None)?;
        raw.set_nonblocking(true)?;
        raw.set_tcp_nodelay(true)?;
        raw.bind(&SocketAddr::new(from, 0).into())?;
        match raw.connect(&to.into()) {
            Err(e) if e.raw_os_error() != Some(EINPROGRESS) => return Err(e),
            _ => {}
        }
        let mut stream = TcpStream::from_std(StdStream::from(raw));
        let number = self.free.pop().unwrap_or_else(|| {
            self.sockets.push(None);
            self.sockets.len() - 1
        });
        self.poll.registry().register(
            &mut stream,
            Token(number),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        let out = format!(
            "GET {path_and_query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .into_bytes();
        self.sockets[number] =
            Some(Socket { stream, is_open: false, unread: Vec::new(), out, close_code: 1006 });
        Ok(number)
    }

    /// Sends `frames` (see [`frame::push`]) on socket `number`, behind those that wait there.
    ///
    /// # Errors
    /// Fails on an I/O error, or if the socket is closed.
    pub fn send(&mut self, number: usize, frames: &[u8]) -> io::Result<()> {
        let socket =
            self.sockets.get_mut(number).and_then(Option::as_mut).ok_or(ErrorKind::NotConnected)?;
        socket.out.extend_from_slice(frames);
        socket.flush()
    }

    /// Closes the socket without a close frame, as a killed browser does.
    pub fn drop(&mut self, number: usize) {
        if self.sockets.get_mut(number).and_then(Option::take).is_some() {
            self.free.push(number);
        }
    }

    /// Waits for events, at most `most`, and hands each to `each`: the number of the socket, the
    /// event, and a buffer for the
    /// answer. Returns false if there was no event.
    ///
    /// # Errors
    /// Fails on an I/O error, or with the error of `each`.
    pub fn turn(
        &mut self,
        most: Duration,
        mut each: impl FnMut(usize, Heard<'_>, &mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<bool> {
        let mut happened = self.happened.take().unwrap_or_else(|| Events::with_capacity(1024));
        self.poll.poll(&mut happened, Some(most))?;
        for event in &happened {
            let number = event.token().0;
            let Some(socket) = self.sockets.get_mut(number).and_then(Option::as_mut) else {
                continue;
            };
            let lives =
                socket.turn(event, &mut self.scratch, |heard, out| each(number, heard, out))?;
            if !lives {
                let code = socket.close_code;
                self.drop(number);
                each(number, Heard::Gone(code), &mut Vec::new())?;
            }
        }
        let any = !happened.is_empty();
        self.happened = Some(happened);
        Ok(any)
    }
}

/// The error `EINPROGRESS` of Linux.
const EINPROGRESS: i32 = 115;

impl Socket {
    /// Returns false if the socket has ended.
    fn turn(
        &mut self,
        event: &Event,
        scratch: &mut Vec<u8>,
        mut each: impl FnMut(Heard<'_>, &mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<bool> {
        if event.is_readable() {
            let mut kept = self.unread.len();
            scratch[..kept].copy_from_slice(&self.unread);
            loop {
                let read = match self.stream.read(&mut scratch[kept..]) {
                    Ok(0) => return Ok(false),
                    Ok(read) => read,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) if e.kind() == ErrorKind::ConnectionReset => return Ok(false),
                    Err(e) => return Err(e),
                };
                let whole = kept + read;
                let done = self.hear(&scratch[..whole], &mut each)?;
                kept = whole - done;
                scratch.copy_within(done..whole, 0);
                if scratch.len() < 2 * kept {
                    scratch.resize(4 * kept, 0);
                } else if whole < scratch.len() && kept == 0 && !event.is_read_closed() {
                    break; // a short read: the kernel had no more. The rest of a long frame may still follow at once
                }
            }
            self.unread.clear();
            self.unread.extend_from_slice(&scratch[..kept]);
        }
        match self.flush() {
            Err(e) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                Ok(false)
            }
            sent => sent.map(|()| true),
        }
    }

    /// Returns the number of bytes that are handled.
    fn hear(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(Heard<'_>, &mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<usize> {
        let mut done = 0;
        if !self.is_open {
            let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                return Ok(0);
            };
            if !bytes.starts_with(b"HTTP/1.1 101") {
                return Err(io::Error::other(String::from_utf8_lossy(&bytes[..at]).into_owned()));
            }
            done = at + 4;
            self.is_open = true;
            each(Heard::Open, &mut self.out)?;
        }
        while let Some((frame, length)) = frame::first(&bytes[done..]).map_err(io::Error::other)? {
            match frame.opcode {
                frame::TEXT => each(Heard::Text(frame.body), &mut self.out)?,
                frame::PING => frame::push(&mut self.out, frame::PONG, frame.body),
                frame::CLOSE => self.close_code = frame.close_code(),
                _ => {}
            }
            done += length;
        }
        Ok(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        match self.stream.write(&self.out) {
            Ok(sent) if sent == self.out.len() => self.out.clear(),
            Ok(sent) => drop(self.out.drain(..sent)),
            // not connected yet, or the kernel is full: an event follows
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }
}
