//! Servers that share the Redis of one test.

use super::Server;
use super::redis_server::Redis;

/// The secret of every cluster here.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

impl Redis {
    /// Starts a server that is a node of the cluster.
    pub(crate) fn node(&self, settings: &[(&str, &str)]) -> Server {
        let url = self.url();
        let mut all = vec![
            ("cluster.url", url.as_str()),
            ("cluster.secret", SECRET),
            ("server.workers", "1"),
        ];
        all.extend_from_slice(settings);
        Server::start(&all)
    }
}
