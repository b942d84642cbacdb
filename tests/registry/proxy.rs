//! A TCP proxy whose connections can stop forwarding without being closed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The proxy. It listens until the test ends.
pub(crate) struct Proxy {
    port: u16,
    /// Connections with lower numbers are stuck.
    stuck: Arc<AtomicUsize>,
    accepted: Arc<AtomicUsize>,
    held: Arc<Mutex<Option<usize>>>,
}

fn forward(mut from: TcpStream, mut to: TcpStream, is_stuck: impl Fn() -> bool) {
    let mut bytes = [0; 65536];
    while let Ok(length) = from.read(&mut bytes) {
        if length == 0 {
            break;
        }
        if !is_stuck() && to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

impl Proxy {
    pub(crate) fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stuck, accepted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let held = Arc::new(Mutex::new(None));
        let proxy = Self { port, stuck, accepted, held };
        let (stuck, accepted) = (Arc::clone(&proxy.stuck), Arc::clone(&proxy.accepted));
        let held = Arc::clone(&proxy.held);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", target)))
                else {
                    continue;
                };
                let number = accepted.fetch_add(1, Ordering::SeqCst);
                let (stuck, held) = (Arc::clone(&stuck), Arc::clone(&held));
                let is_stuck = move || {
                    number < stuck.load(Ordering::SeqCst) || *held.lock().unwrap() == Some(number)
                };
                let (back, forth) = (is_stuck.clone(), is_stuck);
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || forward(from, to, forth));
                std::thread::spawn(move || forward(server, client, back));
            }
        });
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Returns the number of connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Lets all connections so far swallow what they are given.
    pub(crate) fn hold_all(&self) {
        self.stuck.store(self.accepted(), Ordering::SeqCst);
    }

    /// Lets one connection swallow what it is given.
    pub(crate) fn hold(&self, number: usize) {
        *self.held.lock().unwrap() = Some(number);
    }
}
