//! Whether the local sessions of a page live: silence, and probes. The page is told, and decides.

use std::collections::BTreeMap;

use super::BranchEnv;
use super::member::{Member, Stage};
use crate::cluster::entry::ToPage;
use crate::page::Rules;
use crate::page::silence::SilenceWatch;
use crate::protocol::id::SessionId;
use crate::time::Time;

/// A probe of a session's page.
#[derive(Debug, Clone, Copy)]
struct Probe {
    /// Number of texts that the session had sent before.
    texts_before: u64,
    /// When the page is told. `None` if it was told that the session did not run.
    ends_at: Option<Time>,
}

/// What is known of the liveness of a branch's sessions.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    watch: SilenceWatch,
    /// When the sessions that the page knows to be silent were heard last.
    silent: BTreeMap<SessionId, Time>,
    probes: BTreeMap<SessionId, Probe>,
}

impl Liveness {
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let probes = self.probes.values().filter_map(|probe| probe.ends_at);
        probes.chain(self.watch.next_deadline()).min()
    }

    /// Looks at all sessions at `now`: one of them may be silent for too long already.
    pub(super) fn watch_now(&mut self, now: Time) {
        self.watch.watch(now);
    }

    /// Judges nobody any more: the page is not reached.
    pub(super) fn stop(&mut self) {
        *self = Self::default();
    }

    pub(super) fn forget(&mut self, session: SessionId) {
        self.silent.remove(&session);
        self.probes.remove(&session);
    }

    /// Begins a probe.
    pub(super) fn probe(&mut self, env: BranchEnv<'_>, session: SessionId, rules: &Rules) {
        let texts_before = (env.texts_sent)(session);
        let ends_at = Some(env.now.plus(rules.probe));
        self.probes.insert(session, Probe { texts_before, ends_at });
    }

    /// Returns what the page is told if the page of a session has run that had not when its probe
    /// ended.
    pub(super) fn ran_after_all(
        &mut self,
        env: BranchEnv<'_>,
        session: SessionId,
    ) -> Option<ToPage> {
        let probe = self.probes.get(&session).filter(|probe| probe.ends_at.is_none())?;
        if (env.texts_sent)(session) == probe.texts_before {
            return None;
        }
        self.probes.remove(&session);
        Some(ToPage::Ran { session, ran: true })
    }

    /// Ends the probes that are due, and looks for sessions that are silent for too long. Returns
    /// what the page is told.
    pub(super) fn sweep(
        &mut self,
        env: BranchEnv<'_>,
        members: &BTreeMap<SessionId, Member>,
        rules: &Rules,
    ) -> Vec<ToPage> {
        let mut said = Vec::new();
        self.probes.retain(|session, probe| {
            let (session, ran) = (*session, (env.texts_sent)(*session) != probe.texts_before);
            let is_due = probe.ends_at.is_some_and(|at| at <= env.now);
            if is_due || (probe.ends_at.is_none() && ran) {
                said.push(ToPage::Ran { session, ran });
                probe.ends_at = None;
                return !ran;
            }
            true
        });
        if self.watch.next_deadline().is_none_or(|at| at > env.now) {
            return said;
        }
        let mut next: Option<Time> = None;
        for (session, member) in members.iter().filter(|(_, member)| member.stage == Stage::Member)
        {
            let heard = (env.last_heard)(*session);
            let mut ends = heard.plus(rules.timeout);
            if let Some(since) = member.hosts_since() {
                ends = ends.min(heard.max(since).plus(rules.host_timeout));
            }
            if ends <= env.now {
                if self.silent.insert(*session, heard) != Some(heard) {
                    said.push(ToPage::Silent(*session));
                }
                ends = env.now.plus(rules.host_timeout);
            } else {
                self.silent.remove(session);
            }
            next = Some(next.map_or(ends, |at| at.min(ends)));
        }
        self.watch.swept(env.now, next);
        said
    }
}
