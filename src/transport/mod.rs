//! Connections and WebSockets: bytes in and out.
//!
//! A [`connection`] carries one HTTP request, [`upgrade`] turns it into a WebSocket, and a
//! [`socket`] moves the WebSocket's bytes. The [`counters`] of a session can be read from any
//! thread.

pub mod counters;

pub mod connection;
pub mod upgrade;

pub mod socket;
