//! Rounds of calm and of attack, with checks of everything that is seen.

pub mod attack;
mod attackers;
mod report;
mod talker;
mod town;

use std::io;
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::http;
use crate::member::{Order, Seat, Told};
use crate::server::{self, Server, Usage};
use crate::swarm::{Swarm, until};

use attackers::Attackers;
use report::{Round, Total};
use talker::Talker;
use town::Town;

/// Settings of the server: it is asked for the members of pages.
pub const SETTINGS: [(&str, &str); 1] = [("peerjs.allow_discovery", "true")];

const PATIENCE: Duration = Duration::from_secs(60);
/// Time in which a server that was asked to stop must have ended.
const DRAINED: Duration = Duration::from_secs(15);
/// Interval at which a well-behaved member leaves or loses its socket.
const CHURN: Duration = Duration::from_millis(100);
/// Interval at which a page's actor panics.
const PANIC: Duration = Duration::from_millis(700);
/// Factor by which p99 may grow under attack.
const SLOWER: u32 = 3;
/// Times below this are the machine's noise.
const NOISE: Duration = Duration::from_millis(5);
/// Processors used by others above which a measurement is void.
const OTHERS: f64 = 0.3;
/// After all have left, memory may exceed that after the first whole round of the same process by a
/// quarter and
/// this many bytes, because allocators keep some.
const KEPT: usize = 16 * 1024 * 1024;
/// Descriptors that the server may have beyond those at its start: connections that it has yet to
/// close.
const SPARE: usize = 4;

/// Size of the soak.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Duration of the whole soak.
    pub length: Duration,
    /// Duration of one round: half of it calm, half under attack.
    pub round: Duration,
    /// Number of pages with well-behaved members.
    pub pages: usize,
    /// Well-behaved members of each page.
    pub each: usize,
    /// Number of attackers in all.
    pub attackers: usize,
    /// Seed of all random decisions.
    pub seed: u64,
}

/// The soak: prints each round, and fails on a fault.
pub struct Soak {
    plan: Plan,
    server: Option<Server>,
    swarm: Swarm,
    town: Rc<Town>,
    random: SmallRng,
    /// Descriptors of a server that has just started.
    fresh: usize,
    /// Memory after the first whole round of this process.
    first: Option<usize>,
    ordered_panics: usize,
    total: Total,
}

impl Soak {
    /// Prepares a soak of a server that has just started.
    ///
    /// # Errors
    /// Fails if the server does not answer.
    pub async fn new(server: Server, plan: Plan) -> io::Result<Self> {
        // a server at rest has opened all its descriptors once it has answered
        http::ask(server.address, "GET", "/health").await?;
        Ok(Self {
            plan,
            fresh: server.usage()?.descriptors,
            swarm: Swarm::new(server.address, plan.seed),
            server: Some(server),
            town: Town::new(plan.pages),
            random: SmallRng::seed_from_u64(plan.seed),
            first: None,
            ordered_panics: 0,
            total: Total::default(),
        })
    }

    /// Runs rounds until the time is over. In the first and every tenth after it the server is
    /// killed and later
    /// replaced.
    ///
    /// # Errors
    /// Fails at the end of the first round with a fault, or of the third in a row that was too slow
    /// under
    /// attack while the machine had nothing else to do.
    pub async fn run(mut self, say: impl Fn(String)) -> io::Result<()> {
        let end = Instant::now() + self.plan.length;
        let (mut slow, mut judged) = (0, 0);
        while self.total.rounds < 2 || slow > 0 || Instant::now() + self.plan.round < end {
            let number = self.total.rounds + 1;
            let round = self.round(number % 10 == 1).await;
            let (count, faults) = self.swarm.world.ledger.faults();
            if count > 0 {
                faults.iter().for_each(|fault| say(format!("  {fault}")));
                return Err(io::Error::other(format!(
                    "{count} faults in round {number}, seed {}",
                    self.plan.seed
                )));
            }
            let round = round?;
            say(format!("{number}. {round}"));
            self.check(&round)?;
            let [calm, attacked] = round.trips.each_ref().map(|trips| trips.at(0.99));
            let judges = !round.upheaval && round.others < OTHERS;
            judged += usize::from(judges);
            slow = if judges && attacked > calm.max(NOISE) * SLOWER { slow + 1 } else { 0 };
            if slow == 3 {
                return Err(io::Error::other(format!(
                    "under attack p99 is more than {SLOWER} times that of the calm"
                )));
            }
        }
        let ledger = &self.swarm.world.ledger;
        say(format!("{}", self.total));
        say(format!(
            "round trips were judged in {judged} rounds: in the others the machine had more to do, or the server died"
        ));
        say(format!(
            "terms of hosts: {}; closes: {:?}; nothing that must not be",
            ledger.terms(),
            ledger.closes()
        ));
        Ok(())
    }

