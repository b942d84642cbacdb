//! What a server says, read only as far as needed, and what a client says.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A message; its payload unread.
#[derive(Debug, Deserialize)]
pub struct Message<'a> {
    /// What it is.
    pub r#type: &'a str,
    /// From whom.
    #[serde(borrow, default)]
    pub src: Option<Cow<'a, str>>,
    /// Whatever it carries.
    #[serde(borrow, default)]
    pub payload: Option<&'a RawValue>,
}

/// What `OPEN` and `HOST` say of a page, as far as clients here care.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assigned {
    /// Who hosts.
    pub host: Box<str>,
    /// Since which term.
    pub epoch: u64,
    /// Why; in `HOST` only.
    #[serde(default)]
    pub cause: Option<Box<str>>,
    /// Whether the server still waits for the host.
    #[serde(default)]
    pub recovering: bool,
    /// How often the server pings, in ms; in `OPEN` only.
    #[serde(default)]
    pub ping_ms: Option<u64>,
}

/// What `RESTART` says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    /// When to come back, in ms.
    pub retry_ms: u64,
}

impl<'a> Message<'a> {
    /// From a text frame.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// Its payload, read.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read<T: Deserialize<'a>>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.payload.map_or("null", RawValue::get))
    }
}

/// A member's dial: the address of its WebSocket. `claim` is what it was last told.
#[must_use]
pub fn address(page: &str, id: &str, claim: Option<(u64, &str)>) -> String {
    let mut address = format!("/peerjs?key=peerjs&id={id}&token={id}&page={page}&group=1");
    if let Some((epoch, host)) = claim {
        address.push_str(&format!("&epoch={epoch}&host={host}"));
    }
    address
}
