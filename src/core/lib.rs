//! What peerstar decides, and nothing else: no clock, randomness, I/O or actors.
//!
//! Time, random numbers and facts about sockets come in as arguments; effects go out as values. The crate's
//! dependencies keep it so: none of them can act.
//!
//! # Where a change goes
//! - [`protocol`]: names and their limits, messages from and to clients, close codes.
//! - [`page`]: one page. Membership, elections, liveness, parked messages.
//! - [`session`]: one session. Joining, resuming, pinging, closing.
//! - [`directory`]: which pages exist, and in which incarnation.
//! - [`frame`]: WebSocket frames before they are messages; rate limits and fair writing.
//! - [`time`]: points in time, in milliseconds since the server started.

pub mod directory;
pub mod frame;
pub mod page;
pub mod protocol;
pub mod session;
pub mod time;
