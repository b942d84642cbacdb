//! The actors: thin shells around [`peerstar_core`].
//!
//! [`message`] lists what they send each other. [`directory`] supervises the pages, and asks the
//! [`registry`] where they live. A [`page`] reaches its sessions by an [`outlet`]; on each thread a
//! [`writer`] takes what is [`outbound`] from its [`outbound_queue`], in the order that a [`latch`]
//! allows. A [`session`] reads what a page publishes in its [`routing_table`], and reaches its page by
//! a [`page_address`].

pub mod latch;
pub mod outbound;
pub mod outbound_queue;
pub mod outlet;
pub mod writer;

pub mod message;
pub mod page_address;
pub mod routing_table;

pub mod cluster;
pub mod directory;
pub mod directory_address;
pub mod page;
pub mod registry;
pub mod session;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod memory_link;
