//! WebSocket frames before they are messages.
//!
//! - [`reader`]: parses and writes frames; [`reassembly`] joins fragments.
//! - [`rate_limiter`]: how fast a client may send.
//! - [`fair_queue`]: in which order sockets are written to.

pub mod fair_queue;
pub mod rate_limiter;
pub mod reader;
pub mod reassembly;
