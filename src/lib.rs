//! peerstar: a PeerJS server in which every page has a host.
//!
//! Several people look at one web page. Their browsers find each other here, and one of them, the *host*
//! (ClientServer), is named by the server; all data goes to it over WebRTC. docs/ARCHITECTURE.md draws it.
//!
//! # Where a change goes
//! - [`core`]: what is decided. Elections, membership, waiting messages, limits. Pure: no I/O, clock or randomness.
//! - [`actor`]: who acts. Thin shells that put the core's words into practice: a `PageDirectory`, a `Page` for each
//!   page, a `Session` for each WebSocket.
//! - [`edge`]: HTTP. Routes, the handshake's parameters, the files for the browser.
//! - [`settings`]: what can be set. [`shared`]: what all of them share. [`metrics`]: what is counted.
//!   [`tls`]: the certificate. [`logging`]: what a log line may be.
//!   [`server`]: how it is put together, runs and stops. [`signals`]: what it is told by the system.

pub mod core;

pub mod actor;

pub mod edge;

pub mod clock;
pub mod logging;
pub mod metrics;
pub mod server;
pub mod settings;
pub mod shared;
pub mod signals;
pub mod tls;
