//! Clients that attack or are broken. They run in a process of their own, so that their cost is not
//! counted as that of others.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, timeout};

use crate::frame;
use crate::ledger::STRANGER;
use crate::socket::{Route, Socket};

/// Number of attackers for each one that may send at full speed. More would occupy the whole machine.
const FLOODS: usize = 75;
/// Number of attackers for each pair that may exist of a client that does not read and one that sends
/// to it.
const JAMS: usize = 50;

/// Target of the attacks.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Address of the server.
    pub to: SocketAddr,
    /// Number of pages that are attacked.
    pub pages: usize,
    /// Number of the first member. From it on each page has one that stays; others come and go.
    pub first: usize,
    /// Whether ids are stolen. The id of an absent member is free, so this is for times when those
    /// who stay do stay.
    pub steal: bool,
}

/// An attacker, one attack after another.
struct Attacker {
    plan: Plan,
    number: usize,
    lives: usize,
    random: SmallRng,
    floods: Rc<Semaphore>,
    jams: Rc<Semaphore>,
}

/// Runs the attackers of these numbers until this process is killed. Prints the number of attacks now
/// and then.
pub async fn attack(plan: Plan, numbers: Range<usize>, seed: u64, say: impl Fn(usize)) {
    let lives = Rc::new(Cell::new(0_usize));
    let permits = |of: usize| Rc::new(Semaphore::new(numbers.len().div_ceil(of)));
    let (floods, jams) = (permits(FLOODS), permits(JAMS));
    for number in numbers {
        let random = SmallRng::seed_from_u64(seed ^ (number as u64).rotate_left(32));
        let (floods, jams) = (Rc::clone(&floods), Rc::clone(&jams));
        let mut attacker = Attacker { plan, number, lives: 0, random, floods, jams };
        let lives = Rc::clone(&lives);
        spawn_local(async move {
            loop {
                lives.set(lives.get() + 1);
                let life = attacker.life();
                // whatever ended it: the next attack follows
                let _ = timeout(Duration::from_secs(30), life).await;
                let pause = attacker.random.random_range(20..500);
                sleep(Duration::from_millis(pause)).await;
            }
        });
    }
    loop {
        sleep(Duration::from_millis(500)).await;
        say(lives.get());
    }
}

impl Attacker {
    async fn life(&mut self) -> io::Result<()> {
        self.lives += 1;
        match self.random.random_range(0..100) {
            0..25 => self.vanish().await,
            25..45 => self.come_and_go().await,
            45..60 => self.freeze().await,
            60..70 => self.steal().await,
            70..75 => self.lie().await,
            75..90 => self.garbage().await,
            90..95 => self.jam().await,
            _ => self.flood().await,
        }
    }

    fn route(&self) -> Route {
        Route::nth(self.plan.to, self.number)
    }

    fn page(&mut self) -> usize {
        self.random.random_range(0..self.plan.pages)
    }

