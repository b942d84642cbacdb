//! Checks that must hold for any bytes. The fuzzer looks for bytes for which they do not.
//! tests/corpus.rs replays the bytes that it kept.

#![allow(dead_code, reason = "each target uses one of them")]
#![allow(clippy::unwrap_used, reason = "a check that cannot go on should say so at once")]

pub(crate) mod bags;
pub(crate) mod fragments;
pub(crate) mod frames;
pub(crate) mod handshake;
pub(crate) mod messages;
pub(crate) mod page;

// The model of a page is that of the core's tests.
#[path = "../../core/life.rs"]
mod life;
#[path = "../../core/reference/mod.rs"]
mod reference;
#[path = "../../core/world.rs"]
mod world;
