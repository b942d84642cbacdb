//! Rounds of calm and of attack, with checks of everything that is seen.

pub mod attack;
mod attackers;
mod report;
mod settled;
mod site;
mod talker;
mod town;

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};

use crate::http;
use crate::member::Order;
use crate::server::{self, Server, Usage};
use crate::swarm::{Swarm, until};

use attackers::Attackers;
use report::{Round, Total};
use site::{Ending, Site};
use talker::Talker;
use town::Town;

const PATIENCE: Duration = Duration::from_secs(60);
/// Time after the end of a node in which what is on its way may be lost: the others notice within
/// 3.5 s, and take its pages over within 2 s.
const NOTICED: Duration = Duration::from_secs(6);
/// Longest time for which Redis is away, in ms. Nothing may be lost below 5 s.
const AWAY_MS: u64 = 3000;
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
    /// Number of servers. More than one are a cluster behind HAProxy.
    pub nodes: usize,
    /// Seed of all random decisions.
    pub seed: u64,
}

/// What happens in a round beside attackers and panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upheaval {
    None,
    /// A server is killed, and later one is asked to stop.
    Servers,
    /// Redis is killed and comes back empty.
    Redis,
}

/// The soak: prints each round, and fails on a fault.
pub struct Soak {
    plan: Plan,
    site: Site,
    swarm: Swarm,
    town: Rc<Town>,
    random: SmallRng,
    /// Descriptors of a server that has just started.
    fresh: usize,
    /// Memory of each server after the first whole round of its process.
    first: Vec<Option<usize>>,
    ordered_panics: usize,
    total: Total,
}

impl Soak {
    /// Starts the servers.
    ///
    /// # Errors
    /// Fails if they do not start.
    pub async fn new(binary: &Path, plan: Plan) -> io::Result<Self> {
        let site = Site::start(binary, plan.nodes).await?;
        let fresh = site.usage()?.iter().map(|usage| usage.descriptors).max();
        Ok(Self {
            plan,
            fresh: fresh.unwrap_or_default(),
            swarm: Swarm::new(site.address()?, plan.seed),
            first: vec![None; plan.nodes],
            site,
            town: Town::new(plan.pages),
            random: SmallRng::seed_from_u64(plan.seed),
            ordered_panics: 0,
            total: Total::default(),
        })
    }

    /// Runs rounds until the time is over. In the first and every tenth after it a server is killed
    /// and later one is replaced. In a cluster that happens in every fourth round, and Redis is killed
    /// in as many.
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
            let round = self.round(self.upheaval(number)).await;
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

    fn upheaval(&self, number: usize) -> Upheaval {
        match (self.site.is_cluster(), number % 4) {
            (true, 1) => Upheaval::Servers,
            (true, 3) => Upheaval::Redis,
            (true, _) => Upheaval::None,
            (false, _) if number % 10 == 1 => Upheaval::Servers,
            (false, _) => Upheaval::None,
        }
    }

