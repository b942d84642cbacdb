//! HTTP and WebSockets: the only way in.
//!
//! [`service`] is what is done with a connection. [`routes`] is the map, [`handshake`] reads what a WebSocket's URL says,
//! [`ticket`] whom a site lets in, [`origin`] says which sites may use the server, [`address`] whose connection it is,
//! [`assets`] are the files for the browser.
//! [`upgrade`] makes a WebSocket of a [`connection`], [`socket`] moves its bytes.

pub mod connection;
pub mod service;
pub mod socket;
pub mod upgrade;

pub mod address;
pub mod handshake;
pub mod origin;
pub mod ticket;

pub mod assets;
pub mod routes;
