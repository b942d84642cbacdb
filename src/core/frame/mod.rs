//! WebSocket frames before they are messages: parsing, reassembly, rate limits and fair writing.

pub mod fair_queue;
pub mod rate_limiter;
pub mod reader;
pub mod reassembly;
