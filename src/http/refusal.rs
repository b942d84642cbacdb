//! Why a handshake is refused.

use peerstar_core::protocol::close::Close;

/// The close that refuses a client, and a text that explains it better than the close's own, if
/// there is one.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(pub Close, pub Option<String>);

impl From<Close> for Refused {
    fn from(close: Close) -> Self {
        Self(close, None)
    }
}
