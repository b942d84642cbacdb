//! Absent members: they lost their socket and may come back as the same.

use std::time::Duration;

use serde_json::value::RawValue;

use crate::page::contacts::Contacts;
use crate::page::deadline_map::DeadlineMap;
use crate::page::member::{Status, is_same_json};
use crate::protocol::id::{PeerId, Token};
use crate::time::Time;

/// A member that may come back, before it is gone for good.
#[derive(Debug)]
pub struct AbsentMember {
    /// Proves that a newcomer is the same member.
    pub token: Option<Token>,
    /// Peers that are told when the member is gone for good.
    pub contacts: Contacts,
    /// Whether anybody is told. Not after `disconnect()`, which keeps its connections.
    pub is_announced: bool,
    /// Whether the member was lost: it neither said that it leaves nor was sent away.
    pub is_lost: bool,
    /// The last profile of the member.
    pub profile: Option<Box<RawValue>>,
    /// Whether the session of the member may still live, and is yet to say so to the page's new
    /// actor.
    pub is_awaited: bool,
    /// Whether this page had the member. Otherwise another member has met it, on the same page on
    /// another node, and it may have died with that node.
    pub is_known: bool,
    /// Whether the host has not heard of the member or of its last profile. The host was sent a
    /// roster meanwhile, or the page's actor died before it told the host.
    pub is_news: bool,
}

impl AbsentMember {
    /// Returns a member of a page on another node that is yet to say who it is here, with the peers
    /// that it has met.
    #[must_use]
    pub fn awaited(token: Option<Token>, contacts: Contacts) -> Self {
        Self {
            token,
            contacts,
            is_announced: true,
            is_lost: true,
            profile: None,
            is_awaited: true,
            is_known: true,
            is_news: true,
        }
    }

    /// Returns a member of which no more is known than that `peer` has met it.
    #[must_use]
    pub fn met_by(peer: &PeerId) -> Self {
        let mut contacts = Contacts::default();
        contacts.meet(peer);
        Self { is_awaited: false, is_known: false, ..Self::awaited(None, contacts) }
    }

    /// Returns whether a host that knew the member has to hear of it once more, when it comes back
    /// with `status`.
    #[must_use]
    pub fn is_news_with(&self, status: &Status) -> bool {
        self.is_news || !is_same_json(self.profile.as_deref(), status.profile.as_deref())
    }
}

/// Absent members of a page, each until it is gone for good.
#[derive(Debug, Default)]
pub struct AbsentMembers(DeadlineMap<PeerId, AbsentMember>);

impl AbsentMembers {
    /// Adds a member that lost its socket at `now` and has the time `wait` to come back.
    pub fn insert(&mut self, id: PeerId, now: Time, wait: Duration, member: AbsentMember) {
        self.0.insert(id, now.plus(wait), member);
    }

    /// Returns the absent member with that id.
    #[must_use]
    pub fn get(&self, id: &PeerId) -> Option<&AbsentMember> {
        self.0.get(id).map(|(_, member)| member)
    }

    /// Returns whether the member with that id may come back.
    #[must_use]
    pub fn contains(&self, id: &PeerId) -> bool {
        self.0.has(id)
    }

    /// Removes the member with that id.
    pub fn take(&mut self, id: &PeerId) -> Option<AbsentMember> {
        self.0.take(id)
    }

    /// Removes the next member whose time is over at `now`.
    pub fn take_due(&mut self, now: Time) -> Option<(PeerId, AbsentMember)> {
        self.0.take_due(now)
    }

    /// Returns the absent member with that id, to be changed.
    pub fn get_mut(&mut self, id: &PeerId) -> Option<&mut AbsentMember> {
        self.0.change(id)
    }

    /// Notes that the member with that id has left for good, although it stays here for now.
    pub fn mark_left(&mut self, id: &PeerId) {
        if let Some(member) = self.0.change(id) {
            member.is_lost = false;
        }
    }

    /// Notes that the host was sent a roster without the absent members: each is news to it when it
    /// comes back.
    pub fn mark_all_news(&mut self) {
        self.0.values_mut().for_each(|member| member.is_news = true);
    }

    /// Removes all members at once.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Removes all members, the first due first.
    pub fn take_all(&mut self) -> impl Iterator<Item = (PeerId, AbsentMember)> {
        self.0.take_all()
    }

    /// Returns the ids of the absent members.
    pub fn ids(&self) -> impl Iterator<Item = &PeerId> {
        self.0.iter().map(|(id, _)| id)
    }

    /// Returns when the next member is gone for good.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.0.next_deadline()
    }

    /// Returns whether no member is absent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> PeerId {
        PeerId::parse(text).unwrap_or_else(|e| panic!("{e}"))
    }

    fn lost(profile: Option<&str>) -> AbsentMember {
        AbsentMember {
            token: None,
            contacts: Contacts::default(),
            is_announced: true,
            is_lost: true,
            profile: profile.and_then(|json| RawValue::from_string(json.into()).ok()),
            is_awaited: false,
            is_known: true,
            is_news: false,
        }
    }

    #[test]
    fn each_member_has_its_own_time_to_come_back() {
        let (mut absent, wait) = (AbsentMembers::default(), Duration::from_secs(3));
        absent.insert(id("a"), Time(0), wait, lost(None));
        absent.insert(id("b"), Time(1000), wait, lost(None));
        assert_eq!(absent.next_deadline(), Some(Time(3000)));
        assert!(absent.take_due(Time(2999)).is_none());
        absent.mark_left(&id("a"));
        let (first, member) = absent.take_due(Time(4000)).unwrap_or_else(|| panic!("a is due"));
        assert_eq!((first, member.is_lost), (id("a"), false));
        assert!(absent.contains(&id("b")) && absent.take(&id("b")).is_some() && absent.is_empty());
    }

    #[test]
    fn a_member_is_news_after_a_roster_or_with_another_profile() {
        let mut absent = AbsentMembers::default();
        absent.insert(id("a"), Time(0), Duration::ZERO, lost(Some("1")));
        let mut status = Status::default();
        let is_news =
            |absent: &AbsentMembers, s: &Status| absent.get(&id("a")).map(|a| a.is_news_with(s));
        assert_eq!(is_news(&absent, &status), Some(true), "it had a profile");
        status.profile = RawValue::from_string("1".into()).ok();
        assert_eq!(is_news(&absent, &status), Some(false));
        absent.mark_all_news();
        assert_eq!(is_news(&absent, &status), Some(true));
    }
}
