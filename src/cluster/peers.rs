//! Asks other nodes over HTTP whether they have Redis: the way that is left when Redis is not.

use std::time::Duration;

use futures_util::future::join_all;
use peerstar_core::cluster::solitude::Others;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use crate::settings::node_url;

/// Header of `GET /ready` by which a node says whether it has Redis: `yes` or `no`.
pub const HEADER: &str = "peerstar-redis";
/// Longest time for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Most bytes of an answer that are read.
const MOST_BYTES: u64 = 4096;

/// Asks the nodes at these addresses.
pub async fn ask(addresses: &[impl AsRef<str>]) -> Others {
    let asked = addresses.iter().filter_map(|address| node_url(address.as_ref()));
    let asked = asked.map(|url| async move { timeout(ANSWER_WITHIN, has_redis(&url)).await.ok()? });
    let answers: Vec<bool> = join_all(asked).await.into_iter().flatten().collect();
    match answers.iter().max() {
        Some(true) => Others::HaveIt,
        Some(false) => Others::LackIt,
        None => Others::Silent,
    }
}

/// Returns what the node says, if it does.
async fn has_redis(url: &Url) -> Option<bool> {
    let host = format!("{}:{}", url.host_str()?, url.port_or_known_default()?);
    let mut stream = TcpStream::connect(&host).await.ok()?;
    let request =
        format!("GET {}ready HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n", url.path());
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let head = answer.split("\r\n\r\n").next()?;
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut said = fields.filter(|(name, _)| name.eq_ignore_ascii_case(HEADER));
    match said.next()?.1.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers one request with `answer`, and returns the address for that.
    async fn node(answer: &'static str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 512];
            let _ = stream.read(&mut request).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        address
    }

    #[tokio::test]
    async fn one_node_that_has_it_is_enough_and_strangers_say_nothing() {
        let yes = "HTTP/1.1 200 OK\r\nPeerstar-Redis: yes\r\n\r\nready\n";
        let no = "HTTP/1.1 503 Service Unavailable\r\npeerstar-redis: no\r\n\r\n";
        let stranger = "HTTP/1.1 200 OK\r\n\r\npeerstar-redis: yes\r\n";
        assert_eq!(ask(&[node(yes).await, node(no).await]).await, Others::HaveIt);
        assert_eq!(ask(&[node(no).await, node(stranger).await]).await, Others::LackIt);
        assert_eq!(ask(&[node(stranger).await, "nonsense".to_owned()]).await, Others::Silent);
    }
}
