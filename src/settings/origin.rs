//! `cors.origins`: origins as operators write them, and as browsers send them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

/// An origin, or all subdomains of one.
///
/// It is kept in the form in which browsers compare origins: lower case, without a default port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `null`: what browsers send for pages without an origin, such as files and sandboxed frames.
    Null,
    /// `file://`: what some WebViews send for files.
    File,
    /// An origin of the form `scheme://host:port`.
    Site {
        /// Scheme, in lower case.
        scheme: String,
        /// Host, in lower case. An internationalised name is in Punycode, an IPv6 address in
        /// brackets.
        host: String,
        /// Port, unless it is the default port of the scheme.
        port: Option<u16>,
        /// Whether the origin is written `*.host`, which covers the host's subdomains at any depth,
        /// but not the host itself.
        subdomains: bool,
    },
}

/// Why a text is no origin. The error goes on after the text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message explains its variant")]
pub enum OriginError {
    #[error("is no origin; leave cors.origins empty to allow all")]
    Wildcard,
    #[error("has white space, a control character or a backslash inside")]
    Character,
    #[error("lacks a scheme, such as https://")]
    NoScheme,
    #[error(
        "is the address of a WebSocket; an origin is that of the page, which begins with http:// or https://"
    )]
    WebSocket,
    #[error("is the address of a file, whose origin is written file://")]
    FilePath,
    #[error("has a path or a query; an origin ends after its host and port")]
    Path,
    #[error("has a user name; an origin has none")]
    UserName,
    #[error("has a * that is not the whole first label of the host, as in https://*.example.org")]
    MisplacedWildcard,
    #[error("is not an origin: {0}")]
    Url(#[from] url::ParseError),
    #[error("lacks a host")]
    NoHost,
    #[error("has a * before an IP address, which has no subdomains")]
    WildcardAddress,
}

impl Origin {
    /// Reads an origin, or a pattern such as `https://*.example.org`, as an operator writes it.
    ///
    /// # Errors
    /// When no browser would send `text` as an origin.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let text = text.trim();
        match text.to_ascii_lowercase().as_str() {
            "null" => return Ok(Self::Null),
            "file://" | "file:///" => return Ok(Self::File),
            "*" => return Err(OriginError::Wildcard),
            _ => {}
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(OriginError::Character);
        }
        let (scheme, rest) = text.split_once("://").ok_or(OriginError::NoScheme)?;
        let scheme = scheme.to_ascii_lowercase();
        match scheme.as_str() {
            "ws" | "wss" => return Err(OriginError::WebSocket),
            "file" => return Err(OriginError::FilePath),
            _ => {}
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(OriginError::Path);
        }
        if rest.contains('@') {
            return Err(OriginError::UserName);
        }
        let (rest, subdomains) = rest.strip_prefix("*.").map_or((rest, false), |rest| (rest, true));
        if rest.contains('*') {
            return Err(OriginError::MisplacedWildcard);
        }
        let url = Url::parse(&format!("{scheme}://{rest}"))?;
        // `url` keeps the host as it is written where it does not know the scheme
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        if host.is_empty() {
            return Err(OriginError::NoHost);
        }
        if subdomains && !matches!(Host::parse(&host), Ok(Host::Domain(_))) {
            return Err(OriginError::WildcardAddress);
        }
        Ok(Self::Site { scheme, host, port: url.port(), subdomains })
    }

    /// Reads the `Origin` header of a request. Returns nothing if it is not an origin.
    #[must_use]
    pub fn from_header(value: &[u8]) -> Option<Self> {
        let origin = Self::parse(std::str::from_utf8(value).ok()?).ok()?;
        Some(origin).filter(|origin| !matches!(origin, Self::Site { subdomains: true, .. }))
    }

    /// Returns whether `other`, an origin that a client sent, is this origin or one of the subdomains
    /// that this pattern covers.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Site { scheme, host, port, subdomains: true },
                Self::Site { scheme: other_scheme, host: other_host, port: other_port, .. },
            ) => {
                let subdomain = other_host.strip_suffix(host.as_str());
                let subdomain = subdomain.and_then(|below| below.strip_suffix('.'));
                scheme == other_scheme
                    && port == other_port
                    && subdomain.is_some_and(|subdomain| !subdomain.is_empty())
            }
            (this, other) => this == other,
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

/// Reads `cors.origins`, which is a list in the file, and one text with commas in the environment.
///
/// # Errors
/// Names the first entry that is no origin, and what is allowed.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Origin>, D::Error> {
    let listed = super::Listed::<String>::deserialize(deserializer);
    let texts = match listed.map_err(|_| serde::de::Error::custom("must be a list of texts"))? {
        super::Listed::List(list) => list,
        super::Listed::Text(text) => {
            text.split(',').filter(|text| !text.trim().is_empty()).map(Into::into).collect()
        }
    };
    let parse = |text: &String| {
        Origin::parse(text).map_err(|error| {
            let allowed =
                "allowed are origins such as \"https://example.org\" or \"https://*.example.org\", \"null\" and \"file://\"";
            serde::de::Error::custom(format!("{text:?} {error}; {allowed}"))
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
    fn spellings_of_one_origin_are_read_as_the_same() {
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
    fn text_that_no_browser_sends_is_refused_with_the_reason() {
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
            let error =
                Origin::parse(written).err().unwrap_or_else(|| panic!("accepted {written}"));
            let error = error.to_string();
            assert!(error.contains(words), "{written}: {error:?} lacks {words:?}");
        }
    }

    #[test]
    fn an_origin_covers_itself_and_a_pattern_covers_subdomains() {
        let covers = |allowed: &str, header: &str| {
            let sent = Origin::from_header(header.as_bytes());
            sent.is_some_and(|sent| parse(allowed).covers(&sent))
        };
        for (allowed, header) in [
            ("https://example.org:443", "https://example.org"),
            ("https://example.org", "https://example.org:443"),
            ("https://example.org", "HTTPS://EXAMPLE.ORG"),
            ("https://*.wild.org", "https://a.wild.org"),
            ("https://*.wild.org", "https://a.b.wild.org"),
            ("https://*.wild.org:8443", "https://a.wild.org:8443"),
            ("null", "null"),
            ("file://", "file://"),
        ] {
            assert!(covers(allowed, header), "{allowed} and {header}");
        }
        for (allowed, header) in [
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
            assert!(!covers(allowed, header), "{allowed} and {header}");
        }
    }
}
