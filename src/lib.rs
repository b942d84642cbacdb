//! peerstar: a PeerJS server in which every page has a host.
//!
//! Several people look at one web page. Their browsers find each other through this server, which names
//! one of them the *host*; all data goes to the host. docs/ARCHITECTURE.md draws the parts.
//!
//! # Where a change goes
//! - [`peerstar_core`] (`src/core`): decisions about elections, membership, parked messages and frames.
//!   Pure: no I/O, clock or randomness.
//! - [`http`]: routes, the parameters of the handshake, tickets, the files for the browser.
//! - [`actor`]: a `PageDirectory`, a `Page` for each page, a `Session` for each WebSocket. Each is a thin
//!   shell around the core.
//! - [`transport`]: connections and WebSockets, bytes in and out.
//! - [`admission`]: limits on connections. [`shared`]: what all parts of a server share.
//! - [`settings`]: every setting, checked. [`metrics`]: counters for the operator. [`logging`]: the log.
//! - [`server`]: how the server listens, serves and drains. [`signals`]: which signals stop it.
//!   [`tls`]: the certificate. [`turn`]: TURN credentials. [`clock`]: the time.

#[cfg(panic = "abort")]
compile_error!(
    "peerstar needs panic = \"unwind\": a panic ends one actor, and the server starts another"
);

pub mod actor;
pub mod admission;
pub mod clock;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod server;
pub mod settings;
pub mod shared;
pub mod signals;
pub mod tls;
pub mod transport;
pub mod turn;
