//! The members of a page, in the order in which they joined, with all that depends on who is there:
//! indexes by id and by session, counts, and the roster encoded for the next host.

mod encoded;
mod member;

use std::collections::{BTreeMap, HashMap};

use encoded::EncodedRoster;
pub use member::{Member, Notes, Stalled};

use crate::cluster::NodeId;
use crate::page::member::{JoinRequest, ProfileChange, Seat, Way};
use crate::protocol::id::{PeerId, SessionId};
use crate::protocol::incoming::StatusUpdate;
use crate::protocol::outgoing;
use crate::time::Time;

/// The members of a page.
///
/// A join, a leave and a lookup cost the logarithm of the number of members.
#[derive(Debug, Default)]
pub struct Roster {
    members: BTreeMap<Seat, Member>,
    by_id: HashMap<PeerId, Seat>,
    by_session: HashMap<SessionId, Seat>,
    /// `None` without a page: there is no host to read it.
    encoded: Option<EncodedRoster>,
    group_members: usize,
    without_relay: usize,
    /// Number of members on each other node. No number is 0.
    elsewhere: BTreeMap<NodeId, usize>,
    next_seat: u64,
}

impl Roster {
    /// Creates the roster of a page with a host, which keeps its entries encoded.
    #[must_use]
    pub fn with_encoding() -> Self {
        Self { encoded: Some(EncodedRoster::default()), ..Self::default() }
    }

    /// Adds a member and returns its seat. The caller makes sure that id and session are free.
    pub fn add(&mut self, request: JoinRequest, now: Time, notes: Notes) -> Seat {
        let JoinRequest { session, id, token, group, can, rights, address, way, claim: _, resumed } =
            request;
        let seat = Seat(self.next_seat);
        self.next_seat += 1;
        self.by_id.insert(id.clone(), seat);
        self.by_session.insert(session, seat);
        self.group_members += usize::from(group > 0);
        self.without_relay += usize::from(!rights.relay);
        self.count_way(way);
        let status = resumed.unwrap_or_default();
        let joined_at = now;
        let member = Member {
            session,
            id,
            token,
            group,
            can,
            rights,
            address,
            way,
            joined_at,
            status,
            notes,
        };
        self.members.insert(seat, member);
        self.encode(seat);
        seat
    }

    /// Removes the member on `seat`.
    pub fn remove(&mut self, seat: Seat) -> Option<Member> {
        let member = self.members.remove(&seat)?;
        self.by_id.remove(&member.id);
        self.by_session.remove(&member.session);
        self.group_members -= usize::from(member.is_group_member());
        self.without_relay -= usize::from(!member.rights.relay);
        self.discount_way(member.way);
        if let Some(encoded) = &mut self.encoded {
            encoded.remove(seat);
        }
        Some(member)
    }

    /// Removes all members: the page ends. Indexes and counts go as well.
    pub fn take_all(&mut self) -> impl Iterator<Item = (Seat, Member)> {
        std::mem::take(self).members.into_iter()
    }

    /// Gives the member on `seat` a new socket. Its status is the word of the old session and is
    /// forgotten.
    pub fn replace_socket(
        &mut self,
        seat: Seat,
        request: &JoinRequest,
        now: Time,
    ) -> ProfileChange {
        let Some(member) = self.members.get_mut(&seat) else { return ProfileChange::Same };
        self.by_session.remove(&member.session);
        self.by_session.insert(request.session, seat);
        (member.session, member.address, member.joined_at) =
            (request.session, request.address, now);
        let way = std::mem::replace(&mut member.way, request.way);
        let had_profile = std::mem::take(&mut member.status).profile.is_some();
        self.discount_way(way);
        self.count_way(request.way);
        if !had_profile {
            return ProfileChange::Same;
        }
        self.encode(seat);
        ProfileChange::Changed
    }

    /// Applies what the member on `seat` says of itself.
    pub fn update_status(&mut self, seat: Seat, update: StatusUpdate) -> ProfileChange {
        let Some(member) = self.members.get_mut(&seat) else { return ProfileChange::Same };
        let change = member.status.update(update);
        if change == ProfileChange::Changed {
            self.encode(seat);
        }
        change
    }

