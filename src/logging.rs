//! The log: one line a record, as text or as JSON, on stderr.
//!
//! Clients choose ids, names of pages and parts of error messages. So each format escapes what could
//! forge a line or a field. The level `error` is for faults of the server alone.

use std::fmt::Write as _;
use std::io::{self, Write};

use env_logger::fmt::Formatter;
use log::kv::{self, Key, VisitSource, VisitValue};
use log::{Level, Log, Metadata, Record};
use serde_json::{Map, Value};

use crate::settings::{self, LogFormat};

/// Starts the log of this process. Does nothing where a log was started before.
pub fn start(settings: &settings::Log) {
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(settings.filter.as_str());
    match settings.format {
        LogFormat::Text => builder.format(write_text),
        LogFormat::Json => builder.format(write_json),
    };
    let inner = builder.build();
    log::set_max_level(inner.filter());
    // fails only where a log was started before, which then stays
    let _ = log::set_boxed_logger(Box::new(Logger { inner }));
}

/// Lowers the level of what strangers cause, and leaves the rest to `env_logger`.
struct Logger {
    inner: env_logger::Logger,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.inner.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        self.inner.log(&record.to_builder().level(level(record)).build());
    }

    fn flush(&self) {
        self.inner.flush();
    }
}

/// Returns the level of a record.
///
/// The level is at most `debug` for what libraries log about bytes that anybody may send. The metric
/// `peerstar_bad_requests` counts those connections.
fn level(record: &Record<'_>) -> Level {
    let is_about_strangers = match record.target() {
        "actix_http::h1::dispatcher" => {
            let message = record.args().to_string();
            message.starts_with("stream error:") || message.starts_with("Upgrade handler error:")
        }
        target => target == "rustls" || target.starts_with("rustls::"),
    };
    if is_about_strangers { record.level().max(Level::Debug) } else { record.level() }
}

/// Writes a record as `[time level target] message key=value …`.
fn write_text(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let style = out.default_level_style(record.level());
    let (time, level, target) = (out.timestamp_seconds(), record.level(), record.target());
    let line = text_line(record);
    writeln!(out, "[{time} {style}{level:<5}{style:#} {target}] {line}")
}

/// Returns the message and the fields of a record as text.
fn text_line(record: &Record<'_>) -> String {
    let mut line = escaped(&record.args().to_string());
    for (key, value) in fields(record) {
        // writing to a string cannot fail
        let _ = match value {
            Value::Null => Ok(()),
            Value::String(text) if is_word(&text) => write!(line, " {key}={text}"),
            Value::String(text) => write!(line, " {key}=\"{}\"", quoted(&text)),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                write!(line, " {key}={value}")
            }
        };
    }
    line
}

/// Writes a record as one JSON object, with each field as a field of the object.
fn write_json(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let time = out.timestamp_millis().to_string();
    writeln!(out, "{}", json_line(record, time))
}

/// Returns a record as a JSON object.
fn json_line(record: &Record<'_>, time: String) -> String {
    let mut object: Map<_, _> = fields(record).into_iter().collect();
    object.insert("time".into(), time.into());
    object.insert("level".into(), record.level().as_str().into());
    object.insert("target".into(), record.target().into());
    object.insert("message".into(), record.args().to_string().into());
    json_escaped(&Value::Object(object).to_string())
}

/// Returns the names and values of a record's fields, in the order of the log line.
fn fields(record: &Record<'_>) -> Vec<(String, Value)> {
    let mut fields = Fields(Vec::new());
    // neither visitor returns an error
    let _ = record.key_values().visit(&mut fields);
    fields.0
}

/// Collects the fields of a record.
struct Fields(Vec<(String, Value)>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        let mut field = Field(Value::Null);
        value.visit(&mut field)?;
        self.0.push((key.as_str().to_owned(), field.0));
        Ok(())
    }
}

/// The value of one field. What is no number, truth value or text becomes the text that it displays.
struct Field(Value);

impl VisitValue<'_> for Field {
    fn visit_any(&mut self, value: kv::Value<'_>) -> Result<(), kv::Error> {
        self.0 = value.to_string().into();
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.0 = Value::Null;
        Ok(())
    }

    fn visit_u64(&mut self, number: u64) -> Result<(), kv::Error> {
        self.0 = number.into();
        Ok(())
    }

    fn visit_i64(&mut self, number: i64) -> Result<(), kv::Error> {
        self.0 = number.into();
        Ok(())
    }

    fn visit_f64(&mut self, number: f64) -> Result<(), kv::Error> {
        self.0 = number.into();
        Ok(())
    }

    fn visit_bool(&mut self, is_true: bool) -> Result<(), kv::Error> {
        self.0 = is_true.into();
        Ok(())
    }

    fn visit_str(&mut self, text: &str) -> Result<(), kv::Error> {
        self.0 = text.into();
        Ok(())
    }
}

