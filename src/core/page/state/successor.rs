//! Which member hosts next.

use super::PageState;
use crate::page::election::{Candidate, Policy, draw, fittest, pick};
use crate::page::io::Env;
use crate::page::member::{Seat, Way};
use crate::page::roster::{Member, Stalled};

/// Number of members from which on an election tries a few members first. To look at all of them
/// would delay the next host.
const MANY: usize = 64;

impl PageState {
    /// Chooses a host other than `except`: the deputy if it is ready, else by the policy of
    /// elections.
    ///
    /// The deputy may be less fit for being hidden, and for nothing else. Members dial the deputy
    /// in advance, so being visible counts for less.
    pub(super) fn choose_host(&self, env: Env<'_>, except: Option<Seat>) -> Option<Seat> {
        let deputy = self.ready_deputy(env);
        if deputy.is_none() && self.roster.len() >= MANY {
            let found = self.draw_flawless(env, except);
            if found.is_some() {
                return found;
            }
        }
        let candidates: Vec<_> = self
            .roster
            .iter()
            .filter_map(|(seat, m)| self.host_candidate(env, seat, m, except))
            .collect();
        let deputy =
            deputy.and_then(|deputy| candidates.iter().find(|c| c.member == deputy).copied());
        let fit = fittest(candidates);
        let merits = |c: &Candidate<_>| (c.group, c.present, c.eligible, c.reached, c.relay);
        let is_fit =
            |deputy: &Candidate<_>| fit.first().is_some_and(|best| merits(best) == merits(deputy));
        let deputy = deputy.filter(is_fit).map(|c| c.member);
        deputy.or_else(|| pick(&fit, self.rules.policy, env.random))
    }

    /// Looks for a candidate that lacks nothing among a few members. Such a candidate is among the
    /// fittest, which saves a look at all members.
    fn draw_flawless(&self, env: Env<'_>, except: Option<Seat>) -> Option<Seat> {
        let flawless = |(seat, member): (Seat, &Member)| {
            self.host_candidate(env, seat, member, except)
                .filter(|c| self.lacks_nothing(c))
                .map(|c| c.member)
        };
        match self.rules.policy {
            Policy::Oldest => self.roster.iter().take(MANY).find_map(flawless),
            Policy::Random => draw(self.roster.len(), env.random, |n| {
                let seat = self.roster.nth(n)?;
                flawless((seat, self.roster.get(seat)?))
            }),
        }
    }

    fn host_candidate(
        &self,
        env: Env<'_>,
        seat: Seat,
        member: &Member,
        except: Option<Seat>,
    ) -> Option<Candidate<Seat>> {
        (Some(seat) != except && member.rights().host).then(|| Candidate {
            present: self.is_in_touch(seat),
            fresh: self.was_heard(env, member) && runs(env, member),
            ..self.candidate(seat, member)
        })
    }

    /// Returns whether no other member can be fitter than a candidate.
    fn lacks_nothing(&self, candidate: &Candidate<Seat>) -> bool {
        let Candidate { member: _, group, present, eligible, reached, relay, visible, fresh } =
            *candidate;
        let group = group || self.roster.group_members() == 0;
        let relay = relay || self.roster.without_relay() == self.roster.len();
        group && present && eligible && reached && relay && visible && fresh
    }

    /// Returns `member` as a candidate that is present and fresh.
    pub(super) fn candidate(&self, seat: Seat, member: &Member) -> Candidate<Seat> {
        Candidate {
            member: seat,
            group: member.is_group_member(),
            present: true,
            eligible: self.is_eligible(member),
            reached: !member.notes.is_out_of_reach,
            relay: member.rights().relay,
            visible: member.status().visible,
            fresh: true,
        }
    }

    /// Returns whether `member` says that it can host. Where the host has to be dialled, a member
    /// that opens no data channels cannot.
    pub(super) fn is_eligible(&self, member: &Member) -> bool {
        member.status().eligible && (member.status().p2p || !self.needs_dialling())
    }

    /// Returns whether there are members that cannot do without a data channel to the host.
    pub(super) fn needs_dialling(&self) -> bool {
        !self.relays() || self.roster.without_relay() > 0
    }

    /// Returns whether `member` was heard from within `rules.fresh`. Of a member on another node
    /// that is assumed while the way to it is up.
    pub(super) fn was_heard(&self, env: Env<'_>, member: &Member) -> bool {
        match member.way() {
            Way::Local => env.now.since((env.last_heard)(member.session())) <= self.rules.fresh,
            way @ Way::Node(_) => self.ways.is_up(way),
        }
    }

    /// Returns whether the member on `seat` may host. While a group member is here, only group
    /// members may, and a member without the right never.
    pub(super) fn may_host(&self, seat: Seat) -> bool {
        let member = self.roster.get(seat).filter(|m| m.rights().host);
        member.is_some_and(|m| m.is_group_member() || self.roster.group_members() == 0)
    }
}

/// Returns whether the page of `member` runs: it was not found stalled, or has sent a text frame
/// since.
pub(super) fn runs(env: Env<'_>, member: &Member) -> bool {
    match member.notes.stalled {
        None => true,
        Some(Stalled::AfterTexts(texts)) => (env.texts_sent)(member.session()) > texts,
        Some(Stalled::Reported) => false,
    }
}