    fn server(&self) -> io::Result<&Server> {
        self.server.as_ref().ok_or_else(|| io::Error::other("the server did not come back"))
    }

    async fn round(&mut self, upheaval: bool) -> io::Result<Round> {
        let panics = self.ordered_panics;
        let Plan { pages, each, round, .. } = self.plan;
        let half = round / 2;
        self.town.talking.set(true);
        let first = self.swarm.next();
        for n in 0..pages * each {
            self.come(n % pages);
        }
        self.swarm.all_up(PATIENCE).await?;
        let before = self.server()?.usage()?.cpu;
        self.phase(half, false).await?;
        let calm_cpu = self.server()?.usage()?.cpu - before;
        let calm = self.town.trips.take();
        let whom = attack::Plan { to: self.server()?.address, pages, first, steal: !upheaval };
        let attackers = Attackers::start(whom, self.plan.attackers, self.random.random())?;
        // all members are in
        sleep(Duration::from_secs(2)).await;
        if upheaval {
            self.phase(half / 2, true).await?;
            self.restart(false).await?;
            self.phase(half / 2, true).await?;
            self.restart(true).await?;
        }
        let (before, others) = (self.server()?.usage()?.cpu, self.others(&attackers)?);
        self.phase(half, true).await?;
        let attacked = self.town.trips.take();
        let peak = self.server()?.usage()?;
        let others = self.others(&attackers)? - others;
        self.total.joins[1] += attackers.lives();
        drop(attackers);
        self.town.talking.set(false);
        self.settle().await?;
        self.swarm.world.ledger.explain_successions();
        self.swarm.leave(PATIENCE).await?;
        self.total.joins[0] = self.swarm.world.ledger.joins();
        self.town.pages.iter().for_each(|page| page.borrow_mut().clear());
        let left = self.emptied().await?;
        let counts = &self.town.counts;
        let round = Round {
            upheaval,
            busy: [calm_cpu, peak.cpu - before].map(|cpu| cpu / half.as_secs_f64()),
            others: others / half.as_secs_f64(),
            trips: [&calm, &attacked].map(|trips| trips.iter().copied().collect()),
            panics: self.ordered_panics - panics,
            answered: counts.answered.take(),
            expired: counts.expired.take(),
            excused: counts.excused.take(),
            relayed: counts.relayed.take(),
            peak,
            left,
        };
        self.total.add(&round, &calm, &attacked);
        Ok(round)
    }

    /// Processor time that no process of the soak has used, in s.
    fn others(&self, attackers: &Attackers) -> io::Result<f64> {
        let ours = [std::process::id(), attackers.pid()].map(|pid| Ok(server::usage(pid)?.cpu));
        let ours = ours.into_iter().sum::<io::Result<f64>>()? + self.server()?.usage()?.cpu;
        Ok(server::machine_cpu()? - ours)
    }

    fn come(&self, page: usize) {
        let (world, town, seed) = (Rc::clone(&self.swarm.world), &self.town, self.plan.seed);
        let seat = self
            .swarm
            .join(page, |seat| Talker::new(seat, &world, town, seed ^ 0x7a1c ^ seat.number as u64));
        self.town.pages[page].borrow_mut().push(seat);
    }

    /// Lets members come, go and talk for `length`. With `faults` page actors panic, too.
    async fn phase(&mut self, length: Duration, faults: bool) -> io::Result<()> {
        self.town.trips.borrow_mut().clear();
        self.town.recording.set(true);
        let began = Instant::now();
        let (mut churn, mut panic) = (began, began);
        while began.elapsed() < length {
            sleep(Duration::from_millis(10)).await;
            let now = Instant::now();
            if now >= churn {
                churn += CHURN;
                self.churn();
            }
            if faults && now >= panic {
                panic += PANIC;
                self.panic().await?;
            }
        }
        self.town.recording.set(false);
        Ok(())
    }

