//! Rules that settings must keep, beyond the type of each value.

use std::ops::RangeInclusive;

use config::{Value, ValueKind};

use super::{Settings, SettingsError, ice, node_url};
use peerstar_core::protocol::ice::IceServer;

/// Checks that each section of the merged sources is a table.
///
/// Serde would repeat the value that stands there instead, and it may be a secret.
///
/// # Errors
/// Names the first section that is another value.
pub(super) fn check_sections(merged: &config::Config) -> Result<(), SettingsError> {
    let sections = toml::Table::try_from(Settings::default()).unwrap_or_default();
    for section in sections.keys() {
        let is_table = |value: Value| matches!(value.kind, ValueKind::Table(_));
        // an absent section has its defaults
        if merged.get(section).is_ok_and(|value| !is_table(value)) {
            return Err(SettingsError::NotASection(section.clone()));
        }
    }
    Ok(())
}

/// Checks the settings as a whole.
///
/// # Errors
/// Names the first key that breaks a rule.
pub(super) fn check(settings: &Settings) -> Result<(), SettingsError> {
    check_ranges(settings)?;
    check_relay_rate(settings)?;
    check_texts(settings)?;
    check_tls(settings)?;
    check_ticket_secret(settings)?;
    check_cluster(settings)?;
    check_ice(settings)
}

/// Checks each number that has a range.
fn check_ranges(settings: &Settings) -> Result<(), SettingsError> {
    let Settings { server, peerjs, pages, election, liveness, relay, limits, ice, .. } = settings;
    let message_bytes = limits.message_bytes as u64;
    let ranges: [(&'static str, u64, RangeInclusive<u64>); 19] = [
        ("server.workers", server.workers as u64, 0..=1024),
        ("server.proxy_hops", server.proxy_hops as u64, 1..=16),
        ("peerjs.expire_ms", peerjs.expire_ms, 100..=60_000),
        ("pages.star", pages.star as u64, 1..=256),
        ("pages.deputies", pages.deputies as u64, 0..=1),
        ("pages.resume_ms", pages.resume_ms, 1000..=600_000),
        ("election.recovery_ms", election.recovery_ms, 100..=60_000),
        ("election.hidden_ms", election.hidden_ms, 0..=3_600_000),
        ("liveness.ping_ms", liveness.ping_ms, 100..=60_000),
        ("liveness.timeout_ms", liveness.timeout_ms, liveness.ping_ms.saturating_mul(2)..=600_000),
        ("liveness.host_timeout_ms", liveness.host_timeout_ms, 300..=600_000),
        ("liveness.return_ms", liveness.return_ms, 0..=60_000),
        ("liveness.probe_ms", liveness.probe_ms, 100..=60_000),
        ("limits.message_bytes", message_bytes, 16_384..=16_777_216),
        ("relay.max_message_bytes", relay.max_message_bytes as u64, 1024..=message_bytes),
        ("limits.queue_bytes", limits.queue_bytes as u64, message_bytes..=1 << 32),
        ("limits.messages_per_s", limits.messages_per_s, 0..=1_000_000),
        ("relay.max_bytes_per_s", relay.max_bytes_per_s, 0..=1 << 40),
        ("ice.turn_ttl_s", ice.turn_ttl_s, 5..=86_400),
    ];
    for (key, value, allowed) in ranges {
        if !allowed.contains(&value) {
            let (least, most) = allowed.into_inner();
            return Err(SettingsError::OutOfRange { key, value, least, most });
        }
    }
    Ok(())
}

/// Checks that a session may relay one message of full size within a second.
const fn check_relay_rate(settings: &Settings) -> Result<(), SettingsError> {
    let (rate, least) = (settings.relay.max_bytes_per_s, settings.relay.max_message_bytes as u64);
    if rate > 0 && rate < least {
        return Err(SettingsError::RelayTooSlow { rate, least });
    }
    Ok(())
}

/// Checks the texts that become parts of URLs.
fn check_texts(settings: &Settings) -> Result<(), SettingsError> {
    let consists_of = |text: &str, also: &str| {
        text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
    };
    let (path, key) = (&settings.server.path, &settings.peerjs.key);
    if !path.starts_with('/') || !consists_of(path, "/-_.~") || path.contains("//") {
        let allowed = "a path such as \"/\" or \"/app/\"";
        return Err(SettingsError::NotAllowed { key: "server.path", value: path.clone(), allowed });
    }
    if key.is_empty() || !consists_of(key, "-_.~") {
        let allowed = "letters, digits and - _ . ~";
        return Err(SettingsError::NotAllowed { key: "peerjs.key", value: key.clone(), allowed });
    }
    Ok(())
}

const fn check_tls(settings: &Settings) -> Result<(), SettingsError> {
    if settings.tls.cert.is_empty() != settings.tls.key.is_empty() {
        return Err(SettingsError::HalfOfTls);
    }
    Ok(())
}

fn check_ticket_secret(settings: &Settings) -> Result<(), SettingsError> {
    // RFC 7518, 3.2: a shorter key is weaker than the signature
    if (1..32).contains(&settings.auth.ticket_secret.expose().len()) {
        return Err(SettingsError::ShortTicketSecret);
    }
    Ok(())
}

/// Checks that a cluster has a secret of its own.
fn check_cluster(settings: &Settings) -> Result<(), SettingsError> {
    let cluster = &settings.cluster;
    if !cluster.url.is_empty() && cluster.secret.expose().len() < 32 {
        return Err(SettingsError::ShortClusterSecret);
    }
    if !cluster.address.is_empty() && node_url(&cluster.address).is_none() {
        let allowed =
            "a URL such as \"http://10.0.0.7:9000/\" that ends with server.path, or empty";
        let value = cluster.address.clone();
        return Err(SettingsError::NotAllowed { key: "cluster.address", value, allowed });
    }
    Ok(())
}

/// Checks each ICE server, and that a secret for TURN has a server to be used for.
fn check_ice(settings: &Settings) -> Result<(), SettingsError> {
    let has_secret = !settings.ice.turn_secret.is_empty();
    for server in &settings.ice.servers {
        ice::check(server, has_secret)?;
    }
    if has_secret && !settings.ice.servers.iter().any(IceServer::lacks_credentials) {
        return Err(SettingsError::UnusedTurnSecret);
    }
    Ok(())
}
