//! The core, driven without actors: elections as text, and random lives of a page against a slow
//! model.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so at once")]

mod claims;
mod crowds;
mod deadline_map;
mod elections;
mod host_first;
mod life;
mod liveness;
mod random;
mod reference;
mod world;