    fn count_way(&mut self, way: Way) {
        if let Way::Node(node) = way {
            *self.elsewhere.entry(node).or_default() += 1;
        }
    }

    fn discount_way(&mut self, way: Way) {
        if let Way::Node(node) = way
            && let Some(count) = self.elsewhere.get_mut(&node)
        {
            *count -= 1;
            if *count == 0 {
                self.elsewhere.remove(&node);
            }
        }
    }

    fn encode(&mut self, seat: Seat) {
        if let (Some(encoded), Some(member)) = (&mut self.encoded, self.members.get(&seat)) {
            encoded.put(seat, &outgoing::roster_entry(&member.entry()));
        }
    }

    /// Returns the member on `seat`.
    #[must_use]
    pub fn get(&self, seat: Seat) -> Option<&Member> {
        self.members.get(&seat)
    }

    /// Returns the notes of the member on `seat`.
    pub fn notes_mut(&mut self, seat: Seat) -> Option<&mut Notes> {
        self.members.get_mut(&seat).map(|member| &mut member.notes)
    }

    /// Returns whether a member has `seat`.
    #[must_use]
    pub fn contains(&self, seat: Seat) -> bool {
        self.members.contains_key(&seat)
    }

    /// Returns the seat of the member with that id.
    #[must_use]
    pub fn seat_of(&self, id: &PeerId) -> Option<Seat> {
        self.by_id.get(id).copied()
    }

    /// Returns the seat of the member with that session.
    #[must_use]
    pub fn seat_of_session(&self, session: SessionId) -> Option<Seat> {
        self.by_session.get(&session).copied()
    }

    /// Returns the member with that id.
    #[must_use]
    pub fn find(&self, id: &PeerId) -> Option<(Seat, &Member)> {
        let seat = self.seat_of(id)?;
        Some((seat, self.get(seat)?))
    }

    /// Returns the member with that session.
    #[must_use]
    pub fn find_session(&self, session: SessionId) -> Option<(Seat, &Member)> {
        let seat = self.seat_of_session(session)?;
        Some((seat, self.get(seat)?))
    }

    /// Returns all members, longest present first.
    pub fn iter(&self) -> impl Iterator<Item = (Seat, &Member)> {
        self.members.iter().map(|(seat, member)| (*seat, member))
    }

