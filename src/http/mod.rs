//! HTTP: routes, the parameters of a WebSocket's handshake, the files for the browser.
//!
//! [`service`] is what is done with a connection. [`routes`] is the map, [`handshake`] reads a WebSocket's URL,
//! [`ticket`] checks tickets, [`origin`] says which sites may use the server, [`address`] reads the client's address
//! behind proxies, [`assets`] are the files for the browser.

pub mod service;

pub mod address;
pub mod handshake;
pub mod origin;
pub mod ticket;

pub mod assets;
pub mod routes;