    /// Lets one well-behaved member lose its socket, resign, or leave and be followed by another.
    /// The first member of each
    /// page stays.
    fn churn(&mut self) {
        let (bees, pages) = (self.swarm.bees.borrow(), self.plan.pages);
        let chosen = &bees[self.random.random_range(pages..bees.len())];
        if chosen.is_gone() {
            return;
        }
        let page = chosen.seat.page;
        if chosen.seat.hosts() && self.random.random() {
            let epoch = chosen.seat.told.borrow().as_ref().map_or(0, |told| told.epoch);
            self.swarm.world.ledger.resigns(&chosen.seat);
            return chosen.order(Order::Say(format!(
                r#"{{"type":"RESIGN","payload":{{"epoch":{epoch}}}}}"#
            )));
        }
        if self.random.random_ratio(1, 3) {
            return chosen.order(Order::Lose);
        }
        chosen.order(Order::Leave);
        drop(bees);
        self.come(page);
        // members that left are sent messages for a while
        let mut known = self.town.pages[page].borrow_mut();
        if known.len() > self.plan.each * 2 {
            known.remove(0);
        }
    }

    async fn panic(&mut self) -> io::Result<()> {
        let page = self.random.random_range(0..self.plan.pages);
        self.town.panics(page);
        let (status, _) =
            http::ask(self.server()?.address, "POST", &format!("/faults/pages/p{page}")).await?;
        match status {
            204 => self.ordered_panics += 1,
            // after a restart the page may still be empty
            404 if self.ordered_panics > 0 => {}
            _ => {
                return Err(io::Error::other(format!(
                    "page {page} did not panic: {status}. Built with --features faults?"
                )));
            }
        }
        Ok(())
    }

    /// Kills the server, or asks it to stop, and starts it again.
    async fn restart(&mut self, politely: bool) -> io::Result<()> {
        self.town.is_killed();
        let Some(mut server) = self.server.take() else { return Ok(()) };
        let again = spawn_blocking(move || {
            if politely {
                server.stop(DRAINED)?
            } else {
                server.kill()?
            }
            server.start_again().map(|()| server)
        });
        self.server = Some(again.await.map_err(io::Error::other)??);
        self.town.is_killed();
        self.first = None;
        *if politely { &mut self.total.drains } else { &mut self.total.kills } += 1;
        Ok(())
    }

    /// Checks a page without attackers: all members know the same host, and the server lists just
    /// these members and that host.
    async fn settle(&self) -> io::Result<()> {
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
        let address = self.server()?.address;
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

    /// Waits until the server has released everything. Returns what it uses then.
    async fn emptied(&self) -> io::Result<Usage> {
        let server = self.server()?;
        let given_back = until("all descriptors are given back", PATIENCE, || {
            server.usage().is_ok_and(|usage| usage.descriptors <= self.fresh + SPARE)
        });
        if given_back.await.is_err() {
            let left = server.usage()?.descriptors;
            return Err(io::Error::other(format!(
                "the server has {left} descriptors, not {}, after all left",
                self.fresh
            )));
        }
        let (_, pages) = http::ask(server.address, "GET", "/pages").await?;
        if pages != "[]" {
            return Err(io::Error::other(format!("pages are left over: {pages}")));
        }
        server.usage()
    }

    /// Members and pages that a round leaves behind.
    fn check(&mut self, round: &Round) -> io::Result<()> {
        let (server, memory) = (self.server()?, round.left.memory);
        let (complaints, panics) = (server.complaints(), server.panics());
        if !complaints.is_empty() || panics > self.ordered_panics {
            let what = format!(
                "{panics} panics, {} of them ordered; {complaints:#?}",
                self.ordered_panics
            );
            return Err(io::Error::other(what));
        }
        if round.upheaval {
            return Ok(());
        }
        let first = *self.first.get_or_insert(memory);
        if memory > first + first / 4 + KEPT {
            return Err(io::Error::other(format!(
                "memory grew from {first} to {memory} bytes after all had left"
            )));
        }
        Ok(())
    }
}
