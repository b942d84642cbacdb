//! One page: who is on it and who hosts it. Only this module decides these two questions.
//!
//! [`PageState::handle`] takes one input and returns what is to be done; [`io`] lists both. A page
//! is a conductor (`state/`) over parts. A part has private fields and tests of its own. It knows
//! no other part but those that it is made of, and never the conductor.
//!
//! | part | owns |
//! |---|---|
//! | [`roster`] | members, seats, indexes, counts, the encoded roster |
//! | [`term`] | who hosts: stages, epochs, recovery after a restart |
//! | [`challenge`], [`suspicion`] | what speaks against the present host (inside the term) |
//! | [`election`] | the choice of the next host, a pure function |
//! | [`deputy`], [`dials`] | the member that hosts next; how long a dial may fairly take |
//! | [`absent`], [`going_away`] | members that may come back, without and with their seats |
//! | [`pending_joins`], [`parked`] | newcomers whose id is in use; messages for absent receivers |
//! | [`contacts`] | the peers that hear when a member is gone |
//! | [`ways`] | ways to members on other nodes that are down |
//! | [`profiles`], [`silence`] | how often the host hears of profiles; when to look for silent members |
//! | [`member`], [`rules`], [`handover`] | facts about members; settings; what outlives a page's actor |
//! | [`deadline`], [`deadline_map`] | reasons of deadlines; values with a key and a deadline |
//!
//! Every [`Deadline`] names its reason. What must always be true is in `state/check.rs`, by number.
//!
//! # Where a change goes
//! - Another policy of elections: [`election`], the arm for large pages in `state/successor.rs`,
//!   and a test script in `tests/core/elections`.
//! - Another input or output: [`io`], and the file of `state/` that handles it.
//! - Another thing that waits: a part with a deadline, a [`DeadlineReason`], and a line in
//!   `state/timer.rs`.

pub mod absent;
pub mod challenge;
pub mod contacts;
pub mod deadline;
pub mod deadline_map;
pub mod deputy;
pub mod dials;
pub mod election;
pub mod going_away;
pub mod handover;
pub mod io;
pub mod member;
pub mod parked;
pub mod pending_joins;
pub mod profiles;
pub mod roster;
pub mod rules;
pub mod silence;
pub mod suspicion;
pub mod term;
pub mod ways;

mod state;

pub use deadline::{Deadline, DeadlineReason};
pub use handover::Handover;
pub use io::{Announcement, Assignment, Env, Input, Output};
pub use rules::Rules;
pub use state::{InvariantViolation, PageState};