    /// Returns all members, longest present first, so that their notes can change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Seat, &mut Member)> {
        self.members.iter_mut().map(|(seat, member)| (*seat, member))
    }

    /// Returns the seat of the member that `n` others precede. `None` without a page.
    #[must_use]
    pub fn nth(&self, n: usize) -> Option<Seat> {
        self.encoded.as_ref()?.nth(n)
    }

    /// Returns the entries of all members as a JSON array, in pieces.
    #[must_use]
    pub fn pieces(&self) -> Vec<&str> {
        self.encoded.as_ref().map(EncodedRoster::pieces).unwrap_or_default()
    }

    /// Returns the number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Returns the number of members that speak the group protocol.
    #[must_use]
    pub const fn group_members(&self) -> usize {
        self.group_members
    }

    /// Returns the number of members that may not relay.
    #[must_use]
    pub const fn without_relay(&self) -> usize {
        self.without_relay
    }

    /// Returns whether members are on that other node.
    #[must_use]
    pub fn is_on(&self, node: NodeId) -> bool {
        self.elsewhere.contains_key(&node)
    }

    /// Returns whether members are on this node.
    #[must_use]
    pub fn has_local(&self) -> bool {
        self.elsewhere.values().sum::<usize>() < self.len()
    }

    /// Returns whether both indexes have as many entries as there are members.
    #[must_use]
    pub fn has_full_indexes(&self) -> bool {
        self.by_id.len() == self.len() && self.by_session.len() == self.len()
    }

    /// Returns whether both indexes find every member.
    #[must_use]
    pub fn is_indexed(&self) -> bool {
        self.iter().all(|(seat, m)| {
            self.seat_of(&m.id) == Some(seat) && self.seat_of_session(m.session) == Some(seat)
        })
    }

    /// Returns whether the counts are those of the members.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        let count = |is: &dyn Fn(&Member) -> bool| self.members.values().filter(|m| is(m)).count();
        let on = |node| count(&|m| m.way == Way::Node(node));
        self.group_members == count(&Member::is_group_member)
            && self.without_relay == count(&|m| !m.rights.relay)
            && self.elsewhere.iter().all(|(node, n)| *n > 0 && *n == on(*node))
            && self.elsewhere.values().sum::<usize>() == count(&|m| m.way != Way::Local)
    }

    /// Returns whether the encoded roster is that of the members.
    #[must_use]
    pub fn is_encoded(&self) -> bool {
        let entries: Vec<_> =
            self.members.values().map(|m| outgoing::roster_entry(&m.entry())).collect();
        self.encoded
            .as_ref()
            .is_none_or(|kept| kept.pieces().concat() == format!("[{}]", entries.join(",")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::member::Rights;
    use crate::protocol::id::Capabilities;
    use serde_json::value::RawValue;

    fn id(text: &str) -> PeerId {
        PeerId::parse(text).unwrap_or_else(|e| panic!("{e}"))
    }

    fn request(session: u64, name: &str, group: u32, relay: bool) -> JoinRequest {
        JoinRequest {
            session: SessionId(session),
            id: id(name),
            token: None,
            group,
            can: Capabilities::default(),
            rights: Rights { host: true, relay },
            address: None,
            way: Way::Local,
            claim: None,
            resumed: None,
        }
    }

    fn profile(json: &str) -> StatusUpdate {
        let profile = RawValue::from_string(json.into()).ok();
        StatusUpdate { profile: Some(profile), ..StatusUpdate::default() }
    }

    fn assert_consistent(roster: &Roster) {
        assert!(roster.has_full_indexes() && roster.is_indexed() && roster.is_counted());
        assert!(roster.is_encoded());
    }

    #[test]
    fn indexes_counts_and_encoding_follow_every_change() {
        let mut roster = Roster::with_encoding();
        let add = |roster: &mut Roster, request| roster.add(request, Time(0), Notes::default());
        let can = Capabilities::parse("zip,x").unwrap_or_else(|e| panic!("{e}"));
        let a = add(&mut roster, JoinRequest { can, ..request(1, "a", 2, true) });
        let b = add(&mut roster, request(2, "b", 0, false));
        assert_eq!((roster.len(), roster.group_members(), roster.without_relay()), (2, 1, 1));
        assert_consistent(&roster);
        assert_eq!(roster.update_status(a, profile("7")), ProfileChange::Changed);
        assert_eq!(
            roster.pieces().concat(),
            r#"[{"id":"a","group":2,"can":["zip","x"],"profile":7},{"id":"b","group":0,"relay":false}]"#
        );
        let again = JoinRequest { way: Way::Node(NodeId(7)), ..request(3, "a", 2, true) };
        assert_eq!(roster.replace_socket(a, &again, Time(5)), ProfileChange::Changed);
        assert_eq!(roster.seat_of_session(SessionId(1)), None);
        assert_eq!(
            roster.find_session(SessionId(3)).map(|(seat, m)| (seat, m.joined_at())),
            Some((a, Time(5)))
        );
        assert_consistent(&roster);
        assert!(roster.is_on(NodeId(7)) && roster.has_local());
        assert!(roster.remove(b).is_some() && roster.remove(b).is_none());
        assert!(!roster.has_local());
        assert_eq!((roster.seat_of(&id("b")), roster.nth(0), roster.nth(1)), (None, Some(a), None));
        assert_consistent(&roster);
    }

    #[test]
    fn a_roster_without_a_page_encodes_nothing() {
        let mut roster = Roster::default();
        let seat = roster.add(request(1, "a", 0, true), Time(0), Notes::default());
        assert!(roster.pieces().is_empty() && roster.contains(seat));
        assert_consistent(&roster);
        assert_eq!(roster.take_all().count(), 1);
        assert!(roster.is_empty() && roster.seat_of(&id("a")).is_none());
    }
}
