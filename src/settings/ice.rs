//! `ice.servers`: refuses what `RTCPeerConnection` would refuse in every page.
//!
//! The rules are those of WebRTC ("validate an ICE server URL"), RFC 7064 and RFC 7065. Where they
//! leave room, the rules are what browsers do.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use url::Host;

use super::Listed;
use peerstar_core::protocol::ice::IceServer;

/// The longest user name, in bytes, that WebRTC allows.
const MAX_USERNAME: usize = 509;

/// Why an ICE server is refused. No message holds a credential.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum IceServerError {
    #[error(
        "a server has no urls; each needs at least one, such as \"stun:stun.example.org:3478\""
    )]
    NoUrls,
    /// The part of a URL before an @ may be a password, so the URL is not repeated.
    #[error("a URL has an @; credentials go into username and credential")]
    CredentialsInUrl,
    #[error("{url:?} {error}")]
    Url { url: String, error: IceUrlError },
    #[error(
        "{0:?}: a TURN server needs a username and a credential, or neither and ice.turn_secret"
    )]
    NoCredentials(String),
    #[error("{0:?}: the username is longer than {MAX_USERNAME} bytes")]
    LongUsername(String),
}

/// What is wrong with the URL of an ICE server. The error goes on after the URL.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum IceUrlError {
    #[error("lacks a scheme; URLs begin with stun:, stuns:, turn: or turns:, {EXAMPLE}")]
    NoScheme,
    #[error("must begin with stun:, stuns:, turn: or turns:, {EXAMPLE}")]
    UnknownScheme,
    #[error("must not have // after the scheme, {EXAMPLE}")]
    Slashes,
    #[error("has white space or a control character inside")]
    Character,
    #[error("must be without a query: STUN URLs have no ?transport=")]
    StunQuery,
    #[error("may have no query but ?transport=udp or ?transport=tcp, in lower case")]
    TurnQuery,
    #[error("must end after its host and port, or ?transport=")]
    Path,
    #[error("must have its IPv6 address in brackets, as in \"stun:[2001:db8::1]:3478\"")]
    NoBrackets,
    #[error("lacks a host")]
    NoHost,
    #[error("must have a port from 1 to 65535, or none")]
    Port,
    #[error("has no proper host: {0}")]
    Host(#[from] url::ParseError),
}

const EXAMPLE: &str =
    "such as \"stun:stun.example.org:3478\" or \"turn:turn.example.org:3478?transport=udp\"";

/// Reads `ice.servers`, which is a list in the file, and JSON in the environment.
///
/// # Errors
/// When the value is no such list. The error repeats no value, because credentials are among them.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IceServer>, D::Error> {
    let expected = "expected a list of {urls, username, credential} (in the environment: as JSON)";
    let mut servers: Vec<IceServer> =
        match Listed::deserialize(deserializer).map_err(|_| D::Error::custom(expected))? {
            Listed::List(list) => list,
            Listed::Text(text) => serde_json::from_str(&text)
                .map_err(|e| D::Error::custom(format!("{expected}: {e}")))?,
        };
    for url in servers.iter_mut().flat_map(|server| &mut server.urls) {
        *url = with_lower_case_scheme(url.trim());
    }
    Ok(servers)
}

/// Returns `url` with its scheme in lower case. Browsers accept schemes in any case.
fn with_lower_case_scheme(url: &str) -> String {
    url.split_once(':').map_or_else(
        || url.to_owned(),
        |(scheme, rest)| format!("{}:{rest}", scheme.to_ascii_lowercase()),
    )
}

/// Checks one server. `has_secret` says whether `ice.turn_secret` is set, so that the server makes
/// credentials itself.
///
/// # Errors
/// Says what is wrong and what is allowed, in one line without credentials.
pub(super) fn check(server: &IceServer, has_secret: bool) -> Result<(), IceServerError> {
    let first = server.urls.first().ok_or(IceServerError::NoUrls)?;
    for url in &server.urls {
        if url.contains('@') {
            return Err(IceServerError::CredentialsInUrl);
        }
        check_url(url).map_err(|error| IceServerError::Url { url: url.clone(), error })?;
    }
    let filled = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
    let username = server.username.as_deref();
    let credential = server.credential.as_ref().map(|credential| credential.expose());
    let is_complete = filled(username) && filled(credential);
    let is_made_here = has_secret && username.is_none() && credential.is_none();
    if server.is_turn() && !is_complete && !is_made_here {
        return Err(IceServerError::NoCredentials(first.clone()));
    }
    if username.is_some_and(|username| username.len() > MAX_USERNAME) {
        return Err(IceServerError::LongUsername(first.clone()));
    }
    Ok(())
}

fn check_url(url: &str) -> Result<(), IceUrlError> {
    let (scheme, rest) = url.split_once(':').ok_or(IceUrlError::NoScheme)?;
    if !matches!(scheme, "stun" | "stuns" | "turn" | "turns") {
        return Err(IceUrlError::UnknownScheme);
    }
    if rest.starts_with("//") {
        return Err(IceUrlError::Slashes);
    }
    if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(IceUrlError::Character);
    }
    let (address, query) =
        rest.split_once('?').map_or((rest, None), |(address, query)| (address, Some(query)));
    match (scheme, query) {
        ("stun" | "stuns", Some(_)) => return Err(IceUrlError::StunQuery),
        (_, None | Some("transport=udp" | "transport=tcp")) => {}
        _ => return Err(IceUrlError::TurnQuery),
    }
    if address.contains(['/', '#']) {
        return Err(IceUrlError::Path);
    }
    let (host, port) = match address.rsplit_once(':') {
        // the last colon is within an IPv6 address
        Some((_, after)) if after.contains(']') => (address, None),
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    };
    if host.contains(':') && !host.starts_with('[') {
        return Err(IceUrlError::NoBrackets);
    }
    if host.is_empty() {
        return Err(IceUrlError::NoHost);
    }
    if port.is_some_and(|port| !is_port(port)) {
        return Err(IceUrlError::Port);
    }
    Host::parse(host)?;
    Ok(())
}

