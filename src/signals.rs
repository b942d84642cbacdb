//! Signals: which of them stop the server, and that none of those commonly sent ends it without a drain.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::tls::Certificate;

/// Catches SIGTERM, SIGINT and SIGQUIT, for which the result waits, and SIGHUP, SIGUSR1 and SIGUSR2, which are handled here.
/// From now on none of them ends the process. Must run inside an actix `System`.
///
/// # Errors
/// When the system does not let signals be caught.
pub fn catch(certificate: Option<Arc<Certificate>>) -> io::Result<impl Future<Output = ()>> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut quit = signal(SignalKind::quit())?;
    actix_web::rt::spawn(reload_on_hangup(signal(SignalKind::hangup())?, certificate));
    for (name, kind) in
        [("SIGUSR1", SignalKind::user_defined1()), ("SIGUSR2", SignalKind::user_defined2())]
    {
        actix_web::rt::spawn(ignore(name, signal(kind)?));
    }
    Ok(async move {
        let name = tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = int.recv() => "SIGINT",
            _ = quit.recv() => "SIGQUIT",
        };
        log::info!("stopping signal={name}");
    })
}

/// Reads the certificate again whenever SIGHUP comes. A bad one is not taken.
async fn reload_on_hangup(mut hangup: Signal, certificate: Option<Arc<Certificate>>) {
    while hangup.recv().await.is_some() {
        match certificate.as_ref().map(|certificate| certificate.reload()) {
            Some(Ok(())) => log::info!("certificate read anew"),
            Some(Err(error)) => log::error!("the old certificate stays: {error}"),
            None => log::warn!(
                "SIGHUP is ignored: without tls.cert there is nothing to read anew; restart for new settings"
            ),
        }
    }
}

async fn ignore(name: &'static str, mut signal: Signal) {
    while signal.recv().await.is_some() {
        log::warn!("{name} is ignored: it means nothing here; SIGTERM stops the server");
    }
}