    async fn round(&mut self, upheaval: Upheaval) -> io::Result<Round> {
        let panics = self.ordered_panics;
        let Plan { pages, each, round, .. } = self.plan;
        let half = round / 2;
        self.town.talking.set(true);
        let first = self.swarm.next();
        for n in 0..pages * each {
            self.come(n % pages);
        }
        self.swarm.all_up(PATIENCE).await?;
        let before = self.site.cpu()?;
        if upheaval == Upheaval::Redis {
            // while nobody fills the links, nothing may be lost
            self.phase(half / 4, false).await?;
            let away = self.random.random_range(0..AWAY_MS);
            self.site.replace_redis(Duration::from_millis(away)).await?;
            self.total.redis += 1;
        }
        self.phase(half, false).await?;
        let calm_cpu = self.site.cpu()? - before;
        let calm = self.town.trips.take();
        let attackers = self.attackers(first, upheaval != Upheaval::Servers)?;
        self.town.links_fill.set(self.site.is_cluster());
        // all members are in
        sleep(Duration::from_secs(2)).await;
        if upheaval == Upheaval::Servers {
            self.phase(half / 2, true).await?;
            self.restart(Ending::Kill).await?;
            self.phase(half / 2, true).await?;
            self.restart(Ending::Drain).await?;
        }
        let (before, others) = (self.site.cpu()?, self.others(&attackers)?);
        self.phase(half, true).await?;
        let attacked = self.town.trips.take();
        let (peak, cpu) = (self.site.usage()?, self.site.cpu()?);
        let others = self.others(&attackers)? - others;
        self.total.joins[1] += attackers.iter().map(Attackers::lives).sum::<usize>();
        drop(attackers);
        self.town.talking.set(false);
        self.settle().await?;
        self.town.links_fill.set(false);
        self.swarm.world.ledger.explain_successions();
        self.swarm.leave(PATIENCE).await?;
        self.total.joins[0] = self.swarm.world.ledger.joins();
        self.town.pages.iter().for_each(|page| page.borrow_mut().clear());
        let left = self.emptied().await?;
        let counts = &self.town.counts;
        let round = Round {
            upheaval: upheaval != Upheaval::None,
            busy: [calm_cpu, cpu - before].map(|cpu| cpu / half.as_secs_f64()),
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

    /// Starts the attackers, as many at each server.
    fn attackers(&mut self, first: usize, steal: bool) -> io::Result<Vec<Attackers>> {
        let Plan { pages, attackers, nodes, .. } = self.plan;
        let (each, random) = (attackers / nodes, &mut self.random);
        let start = |(n, server): (usize, &Server)| {
            let whom = attack::Plan { to: server.address, pages, first, steal };
            Attackers::start(whom, n * each..(n + 1) * each, random.random())
        };
        self.site.servers().iter().enumerate().map(start).collect()
    }

    /// Processor time that no process of the soak has used, in s.
    fn others(&self, attackers: &[Attackers]) -> io::Result<f64> {
        let pids = attackers.iter().map(Attackers::pid).chain([std::process::id()]);
        let ours = pids.map(|pid| Ok(server::usage(pid)?.cpu)).sum::<io::Result<f64>>()?;
        Ok(server::machine_cpu()? - ours - self.site.cpu()?)
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
        // a node answers 404 for a page of another one
        let mut status = 404;
        for server in self.site.servers() {
            let path = format!("/faults/pages/p{page}");
            if status == 404 {
                (status, _) = http::ask(server.address, "POST", &path).await?;
            }
        }
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

    /// Ends a server, and starts it again.
    async fn restart(&mut self, ending: Ending) -> io::Result<()> {
        // other nodes notice it later, and a node that drains lets what waits expire
        let noticed = if self.site.is_cluster() { NOTICED } else { Duration::ZERO };
        self.town.is_killed(noticed);
        let number = self.site.replace(ending).await?;
        self.first[number] = None;
        self.town.is_killed(noticed);
        match ending {
            Ending::Kill => self.total.kills += 1,
            Ending::Drain => self.total.drains += 1,
        }
        Ok(())
    }

    /// Waits until all servers have released everything. Returns what they use then.
    async fn emptied(&self) -> io::Result<Vec<Usage>> {
        for server in self.site.servers() {
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
        }
        self.site.usage()
    }

    /// Members and pages that a round leaves behind.
    fn check(&mut self, round: &Round) -> io::Result<()> {
        let servers = self.site.servers();
        let complaints: Vec<_> = servers.iter().flat_map(Server::complaints).collect();
        let panics: usize = servers.iter().map(Server::panics).sum();
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
        for (first, Usage { memory, .. }) in self.first.iter_mut().zip(&round.left) {
            let first = *first.get_or_insert(*memory);
            if *memory > first + first / 4 + KEPT {
                return Err(io::Error::other(format!(
                    "memory grew from {first} to {memory} bytes after all had left"
                )));
            }
        }
        Ok(())
    }
}
