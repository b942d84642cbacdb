//! The cluster's Redis: its address, a connection that is made anew for ever, the script that is the
//! registry, and the seal on what nodes say to each other.
//!
//! - [`address`] reads `cluster.url`.
//! - [`registry_script`] turns calls into commands, and answers into replies. The script is
//!   `registry.lua`; the model of it is [`peerstar_core::cluster::registry::RegistryState`].
//! - [`dial`] connects, and refuses a Redis that cannot serve.
//! - [`supervisor`] keeps the two connections of a node, on a thread of its own.
//! - [`seal`] encrypts what links send; [`token_key`] hashes tokens for other nodes.

pub mod address;
pub mod dial;
pub mod registry_script;
pub mod seal;
pub mod supervisor;
pub mod token_key;
