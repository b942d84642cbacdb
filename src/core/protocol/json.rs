//! Writes JSON objects into text.
//!
//! Encoding a message cannot fail: all it takes is text, numbers, flags and JSON that was read
//! before. Serde's encoder returns a `Result` for every value, because foreign `Serialize` code may
//! refuse one; there is none here.

/// Returns the JSON object that `write` fills.
pub(crate) fn object(write: impl FnOnce(&mut Object<'_>)) -> String {
    let mut json = String::new();
    append_object(&mut json, write);
    json
}

/// Returns a JSON array with one object for each of `items`.
pub(crate) fn objects<T>(
    items: impl IntoIterator<Item = T>,
    write: impl Fn(&mut Object<'_>, T),
) -> String {
    let mut json = String::from("[");
    for (n, item) in items.into_iter().enumerate() {
        if n > 0 {
            json.push(',');
        }
        append_object(&mut json, |object| write(object, item));
    }
    json.push(']');
    json
}

fn append_object(json: &mut String, write: impl FnOnce(&mut Object<'_>)) {
    json.push('{');
    write(&mut Object { json, is_empty: true });
    json.push('}');
}

/// A JSON object that is being written. Fields keep the order of the calls. Names are not escaped.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    json: &'a mut String,
    is_empty: bool,
}

impl Object<'_> {
    fn name(&mut self, name: &'static str) -> &mut String {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.json.push(',');
        }
        self.json.push('"');
        self.json.push_str(name);
        self.json.push_str("\":");
        self.json
    }

    /// Adds a field with a string.
    pub(crate) fn text(&mut self, name: &'static str, value: &str) {
        append_text(self.name(name), value);
    }

    /// Adds a list of strings.
    pub(crate) fn texts(
        &mut self,
        name: &'static str,
        values: impl IntoIterator<Item = impl AsRef<str>>,
    ) {
        let json = self.name(name);
        json.push('[');
        for (n, value) in values.into_iter().enumerate() {
            if n > 0 {
                json.push(',');
            }
            append_text(json, value.as_ref());
        }
        json.push(']');
    }

    /// Adds a field with a number.
    pub(crate) fn number(&mut self, name: &'static str, value: u64) {
        self.name(name).push_str(&value.to_string());
    }

    /// Adds `true` or `false`.
    pub(crate) fn flag(&mut self, name: &'static str, value: bool) {
        self.name(name).push_str(if value { "true" } else { "false" });
    }

    /// Adds a value that is JSON already.
    pub(crate) fn raw(&mut self, name: &'static str, json: &str) {
        self.name(name).push_str(json);
    }

    /// Adds a value that is JSON already and comes in pieces.
    pub(crate) fn raw_pieces(&mut self, name: &'static str, pieces: &[&str]) {
        let json = self.name(name);
        // one allocation for a roster of 10,000, and room for the fields after it
        json.reserve(pieces.iter().map(|piece| piece.len()).sum::<usize>() + 1024);
        pieces.iter().for_each(|piece| json.push_str(piece));
    }

    /// Adds a field with an object.
    pub(crate) fn object(&mut self, name: &'static str, write: impl FnOnce(&mut Object<'_>)) {
        append_object(self.name(name), write);
    }
}

/// Appends `text` with quotes, escaped as RFC 8259 demands and no further.
fn append_text(json: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    json.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        // a byte below 0x80 is a whole character
        let (plain, special) = (&rest[..at], rest.as_bytes()[at]);
        rest = &rest[at + 1..];
        json.push_str(plain);
        match special {
            b'"' => json.push_str("\\\""),
            b'\\' => json.push_str("\\\\"),
            b'\n' => json.push_str("\\n"),
            b'\r' => json.push_str("\\r"),
            b'\t' => json.push_str("\\t"),
            0x08 => json.push_str("\\b"),
            0x0c => json.push_str("\\f"),
            control => {
                json.push_str("\\u00");
                json.push(HEX[usize::from(control >> 4)].into());
                json.push(HEX[usize::from(control & 15)].into());
            }
        }
    }
    json.push_str(rest);
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_as_serde_escapes_it() {
        let every: String = (0..0x2100).filter_map(char::from_u32).collect();
        for text in ["", "plain", "a\"b\\c", "\u{1f600}\u{7f}\u{2028}", "\\", &every] {
            let mut json = String::new();
            append_text(&mut json, text);
            assert_eq!(json, serde_json::to_string(text).unwrap_or_default());
        }
    }

    #[test]
    fn an_object_keeps_the_order_of_its_fields() {
        let json = object(|o| {
            o.text("a", "x");
            o.number("b", u64::MAX);
            o.object("c", |c| c.flag("d", true));
            o.object("e", |_| {});
            o.raw("f", "null");
            o.raw_pieces("g", &["[", "1", "]"]);
            o.texts("h", ["i", "j"]);
        });
        assert_eq!(
            json,
            r#"{"a":"x","b":18446744073709551615,"c":{"d":true},"e":{},"f":null,"g":[1],"h":["i","j"]}"#
        );
        assert_eq!(objects([1, 2], |o, n| o.number("n", n)), r#"[{"n":1},{"n":2}]"#);
    }
}
