//! peerstar: a PeerJS server in which every page has a host.
//!
//! People who look at the same web page find each other here. The server names one of their
//! browsers the *host*, and all data goes to it over WebRTC. docs/ARCHITECTURE.md shows how.
//!
//! # Where a change goes
//! The floors, from the top. A file imports only from its own floor or a lower one (tests/layers.rs
//! checks that).
//! - [`server`] starts the server and stops it; [`signals`] says when to stop.
//! - [`http`]: routes, the handshake's parameters, tickets, the files for the browser.
//! - [`actor`]: a `PageDirectory`, a `Page` for each page, a `Session` for each WebSocket. Thin
//!   shells around the core.
//! - [`transport`]: connections and WebSockets, bytes in and out.
//! - [`cluster`]: the connection to the Redis that several servers share.
//! - [`admission`]: how many connections there may be. [`shared`]: settings, rules, clock and
//!   metrics for all handlers and actors.
//! - [`settings`], [`clock`], [`metrics`], [`logging`], [`turn`], [`tls`]: one concern each, and no
//!   state of the server's.
//! - [`peerstar_core`] (`src/core`): what is decided. Elections, membership, parked messages,
//!   limits. Pure: no I/O, clock or randomness.

#[cfg(panic = "abort")]
compile_error!(
    "peerstar needs panic = \"unwind\": a panic ends one actor, and the server starts another"
);

pub mod server;
pub mod signals;

pub mod http;

pub mod actor;

pub mod transport;

pub mod cluster;

pub mod admission;
pub mod shared;

pub mod clock;
pub mod logging;
pub mod metrics;
pub mod settings;
pub mod tls;
pub mod turn;