fn is_port(text: &str) -> bool {
    // the parser of numbers would accept a sign
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse().is_ok_and(|port: u16| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerstar_core::protocol::secret::Secret;

    fn server(urls: &[&str], username: Option<&str>, credential: Option<&str>) -> IceServer {
        let credential =
            credential.map(|text| Secret::parse(text).unwrap_or_else(|e| panic!("{e}")));
        let urls = urls.iter().map(|url| with_lower_case_scheme(url)).collect();
        IceServer { urls, username: username.map(Into::into), credential }
    }

    #[test]
    fn servers_that_browsers_accept_are_accepted() {
        for url in [
            "stun:stun.example.org",
            "stun:stun.example.org:3478",
            "STUN:Stun.Example.org",
            "stuns:stun.example.org:5349",
            "stun:192.0.2.1:3478",
            "stun:[2001:db8::1]",
            "stun:[2001:db8::1]:3478",
            "stun:localhost",
            "stun:stün.example",
            "turn:turn.example.org",
            "turn:turn.example.org:3478?transport=udp",
            "turn:turn.example.org?transport=tcp",
            "turn:[2001:db8::1]?transport=tcp",
            "turns:turn.example.org:443?transport=tcp",
        ] {
            assert_eq!(check(&server(&[url], Some("u"), Some("c")), false), Ok(()), "{url}");
        }
        assert_eq!(check(&server(&["stun:a", "turn:b"], Some("u"), Some("c")), false), Ok(()));
        assert_eq!(check(&server(&["stun:a"], None, None), false), Ok(()));
        assert_eq!(check(&server(&["turn:a"], None, None), true), Ok(()));
    }

    #[test]
    fn servers_that_browsers_refuse_are_refused_with_the_reason() {
        for (url, words) in [
            ("stun.example.org", "lacks a scheme"),
            ("stun.example.org:3478", "must begin with stun:"),
            ("https://stun.example.org", "must begin with stun:"),
            ("stun://stun.example.org", "must not have //"),
            ("turn://turn.example.org", "must not have //"),
            ("stun:", "lacks a host"),
            ("stun::3478", "lacks a host"),
            ("stun:stun.example.org:", "port"),
            ("stun:stun.example.org:0", "port"),
            ("stun:stun.example.org:65536", "port"),
            ("stun:stun.example.org:+80", "port"),
            ("stun:stun.example.org:http", "port"),
            ("stun:stun.example.org?transport=udp", "without a query"),
            ("stuns:stun.example.org?", "without a query"),
            ("turn:turn.example.org?transport=sctp", "?transport=udp or ?transport=tcp"),
            ("turn:turn.example.org?transport=UDP", "in lower case"),
            ("turn:turn.example.org?tls=1", "?transport=udp or ?transport=tcp"),
            ("turn:turn.example.org?transport=udp&x=1", "?transport=udp or ?transport=tcp"),
            ("turn:turn.example.org/path", "must end after"),
            ("turn:turn.example.org#x", "must end after"),
            ("stun:2001:db8::1", "in brackets"),
            ("stun:2001:db8::1:3478", "in brackets"),
            ("stun:[2001:db8::1", "no proper host"),
            ("stun:[2001:db8::1]3478", "no proper host"),
            ("stun:[example.org]", "no proper host"),
            ("stun:exa mple.org", "white space"),
            ("stun:exa%mple.org", "no proper host"),
            ("", "lacks a scheme"),
        ] {
            let error = check(&server(&[url], Some("u"), Some("c")), false).err();
            let error = error.unwrap_or_else(|| panic!("accepted {url}")).to_string();
            assert!(error.contains(words), "{url}: {error:?} lacks {words:?}");
        }
        for (server, has_secret, words) in [
            (server(&[], None, None), false, "no urls"),
            (server(&["turn:a"], None, None), false, "ice.turn_secret"),
            (server(&["stun:a", "turns:b"], None, None), false, "ice.turn_secret"),
            (server(&["TURN:a"], None, None), false, "ice.turn_secret"),
            (server(&["turn:a"], Some("u"), None), true, "needs a username and a credential"),
            (server(&["turn:a"], None, Some("c")), true, "needs a username and a credential"),
            (server(&["turn:a"], Some(""), Some("c")), false, "needs a username and a credential"),
            (server(&["turn:a"], Some("u"), Some("")), false, "needs a username and a credential"),
            (server(&["turn:a"], Some(&"u".repeat(510)), Some("c")), false, "509"),
            (server(&["turn:me:s3cret@a"], None, None), false, "username and credential"),
        ] {
            let error = check(&server, has_secret).err();
            let error = error.unwrap_or_else(|| panic!("accepted {server:?}")).to_string();
            assert!(error.contains(words) && !error.contains("s3cret"), "{error:?}: {words:?}");
        }
    }
}
