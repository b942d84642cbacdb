//! The registry of pages, which says where each of them lives.
//!
//! The directory asks a [`Registry`]. There is one now, [`ThisProcess`]; a registry of several
//! nodes implements the same trait.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use actix::{Actor, Addr, Arbiter, ArbiterHandle};

use super::page::Page;
use peerstar_core::protocol::id::PageKey;

/// Where one page lives. Pages on other nodes will be another variant.
#[derive(Debug, Clone)]
pub enum Home {
    /// In this process, at this address.
    Here(Addr<Page>),
}

/// Makes the actor of a page, on the thread on which it will run.
pub type MakePage = Box<dyn FnOnce() -> Page + Send>;

/// Knows where every page lives, and gives new pages a place.
pub trait Registry {
    /// Returns where a page lives, if it exists.
    fn find(&self, key: &PageKey) -> Option<&Home>;

    /// Gives a page a new place, instead of the one it may have had.
    fn place(&mut self, key: &PageKey, make: MakePage) -> Home;

    /// Forgets where a page lived.
    fn forget(&mut self, key: &PageKey);

    /// Returns all pages and where they live.
    fn pages(&self) -> Vec<(PageKey, Home)>;

    /// Returns the number of pages.
    fn count(&self) -> usize;
}

/// The registry of a server that is one process: all pages live on its threads.
pub struct ThisProcess {
    pages: HashMap<PageKey, Home>,
    /// Threads for pages. A page stays on one of them, so that its messages keep their order.
    threads: Vec<Arbiter>,
}

impl ThisProcess {
    /// Starts `threads` threads for pages, at least one.
    #[must_use]
    pub fn start(threads: usize) -> Self {
        let threads = (0..threads.max(1)).map(|_| Arbiter::new()).collect();
        Self { pages: HashMap::new(), threads }
    }

    /// Returns the first thread for pages.
    #[must_use]
    pub fn first_thread(&self) -> ArbiterHandle {
        self.threads[0].handle()
    }

    fn thread_of(&self, key: &PageKey) -> &Arbiter {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        &self.threads[(hasher.finish() % self.threads.len() as u64) as usize]
    }
}

impl Registry for ThisProcess {
    fn find(&self, key: &PageKey) -> Option<&Home> {
        self.pages.get(key)
    }

    fn place(&mut self, key: &PageKey, make: MakePage) -> Home {
        let page = Page::start_in_arbiter(&self.thread_of(key).handle(), move |_| make());
        self.pages.insert(key.clone(), Home::Here(page.clone()));
        Home::Here(page)
    }

    fn forget(&mut self, key: &PageKey) {
        self.pages.remove(key);
    }

    fn pages(&self) -> Vec<(PageKey, Home)> {
        self.pages.iter().map(|(key, home)| (key.clone(), home.clone())).collect()
    }

    fn count(&self) -> usize {
        self.pages.len()
    }
}
