//! Answers of the registry, and its losses.

use super::NodeState;
use crate::cluster::calls::Purpose;
use crate::cluster::io::{CallId, Env, KeeperInput, Output};
use crate::cluster::registry::Reply;

impl<J> NodeState<J> {
    pub(super) fn keeper(&mut self, env: Env, input: KeeperInput, out: &mut Vec<Output<J>>) {
        match input {
            KeeperInput::Connected => {
                self.lose_calls(env, out);
                self.lease.connected(env.now);
            }
            KeeperInput::DialFailed => {
                self.lose_calls(env, out);
                self.lease.dial_failed();
            }
            KeeperInput::Disconnected => {
                self.lose_calls(env, out);
                self.lease.disconnected(env.now);
            }
            KeeperInput::Replied(call, reply) => {
                if let Some(purpose) = self.calls.end(call) {
                    self.replied(env, call, purpose, reply, out);
                }
            }
            KeeperInput::Refused(call) => {
                if let Some(purpose) = self.calls.end(call) {
                    self.unanswered(env, call, purpose, true, out);
                }
            }
        }
    }

    /// All calls under way are lost, with the connection.
    pub(super) fn lose_calls(&mut self, env: Env, out: &mut Vec<Output<J>>) {
        for (call, purpose) in self.calls.end_all() {
            self.unanswered(env, call, purpose, false, out);
        }
    }

    /// A call was not answered. It may have been carried out.
    fn unanswered(
        &mut self,
        env: Env,
        call: CallId,
        purpose: Purpose,
        was_refused: bool,
        out: &mut Vec<Output<J>>,
    ) {
        match purpose {
            Purpose::Lease if was_refused => self.lease.refused(),
            Purpose::Look => self.watch.lost(),
            Purpose::Claim(page, _) | Purpose::Find(page) | Purpose::Release(page) => {
                self.ask_again(env, call, &page);
            }
            Purpose::Assert(pages) => {
                let pages = pages.iter().map(|one| one.page.clone());
                self.assertions.lost(call, pages);
            }
            Purpose::GiveUp(pages) => self.not_given_up(&pages),
            Purpose::Depart => self.has_departed(out),
            Purpose::Scan => self.sweep.lost(env.now),
            Purpose::Lease | Purpose::Bury(_) | Purpose::Remove => {}
        }
    }

    fn replied(
        &mut self,
        env: Env,
        call: CallId,
        purpose: Purpose,
        reply: Reply,
        out: &mut Vec<Output<J>>,
    ) {
        match (purpose, reply) {
            (Purpose::Lease, Reply::Registered(view)) => self.registered(env, &view, out),
            (Purpose::Lease, Reply::Ahead(generation, others)) => {
                self.not_let_in(env, &generation, others, out);
            }
            (Purpose::Lease, Reply::Renewed { generation, epoch, .. }) => {
                self.renewed(env, &generation, epoch, out);
            }
            (Purpose::Lease, Reply::NotRegistered(generation)) => {
                self.denied(env, &generation, out);
            }
            (Purpose::Look, Reply::View(view, listening)) => {
                self.looked(env, &view, &listening, out);
            }
            (Purpose::Claim(page, fence), Reply::Taken(before)) => {
                self.taken(env, call, (&page, fence), before, out);
            }
            (Purpose::Claim(page, _), Reply::Lives(record)) => {
                self.taken_by_another(env, call, &page, &record, out);
            }
            (Purpose::Claim(page, _), Reply::Behind(record)) => {
                self.not_taken(env, call, &page, Some(&record));
            }
            (Purpose::Claim(page, _), Reply::Asserting) => self.not_taken(env, call, &page, None),
            (Purpose::Find(page), Reply::Found(record)) => {
                self.found(env, call, &page, record, out);
            }
            (Purpose::Assert(pages), Reply::Asserted(standing)) => {
                if self.assertions.answered(call) {
                    for (asserted, record) in pages.iter().zip(standing) {
                        self.asserted(env, asserted, record, out);
                    }
                }
            }
            (Purpose::Release(page), Reply::Changed(_)) => self.released(env, call, &page, out),
            (Purpose::GiveUp(pages), Reply::Changed(_)) => self.given_up(&pages, out),
            (Purpose::Depart, Reply::Removed(_)) => self.has_departed(out),
            (Purpose::Scan, Reply::Scanned(records, cursor)) => {
                self.swept(env, records, cursor, out);
            }
            (Purpose::Bury(_), Reply::Removed(_)) => self.watch.hurry(env.now),
            (Purpose::Remove, Reply::Changed(_)) => {}
            (purpose, reply) => {
                // not registered (which the lease finds out about), or an answer to another call
                if let Reply::NotRegistered(generation) = reply
                    && !self.learn(env, &generation, out)
                {
                    self.lease.hurry(env.now);
                }
                self.unanswered(env, call, purpose, true, out);
            }
        }
    }
}