/// Returns whether a field's text can stand without quotes.
fn is_word(text: &str) -> bool {
    let is_safe = |c: char| is_visible(c) && !c.is_whitespace() && !matches!(c, '"' | '=' | '\\');
    !text.is_empty() && text.chars().all(is_safe)
}

/// Returns whether a character is neither a control character, nor an end of a line, nor one that is
/// invisible or changes the direction of text.
fn is_visible(c: char) -> bool {
    let is_hidden = matches!(
        c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    !c.is_control() && !is_hidden
}

/// Escapes characters that are not visible.
fn escaped(text: &str) -> String {
    escape(text, is_visible, |c, escaped| escaped.extend(c.escape_default()))
}

/// Escapes characters that are not visible, quotes and backslashes.
fn quoted(text: &str) -> String {
    let is_plain = |c| is_visible(c) && !matches!(c, '"' | '\\');
    escape(text, is_plain, |c, escaped| escaped.extend(c.escape_default()))
}

/// Escapes characters of JSON that are not visible. In JSON they can stand within texts alone.
fn json_escaped(json: &str) -> String {
    escape(json, is_visible, |c, escaped| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // writing to a string cannot fail
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    })
}

fn escape(text: &str, is_plain: impl Fn(char) -> bool, escape: fn(char, &mut String)) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        if is_plain(c) {
            escaped.push(c);
        } else {
            escape(c, &mut escaped);
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text with which a client could try to forge other fields and lines.
    const HOSTILE: &str = "a b=\"c\\\n\u{1b}[31m\u{2028}\u{202e}\u{85}\u{feff}";

    /// Returns both forms of a record with these fields.
    fn lines(message: &str, fields: &[(&str, kv::Value<'_>)]) -> (String, String) {
        let mut record = Record::builder();
        record.level(Level::Info).target("t").key_values(&fields);
        let args = format_args!("{message}");
        let record = record.args(args).build();
        (text_line(&record), json_line(&record, "now".into()))
    }

    #[test]
    fn fields_follow_the_message_in_text_and_are_fields_in_json() {
        let display = std::net::Ipv4Addr::LOCALHOST;
        let (text, json) = lines(
            "joined",
            &[
                ("page", "https://a.org/x".into()),
                ("id", "a b".into()),
                ("address", kv::Value::from_display(&display)),
                ("epoch", 1_u64.into()),
                ("none", kv::Value::null()),
                ("offset", (-1).into()),
                ("tls", true.into()),
            ],
        );
        assert_eq!(
            text,
            r#"joined page=https://a.org/x id="a b" address=127.0.0.1 epoch=1 offset=-1 tls=true"#
        );
        let json: Value = serde_json::from_str(&json).unwrap_or_else(|e| panic!("{json}: {e}"));
        assert_eq!(
            json,
            serde_json::json!({
                "time": "now", "level": "INFO", "target": "t", "message": "joined",
                "address": "127.0.0.1", "epoch": 1, "id": "a b", "none": null, "offset": -1,
                "page": "https://a.org/x", "tls": true,
            })
        );
    }

    #[test]
    fn a_record_stays_one_visible_line() {
        let (text, json) = lines(HOSTILE, &[("id", HOSTILE.into())]);
        let shown = r#"a b="c\\n\u{1b}[31m\u{2028}\u{202e}\u{85}\u{feff}"#;
        let quoted = r#"a b=\"c\\\n\u{1b}[31m\u{2028}\u{202e}\u{85}\u{feff}"#;
        assert_eq!(text, format!("{shown} id=\"{quoted}\""));
        assert!(json.chars().all(is_visible), "{json}");
        let json: Value = serde_json::from_str(&json).unwrap_or_else(|e| panic!("{json}: {e}"));
        assert_eq!((json["message"].as_str(), json["id"].as_str()), (Some(HOSTILE), Some(HOSTILE)));
    }

    #[test]
    fn a_field_does_not_replace_what_every_line_has() {
        let (_, json) = lines("joined", &[("message", "forged".into()), ("level", "ERROR".into())]);
        assert!(json.contains(r#""message":"joined""#) && json.contains(r#""level":"INFO""#));
    }

    #[test]
    fn an_empty_text_and_a_word_with_a_quote_are_quoted() {
        let (text, _) = lines("m", &[("a", "".into()), ("b", "\"".into()), ("c", "ü".into())]);
        assert_eq!(text, r#"m a="" b="\"" c=ü"#);
    }

    #[test]
    fn records_that_strangers_cause_are_at_most_debug() {
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
