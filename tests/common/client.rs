//! A well-behaved client: reads all the time, answers pings, and keeps what it receives until the
//! test asks for it.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::{PATIENCE, Server};

/// One thing that a client receives.
#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    Text(String),
    /// A close frame with its code (1005 for none) and reason.
    Closed(u16, String),
    /// The end of the socket without a close frame.
    Lost,
}

enum Order {
    Send(Message),
    /// Ends the connection with RST, like a failing network.
    Reset,
}

/// One WebSocket. Dropping it ends the connection with FIN and without a close frame.
pub(crate) struct Client {
    pub(crate) id: String,
    /// Payload of the client's OPEN, or null without one.
    pub(crate) open: Value,
    events: UnboundedReceiver<Event>,
    orders: UnboundedSender<Order>,
    barriers: u32,
}

/// Percent-encodes one value for a query.
pub(crate) struct Query;

impl Query {
    pub(crate) fn encode(text: &str) -> String {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    }
}

impl Server {
    /// Opens a WebSocket at `path_and_query`, and waits for the handshake alone.
    pub(crate) async fn connect(&self, path_and_query: &str) -> Client {
        self.connect_with(path_and_query, &[]).await
    }

    /// Opens a WebSocket like [`Server::connect`], with more headers.
    pub(crate) async fn connect_with(
        &self,
        path_and_query: &str,
        headers: &[(&'static str, &str)],
    ) -> Client {
        let url = format!("ws://{}{path_and_query}", self.address);
        let mut request = url.into_client_request().expect("a good URL");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a good value"));
        }
        let stream = TcpStream::connect(self.address).await.expect("it listens");
        let handshake = timeout(PATIENCE, tokio_tungstenite::client_async(request, stream)).await;
        let (socket, _) = handshake.expect("the handshake ends").expect("the handshake succeeds");
        let (tell, events) = unbounded_channel();
        let (orders, obey) = unbounded_channel();
        tokio::spawn(run(socket, obey, tell));
        let id = path_and_query
            .split(['?', '&'])
            .find_map(|part| part.strip_prefix("id="))
            .unwrap_or_default();
        Client { id: id.to_owned(), open: Value::Null, events, orders, barriers: 0 }
    }

    /// Joins at `path` with `query` and the right key, and waits for OPEN.
    pub(crate) async fn join_at(&self, path: &str, query: &str) -> Client {
        let mut client = self.connect(&format!("{path}?key=peerjs&{query}")).await;
        client.open = client.expect("OPEN").await["payload"].take();
        client
    }

    /// Joins with `query`, and waits for OPEN.
    pub(crate) async fn join(&self, query: &str) -> Client {
        self.join_at("/peerjs", query).await
    }

    /// Joins a stock client without a page. All clients use the token `t`.
    pub(crate) async fn peer(&self, id: &str) -> Client {
        self.join(&format!("id={id}&token=t")).await
    }

    /// Joins a stock client on a page.
    pub(crate) async fn member(&self, page: &str, id: &str) -> Client {
        self.join(&format!("id={id}&token=t&page={page}")).await
    }

    /// Joins a group member on a page.
    pub(crate) async fn grouped(&self, page: &str, id: &str) -> Client {
        self.join(&format!("id={id}&token=t&page={page}&group=2")).await
    }

    /// Joins several group members on one page. The first hosts, and has been sent JOIN for the
    /// others.
    pub(crate) async fn group(&self, page: &str, ids: &[&str]) -> Vec<Client> {
        let mut members = Vec::new();
        for id in ids {
            members.push(self.grouped(page, id).await);
        }
        // the host is told of the first deputy by a message
        let mut named = members.iter().any(|member| member.open.get("deputy").is_some());
        for id in &ids[1..] {
            members[0].expect_from("JOIN", id).await;
            if std::mem::take(&mut named) {
                members[0].expect("DEPUTY").await;
            }
        }
        members
    }

    /// Connects a client that must be refused. Returns the message before the close, and its code.
    pub(crate) async fn refusal(&self, path_and_query: &str) -> (Value, u16) {
        self.connect(path_and_query).await.refused().await
    }
}

async fn run(
    mut socket: WebSocketStream<TcpStream>,
    mut orders: UnboundedReceiver<Order>,
    tell: UnboundedSender<Event>,
) {
    loop {
        let event = tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => Event::Text(text.to_string()),
                Some(Ok(Message::Close(frame))) => {
                    let (code, reason) = frame.map_or((1005, String::new()), |f| (f.code.into(), f.reason.to_string()));
                    Event::Closed(code, reason)
                }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => {
                    let _ = tell.send(Event::Lost);
                    return;
                }
            },
            order = orders.recv() => match order {
                Some(Order::Send(message)) => {
                    // an error shows on the reading side as well
                    let _ = socket.send(message).await;
                    continue;
                }
                Some(Order::Reset) => {
                    let linger = socket2::SockRef::from(socket.get_ref()).set_linger(Some(std::time::Duration::ZERO));
                    return linger.expect("a socket");
                }
                None => return,
            },
        };
        if tell.send(event).is_err() {
            return;
        }
    }
}

