//! The protocol: names and their limits, messages from clients and to clients, close codes.
//!
//! - [`id`]: ids, page names, tokens, epochs, and the rules that they keep.
//! - [`incoming`]: parses what a client sends.
//! - [`outgoing`]: encodes what the server sends.
//! - [`close`], [`cause`]: why a connection ends, and why a page has a new host.
//! - [`claim`]: what a client says that it was last told.
//! - [`ice`], [`secret`]: ICE servers with their credentials, and text that must not be shown.

pub mod cause;
pub mod claim;
pub mod close;
pub mod ice;
pub mod id;
pub mod incoming;
mod json;
pub mod outgoing;
pub mod secret;
