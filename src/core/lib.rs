//! The pure core of peerstar: it decides, and does nothing else. No clock, randomness, I/O or
//! actors.
//!
//! Time, random numbers and facts about sockets come in as arguments; effects go out as values. The
//! crate's dependencies keep it so: none of them can act.
//!
//! - [`protocol`]: names and their limits, messages from and to clients, close codes.
//! - [`page`]: one page with its members, host, liveness and parked messages. The main item is
//!   [`PageState`](page::PageState).
//! - [`session`]: one session: joining, resuming, pinging, closing.
//! - [`directory`]: which pages exist, and in which incarnation. The main item is
//!   [`DirectoryState`](directory::DirectoryState).
//! - [`cluster`]: several processes as one server: the registry they share, leases, links.
//! - [`frame`]: WebSocket frames before they are messages, rate limits, fair writing. The main item
//!   is [`Reader`](frame::reader::Reader).
//! - [`time`]: points in time. [`epoch_clock`]: the clock of epochs.
//!
//! # Where a change goes
//! - A message of the server: [`protocol::outgoing`]. A message of a client:
//!   [`protocol::incoming`], an [`Input`](page::Input), the arm of
//!   [`SessionState::react`](session::SessionState::react) that makes the one from the other, and
//!   the file of `page/state` that handles it. Both: docs/PROTOCOL.md and tests/fixtures.
//! - A way to end a connection: one row in [`protocol::close`].
//! - A rule for names: [`protocol::id`].
//! - What a page decides: the module [`page`] lists its parts.
//! - A limit on frames or on speed: [`frame`].
//!
//! The repository's `tests/core/reference` is a slow model of a page. Tests compare all decisions
//! of [`page`] with it.

pub mod cluster;
pub mod directory;
pub mod epoch_clock;
pub mod frame;
pub mod page;
pub mod protocol;
pub mod session;
pub mod time;
