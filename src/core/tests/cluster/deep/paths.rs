//! Links and branches as a site keeps them, and the words that cross them.

use peerstar_core::cluster::branch::Branch;
use peerstar_core::cluster::entry::ToPage;
use peerstar_core::cluster::link::Link;
use peerstar_core::page::Input;
use peerstar_core::time::Time;

use crate::queue::Us;

/// A link, with the time at which it is looked at.
#[derive(Debug)]
pub(super) struct Path {
    pub link: Link,
    pub number: u64,
    pub due: Option<Us>,
}

/// A branch, with its deadline.
#[derive(Debug)]
pub(super) struct Root {
    pub branch: Branch,
    pub number: u64,
    pub due: Option<Time>,
}

/// Returns what the node of a session says to a page elsewhere.
pub(super) fn to_page_entry(input: Input) -> Option<ToPage> {
    Some(match input {
        Input::Forward { session, kind, dst, frame } => {
            ToPage::Forward { session, kind, dst, frame }
        }
        Input::Relay { session, dst, frame } => ToPage::Relay { session, dst, frame },
        Input::Status { session, update } => ToPage::Status { session, update },
        Input::Suspect { session, suspicion } => ToPage::Suspect { session, suspicion },
        Input::Trust { session, suspicion } => ToPage::Trust { session, suspicion },
        Input::Resign { session, epoch, to } => ToPage::Resign { session, epoch, to },
        Input::HostHeartbeat { session, epoch } => ToPage::Heartbeat { session, epoch },
        Input::Alive(session) => ToPage::Alive(session),
        Input::Congested(session) => ToPage::Congested(session),
        Input::Undelivered { session, dst } => ToPage::Undelivered { session, dst },
        _ => return None,
    })
}
