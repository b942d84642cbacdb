//! Newcomers whose id is in use, while we see whether its user lives. One for an id.

use std::collections::HashMap;
use std::time::Duration;

use crate::page::deadline_map::DeadlineMap;
use crate::page::member::JoinRequest;
use crate::protocol::id::{PeerId, SessionId};
use crate::time::Time;

/// How long a newcomer waits for the user of its id to answer.
pub const WAIT: Duration = Duration::from_secs(2);

/// All that wait, by id and by session.
#[derive(Debug, Default)]
pub struct PendingJoins {
    joiners: DeadlineMap<PeerId, JoinRequest>,
    ids: HashMap<SessionId, PeerId>,
}

impl PendingJoins {
    /// Holds a newcomer until the user of its id has had time enough to answer.
    pub fn hold(&mut self, joiner: JoinRequest, until: Time) {
        self.take(&joiner.id);
        self.ids.insert(joiner.session, joiner.id.clone());
        self.joiners.insert(joiner.id.clone(), until, joiner);
    }

    /// Who waits for `id`, and how long.
    #[must_use]
    pub fn waits_for(&self, id: &PeerId) -> Option<(Time, &JoinRequest)> {
        self.joiners.get(id)
    }

    /// Takes out who waits for `id`.
    pub fn take(&mut self, id: &PeerId) -> Option<JoinRequest> {
        let joiner = self.joiners.take(id)?;
        self.ids.remove(&joiner.session);
        Some(joiner)
    }

    /// A session waits no more.
    pub fn forget(&mut self, session: SessionId) {
        if let Some(id) = self.ids.remove(&session) {
            self.joiners.take(&id);
        }
    }

    /// Whether a session waits.
    #[must_use]
    pub fn has(&self, session: SessionId) -> bool {
        self.ids.contains_key(&session)
    }

    /// The first id whose user has had time enough.
    #[must_use]
    pub fn due(&self, now: Time) -> Option<&PeerId> {
        self.joiners.due(now)
    }

    /// When the first has waited long enough.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.joiners.next_deadline()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &JoinRequest> {
        self.joiners.iter().map(|(_, joiner)| joiner)
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.joiners.is_empty()
    }

    /// Nobody waits any more.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
