//! `load`: thousands of clients for peerstar. docs/RELIABILITY.md and docs/PERFORMANCE.md have the
//! results.
#![allow(clippy::print_stdout, reason = "it reports to whoever runs it")]

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand};
use peerstar_load::bench::command::Bench;
use peerstar_load::cluster::rounds;
use peerstar_load::server::Server;
use peerstar_load::{overlap, restart, run, soak};

/// Runs thousands of clients against peerstar.
#[derive(Parser)]
struct Arguments {
    /// Binary of the server. Default: the one beside this binary.
    #[arg(long, env = "PEERSTAR_BIN", global = true)]
    server: Option<PathBuf>,
    /// Seed of all random decisions.
    #[arg(long, default_value_t = 1, global = true)]
    seed: u64,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Kills the server under load and starts it again.
    Restart {
        #[arg(long, default_value_t = 200)]
        pages: usize,
        /// Members of each page.
        #[arg(long, default_value_t = 10)]
        each: usize,
        /// Number of restarts of the server.
        #[arg(long, default_value_t = 10)]
        times: usize,
    },
    /// Lets all members join at once.
    Crowd {
        #[arg(long, default_value_t = 1500)]
        pages: usize,
        /// Members of each page.
        #[arg(long, default_value_t = 10)]
        each: usize,
    },
    /// Replaces a server without a cluster by another process that serves before the first one stops.
    Overlap {
        #[arg(long, default_value_t = 100)]
        pages: usize,
        /// Members of each page.
        #[arg(long, default_value_t = 10)]
        each: usize,
        /// Time for which both processes serve, in ms.
        #[arg(long, default_value_t = 2000)]
        overlap: u64,
    },
    /// Replaces one node after the other of a cluster behind HAProxy, under load.
    Deploy {
        #[arg(long, default_value_t = 3)]
        nodes: usize,
        #[arg(long, default_value_t = 200)]
        pages: usize,
        /// Members of each page.
        #[arg(long, default_value_t = 10)]
        each: usize,
        /// Number of nodes that are replaced. Default: all.
        #[arg(long)]
        times: Option<usize>,
    },
    /// Runs several nodes, a Redis and HAProxy, and causes one fault after the other.
    Cluster {
        /// The fault. A fault of a node goes to one node after the other.
        #[arg(value_enum)]
        fault: rounds::Fault,
        /// Duration of a fault that lasts, in seconds.
        #[arg(long, default_value_t = 6.0)]
        seconds: f64,
        #[arg(long, default_value_t = 3)]
        nodes: usize,
        #[arg(long, default_value_t = 200)]
        pages: usize,
        /// Members of each page.
        #[arg(long, default_value_t = 10)]
        each: usize,
        /// Number of faults.
        #[arg(long, default_value_t = 3)]
        times: usize,
        /// Bytes that fill each message of a member to its host, twice a second.
        #[arg(long, default_value_t = 0)]
        bytes: usize,
    },
    /// Runs attackers, panics and restarts against a server. The server must be built with
    /// --features faults.
    Soak {
        /// Duration of the soak in minutes.
        #[arg(default_value_t = 2.0)]
        minutes: f64,
        #[arg(long, default_value_t = 100)]
        pages: usize,
        /// Well-behaved members of each page.
        #[arg(long, default_value_t = 20)]
        each: usize,
        #[arg(long, default_value_t = 600)]
        attackers: usize,
        /// Number of servers. More than one are a cluster behind HAProxy, whose Redis is killed, too.
        #[arg(long, default_value_t = 1)]
        nodes: usize,
    },
    /// Measures the server beside others. scripts/bench installs them.
    Bench(Bench),
    /// Runs the attackers of the soak. The soak starts this.
    #[command(hide = true)]
    Attack {
        #[arg(long)]
        to: SocketAddr,
        #[arg(long)]
        pages: usize,
        #[arg(long)]
        count: usize,
        /// Number of the first attacker.
        #[arg(long)]
        from: usize,
        /// Number of the first member. Each page gets one attacker that stays.
        #[arg(long)]
        first: usize,
        #[arg(long)]
        steal: bool,
    },
}

fn main() -> io::Result<()> {
    let Arguments { server, seed, what } = Arguments::parse();
    let beside = std::env::current_exe()?.with_file_name("peerstar");
    let binary = server.unwrap_or(beside);
    if let What::Bench(bench) = what {
        return bench.run(binary, |line| println!("{line}"));
    }
    let found = run(async move {
        match what {
            What::Restart { pages, each, times } => {
                let mut server = Server::start(binary, &[])?;
                let swarm = restart::settled(&server, pages, each, seed).await?;
                let mut faults = 0;
                for _ in 0..times {
                    let report;
                    (server, report) = restart::restart(server, &swarm).await?;
                    println!("{report}");
                    faults = report.faults.0;
                    report.faults.1.iter().for_each(|fault| println!("  {fault}"));
                }
                Ok(faults)
            }
            What::Crowd { pages, each } => {
                let server = Server::start(binary, &[])?;
                let (swarm, report) = restart::crowd(&server, pages, pages * each, seed).await?;
                println!("first: {report}");
                let (_server, report) = restart::restart(server, &swarm).await?;
                println!("after a restart: {report}");
                Ok(report.faults.0)
            }
            What::Overlap { pages, each, overlap } => {
                let server = Server::start(binary, &[])?;
                let overlap = Duration::from_millis(overlap);
                let report = overlap::run(server, pages, each, overlap, seed).await?;
                println!("{report}");
                report.faults.1.iter().for_each(|fault| println!("  {fault}"));
                Ok(report.faults.0)
            }
            What::Cluster { fault, seconds, nodes, pages, each, times, bytes } => {
                let length = Duration::from_secs_f64(seconds);
                let plan = rounds::Plan { nodes, pages, each, times, fault, length, bytes, seed };
                suffered(&binary, plan).await
            }
            What::Deploy { nodes, pages, each, times } => {
                let (fault, length) = (rounds::Fault::DrainNode, Duration::ZERO);
                let times = times.unwrap_or(nodes);
                let plan =
                    rounds::Plan { nodes, pages, each, times, fault, length, bytes: 0, seed };
                suffered(&binary, plan).await
            }
            What::Soak { minutes, pages, each, attackers, nodes } => {
                let length = Duration::from_secs_f64(minutes * 60.0);
                let plan = soak::Plan {
                    length,
                    round: Duration::from_secs(40),
                    pages,
                    each,
                    attackers,
                    nodes,
                    seed,
                };
                println!(
                    "seed {seed}: {} members of {pages} pages, {attackers} attackers, {nodes} servers",
                    pages * each
                );
                soak::Soak::new(&binary, plan).await?.run(|line| println!("{line}")).await?;
                Ok(0)
            }
            What::Bench(_) => unreachable!("done above"),
            What::Attack { to, pages, count, from, first, steal } => {
                let plan = soak::attack::Plan { to, pages, first, steal };
                soak::attack::attack(plan, from..from + count, seed, |lives| println!("{lives}"))
                    .await;
                Ok(0)
            }
        }
    })?;
    if found == 0 { Ok(()) } else { Err(io::Error::other(format!("{found} faults"))) }
}

/// Causes the faults of a plan and prints their consequences. Returns the number of faults found.
async fn suffered(binary: &Path, plan: rounds::Plan) -> io::Result<usize> {
    let (faults, first) = rounds::run(binary, plan, |round| println!("{round}")).await?;
    first.iter().for_each(|fault| println!("  {fault}"));
    Ok(faults)
}
