//! The registry in a real Redis: the script does what the model does, and the connection survives
//! what may happen to a Redis. Each test starts a `redis-server` of its own and ends it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so at once")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test waits for one event among others")]

mod conformance;
mod faults;
mod keeper;
mod proxy;
#[path = "../common/redis_server.rs"]
mod redis_server;
mod refusals;
