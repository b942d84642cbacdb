//! The `peerstar` command: reads settings, serves, and drains on SIGTERM.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use peerstar::server;
use peerstar::settings::{Settings, Sources};
use peerstar::tls::Certificate;
use tokio::signal::unix::{SignalKind, signal};

/// Small messages are made and dropped on different threads, at which it is better than glibc's (docs/PERFORMANCE.md).
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
    // names or values that are not UTF-8 are none of ours
    let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let settings = match Settings::load(Sources { file: config, environment: environment.collect(), flags }) {
        Ok(settings) => settings,
        Err(error) => return fail(2, &error),
    };
    let certificate = match Certificate::load(&settings.tls) {
        Ok(certificate) => certificate,
        Err(error) => return fail(2, &error),
    };
    if check {
        // nobody is there to complain to when the reader has gone
        let _ = std::io::stdout().write_all(settings.print().as_bytes());
        return ExitCode::SUCCESS;
    }
    start_log(&settings);
    let listener = match server::listen(&settings) {
        Ok(listener) => listener,
        Err(error) => {
            return fail(1, &format!("cannot listen on {}:{}: {error}", settings.server.host, settings.server.port));
        }
    };
    let serve = async {
        if let Some(certificate) = certificate.clone() {
            actix_web::rt::spawn(reload_on_hangup(certificate));
        }
        server::run(settings, listener, certificate, stop_signal()).await
    };
    match actix_web::rt::System::new().block_on(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &error),
    }
}

fn fail(code: u8, error: &dyn std::fmt::Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "peerstar: {error}");
    ExitCode::from(code)
}

/// SIGTERM or SIGINT; without either it never ends.
async fn stop_signal() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        log::error!("signals cannot be caught: this process will not drain");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => (),
        _ = int.recv() => (),
    }
}

/// On SIGHUP the certificate is read anew; a bad one is not taken.
async fn reload_on_hangup(certificate: Arc<Certificate>) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
        match certificate.reload() {
            Ok(()) => log::info!("certificate read anew"),
            Err(error) => log::error!("the old certificate stays: {error}"),
        }
    }
}

fn start_log(settings: &Settings) {
    let mut log = env_logger::Builder::new();
    log.parse_filters(&settings.log.filter);
    if settings.log.format == "json" {
        log.format(|out, record| {
            let line = serde_json::json!({
                "time": out.timestamp_millis().to_string(),
                "level": record.level().as_str(),
                "target": record.target(),
                "message": record.args().to_string(),
            });
            writeln!(out, "{line}")
        });
    }
    log.init();
}
