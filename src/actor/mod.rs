//! Who acts: thin shells around [`crate::core`].
//!
//! What they say to each other is in [`message`], and what sessions may read without asking on the [`switchboard`]; then
//! the directory, the page, the session, and the courier from pages to sessions.

pub mod message;
pub mod switchboard;

pub mod courier;
pub mod directory;
pub mod page;
pub mod session;
