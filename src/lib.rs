//! peerstar: a PeerJS server in which every page has a host.
//!
//! Several people look at one web page. Their browsers find each other here, and one of them, the *host*
//! (ClientServer), is named by the server; all data goes to it over WebRTC. docs/ARCHITECTURE.md draws it.
//!
//! # Where a change goes
//! - [`peerstar_core`] (`src/core`): what is decided. Elections, membership, parked messages, limits. Pure: no I/O, clock or
//!   randomness.
//! - [`http`]: routes, the handshake's parameters, tickets, the files for the browser.
//! - [`actor`]: a `PageDirectory`, a `Page` for each page, a `Session` for each WebSocket. Thin shells around the core.
//! - [`transport`]: connections and WebSockets, bytes in and out.
//! - [`settings`]: what can be set. [`shared`]: what all of them share. [`metrics`]: what is counted.
//!   [`tls`]: the certificate. [`logging`]: what a log line may be.
//!   [`server`]: how it is put together, runs and stops. [`signals`]: what it is told by the system.

pub mod http;

pub mod actor;

pub mod transport;

pub mod admission;
pub mod clock;
pub mod logging;
pub mod metrics;
pub mod server;
pub mod settings;
pub mod shared;
pub mod signals;
pub mod tls;
pub mod turn;
