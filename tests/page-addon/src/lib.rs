//! The server's core as a Node addon, for the simulation of whole groups (`static/sim`).
//!
//! The simulation drives directory, page, sessions and parser in lock-step. Time, clock and random
//! number of each step come in as arguments. Everything that the step leads to is returned at once.
//! JSON crosses the border as text.

mod report;
mod rules;
mod server;

use napi::{Error, Result};
use napi_derive::napi;
use peerstar_core::cluster::Slot;
use peerstar_core::session::SessionRules;
use peerstar_core::time::Time;
use serde::de::DeserializeOwned;

use server::{Moment, Server};

/// The server of one simulation: a directory with one page, and the sessions.
#[napi(js_name = "Server")]
pub struct Addon(Server);

#[napi]
impl Addon {
    /// Starts a server without members. `rules` is what the settings say about pages and sessions
    /// ([`rules::Given`]), as JSON. `slot` is the server's share of the epochs, where there are
    /// several servers.
    ///
    /// # Errors
    /// When `rules` is not JSON of that shape.
    #[napi(constructor)]
    pub fn new(rules: String, slot: Option<u8>) -> Result<Self> {
        let given = read::<rules::Given>(&rules)?;
        let session_rules = SessionRules::from(&given);
        Ok(Self(Server::new(given.into(), session_rules, slot.map(Slot))))
    }

    /// Opens a session: a client has dialled ([`server::Dialled`], as JSON).
    ///
    /// # Errors
    /// When `dialled` is not JSON of that shape, or names what the server refuses.
    #[napi]
    pub fn connect(
        &mut self,
        now: f64,
        unix_ms: f64,
        random: u32,
        dialled: String,
    ) -> Result<String> {
        let dialled = read(&dialled)?;
        self.0.connect(moment(now, unix_ms, random), dialled).map_err(Error::from_reason)
    }

    /// Takes one text frame that the client of `session` sent.
    #[napi]
    pub fn text(
        &mut self,
        now: f64,
        unix_ms: f64,
        random: u32,
        session: u32,
        text: String,
    ) -> String {
        self.0.text(moment(now, unix_ms, random), session, &text)
    }

    /// Notes that no pong and no frame comes from `session` any more.
    #[napi]
    pub fn silence(&mut self, now: f64, session: u32) {
        self.0.silence(time(now), session);
    }

    /// Ends a session whose socket is gone. `code` is that of the client's close frame, if one
    /// came.
    #[napi]
    pub fn closed(
        &mut self,
        now: f64,
        unix_ms: f64,
        random: u32,
        session: u32,
        code: Option<u16>,
    ) -> String {
        self.0.closed(moment(now, unix_ms, random), session, code)
    }

    /// Tells the page that its deadline has passed.
    #[napi]
    pub fn timer(&mut self, now: f64, unix_ms: f64, random: u32) -> String {
        self.0.timer(moment(now, unix_ms, random))
    }

    /// Begins or ends the page's time on its own: group members are told so.
    #[napi]
    pub fn set_alone(&mut self, now: f64, unix_ms: f64, random: u32, alone: bool) -> String {
        self.0.set_alone(moment(now, unix_ms, random), alone)
    }

    /// Stops the page's actor, as a panic would, and starts its successor. The sessions have yet to
    /// resume.
    #[napi]
    pub fn lose_page(&mut self, now: f64, unix_ms: f64, random: u32) -> String {
        self.0.lose_page(moment(now, unix_ms, random))
    }

    /// Lets a session tell the successor of its page what it knows.
    #[napi]
    pub fn resume(&mut self, now: f64, unix_ms: f64, random: u32, session: u32) -> String {
        self.0.resume(moment(now, unix_ms, random), session)
    }
}

fn read<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| Error::from_reason(format!("{error}: {json}")))
}

fn time(ms: f64) -> Time {
    Time(ms as u64)
}

fn moment(now: f64, unix_ms: f64, random: u32) -> Moment {
    Moment { now: time(now), unix_ms: unix_ms as u64, random: u64::from(random) }
}
