//! The death of the page's actor.

use peerstar_core::protocol::id::SessionId;

use super::{Model, RETURN};

impl Model {
    /// The page's actor dies. Clients are told nothing. Newcomers that waited have to ask again.
    pub(crate) fn lose_page(&mut self, order: &[SessionId]) {
        self.here.sort_by_key(|p| order.iter().position(|s| *s == p.session));
        self.host_since = self.now;
        self.probe = None;
        self.here
            .iter_mut()
            .for_each(|p| (p.stalled_at, p.out_of_reach, p.leave_said) = (None, false, None));
        self.here.iter_mut().for_each(|p| (p.came, p.told_deputy) = (self.now, None));
        (self.deputy, self.deputy_number, self.deputy_since, self.unreached) = (None, 0, 0, 0);
        (self.moved_at, self.judged_at, self.changed) = (self.now, 0, true);
        self.fitter_since.clear();
        self.suspecting.clear();
        self.doubting.clear();
        self.down.clear();
        self.pending.clear();
        // the host now hears the news that it was yet to hear
        let news: Vec<_> = std::mem::take(&mut self.profiles)
            .into_iter()
            .filter(|(.., another)| *another)
            .collect();
        let is_news = |id: &str| news.iter().any(|(told, ..)| told == id);
        // the members resume one by one; with the host all goes on
        let host = self.host.take();
        for person in std::mem::take(&mut self.here) {
            let id = person.id.clone();
            self.here.push(person);
            if host.as_ref() == Some(&id) {
                self.host.clone_from(&host);
                for early in self.ids().into_iter().filter(|id| is_news(id)) {
                    self.tell_host_of_profile(&early);
                }
                self.review_deputy();
            } else {
                self.review_deputy();
                if is_news(&id) {
                    self.tell_host_of_profile(&id);
                }
            }
            self.review();
        }
        // absent members have their whole time again, and are no longer told apart from members
        // that lost their socket
        let until = self.now + RETURN;
        self.absent.iter_mut().for_each(|away| away.until = until);
    }
}
