//! Several nodes under load: a Redis, nodes, HAProxy in front of them, and members behind it. Nodes
//! and Redis are killed, frozen and emptied.

mod echo;
mod observer;
mod processes;
pub mod round;
pub mod rounds;

pub use processes::{Balancer, Cluster, Redis, SETTINGS};
