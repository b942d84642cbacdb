//! The address of the directory: that of a server alone, or that of a node of a cluster.

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, MailboxError, Message};

use super::cluster::node::NodeDirectory;
use super::directory::PageDirectory;
use super::message::ToDirectory;

/// The address of the directory of this server.
#[derive(Debug, Clone)]
pub enum DirectoryAddress {
    /// A server alone.
    Alone(Addr<PageDirectory>),
    /// A node of a cluster.
    Node(Addr<NodeDirectory>),
}

impl DirectoryAddress {
    /// Tells the directory something.
    #[expect(clippy::disallowed_methods, reason = "the directory does little, and never waits")]
    pub fn tell(&self, message: ToDirectory) {
        match self {
            Self::Alone(directory) => directory.do_send(message),
            Self::Node(directory) => directory.do_send(message),
        }
    }

    /// Asks the directory something.
    ///
    /// # Errors
    /// When the directory has stopped, because the server ends.
    pub async fn ask<M>(&self, message: M) -> Result<M::Result, MailboxError>
    where
        M: Message<Result: Send> + Send + 'static,
        PageDirectory: Handler<M>,
        NodeDirectory: Handler<M>,
        <PageDirectory as Actor>::Context: ToEnvelope<PageDirectory, M>,
        <NodeDirectory as Actor>::Context: ToEnvelope<NodeDirectory, M>,
    {
        match self {
            Self::Alone(directory) => directory.send(message).await,
            Self::Node(directory) => directory.send(message).await,
        }
    }
}
