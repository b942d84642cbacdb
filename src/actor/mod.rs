//! Who acts: thin shells around [`crate::core`].
//!
//! What they say to each other is in [`message`]; then the directory, the page and the session.

pub mod message;
pub mod switchboard;

pub mod directory;
pub mod page;
pub mod session;
