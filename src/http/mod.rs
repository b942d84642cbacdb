//! HTTP: routes, the parameters of a WebSocket's handshake, and the files for the browser.
//!
//! A [`service`] is started on each thread and serves its connections by the [`routes`].
//! [`handshake`] reads the URL of a WebSocket, [`ticket`] checks tickets, and a [`refusal`] says
//! why a client is refused. [`origin`] decides which sites may use the server, [`address`] finds a
//! client's address behind proxies, and [`assets`] serves the files for the browser.

pub mod refusal;

pub mod address;
pub mod assets;
pub mod handshake;
pub mod origin;
pub mod ticket;

pub mod routes;

pub mod service;
