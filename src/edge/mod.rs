//! HTTP: the only way in.
//!
//! [`routes`] is the map. [`handshake`] reads what a WebSocket's URL says, [`guard`] watches its bytes, [`origin`] says
//! which sites may use the server, [`assets`] are the files for the browser.

pub mod guard;
pub mod handshake;
pub mod origin;

pub mod assets;
pub mod routes;
