//! Signals: which of them stop the server.
//!
//! No signal that is commonly sent ends the process without a drain.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::tls::Certificate;

/// Catches the signals that are commonly sent. Returns a token that SIGTERM, SIGINT and SIGQUIT cancel.
///
/// SIGHUP reads the certificate again, SIGUSR1 and SIGUSR2 are ignored. None of the six signals ends
/// the process any more. Must run inside an actix `System`.
///
/// # Errors
/// When the system does not let signals be caught.
pub fn catch(certificate: Option<Arc<Certificate>>) -> io::Result<CancellationToken> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut quit = signal(SignalKind::quit())?;
    actix_web::rt::spawn(reload_on_hangup(signal(SignalKind::hangup())?, certificate));
    for (name, kind) in
        [("SIGUSR1", SignalKind::user_defined1()), ("SIGUSR2", SignalKind::user_defined2())]
    {
        actix_web::rt::spawn(ignore(name, signal(kind)?));
    }
    let stopping = CancellationToken::new();
    let cancel = stopping.clone();
    actix_web::rt::spawn(async move {
        let name = tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = int.recv() => "SIGINT",
            _ = quit.recv() => "SIGQUIT",
        };
        log::info!(signal = name; "stopping");
        cancel.cancel();
    });
    Ok(stopping)
}

/// Reads the certificate again on each SIGHUP. A certificate that cannot be used is not taken.
async fn reload_on_hangup(mut hangup: Signal, certificate: Option<Arc<Certificate>>) {
    while hangup.recv().await.is_some() {
        match certificate.as_ref().map(|certificate| certificate.reload()) {
            Some(Ok(())) => log::info!("certificate reloaded"),
            Some(Err(error)) => log::error!(error:%; "the old certificate stays"),
            None => log::warn!(
                signal = "SIGHUP";
                "ignored: without tls.cert there is nothing to reload; restart for new settings"
            ),
        }
    }
}

async fn ignore(name: &'static str, mut signal: Signal) {
    while signal.recv().await.is_some() {
        log::warn!(signal = name; "ignored: the signal has no meaning here; SIGTERM stops the server");
    }
}
