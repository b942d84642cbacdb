//! Rules for pages, from the settings.

use std::time::Duration;

use crate::page::election::Policy;
use crate::protocol::ice::IceServers;
use crate::protocol::outgoing::Terms;

/// Rules for pages, from the settings.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Most members of a page; `usize::MAX` for no limit.
    pub max_members: usize,
    /// Number of members, longest present first, that dial the host where a relay serves the
    /// others.
    pub star: usize,
    /// Number of deputies where members need a data channel to the host: none or one.
    pub deputies: usize,
    /// Choice among candidates that are equally fit.
    pub policy: Policy,
    /// How long a page waits for a claimed host.
    pub recovery: Duration,
    /// How long a member may be silent.
    pub timeout: Duration,
    /// How long a host may be silent.
    pub host_timeout: Duration,
    /// How recently a candidate must have been heard from to be preferred in an election.
    pub fresh: Duration,
    /// How long a member that lost its socket may take to come back before it counts as gone.
    pub return_after: Duration,
    /// How long messages wait for an absent receiver.
    pub expire: Duration,
    /// Bytes that may wait for one absent receiver.
    pub parked_bytes: usize,
    /// How long the page of a suspected host has to answer a probe.
    pub probe: Duration,
    /// How long a host may be hidden while a visible member could host. `None`: for ever.
    pub hidden: Option<Duration>,
    /// Facts for every `OPEN` on a page.
    pub terms: Terms,
    /// ICE servers for every `OPEN` on a page.
    pub ice: IceServers,
}
