//! The cluster's Redis: its address, a connection that is made anew for ever, the script that is the
//! registry, and the seal on what nodes say to each other.
//!
//! - [`address`] reads `cluster.url`. [`agreement`] names the settings that must agree.
//! - [`registry_script`] turns calls into commands, and answers into replies. The script is
//!   `registry.lua`; the model of it is [`peerstar_core::cluster::registry::RegistryState`].
//! - [`dial`] connects, and refuses a Redis that cannot serve.
//! - [`connections`] are the two that a node has: for commands, and for its inbox.
//! - [`supervisor`] keeps them, on a thread of its own.
//! - [`publisher`] takes what is published in inboxes.
//! - [`peers`] asks other nodes over HTTP, when Redis cannot be reached.
//! - [`seal`] encrypts what links send; [`token_key`] hashes tokens for other nodes.

pub mod address;
pub mod agreement;
pub mod connections;
pub mod dial;
pub mod peers;
pub mod publisher;
pub mod registry_script;
pub mod seal;
pub mod supervisor;
pub mod token_key;
