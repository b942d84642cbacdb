//! Who acts: thin shells around [`peerstar_core`].
//!
//! What they say to each other is in [`message`], and what sessions may read without asking on the [`routing_table`]; then
//! the directory, the page, the session, and the writer from pages to sessions.

pub mod message;
pub mod routing_table;

pub mod directory;
pub mod page;
pub mod session;
pub mod writer;
