//! Compares what members and servers know of the pages when nothing happens any more.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::{PATIENCE, Soak};
use crate::http;
use crate::member::{Seat, Told};

impl Soak {
    /// Checks a page without attackers: all members know the same host, and the server lists just
    /// these members and that host.
    pub(super) async fn settle(&self) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.swarm.all_up(PATIENCE).await?;
            let agreed = self.swarm.agreed(PATIENCE).await?;
            let members = self.swarm.by_page();
            match self.difference(&agreed, &members).await? {
                None => return Ok(()),
                Some(_) if Instant::now() < deadline => sleep(Duration::from_millis(500)).await,
                Some(difference) => return Err(io::Error::other(difference)),
            }
        }
    }

    /// Returns where the server's pages differ from what their members know.
    async fn difference(
        &self,
        agreed: &[Option<Told>],
        members: &[Vec<Rc<Seat>>],
    ) -> io::Result<Option<String>> {
        #[derive(Debug, Deserialize)]
        struct Page {
            page: String,
            host: Option<Box<str>>,
            epoch: u64,
            members: usize,
        }
        let address = self.site.first()?.address;
        let (_, body) = http::ask(address, "GET", "/pages").await?;
        let pages: Vec<Page> = serde_json::from_str(&body)?;
        if pages.len() != agreed.len() {
            return Ok(Some(format!("the server has {} pages, not {}", pages.len(), agreed.len())));
        }
        for page in &pages {
            let number: Option<usize> =
                page.page.strip_prefix('p').and_then(|number| number.parse().ok());
            let Some((Some(told), here)) =
                number.and_then(|n| Some((agreed.get(n)?, members.get(n)?)))
            else {
                return Ok(Some(format!("the server has a page {page:?} nobody is on")));
            };
            if page.members != here.len() {
                let (_, body) =
                    http::ask(address, "GET", &format!("/pages/{}/peerjs/peers", page.page))
                        .await?;
                let mut ids: Vec<Box<str>> = serde_json::from_str(&body)?;
                ids.retain(|id| here.iter().all(|seat| seat.id != *id));
                return Ok(Some(format!(
                    "{page:?}: {} are there; besides them, the server knows of {ids:?}",
                    here.len()
                )));
            }
            if (page.epoch, page.host.as_ref()) != (told.epoch, Some(&told.host)) {
                return Ok(Some(format!("{page:?}: its members know {told:?}")));
            }
        }
        Ok(None)
    }
}
