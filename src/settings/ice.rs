//! `ice.servers`: refused here is what `RTCPeerConnection` would refuse in every page.
//!
//! The rules are those of WebRTC ("validate an ICE server URL"), RFC 7064 and RFC 7065, and where they leave room, what
//! browsers do.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use url::Host;

use super::Listed;
use peerstar_core::protocol::ice::IceServer;

/// The longest user name, in bytes, that WebRTC allows.
const MAX_USERNAME: usize = 509;

/// Reads `ice.servers`: a list in the file, JSON in the environment.
///
/// # Errors
/// When the list is none. The error repeats no value, because credentials are among them.
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

/// Browsers take schemes in any case.
fn with_lower_case_scheme(url: &str) -> String {
    url.split_once(':').map_or_else(
        || url.to_owned(),
        |(scheme, rest)| format!("{}:{rest}", scheme.to_ascii_lowercase()),
    )
}

/// Checks one server. `has_secret` says whether credentials are made here (`ice.turn_secret`).
///
/// # Errors
/// What is wrong and what is allowed, in one line without credentials.
pub(super) fn check(server: &IceServer, has_secret: bool) -> Result<(), String> {
    if server.urls.is_empty() {
        return Err(
            "a server has no urls; each needs at least one, such as \"stun:stun.example.org:3478\""
                .into(),
        );
    }
    for url in &server.urls {
        check_url(url)?;
    }
    let filled = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
    let username = server.username.as_deref();
    let credential = server.credential.as_ref().map(|credential| credential.expose());
    let is_complete = filled(username) && filled(credential);
    let is_made_here = has_secret && username.is_none() && credential.is_none();
    if server.is_turn() && !is_complete && !is_made_here {
        let what =
            "a TURN server needs a username and a credential, or neither and ice.turn_secret";
        return Err(format!("{:?}: {what}", server.urls[0]));
    }
    if username.is_some_and(|username| username.len() > MAX_USERNAME) {
        return Err(format!(
            "{:?}: the username is longer than {MAX_USERNAME} bytes",
            server.urls[0]
        ));
    }
    Ok(())
}

fn check_url(url: &str) -> Result<(), String> {
    let example =
        "such as \"stun:stun.example.org:3478\" or \"turn:turn.example.org:3478?transport=udp\"";
    if url.contains('@') {
        // what is before it may be a password
        return Err("a URL has an @; credentials go into username and credential".into());
    }
    let wrong = |what: &str| Err(format!("{url:?} {what}"));
    let Some((scheme, rest)) = url.split_once(':') else {
        return wrong(&format!(
            "lacks a scheme; URLs begin with stun:, stuns:, turn: or turns:, {example}"
        ));
    };
    if !matches!(scheme, "stun" | "stuns" | "turn" | "turns") {
        return wrong(&format!("must begin with stun:, stuns:, turn: or turns:, {example}"));
    }
    if rest.starts_with("//") {
        return wrong(&format!("must not have // after the scheme, {example}"));
    }
    if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return wrong("has white space or a control character inside");
    }
    let (address, query) =
        rest.split_once('?').map_or((rest, None), |(address, query)| (address, Some(query)));
    match (scheme, query) {
        ("stun" | "stuns", Some(_)) => {
            return wrong("must be without a query: STUN URLs have no ?transport=");
        }
        (_, None | Some("transport=udp" | "transport=tcp")) => {}
        _ => return wrong("may have no query but ?transport=udp or ?transport=tcp, in lower case"),
    }
    if address.contains(['/', '#']) {
        return wrong("must end after its host and port, or ?transport=");
    }
    let (host, port) = match address.rsplit_once(':') {
        // the last colon is within an IPv6 address
        Some((_, after)) if after.contains(']') => (address, None),
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    };
    if host.contains(':') && !host.starts_with('[') {
        return wrong("must have its IPv6 address in brackets, as in \"stun:[2001:db8::1]:3478\"");
    }
    if host.is_empty() {
        return wrong("lacks a host");
    }
    if port.is_some_and(|port| {
        !port.bytes().all(|b| b.is_ascii_digit()) || !port.parse().is_ok_and(|port: u16| port > 0)
    }) {
        return wrong("must have a port from 1 to 65535, or none");
    }
    match Host::parse(host) {
        Ok(_) => Ok(()),
        Err(error) => wrong(&format!("has no proper host: {error}")),
    }
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
    fn what_browsers_take_is_taken() {
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
    fn what_browsers_refuse_is_refused_in_words() {
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
            let said = check(&server(&[url], Some("u"), Some("c")), false).err();
            let said = said.unwrap_or_else(|| panic!("accepted {url}"));
            assert!(said.contains(words), "{url}: {said:?} lacks {words:?}");
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
            let said =
                check(&server, has_secret).err().unwrap_or_else(|| panic!("accepted {server:?}"));
            assert!(said.contains(words) && !said.contains("s3cret"), "{said:?} lacks {words:?}");
        }
    }
}
