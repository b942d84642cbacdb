//! Parses the server's messages as far as needed, and writes a client's address.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A message with an unparsed payload.
#[derive(Debug, Deserialize)]
pub struct Message<'a> {
    /// Type of the message.
    pub r#type: &'a str,
    /// Id of the sender.
    #[serde(borrow, default)]
    pub src: Option<Cow<'a, str>>,
    /// Payload as JSON text.
    #[serde(borrow, default)]
    pub payload: Option<&'a RawValue>,
}

/// Fields of `OPEN` and `HOST` that clients here use.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assigned {
    /// Id of the host.
    pub host: Box<str>,
    /// Epoch of the host's term.
    pub epoch: u64,
    /// Cause of the election; in `HOST` only.
    #[serde(default)]
    pub cause: Option<Box<str>>,
    /// Whether the page still waits for the host.
    #[serde(default)]
    pub recovering: bool,
    /// Ping interval of the server in ms; in `OPEN` only.
    #[serde(default)]
    pub ping_ms: Option<u64>,
}

/// Payload of a `RESTART` message.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    /// Wait before the next dial, in ms.
    pub retry_ms: u64,
}

impl<'a> Message<'a> {
    /// Parses a text frame.
    ///
    /// # Errors
    /// Returns what is wrong with it.
    pub fn parse(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// Parses the payload as JSON.
    ///
    /// # Errors
    /// Returns what is wrong with it.
    pub fn read<T: Deserialize<'a>>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.payload.map_or("null", RawValue::get))
    }
}

/// Returns the address of a member's WebSocket. `claim` is the last assignment that it was told.
#[must_use]
pub fn address(page: &str, id: &str, claim: Option<(u64, &str)>) -> String {
    let mut address = format!("/peerjs?key=peerjs&id={id}&token={id}&page={page}&group=2");
    if let Some((epoch, host)) = claim {
        address.push_str(&format!("&epoch={epoch}&host={host}"));
    }
    address
}
