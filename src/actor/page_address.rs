//! How a session reaches its page: an actor of this process, or a page on another node.

use std::fmt;
use std::sync::Arc;

use actix::{Message, Recipient};

/// A page on another node, as sessions of this node reach it.
pub trait RemotePage<M>: fmt::Debug + Send + Sync {
    /// Returns whether this life of the page is thought to go on.
    fn is_bound(&self) -> bool;

    /// Sends a message to the page. It never waits.
    fn send(self: Arc<Self>, message: M);
}

/// The address of a page. `M` is the type of its messages.
pub enum PageAddress<M: Message<Result = ()> + Send> {
    /// An actor of this process.
    Here(Recipient<M>),
    /// A page on another node.
    There(Arc<dyn RemotePage<M>>),
}

impl<M: Message<Result = ()> + Send> PageAddress<M> {
    /// Returns whether the page at this address runs, as far as is known.
    pub fn runs(&self) -> bool {
        match self {
            Self::Here(page) => page.connected(),
            Self::There(page) => page.is_bound(),
        }
    }

    /// Sends a message to the page. The sender limits how many are on their way.
    #[expect(
        clippy::disallowed_methods,
        reason = "a session resumes once at each life of a page, and its socket limits its messages"
    )]
    pub fn send(&self, message: M) {
        match self {
            Self::Here(page) => page.do_send(message),
            Self::There(page) => Arc::clone(page).send(message),
        }
    }

    /// Returns whether the page says which messages it has handled. A page on another node does
    /// not: what is on its way there is bounded by the link.
    #[must_use]
    pub const fn counts_messages(&self) -> bool {
        matches!(self, Self::Here(_))
    }
}

impl<M: Message<Result = ()> + Send> Clone for PageAddress<M> {
    fn clone(&self) -> Self {
        match self {
            Self::Here(page) => Self::Here(page.clone()),
            Self::There(page) => Self::There(Arc::clone(page)),
        }
    }
}

impl<M: Message<Result = ()> + Send> PartialEq for PageAddress<M> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Here(one), Self::Here(other)) => one == other,
            (Self::There(one), Self::There(other)) => Arc::ptr_eq(one, other),
            (Self::Here(_), Self::There(_)) | (Self::There(_), Self::Here(_)) => false,
        }
    }
}

impl<M: Message<Result = ()> + Send> fmt::Debug for PageAddress<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(_) => f.write_str("Here"),
            Self::There(page) => f.debug_tuple("There").field(page).finish(),
        }
    }
}