impl Client {
    pub(crate) async fn event(&mut self) -> Event {
        let event = timeout(PATIENCE, self.events.recv()).await;
        event.unwrap_or_else(|_| panic!("{} was told nothing", self.id)).unwrap_or(Event::Lost)
    }

    /// Returns the next message as text.
    pub(crate) async fn text(&mut self) -> String {
        match self.event().await {
            Event::Text(text) => text,
            end @ (Event::Closed(..) | Event::Lost) => {
                panic!("{} expected a message: {end:?}", self.id)
            }
        }
    }

    /// Returns the next message as JSON.
    pub(crate) async fn next(&mut self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("not JSON: {text}: {e}"))
    }

    /// Returns the next message, which must be of this type.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        let message = self.next().await;
        assert_eq!(message["type"], kind, "{} was told {message}", self.id);
        message
    }

    /// Returns the next message, which must be of this type and from `src`.
    pub(crate) async fn expect_from(&mut self, kind: &str, src: &str) -> Value {
        let message = self.expect(kind).await;
        assert_eq!(message["src"], src, "{} was told {message}", self.id);
        message
    }

    /// Returns the payload of the next message, which must be HOST.
    pub(crate) async fn appointed(&mut self) -> Value {
        self.expect("HOST").await["payload"].take()
    }

    /// Returns the code and reason of the server's close, which must come next.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        match self.event().await {
            Event::Closed(code, reason) => (code, reason),
            other @ (Event::Text(_) | Event::Lost) => {
                panic!("{} expected a close: {other:?}", self.id)
            }
        }
    }

    /// Returns the next message and the code of the close that must follow it.
    pub(crate) async fn refused(&mut self) -> (Value, u16) {
        let words = self.next().await;
        let (code, _) = self.closed().await;
        (words, code)
    }

    /// Checks that the client has received nothing that the test has not asked for. A message to
    /// itself must come next, and everything that its page sent before would come first.
    pub(crate) async fn nothing_more(&mut self) {
        self.barriers += 1;
        let mark = json!({"barrier": self.barriers});
        // a CANDIDATE, which unlike an OFFER makes nobody a contact
        self.send(json!({"type": "CANDIDATE", "dst": self.id, "payload": mark}));
        let message = self.next().await;
        assert_eq!(
            (&message["type"], &message["payload"]),
            (&json!("CANDIDATE"), &mark),
            "{} was told {message}",
            self.id
        );
    }

    /// Checks that the client receives nothing for `peerjs.expire_ms`. A message to an id that no
    /// client has must come back as EXPIRE next, after that time by the server's own clock.
    pub(crate) async fn nothing_until_expire(&mut self) {
        self.barriers += 1;
        let nobody = format!("nobody-{}", self.barriers);
        self.send(json!({"type": "CANDIDATE", "dst": nobody, "payload": {}}));
        self.expect_from("EXPIRE", &nobody).await;
    }

    pub(crate) fn send(&self, message: Value) {
        self.send_text(message.to_string());
    }

    pub(crate) fn send_text(&self, text: impl Into<String>) {
        self.order(Order::Send(Message::text(text.into())));
    }

    pub(crate) fn send_binary(&self, bytes: &[u8]) {
        self.order(Order::Send(Message::binary(bytes.to_vec())));
    }

    pub(crate) fn send_to(&self, kind: &str, dst: &str, payload: Value) {
        self.send(json!({"type": kind, "dst": dst, "payload": payload}));
    }

    pub(crate) fn status(&self, payload: Value) {
        self.send(json!({"type": "STATUS", "payload": payload}));
    }

    /// Sends an OFFER to `other` and an ANSWER back, which makes them contacts.
    pub(crate) async fn meet(&mut self, other: &mut Self) {
        self.send_to("OFFER", &other.id, json!({"sdp": 1}));
        other.expect_from("OFFER", &self.id).await;
        other.send_to("ANSWER", &self.id, json!({"sdp": 2}));
        self.expect_from("ANSWER", &other.id).await;
    }

    /// Sends LEAVE without dst, and waits for the server's close.
    pub(crate) async fn goodbye(mut self) {
        self.send(json!({"type": "LEAVE"}));
        while !matches!(self.event().await, Event::Closed(1000, _)) {}
    }

    /// Sends a close frame with this code or without one, and waits for the server's.
    pub(crate) async fn close(mut self, code: Option<u16>) {
        let frame = code.map(|code| CloseFrame { code: code.into(), reason: "".into() });
        self.order(Order::Send(Message::Close(frame)));
        while !matches!(self.event().await, Event::Closed(..) | Event::Lost) {}
    }

    /// Ends the connection with RST.
    pub(crate) fn reset(self) {
        self.order(Order::Reset);
    }

    fn order(&self, order: Order) {
        // a closed client sends nothing any more
        let _ = self.orders.send(order);
    }
}
