//! Connections and WebSockets: bytes in and out.
//!
//! [`connection`] carries one HTTP request, [`upgrade`] makes a WebSocket of it, [`socket`] moves its bytes.

pub mod connection;
pub mod counters;
pub mod socket;
pub mod upgrade;
