//! Rounds of calm and of everything that can go wrong, with all that is seen checked.

pub mod attack;
mod talker;
mod town;

use std::fmt;
use std::io;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::http;
use crate::member::{Order, Seat, Told};
use crate::server::{Server, Usage};
use crate::spread::Spread;
use crate::swarm::{Swarm, until};

use talker::Talker;
use town::Town;

/// What the server must be started with: it is asked who is on a page.
pub const SETTINGS: [(&str, &str); 1] = [("peerjs.allow_discovery", "true")];

const PATIENCE: Duration = Duration::from_secs(60);
/// A well-behaved member leaves, or loses its socket, so often.
const CHURN: Duration = Duration::from_millis(100);
/// A page's actor panics so often.
const PANIC: Duration = Duration::from_millis(700);
/// Under attack, p99 may be so many times that of the calm.
const SLOWER: u32 = 3;
/// Times shorter than that are the machine's own, not the server's.
const NOISE: Duration = Duration::from_millis(5);
/// After all have left, memory may be above what it was after the first round of the same process by a quarter, and so
/// many bytes: allocators keep some.
const KEPT: usize = 16 * 1024 * 1024;
/// Descriptors that the server may have more than when it started: connections of ours that it has yet to close.
const SPARE: usize = 4;

/// How large the soak is.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How long to go on.
    pub length: Duration,
    /// Of one round: half of it calm, half under attack.
    pub round: Duration,
    /// Pages.
    pub pages: usize,
    /// Well-behaved members of each.
    pub each: usize,
    /// Attackers in all.
    pub attackers: usize,
    /// What chance begins with.
    pub seed: u64,
}

/// What one round saw.
#[derive(Debug)]
pub struct Round {
    /// Whether the server was killed in it.
    killed: bool,
    calm: Spread,
    attacked: Spread,
    panics: usize,
    answered: u64,
    expired: u64,
    excused: u64,
    relayed: u64,
    peak: Usage,
    left: Usage,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |spread: &Spread| spread.at(0.99).as_secs_f64() * 1000.0;
        let mib = |usage: &Usage| usage.memory as f64 / 1024.0 / 1024.0;
        let Self { killed, calm, attacked, panics, answered, expired, excused, relayed, peak, left } = self;
        write!(f, "{}: ", if *killed { "killed" } else { "attack" })?;
        write!(f, "p99 {:.1} ms calm, {:.1} ms attacked; {panics} panics; ", ms(calm), ms(attacked))?;
        write!(f, "{answered} answered, {expired} expired, {excused} excused, {relayed} relayed; ")?;
        write!(f, "{:.0} MiB and {} descriptors, ", mib(peak), peak.descriptors)?;
        write!(f, "{:.0} MiB and {} after all left", mib(left), left.descriptors)
    }
}

/// The attackers' process; killed when dropped, and all their sockets with it.
struct Attackers(Child);

impl Drop for Attackers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The soak: prints each round, and fails loudly.
pub struct Soak {
    plan: Plan,
    server: Option<Server>,
    swarm: Swarm,
    town: Rc<Town>,
    random: SmallRng,
    /// Descriptors of a server that has just started.
    fresh: usize,
    /// Memory after the first round of this process.
    first: Option<usize>,
    ordered_panics: usize,
    calm: Vec<Duration>,
    attacked: Vec<Duration>,
}

impl Soak {
    /// With a server that has just started.
    ///
    /// # Errors
    /// When its usage cannot be read.
    pub fn new(server: Server, plan: Plan) -> io::Result<Self> {
        Ok(Self {
            plan,
            fresh: server.usage()?.descriptors,
            swarm: Swarm::new(server.address, plan.seed),
            server: Some(server),
            town: Town::new(plan.pages),
            random: SmallRng::seed_from_u64(plan.seed),
            first: None,
            ordered_panics: 0,
            calm: Vec::new(),
            attacked: Vec::new(),
        })
    }

