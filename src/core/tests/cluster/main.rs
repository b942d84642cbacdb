//! Whole clusters in virtual time: real nodes, registry, links, pages and sessions, with every
//! fault that CLUSTER names. Everything comes from one seed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so at once")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a model leaves out what it does not show")]
#![allow(clippy::wrong_self_convention, reason = "`to_browser` sends something there")]
#![allow(clippy::print_stdout, reason = "scripts/cluster-sim shows what happened")]

mod deep;
mod faults;
mod keeper;
mod prng;
mod queue;
mod random;
mod redis;
mod run;
mod script;
mod shrink;
mod wide;
mod world;
