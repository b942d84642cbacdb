//! A server that is one node of several: pages and sessions on different nodes reach each other.
//!
//! [`node`] is the directory of such a server. To each [`other_node`] there is a link. A page
//! reaches the sessions of another node by a [`page_route`]; on the page's node each of them is a
//! [`visitor`]. The directory is told through its [`inbox`]. A session reaches a page on another
//! node by the [`branch`] of that page. The [`bus`] hands what arrives to its receivers, and
//! publishes what is to be sent. [`start`] puts it all together.

pub mod other_node;
pub mod visitor;

pub mod branch;
pub mod page_route;

pub mod inbox;
pub mod message;
pub mod tables;

pub mod bus;
pub mod node;
pub mod start;
