//! HTTP: the only way in.
//!
//! [`routes`] is the map. [`handshake`] reads what a WebSocket's URL says, [`ticket`] whom a site lets in, [`guard`]
//! watches the bytes, [`origin`] says which sites may use the server, [`assets`] are the files for the browser.

pub mod guard;
pub mod handshake;
pub mod origin;
pub mod ticket;

pub mod assets;
pub mod routes;
