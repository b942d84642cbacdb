//! `cors.origins`: origins as operators write them, and as browsers send them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

/// An origin, or all subdomains of one, in the form in which browsers compare origins: lower case, no default port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `null`: what browsers send for pages without an origin, such as files and sandboxed frames.
    Null,
    /// `file://`: what some WebViews send for files.
    File,
    /// An origin of the form `scheme://host:port`.
    Site {
        /// The scheme, in lower case.
        scheme: String,
        /// The host, in lower case; an internationalised name in Punycode, an IPv6 address in brackets.
        host: String,
        /// The port; none for the default port of the scheme.
        port: Option<u16>,
        /// Whether it is written `*.host`: the host's subdomains, at any depth, and not the host itself.
        subdomains: bool,
    },
}

impl Origin {
    /// Reads an origin, or a pattern such as `https://*.example.org`, as an operator writes it.
    ///
    /// # Errors
    /// What is wrong with it, after the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text.to_ascii_lowercase().as_str() {
            "null" => return Ok(Self::Null),
            "file://" | "file:///" => return Ok(Self::File),
            "*" => return Err("is no origin; leave cors.origins empty to allow all".into()),
            _ => {}
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err("has white space, a control character or a backslash inside".into());
        }
        let (scheme, rest) = text.split_once("://").ok_or("lacks a scheme, such as https://")?;
        let scheme = scheme.to_ascii_lowercase();
        if matches!(scheme.as_str(), "ws" | "wss") {
            return Err(
                "is the address of a WebSocket; an origin is that of the page, which begins with http:// or https://".into()
            );
        }
        if scheme == "file" {
            return Err("is the address of a file, whose origin is written file://".into());
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err("has a path or a query; an origin ends after its host and port".into());
        }
        if rest.contains('@') {
            return Err("has a user name; an origin has none".into());
        }
        let (rest, subdomains) = rest.strip_prefix("*.").map_or((rest, false), |rest| (rest, true));
        if rest.contains('*') {
            return Err("has a * that is not the whole first label of the host, as in https://*.example.org".into());
        }
        let url = Url::parse(&format!("{scheme}://{rest}"))
            .map_err(|error| format!("is not an origin: {error}"))?;
        // of schemes that it does not know the library leaves the host as it is
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        if host.is_empty() {
            return Err("lacks a host".into());
        }
        if subdomains && !matches!(Host::parse(&host), Ok(Host::Domain(_))) {
            return Err("has a * before an IP address, which has no subdomains".into());
        }
        Ok(Self::Site { scheme, host, port: url.port(), subdomains })
    }

    /// Reads the `Origin` header of a request; none when it is not an origin.
    #[must_use]
    pub fn from_header(value: &[u8]) -> Option<Self> {
        let origin = Self::parse(std::str::from_utf8(value).ok()?).ok()?;
        Some(origin).filter(|origin| !matches!(origin, Self::Site { subdomains: true, .. }))
    }

    /// Returns whether `other`, an origin that a client sent, is this one or one of its subdomains.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Site { scheme, host, port, subdomains: true },
                Self::Site { scheme: s, host: h, port: p, .. },
            ) => {
                let below = h.strip_suffix(host.as_str()).and_then(|below| below.strip_suffix('.'));
                scheme == s && port == p && below.is_some_and(|below| !below.is_empty())
            }
            (one, other) => one == other,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::File => f.write_str("file://"),
            Self::Site { scheme, host, port, subdomains } => {
                write!(f, "{scheme}://{}{host}", if *subdomains { "*." } else { "" })?;
                port.map_or(Ok(()), |port| write!(f, ":{port}"))
            }
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads `cors.origins`: a list in the file, one text with commas in the environment.
///
/// # Errors
/// Names the first entry that is wrong, and what is allowed.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Origin>, D::Error> {
    let listed = super::Listed::<String>::deserialize(deserializer);
    let texts = match listed.map_err(|_| serde::de::Error::custom("must be a list of texts"))? {
        super::Listed::List(list) => list,
        super::Listed::Text(text) => {
            text.split(',').filter(|text| !text.trim().is_empty()).map(Into::into).collect()
        }
    };
    let parse = |text: &String| {
        Origin::parse(text).map_err(|wrong| {
            let allowed =
                "allowed are origins such as \"https://example.org\" or \"https://*.example.org\", \"null\" and \"file://\"";
            serde::de::Error::custom(format!("{text:?} {wrong}; {allowed}"))
        })
    };
    texts.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Origin {
        Origin::parse(text).unwrap_or_else(|e| panic!("{text} {e}"))
    }

    #[test]
    fn an_origin_is_written_in_many_ways_and_compared_in_one() {
        for (written, canonical) in [
            ("https://example.org", "https://example.org"),
            ("https://example.org:443", "https://example.org"),
            ("http://example.org:80", "http://example.org"),
            ("http://example.org:443", "http://example.org:443"),
            ("HTTPS://Example.ORG:8443", "https://example.org:8443"),
            (" https://example.org/ ", "https://example.org"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("http://[2001:DB8:0::1]:80", "http://[2001:db8::1]"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("http://localhost:03000", "http://localhost:3000"),
            ("capacitor://LocalHost", "capacitor://localhost"),
            ("chrome-extension://abcdef", "chrome-extension://abcdef"),
            ("https://*.Example.org:443/", "https://*.example.org"),
            ("NULL", "null"),
            ("file://", "file://"),
            ("file:///", "file://"),
        ] {
            assert_eq!(parse(written).to_string(), canonical, "{written}");
        }
    }

    #[test]
    fn what_can_never_match_is_refused_in_words() {
        for (written, words) in [
            ("*", "leave cors.origins empty"),
            ("example.org", "lacks a scheme"),
            ("", "lacks a scheme"),
            ("wss://example.org", "that of the page"),
            ("https://example.org/app", "has a path"),
            ("https://example.org//", "has a path"),
            ("https://example.org?x", "has a path or a query"),
            ("https://me@example.org", "user name"),
            ("https://", "host"),
            ("https://:443", "host"),
            ("file://server", "written file://"),
            ("file:///index.html", "written file://"),
            ("https://exa mple.org", "white space"),
            ("https://a.org https://b.org", "white space"),
            ("https://example.org:99999", "port"),
            ("https://example.org:*", "*"),
            ("https://*example.org", "first label"),
            ("https://a.*.org", "first label"),
            ("https://*", "first label"),
            ("*://example.org", "is not an origin"),
            ("https://*.127.0.0.1", "IP address"),
            ("https://*.[::1]", "IP address"),
        ] {
            let said = Origin::parse(written).err().unwrap_or_else(|| panic!("accepted {written}"));
            assert!(said.contains(words), "{written}: {said:?} lacks {words:?}");
        }
    }

    #[test]
    fn an_origin_covers_itself_and_a_pattern_the_subdomains() {
        let covers = |allowed: &str, said: &str| {
            Origin::from_header(said.as_bytes()).is_some_and(|o| parse(allowed).covers(&o))
        };
        for (allowed, said) in [
            ("https://example.org:443", "https://example.org"),
            ("https://example.org", "https://example.org:443"),
            ("https://example.org", "HTTPS://EXAMPLE.ORG"),
            ("https://*.wild.org", "https://a.wild.org"),
            ("https://*.wild.org", "https://a.b.wild.org"),
            ("https://*.wild.org:8443", "https://a.wild.org:8443"),
            ("null", "null"),
            ("file://", "file://"),
        ] {
            assert!(covers(allowed, said), "{allowed} and {said}");
        }
        for (allowed, said) in [
            ("https://example.org", "http://example.org"),
            ("https://example.org", "https://example.org:8443"),
            ("https://example.org", "https://a.example.org"),
            ("https://*.wild.org", "https://wild.org"),
            ("https://*.wild.org", "https://.wild.org"),
            ("https://*.wild.org", "https://evilwild.org"),
            ("https://*.wild.org", "https://*.wild.org"),
            ("https://*.wild.org", "https://a.wild.org.evil.org"),
            ("https://*.wild.org", "http://a.wild.org"),
            ("https://*.wild.org", "https://a.wild.org:8443"),
            ("null", "file://"),
            ("file://", "null"),
            ("https://null", "null"),
            ("null", ""),
        ] {
            assert!(!covers(allowed, said), "{allowed} and {said}");
        }
    }
}
