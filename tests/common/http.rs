//! Plain HTTP, with one request a connection.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{PATIENCE, Server};

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: String,
    headers: Vec<(String, String)>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    fn read(answer: &str) -> Option<Self> {
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned())).collect();
        Some(Self { status, body: body.to_owned(), headers })
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("not JSON: {self:?}: {e}"))
    }
}

impl Server {
    pub(crate) async fn get(&self, path: &str) -> Response {
        http(self, "GET", path, &[]).await
    }

    /// Returns the ids of page-less peers, which `allow_discovery` makes public.
    pub(crate) async fn peers(&self) -> serde_json::Value {
        self.get("/peerjs/peers").await.json()
    }

    /// Returns the pages as the admin sees them. The admin token must be `admin`. Asks again while
    /// a page's actor is restarted.
    pub(crate) async fn pages(&self) -> serde_json::Value {
        loop {
            let answer = http(self, "GET", "/pages", &[("Authorization", "Bearer admin")]).await;
            if answer.status != 503 {
                return answer.json();
            }
        }
    }

    /// Sends these bytes, and returns the whole answer.
    pub(crate) async fn exchange(&self, request: &[u8]) -> Response {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        stream.write_all(request).await.expect("sent");
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer").expect("read");
        let answer = String::from_utf8(answer).expect("UTF-8");
        Response::read(&answer).unwrap_or_else(|| {
            panic!("no answer to {:?}: {answer:?}", String::from_utf8_lossy(request))
        })
    }
}

/// Sends one request, and returns the answer.
pub(crate) async fn http(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Response {
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n"
    );
    server.exchange(request.as_bytes()).await
}
