//! Makes one HTTP request to the server.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::ADMIN;

/// Sends a request with the admin token. Returns status and body.
///
/// # Errors
/// Fails on an I/O error, or if the answer is not HTTP.
pub async fn ask(server: SocketAddr, method: &str, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(server).await?;
    let head = format!(
        "Host: x\r\nAuthorization: Bearer {ADMIN}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(format!("{method} {path} HTTP/1.1\r\n{head}").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    status.zip(body).ok_or_else(|| io::Error::other(format!("no HTTP: {answer}")))
}
