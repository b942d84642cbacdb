//! What the actors say to each other.

use std::collections::HashSet;
use std::sync::Arc;

use actix::{Message, Recipient};

use super::routing_table::RoutingTable;
use super::writer::Outlet;
use peerstar_core::directory::Incarnation;
use peerstar_core::page::member::{Departure, JoinRequest};
use peerstar_core::page::{Handover, Input};
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::{Epoch, PageKey, PeerId, SessionId, Token};

/// To the directory.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum ToDirectory {
    /// A session wants to join a page.
    Join {
        /// Which page.
        key: PageKey,
        /// Who.
        joiner: Box<JoinRequest>,
        /// How to reach it.
        line: Outlet,
    },
    /// A member's page has died, and its successor too before it heard who is on it: where is it now?
    Seek {
        /// Which page.
        key: PageKey,
        /// How to reach the member.
        line: Outlet,
    },
    /// A session has ended; the page it may be on is to know.
    Gone {
        /// Which page.
        key: PageKey,
        /// Which session.
        session: SessionId,
        /// How it went.
        departure: Departure,
    },
    /// A page of a browser that has no socket any more says that it leaves for good.
    TakeLeave {
        /// Which page it was on.
        key: PageKey,
        /// Its id.
        id: PeerId,
        /// Its proof that the id is its own.
        token: Token,
    },
    /// A page has nobody and nothing left.
    Idle {
        /// Which page.
        key: PageKey,
        /// Which life of it.
        incarnation: Incarnation,
        /// How many joins it saw.
        joins_seen: u64,
        /// The highest epoch it told.
        told: Epoch,
    },
    /// A page's actor has stopped, by order or by a panic.
    Stopped {
        /// Which page.
        key: PageKey,
        /// Which life of it.
        incarnation: Incarnation,
        /// What it leaves to the next.
        estate: Box<Handover>,
        /// Its sessions.
        lines: Vec<Outlet>,
        /// Sessions of the actor before it that had not come back.
        awaited: HashSet<SessionId>,
    },
    /// The server goes away.
    Drain,
}

/// To a page.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum ToPage {
    /// A session wants to join.
    Join {
        /// Who.
        joiner: Box<JoinRequest>,
        /// How to reach it.
        line: Outlet,
    },
    /// Something happened to a member.
    Input(Input),
    /// A session's client said something.
    Said {
        /// Which session.
        session: SessionId,
        /// What.
        input: Input,
    },
    /// The page is forgotten: stop.
    Retire,
    /// Panic, to see what follows.
    #[cfg(feature = "faults")]
    Fail,
}

/// To a session.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum ToSession {
    /// It is a member.
    Joined {
        /// The page's address.
        page: Recipient<ToPage>,
        /// Who else is there.
        switchboard: Arc<RoutingTable>,
        /// Who hosts, as its client is told in `OPEN`. `None` for a session that resumes: it is told nothing.
        told: Option<Claim>,
    },
    /// Its client hosts from now on, as it was told.
    Hosts(Claim),
    /// See whether the client lives: the next frame from it is to be reported.
    Ping,
    /// The end, and why.
    Close(Close),
    /// The page's actor died. With the address of its successor: say who you are.
    PageLost(Option<Recipient<ToPage>>),
}

/// The answer of a page whose actor dies, or died and has not heard from all its sessions yet. To be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dying;

/// The ids of a page's members.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<PeerId>, Dying>")]
pub struct Ids;

/// The ids of the members of a page, asked of the directory.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<PeerId>, Dying>")]
pub struct IdsOf(pub PageKey);

/// Sends away the member of a page that has an id. True when there is one.
#[derive(Debug, Message)]
#[rtype(result = "Result<bool, Dying>")]
pub struct Kick(pub PeerId);

/// The same, asked of the directory.
#[derive(Debug, Message)]
#[rtype(result = "Result<bool, Dying>")]
pub struct KickFrom {
    /// Which page.
    pub key: PageKey,
    /// Whom.
    pub id: PeerId,
}

/// One page as the operator sees it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Summary {
    /// Its name.
    pub page: String,
    /// Its host, or the one that is to come back.
    pub host: Option<PeerId>,
    /// The host's term.
    pub epoch: Option<Epoch>,
    /// How many are there.
    pub members: usize,
}

/// A page's summary; none when nobody is there.
#[derive(Debug, Message)]
#[rtype(result = "Result<Option<Summary>, Dying>")]
pub struct Summarise;

/// The summaries of all pages, asked of the directory.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<Summary>, Dying>")]
pub struct SummariseAll;

/// Makes a page's actor panic, asked of the directory. True when there is such a page.
#[cfg(feature = "faults")]
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub struct FailPage(pub PageKey);