    /// Round after round until the time is over. The server is killed in the first, and in every fourth after it.
    ///
    /// # Errors
    /// At the end of the first round in which something was wrong.
    pub async fn run(mut self, say: impl Fn(String)) -> io::Result<()> {
        let end = Instant::now() + self.plan.length;
        let mut rounds = 0;
        while rounds < 2 || Instant::now() + self.plan.round < end {
            let killed = rounds % 4 == 0;
            let round = self.round(killed).await;
            rounds += 1;
            let (count, faults) = self.swarm.world.ledger.faults();
            if count > 0 {
                faults.iter().for_each(|fault| say(format!("  {fault}")));
                return Err(io::Error::other(format!("{count} faults in round {rounds}, seed {}", self.plan.seed)));
            }
            let round = round?;
            say(format!("{rounds}. {round}"));
            self.check(&round)?;
        }
        let (calm, attacked): (Spread, Spread) = (self.calm.iter().copied().collect(), self.attacked.iter().copied().collect());
        say(format!("round trips, calm: {calm}"));
        say(format!("round trips, under attack: {attacked}"));
        say(format!("closes: {:?}", self.swarm.world.ledger.closes()));
        if attacked.at(0.99) > calm.at(0.99).max(NOISE) * SLOWER {
            return Err(io::Error::other(format!("under attack p99 is more than {SLOWER} times that of the calm")));
        }
        Ok(())
    }

    fn server(&self) -> io::Result<&Server> {
        self.server.as_ref().ok_or_else(|| io::Error::other("the server did not come back"))
    }

    async fn round(&mut self, killed: bool) -> io::Result<Round> {
        let panics = self.ordered_panics;
        let Plan { pages, each, round, .. } = self.plan;
        self.town.talking.set(true);
        for n in 0..pages * each {
            self.come(n % pages);
        }
        self.swarm.all_up(PATIENCE).await?;
        self.phase(round / 2, false, false).await?;
        let calm = self.town.trips.take();
        let attackers = self.attackers(!killed)?;
        // they have come
        sleep(Duration::from_secs(2)).await;
        self.phase(round / 2, true, killed).await?;
        let attacked = self.town.trips.take();
        let peak = self.server()?.usage()?;
        drop(attackers);
        self.town.talking.set(false);
        self.settle().await?;
        self.swarm.leave(PATIENCE).await?;
        self.town.pages.iter().for_each(|page| page.borrow_mut().clear());
        let left = self.emptied().await?;
        // what follows a kill is a restart, not an attack
        if !killed {
            self.calm.extend_from_slice(&calm);
            self.attacked.extend_from_slice(&attacked);
        }
        let counts = &self.town.counts;
        Ok(Round {
            killed,
            calm: calm.into_iter().collect(),
            attacked: attacked.into_iter().collect(),
            panics: self.ordered_panics - panics,
            answered: counts.answered.take(),
            expired: counts.expired.take(),
            excused: counts.excused.take(),
            relayed: counts.relayed.take(),
            peak,
            left,
        })
    }

    fn come(&self, page: usize) {
        let (world, town, seed) = (Rc::clone(&self.swarm.world), &self.town, self.plan.seed);
        let seat = self.swarm.join(page, |seat| Talker::new(seat, &world, town, seed ^ 0x7a1c ^ seat.number as u64));
        self.town.pages[page].borrow_mut().push(seat);
    }

    fn attackers(&mut self, steal: bool) -> io::Result<Attackers> {
        let (address, plan) = (self.server()?.address, self.plan);
        let mut command = Command::new("nice");
        // they stand for other people's machines: they must not take ours from the server
        command.args(["-n", "10"]).arg(std::env::current_exe()?).arg("attack");
        command.args(["--to", &address.to_string(), "--pages", &plan.pages.to_string()]);
        command.args(["--count", &plan.attackers.to_string(), "--seed", &self.random.random::<u64>().to_string()]);
        if steal {
            command.arg("--steal");
        }
        command.stdin(Stdio::null()).spawn().map(Attackers)
    }

