//! Many members at once.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep};

use crate::ledger::Ledger;
use crate::member::{Order, Role, Seat, Told, World, live};

/// A member of the swarm.
#[derive(Debug)]
pub struct Bee {
    /// The member as others see it.
    pub seat: Rc<Seat>,
    orders: UnboundedSender<Order>,
    life: JoinHandle<()>,
}

impl Bee {
    /// Gives it an order. A member that has ended ignores it.
    pub fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// Returns whether it has ended.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.life.is_finished()
    }
}

/// All members of a run. Dropping the swarm cuts them off.
#[derive(Debug)]
pub struct Swarm {
    /// State that the members share.
    pub world: Rc<World>,
    /// Members that were started and not forgotten.
    pub bees: RefCell<Vec<Bee>>,
    seed: u64,
    named: Cell<usize>,
}

impl Drop for Swarm {
    fn drop(&mut self) {
        self.bees.borrow().iter().for_each(|bee| bee.life.abort());
    }
}

impl Swarm {
    /// Returns a swarm without members.
    #[must_use]
    pub fn new(server: SocketAddr, seed: u64) -> Self {
        let world = Rc::new(World { server: Cell::new(server), ledger: Ledger::default() });
        Self { world, bees: RefCell::default(), seed, named: Cell::default() }
    }

    /// Number of the next member.
    #[must_use]
    pub const fn next(&self) -> usize {
        self.named.get()
    }

    /// Starts one more member of `page` under a new name.
    pub fn join<R: Role + 'static>(
        &self,
        page: usize,
        role: impl FnOnce(&Rc<Seat>) -> R,
    ) -> Rc<Seat> {
        let number = self.named.get();
        self.named.set(number + 1);
        let seat = Seat::new(page, &format!("m{number}"), number);
        let (orders, obey) = unbounded_channel();
        let role = role(&seat);
        let life = spawn_local(live(
            Rc::clone(&self.world),
            Rc::clone(&seat),
            role,
            self.seed ^ number as u64,
            obey,
        ));
        self.bees.borrow_mut().push(Bee { seat: Rc::clone(&seat), orders, life });
        seat
    }

    /// Number of members that are in.
    #[must_use]
    pub fn up(&self) -> usize {
        self.bees.borrow().iter().filter(|bee| bee.seat.up.get()).count()
    }

    /// Waits until all are in that have not left. Members that left are forgotten.
    ///
    /// # Errors
    /// Fails if that takes longer than `most`.
    pub async fn all_up(&self, most: Duration) -> io::Result<()> {
        until("all are in", most, || {
            self.bees.borrow_mut().retain(|bee| !bee.is_gone());
            self.up() == self.bees.borrow().len()
        })
        .await
    }

    /// Returns the members page by page.
    #[must_use]
    pub fn by_page(&self) -> Vec<Vec<Rc<Seat>>> {
        let mut pages = Vec::new();
        for bee in self.bees.borrow().iter() {
            if pages.len() <= bee.seat.page {
                pages.resize_with(bee.seat.page + 1, Vec::new);
            }
            pages[bee.seat.page].push(Rc::clone(&bee.seat));
        }
        pages
    }

    /// Waits until all members of each page know the same host, which is one of them. Returns host
    /// and epoch of each page. Members that left are forgotten.
    ///
    /// # Errors
    /// Fails if that takes longer than `most`, and names a page.
    pub async fn agreed(&self, most: Duration) -> io::Result<Vec<Option<Told>>> {
        let deadline = Instant::now() + most;
        loop {
            self.bees.borrow_mut().retain(|bee| !bee.is_gone());
            let pages = self.by_page();
            let agreed: Result<Vec<_>, _> =
                pages.iter().map(|members| agreement(members)).collect();
            match agreed {
                Ok(agreed) => return Ok(agreed),
                Err(page) if Instant::now() > deadline => return Err(io::Error::other(page)),
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Lets all members leave, and forgets them.
    ///
    /// # Errors
    /// Fails if that takes longer than `most`.
    pub async fn leave(&self, most: Duration) -> io::Result<()> {
        self.bees.borrow().iter().for_each(|bee| bee.order(Order::Leave));
        until("all have left", most, || self.bees.borrow().iter().all(Bee::is_gone)).await?;
        self.bees.borrow_mut().clear();
        self.world.ledger.forget_members();
        Ok(())
    }
}

/// Returns the host and epoch that all members of a page know; `None` for an empty page.
fn agreement(members: &[Rc<Seat>]) -> Result<Option<Told>, String> {
    let Some(first) = members.first() else { return Ok(None) };
    let known = first.told.borrow().clone();
    let differs = members.iter().find(|member| !member.up.get() || *member.told.borrow() != known);
    if let Some(member) = differs {
        let say = |seat: &Seat| {
            format!("{} (up: {}) was told {:?}", seat.id, seat.up.get(), seat.told.borrow())
        };
        return Err(format!("page {} does not agree: {}, {}", first.page, say(first), say(member)));
    }
    if !members.iter().any(|member| known.as_ref().is_some_and(|told| told.host == member.id)) {
        return Err(format!("page {}: its host {known:?} is none of its members", first.page));
    }
    Ok(known)
}

/// Waits until a condition holds, checking it often.
///
/// # Errors
/// Fails if that takes longer than `most`.
pub async fn until(what: &str, most: Duration, mut ask: impl FnMut() -> bool) -> io::Result<()> {
    let deadline = Instant::now() + most;
    while !ask() {
        if Instant::now() > deadline {
            return Err(io::Error::other(format!("not within {most:?}: {what}")));
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
