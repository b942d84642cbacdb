//! The pure core of peerstar: it decides, and does nothing else. No clock, randomness, I/O or
//! actors.
//!
//! Time, random numbers and facts about sockets come in as arguments; effects go out as values. The
//! crate's dependencies keep it so: none of them can act.
//!
//! | module | decides | main item |
//! |---|---|---|
//! | [`protocol`] | names and their limits, messages from and to clients, close codes | [`incoming::read`](protocol::incoming::read) |
//! | [`page`] | one page: members, hosts, liveness, parked messages | [`PageState`](page::PageState) |
//! | [`directory`] | which pages exist, and in which incarnation | [`DirectoryState`](directory::DirectoryState) |
//! | [`frame`] | WebSocket frames before they are messages; rate limits and fair writing | [`Reader`](frame::reader::Reader) |
//! | [`time`] | nothing: points in time | [`Time`](time::Time) |
//!
//! # Where a change goes
//! - A message of the server: [`protocol::outgoing`]. A message of a client:
//!   [`protocol::incoming`], an [`Input`](page::Input), and the file of `page/state` that handles
//!   it. Both: docs/PROTOCOL.md and tests/fixtures.
//! - A way to end a connection: one row in [`protocol::close`].
//! - A rule for names: [`protocol::id`].
//! - What a page decides: the module [`page`] lists its parts.
//! - A limit on frames or on speed: [`frame`].
//!
//! The model that all decisions of a page are held to is in `tests/core`.

pub mod directory;
pub mod frame;
pub mod page;
pub mod protocol;
pub mod time;