    fn ms(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.random.random_range(0..most))
    }

    fn address(&mut self, name: &str) -> String {
        let (number, lives, page) = (self.number, self.lives, self.page());
        let group = if self.random.random_ratio(2, 3) { 2 } else { 0 };
        format!(
            "/peerjs?key=peerjs&id={STRANGER}{number}-{lives}{name}&token=t&page=p{page}&group={group}"
        )
    }

    /// The id names the kind of attack in logs and faults.
    async fn join(&mut self, name: &str) -> io::Result<Socket> {
        let address = self.address(name);
        Socket::open(self.route(), &address).await
    }

    /// Joins and loses its socket.
    async fn vanish(&mut self) -> io::Result<()> {
        let socket = self.join("-vanish").await?;
        sleep(self.ms(3000)).await;
        if self.random.random() {
            socket.reset();
        }
        Ok(())
    }

    /// Joins and leaves in one of several ways.
    async fn come_and_go(&mut self) -> io::Result<()> {
        let mut socket = self.join("-come-and-go").await?;
        sleep(self.ms(1000)).await;
        match self.random.random_range(0..5) {
            0 => frame::push(&mut socket.out, frame::TEXT, br#"{"type":"LEAVE"}"#),
            1 => frame::push(&mut socket.out, frame::CLOSE, b""),
            n => frame::push(
                &mut socket.out,
                frame::CLOSE,
                &[1000_u16, 1001, 4000][n as usize - 2].to_be_bytes(),
            ),
        }
        socket.finish(Duration::from_secs(2)).await;
        Ok(())
    }

    /// Joins, and then neither reads nor answers.
    async fn freeze(&mut self) -> io::Result<()> {
        let _socket = self.join("-freeze").await?;
        sleep(self.ms(30_000)).await;
        Ok(())
    }

    /// Asks for a member's id, or replaces its own socket.
    async fn steal(&mut self) -> io::Result<()> {
        let address = if self.plan.steal {
            let page = self.page();
            format!(
                "/peerjs?key=peerjs&id=m{}&token=stolen&page=p{page}&group=2",
                self.plan.first + page
            )
        } else {
            self.address("-steal")
        };
        let first = Socket::open(self.route(), &address).await?;
        let second = Socket::open(self.route(), &address).await?;
        first.finish(self.ms(3000)).await;
        second.finish(self.ms(3000)).await;
        Ok(())
    }

    /// Claims an assignment that was never announced.
    async fn lie(&mut self) -> io::Result<()> {
        let ahead = self.random.random_range(0..120_000);
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64);
        let address =
            format!("{}&epoch={}&host={STRANGER}", self.address("-lie"), now + ahead - 60_000);
        Socket::open(self.route(), &address).await?.finish(self.ms(2000)).await;
        Ok(())
    }

    /// Sends frames that break the protocol.
    async fn garbage(&mut self) -> io::Result<()> {
        let mut noise = vec![0; self.random.random_range(1..3000)];
        self.random.fill_bytes(&mut noise);
        let kind = self.random.random_range(0..8);
        if kind < 2 {
            let mut stream = self.route().connect().await?;
            if kind == 1 {
                stream.write_all(b"GET /peerjs?key=peerjs HTTP/1.1\r\nUpgrade: webs").await?;
            } else {
                stream.write_all(&noise).await?;
            }
            let _ = timeout(self.ms(5000), stream.read(&mut [0; 64])).await;
            return Ok(());
        }
        let mut socket = self.join("-garbage").await?;
        let out = &mut socket.out;
        match kind {
            2 => out.extend_from_slice(&noise),
            3 => frame::push(out, frame::TEXT, &noise),
            4 => frame::push(out, frame::BINARY, &noise),
            // the header announces a gigabyte
            5 => frame::push_header(out, 0x81, 1 << 30, true),
            // a message in a thousand fragments that never ends
            6 => (0..1000).for_each(|_| {
                frame::push_header(out, 0x01, 1, true);
                out.push(b'x');
            }),
            _ => frame::push(
                out,
                frame::TEXT,
                br#"{"type":"STATUS","payload":{"profile":{"a":[[[[["#,
            ),
        }
        socket.finish(self.ms(3000)).await;
        Ok(())
    }

    /// Does not read while its accomplice sends to it.
    async fn jam(&mut self) -> io::Result<()> {
        let jams = Rc::clone(&self.jams);
        let Ok(_permit) = jams.try_acquire() else { return self.vanish().await };
        let address = self.address("-jam");
        let route = Route { receive_buffer: Some(4096), ..self.route() };
        let _jammed = Socket::open(route, &address).await?;
        let target = format!("{STRANGER}{}-{}-jam", self.number, self.lives);
        let page = address.split("&page=").nth(1).unwrap_or_default();
        let name = format!(
            "/peerjs?key=peerjs&id={STRANGER}{}-{}-send&token=t&page={page}",
            self.number, self.lives
        );
        let mut sender = Socket::open(self.route(), &name).await?;
        let kind = if self.random.random() { "OFFER" } else { "RELAY" };
        let text = format!(
            r#"{{"type":"{kind}","dst":"{target}","payload":{{"x":"{}"}}}}"#,
            "x".repeat(16_000)
        );
        for _ in 0..400 {
            frame::push(&mut sender.out, frame::TEXT, text.as_bytes());
            self.pump(&mut sender).await?;
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Sends as fast as the socket takes it, reading or not.
    async fn flood(&mut self) -> io::Result<()> {
        let floods = Rc::clone(&self.floods);
        let Ok(_permit) = floods.try_acquire() else { return self.vanish().await };
        let mut socket = self.join("-flood").await?;
        let reads = self.random.random_ratio(3, 4);
        let until = Instant::now() + Duration::from_secs(5);
        let target = self.plan.first + self.random.random_range(0..4000);
        let payload =
            format!(r#"{{"n":0,"x":"{}"}}"#, "x".repeat(self.random.random_range(0..2000)));
        let words = [
            r#"{"type":"HEARTBEAT"}"#.to_owned(),
            r#"{"type":"NONSENSE","payload":[1,2,3]}"#.to_owned(),
            format!(r#"{{"type":"OFFER","dst":"m{target}","payload":{payload}}}"#),
            format!(r#"{{"type":"RELAY","payload":{payload}}}"#),
            format!(r#"{{"type":"STATUS","payload":{{"profile":{{"n":{target}}}}}}}"#),
            format!(r#"{{"type":"SUSPECT","payload":{{"host":"m{target}","epoch":1}}}}"#),
            format!(r#"{{"type":"TRUST","payload":{{"host":"m{target}","epoch":1}}}}"#),
            format!(
                r#"{{"type":"STATUS","payload":{{"p2p":false,"channels":{{"m{target}":600000}}}}}}"#
            ),
            r#"{"type":"RESIGN","payload":{"epoch":1}}"#.to_owned(),
        ];
        let only = self.random.random_bool(0.5).then(|| words.choose(&mut self.random)).flatten();
        while Instant::now() < until {
            for _ in 0..50 {
                let Some(text) = only.or_else(|| words.choose(&mut self.random)) else { break };
                frame::push(&mut socket.out, frame::TEXT, text.as_bytes());
            }
            if reads {
                self.pump(&mut socket).await?;
            } else {
                timeout(Duration::from_secs(5), async {
                    while !socket.out.is_empty() {
                        socket.flush()?;
                        sleep(Duration::from_millis(5)).await;
                    }
                    io::Result::Ok(())
                })
                .await??;
            }
        }
        Ok(())
    }

    /// Sends everything, and reads what arrives meanwhile.
    async fn pump(&mut self, socket: &mut Socket) -> io::Result<()> {
        loop {
            socket.flush()?;
            if !socket.read(|_, _| ())? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if socket.out.is_empty() {
                return Ok(());
            }
            socket.ready().await?;
        }
    }
}
