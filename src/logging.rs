//! The log: one line a record, whatever clients put into it, and `error` for faults of ours alone.

use std::io::Write;

use log::{Level, Log, Metadata, Record};

use crate::settings::{self, LogFormat};

/// Starts the log. It goes to stderr.
pub fn start(settings: &settings::Log) {
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(&settings.filter);
    if settings.format == LogFormat::Json {
        builder.format(|out, record| {
            let line = serde_json::json!({
                "time": out.timestamp_millis().to_string(),
                "level": record.level().as_str(),
                "target": record.target(),
                "message": record.args().to_string(),
            });
            writeln!(out, "{line}")
        });
    }
    let inner = builder.build();
    log::set_max_level(inner.filter());
    // it fails only where a log was started before, which then stays
    let _ = log::set_boxed_logger(Box::new(Logger { inner }));
}

/// Escapes what could forge a line, and lowers the level of what strangers cause.
struct Logger {
    inner: env_logger::Logger,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.inner.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let level = level(record);
        let metadata = Metadata::builder().level(level).target(record.target()).build();
        if !self.inner.enabled(&metadata) {
            return;
        }
        let message = escaped(&record.args().to_string());
        let mut lowered = Record::builder();
        lowered
            .metadata(metadata)
            .module_path(record.module_path())
            .file(record.file())
            .line(record.line());
        self.inner.log(&lowered.args(format_args!("{message}")).build());
    }

    fn flush(&self) {
        self.inner.flush();
    }
}

/// The level of a record: `debug` at most for what libraries say of bytes that anybody may send. Those connections are
/// counted (`peerstar_bad_requests`).
fn level(record: &Record<'_>) -> Level {
    let of_peers = match record.target() {
        "actix_http::h1::dispatcher" => {
            let message = record.args().to_string();
            message.starts_with("stream error:") || message.starts_with("Upgrade handler error:")
        }
        target => target == "rustls" || target.starts_with("rustls::"),
    };
    if of_peers { record.level().max(Level::Debug) } else { record.level() }
}

/// Escapes control characters, other ends of lines, and what changes the direction of text.
fn escaped(text: &str) -> String {
    let is_plain = |c: char| {
        let is_hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        !c.is_control() && !is_hidden
    };
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        if is_plain(c) {
            escaped.push(c);
        } else {
            escaped.extend(c.escape_default());
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stays_one_visible_line() {
        assert_eq!(escaped("id=\"ü\" 1"), "id=\"ü\" 1");
        assert_eq!(
            escaped("a\nb\r\u{1b}[31m\u{2028}c\u{202e}d\u{85}e\u{feff}"),
            r"a\nb\r\u{1b}[31m\u{2028}c\u{202e}d\u{85}e\u{feff}"
        );
    }

    #[test]
    fn what_strangers_cause_is_no_error() {
        let at = |target: &str, message: &str| {
            level(
                &Record::builder()
                    .level(Level::Error)
                    .target(target)
                    .args(format_args!("{message}"))
                    .build(),
            )
        };
        assert_eq!(at("actix_http::h1::dispatcher", "stream error: Invalid Header"), Level::Debug);
        assert_eq!(at("actix_http::h1::dispatcher", "Upgrade handler error: x"), Level::Debug);
        assert_eq!(at("rustls::check", "Received a"), Level::Debug);
        assert_eq!(
            at("actix_http::h1::dispatcher", "Internal server error: unexpected eof"),
            Level::Error
        );
        assert_eq!(at("peerstar::actor::page", "stream error: x"), Level::Error);
        assert_eq!(at("rustlsx", "x"), Level::Error);
    }
}
