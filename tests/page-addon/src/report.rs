//! What the simulation is told of a step.

use peerstar_core::protocol::id::SessionId;
use peerstar_core::protocol::outgoing::Frame;
use serde::Serialize;
use serde_json::value::RawValue;

/// One result of a step, as the simulation is told it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Told {
    /// A text frame, as it stands, for these sessions.
    Frame { to: Vec<u32>, frame: Box<RawValue> },
    /// The session is closed.
    Close { session: u32, code: u16, name: &'static str },
    /// A member has left the page.
    Left { id: String },
    /// A host was elected.
    Elected { host: String, epoch: u64, cause: &'static str },
    /// Another deputy was named, or there is none any more.
    Deputy { id: Option<String> },
}

/// All results of a step, and how the page stands after it.
#[derive(Serialize)]
pub struct Report {
    pub told: Vec<Told>,
    /// Host of the page. `None`: nobody hosts, or the host has yet to come back.
    pub hosted: Option<Hosted>,
    /// Whether the page waits for a host that it was told of.
    pub recovering: bool,
    /// When the page wants its timer, by the server's time.
    pub deadline: Option<u64>,
    /// An invariant of the page that is broken.
    pub violation: Option<String>,
}

#[derive(Serialize)]
pub struct Hosted {
    pub host: String,
    pub epoch: u64,
}

/// Sends a frame to a session, together with those before it that were sent the same.
pub fn send(to: SessionId, frame: &Frame, told: &mut Vec<Told>) {
    let to = to.0 as u32;
    if let Some(Told::Frame { to: others, frame: last }) = told.last_mut()
        && last.get() == &**frame
    {
        return others.push(to);
    }
    let frame = RawValue::from_string(frame.to_string()).unwrap_or_else(|bad| panic!("{bad}"));
    told.push(Told::Frame { to: vec![to], frame });
}
