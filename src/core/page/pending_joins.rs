//! Pending joins: newcomers that wait while the holder of their id is pinged. At most one for an
//! id.

use std::collections::HashMap;
use std::time::Duration;

use crate::page::deadline_map::DeadlineMap;
use crate::page::member::JoinRequest;
use crate::protocol::id::{PeerId, SessionId};
use crate::time::Time;

/// How long a newcomer waits for the holder of its id to answer.
const WAIT: Duration = Duration::from_secs(2);

/// Pending joins by id and by session.
#[derive(Debug, Default)]
pub struct PendingJoins {
    requests: DeadlineMap<PeerId, JoinRequest>,
    ids: HashMap<SessionId, PeerId>,
}

impl PendingJoins {
    /// Lets a newcomer wait until the holder of its id has had time to answer. Returns the newcomer
    /// that waited for the id before; the new one has the rest of its time.
    pub fn insert(&mut self, request: JoinRequest, now: Time) -> Option<JoinRequest> {
        let until = self.requests.get(&request.id).map_or(now.plus(WAIT), |(until, _)| until);
        let before = self.take(&request.id);
        self.ids.insert(request.session, request.id.clone());
        self.requests.insert(request.id.clone(), until, request);
        before
    }

    /// Returns the newcomer that waits for `id`.
    #[must_use]
    pub fn get(&self, id: &PeerId) -> Option<&JoinRequest> {
        self.requests.get(id).map(|(_, request)| request)
    }

    /// Removes the newcomer that waits for `id`.
    pub fn take(&mut self, id: &PeerId) -> Option<JoinRequest> {
        let request = self.requests.take(id)?;
        self.ids.remove(&request.session);
        Some(request)
    }

    /// Forgets a session that is gone.
    pub fn forget(&mut self, session: SessionId) {
        if let Some(id) = self.ids.remove(&session) {
            self.requests.take(&id);
        }
    }

    /// Returns whether a session waits.
    #[must_use]
    pub fn contains(&self, session: SessionId) -> bool {
        self.ids.contains_key(&session)
    }

    /// Returns the next id whose holder has had time to answer.
    #[must_use]
    pub fn due(&self, now: Time) -> Option<&PeerId> {
        self.requests.due(now)
    }

    /// Returns when the next holder has had time to answer.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.requests.next_deadline()
    }

    /// Returns all newcomers that wait.
    pub fn iter(&self) -> impl Iterator<Item = &JoinRequest> {
        self.requests.iter().map(|(_, request)| request)
    }

    /// Returns whether no newcomer waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Removes all newcomers at once.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::member::{Rights, Way};
    use crate::protocol::id::Capabilities;

    fn request(session: u64, id: &str) -> JoinRequest {
        JoinRequest {
            session: SessionId(session),
            id: PeerId::parse(id).unwrap_or_else(|e| panic!("{e}")),
            token: None,
            group: 0,
            can: Capabilities::default(),
            rights: Rights::ALL,
            address: None,
            way: Way::Local,
            claim: None,
            resumed: None,
        }
    }

    #[test]
    fn a_later_newcomer_takes_the_place_and_the_time_of_an_earlier_one() {
        let mut pending = PendingJoins::default();
        assert!(pending.insert(request(1, "a"), Time(0)).is_none());
        let before = pending.insert(request(2, "a"), Time(1500));
        assert_eq!(before.map(|request| request.session), Some(SessionId(1)));
        assert!(pending.contains(SessionId(2)) && !pending.contains(SessionId(1)));
        assert_eq!(pending.next_deadline(), Some(Time(2000)));
        assert_eq!(pending.due(Time(2000)), Some(&request(2, "a").id));
    }

    #[test]
    fn a_session_that_is_gone_waits_no_longer() {
        let mut pending = PendingJoins::default();
        pending.insert(request(1, "a"), Time(0));
        pending.forget(SessionId(7));
        assert_eq!(pending.iter().count(), 1);
        pending.forget(SessionId(1));
        assert!(pending.is_empty() && pending.get(&request(1, "a").id).is_none());
    }
}
