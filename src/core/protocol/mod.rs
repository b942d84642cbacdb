//! The protocol: names and limits, messages from clients and to clients, close codes.

pub mod cause;
pub mod claim;
pub mod close;
pub mod ice;
pub mod id;
pub mod incoming;
pub mod outgoing;
pub mod secret;
