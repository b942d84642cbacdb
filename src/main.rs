//! The `peerstar` command: reads the settings, serves, and drains on SIGTERM.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use peerstar::cluster::address::Address;
use peerstar::settings::{Settings, SettingsError, Sources, environment};
use peerstar::tls::Certificate;
use peerstar::{logging, server, signals};

/// Small messages are allocated and freed on different threads. mimalloc does that faster than glibc
/// (docs/PERFORMANCE.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A PeerJS server in which every page has a host.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Settings file; without it ./settings.toml is read if it is there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on (server.host)
    #[arg(long)]
    host: Option<String>,
    /// Port to listen on (server.port)
    #[arg(long)]
    port: Option<String>,
    /// Print the settings in effect, secrets masked, and exit
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let Arguments { config, host, port, check } = Arguments::parse();
    let flags = [("server.host", host), ("server.port", port)];
    let flags = flags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let settings = environment::from_process(std::env::vars_os())
        .map_err(SettingsError::from)
        .and_then(|environment| Settings::load(Sources { file: config, environment, flags }));
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return fail(2, &format_args!("settings: {error}")),
    };
    let certificate = match Certificate::load(&settings.tls) {
        Ok(certificate) => certificate,
        Err(error) => return fail(2, &error),
    };
    let variable = |name: &str| std::env::var(name).ok();
    let redis = match Address::parse(settings.cluster.url.expose(), variable) {
        Ok(redis) => redis,
        Err(error) => return fail(2, &format_args!("settings: cluster.url {error}")),
    };
    if check {
        // a reader that has gone cannot be told of the failure
        let _ = std::io::stdout().write_all(settings.print().as_bytes());
        return ExitCode::SUCCESS;
    }
    logging::start(&settings.log);
    let listener = match server::listen(&settings) {
        Ok(listener) => listener,
        Err(error) => {
            return fail(
                1,
                &format!(
                    "cannot listen on {}:{}: {error}",
                    settings.server.host, settings.server.port
                ),
            );
        }
    };
    let serve = async {
        let stopping = signals::catch(certificate.clone())?;
        server::run(settings, listener, certificate, redis, stopping).await
    };
    match actix_web::rt::System::new().block_on(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let is_hopeless = error.get_ref().is_some_and(|error| error.is::<server::Hopeless>());
            fail(if is_hopeless { 2 } else { 1 }, &error)
        }
    }
}

fn fail(code: u8, error: &dyn std::fmt::Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "peerstar: {error}");
    ExitCode::from(code)
}
