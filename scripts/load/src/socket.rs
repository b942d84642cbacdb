//! One WebSocket over plain TCP. It holds no buffers while nothing is in flight.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::{TcpSocket, TcpStream};

use crate::frame::{self, Frame};

/// Source and target of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Address of the server.
    pub to: SocketAddr,
    /// Source address. One address has some 28,000 ports.
    pub from: IpAddr,
    /// Size of the kernel's receive buffer, in bytes. `None`: the system's default.
    pub receive_buffer: Option<u32>,
}

impl Route {
    /// Returns the route of the `n`-th client. Clients take turns at the addresses of 127.0.1.0/28.
    #[must_use]
    pub fn nth(to: SocketAddr, n: usize) -> Self {
        Self { to, from: IpAddr::from([127, 0, 1, 1 + (n % 14) as u8]), receive_buffer: None }
    }

    /// Connects without a handshake.
    ///
    /// # Errors
    /// Fails on an I/O error.
    pub async fn connect(self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.bind(SocketAddr::new(self.from, 0))?;
        let stream = socket.connect(self.to).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

thread_local! {
    /// Read buffer of all sockets of a thread. Each socket keeps its own incomplete frame.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// An open WebSocket of a client.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    unread: Vec<u8>,
    /// Number of the node that serves this socket, if a balancer said it.
    pub node: Option<usize>,
    /// Frames to send; see [`frame::push`] and [`Socket::flush`].
    pub out: Vec<u8>,
}

impl Socket {
    /// Connects and does the handshake. The caller sets the timeout.
    ///
    /// # Errors
    /// Fails on an I/O error, or if the answer is not 101.
    pub async fn open(route: Route, path_and_query: &str) -> io::Result<Self> {
        let mut socket = Self {
            stream: route.connect().await?,
            unread: Vec::new(),
            node: None,
            out: Vec::new(),
        };
        let request = format!(
            "GET {path_and_query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        socket.out.extend_from_slice(request.as_bytes());
        socket.flush()?;
        let mut head = Vec::new();
        let end = loop {
            socket.stream.readable().await?;
            let mut chunk = [0; 1024];
            match socket.stream.try_read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => head.extend_from_slice(&chunk[..read]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
            if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
        };
        if !head.starts_with(b"HTTP/1.1 101") {
            return Err(io::Error::other(String::from_utf8_lossy(&head[..end]).into_owned()));
        }
        socket.unread = head.split_off(end);
        socket.node = node_in(&String::from_utf8_lossy(&head));
        Ok(socket)
    }

    /// Waits until there is something to read, or room for what is to be sent.
    ///
    /// # Errors
    /// Fails on an I/O error.
    pub async fn ready(&self) -> io::Result<()> {
        if !self.unread.is_empty() && matches!(frame::first(&self.unread), Ok(Some(_))) {
            return Ok(()); // frames arrived together with the handshake's answer
        }
        let interest = if self.out.is_empty() {
            Interest::READABLE
        } else {
            Interest::READABLE | Interest::WRITABLE
        };
        self.stream.ready(interest).await.map(drop)
    }

    /// Reads what there is, hands over each whole frame together with `out`, and sends what `out`
    /// holds then.
    /// Returns false if the other side has closed.
    ///
    /// # Errors
    /// Fails on an I/O error, or if the bytes are no frames.
    pub fn read(&mut self, mut each: impl FnMut(Frame<'_>, &mut Vec<u8>)) -> io::Result<bool> {
        let open = SCRATCH.with_borrow_mut(|scratch| {
            loop {
                let kept = self.unread.len();
                if scratch.len() < 2 * kept {
                    scratch.resize(2 * kept, 0);
                }
                scratch[..kept].copy_from_slice(&self.unread);
                let (read, more) = match self.stream.try_read(&mut scratch[kept..]) {
                    Ok(0) => return Ok(false),
                    Ok(read) => (read, kept + read == scratch.len()),
                    Err(e) if e.kind() == ErrorKind::WouldBlock => (0, false),
                    Err(e) => return Err(e),
                };
                let mut rest = &scratch[..kept + read];
                while let Some((frame, length)) = frame::first(rest).map_err(io::Error::other)? {
                    each(frame, &mut self.out);
                    rest = &rest[length..];
                }
                self.unread = rest.to_vec();
                if !more {
                    return Ok(true);
                }
            }
        })?;
        if open {
            self.flush()?;
        }
        Ok(open)
    }

    /// Sends as much as the kernel takes. The rest goes when [`Socket::ready`] returns.
    ///
    /// # Errors
    /// Fails on an I/O error.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        match self.stream.try_write(&self.out) {
            Ok(sent) if sent == self.out.len() => self.out = Vec::new(),
            Ok(sent) => drop(self.out.drain(..sent)),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// Sends what is left and reads until the other side closes, for at most `most`. A close with
    /// unread bytes would reset the
    /// connection.
    pub async fn finish(mut self, most: Duration) {
        let end = async {
            while self.flush().is_ok()
                && self.ready().await.is_ok()
                && matches!(self.read(|_, _| ()), Ok(true))
            {}
        };
        let _ = tokio::time::timeout(most, end).await;
    }

    /// Ends the connection with RST, as a dying network would.
    pub fn reset(self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

/// Returns the node that the header `X-Node: node-N` names.
fn node_in(head: &str) -> Option<usize> {
    let value = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("x-node").then_some(value)
    })?;
    value.strip_prefix("node-")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balancer_names_the_node() {
        let head = |line: &str| format!("HTTP/1.1 101 Switching Protocols\r\n{line}\r\n\r\n");
        assert_eq!(node_in(&head("x-node: node-2")), Some(2));
        assert_eq!(node_in(&head("X-Node: node-17")), Some(17));
        assert_eq!(node_in(&head("upgrade: websocket")), None);
        assert_eq!(node_in(&head("x-node: another")), None);
    }
}