    /// Members come and go, and talk, for `length`. With `faults` page actors panic, too; with `kill` the server is
    /// killed halfway and started again.
    async fn phase(&mut self, length: Duration, faults: bool, kill: bool) -> io::Result<()> {
        self.town.trips.borrow_mut().clear();
        self.town.recording.set(true);
        let began = Instant::now();
        let (mut churn, mut panic) = (began, began);
        let mut kill = kill.then(|| began + length / 2);
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
            if kill.take_if(|at| now >= *at).is_some() {
                self.kill().await?;
            }
        }
        self.town.recording.set(false);
        Ok(())
    }

    /// One well-behaved member loses its socket, hands over, or leaves and is followed by another. The first of each
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
            return chosen.order(Order::Say(format!(r#"{{"type":"RESIGN","payload":{{"epoch":{epoch}}}}}"#)));
        }
        if self.random.random_ratio(1, 3) {
            return chosen.order(Order::Lose);
        }
        chosen.order(Order::Leave);
        drop(bees);
        self.come(page);
        // those who left are talked to for a while
        let mut known = self.town.pages[page].borrow_mut();
        if known.len() > self.plan.each * 2 {
            known.remove(0);
        }
    }

    async fn panic(&mut self) -> io::Result<()> {
        let page = self.random.random_range(0..self.plan.pages);
        self.town.panics(page);
        let (status, _) = http::ask(self.server()?.address, "POST", &format!("/faults/pages/p{page}")).await?;
        match status {
            204 => self.ordered_panics += 1,
            // after a restart, nobody may be on it yet
            404 if self.ordered_panics > 0 => {}
            _ => return Err(io::Error::other(format!("page {page} did not panic: {status}. Built with --features faults?"))),
        }
        Ok(())
    }

    async fn kill(&mut self) -> io::Result<()> {
        self.town.is_killed();
        let Some(mut server) = self.server.take() else { return Ok(()) };
        let again = spawn_blocking(move || server.kill().and_then(|()| server.start_again()).map(|()| server)).await;
        self.server = Some(again.map_err(io::Error::other)??);
        self.first = None;
        Ok(())
    }

    /// Nobody attacks any more: on every page all know the same host, and the server knows just that and them.
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

    /// Where what the server says of its pages is not what their members know.
    async fn difference(&self, agreed: &[Option<Told>], members: &[Vec<Rc<Seat>>]) -> io::Result<Option<String>> {
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
            let number: Option<usize> = page.page.strip_prefix('p').and_then(|number| number.parse().ok());
            let Some((Some(told), here)) = number.and_then(|n| Some((agreed.get(n)?, members.get(n)?))) else {
                return Ok(Some(format!("the server has a page {page:?} nobody is on")));
            };
            if page.members != here.len() {
                let (_, body) = http::ask(address, "GET", &format!("/pages/{}/peerjs/peers", page.page)).await?;
                let mut ids: Vec<Box<str>> = serde_json::from_str(&body)?;
                ids.retain(|id| here.iter().all(|seat| seat.id != *id));
                return Ok(Some(format!("{page:?}: {} are there; besides them, the server knows of {ids:?}", here.len())));
            }
            if (page.epoch, page.host.as_ref()) != (told.epoch, Some(&told.host)) {
                return Ok(Some(format!("{page:?}: its members know {told:?}")));
            }
        }
        Ok(None)
    }

    /// Waits until the server has let go of all; what it uses then.
    async fn emptied(&self) -> io::Result<Usage> {
        let server = self.server()?;
        until("all descriptors are given back", PATIENCE, || {
            server.usage().is_ok_and(|usage| usage.descriptors <= self.fresh + SPARE)
        })
        .await?;
        let (_, pages) = http::ask(server.address, "GET", "/pages").await?;
        if pages != "[]" {
            return Err(io::Error::other(format!("pages are left over: {pages}")));
        }
        server.usage()
    }

    /// What a round leaves behind.
    fn check(&mut self, round: &Round) -> io::Result<()> {
        let (server, memory) = (self.server()?, round.left.memory);
        let (complaints, panics) = (server.complaints(), server.panics());
        if !complaints.is_empty() || panics > self.ordered_panics {
            let what = format!("{panics} panics, {} of them ordered; {complaints:#?}", self.ordered_panics);
            return Err(io::Error::other(what));
        }
        let first = *self.first.get_or_insert(memory);
        if memory > first + first / 4 + KEPT {
            return Err(io::Error::other(format!("memory grew from {first} to {memory} bytes after all had left")));
        }
        Ok(())
    }
}
