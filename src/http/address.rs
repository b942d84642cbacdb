//! The client's address of a connection. Behind a proxy, the proxy names it.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::HeaderMap;

use crate::settings::Server;

/// Returns the address of the client whose connection comes from `peer`.
///
/// Proxies write the address into `X-Forwarded-For`. The header is believed with `server.proxied`,
/// and only from a peer on a private network. Each proxy appends the address that it saw, so the
/// client is `server.proxy_hops` entries from the end. If that entry is no address, the client
/// counts as the proxy.
#[must_use]
pub fn of_client(peer: SocketAddr, headers: &HeaderMap, settings: &Server) -> IpAddr {
    let peer = peer.ip().to_canonical();
    if !settings.proxied || !is_private(peer) {
        return peer;
    }
    // an entry that is not UTF-8 must not hide the entries of our own proxies beside it
    let lines =
        headers.get_all("x-forwarded-for").map(|value| String::from_utf8_lossy(value.as_bytes()));
    let entries = lines
        .flat_map(|line| line.split(',').map(|entry| entry.trim().to_owned()).collect::<Vec<_>>());
    let entries: Vec<String> = entries.filter(|entry| !entry.is_empty()).collect();
    // With fewer entries than our proxies, the first entry is from the outermost proxy that was
    // passed.
    let entry = entries.get(entries.len().saturating_sub(settings.proxy_hops));
    entry.and_then(|entry| parse(entry)).unwrap_or(peer)
}

/// Reads an entry of `X-Forwarded-For`: an address, with or without a port, brackets, quotes and a
/// zone.
fn parse(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim_matches('"');
    let (host, port) = match entry.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, Some(port).filter(|port| !port.is_empty()).map(|port| port.strip_prefix(':')))
        }
        // an address with two or more colons is IPv6, which has a port only after brackets
        None if entry.matches(':').count() == 1 => {
            entry.split_once(':').map(|(host, port)| (host, Some(Some(port))))?
        }
        None => (entry, None),
    };
    if port.is_some_and(|port| port.is_none_or(|port| port.parse::<u16>().is_err())) {
        return None;
    }
    let address = match host.split_once('%') {
        Some((host, _)) => IpAddr::V6(host.parse().ok()?),
        None => host.parse().ok()?,
    };
    Some(address.to_canonical())
}

const fn is_private(address: IpAddr) -> bool {
    match address {
        // 100.64/10 is shared address space (RFC 6598), used by cloud routers
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || matches!(v4.octets(), [100, 64..=127, ..])
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn client(peer: &str, lines: &[&str], proxied: bool, proxy_hops: usize) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            let value = HeaderValue::from_bytes(line.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
            headers.append(HeaderName::from_static("x-forwarded-for"), value);
        }
        let peer = peer.parse().unwrap_or_else(|e| panic!("{peer}: {e}"));
        of_client(peer, &headers, &Server { proxied, proxy_hops, ..Server::default() }).to_string()
    }

    const PROXY: &str = "10.0.0.1:4711";

    #[test]
    fn an_entry_is_read_in_all_forms_that_proxies_write() {
        for (entry, address) in [
            ("203.0.113.5", "203.0.113.5"),
            ("203.0.113.5:50123", "203.0.113.5"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("\"[2001:db8::1]:443\"", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%eth0]:443", "fe80::1"),
            ("::ffff:203.0.113.5", "203.0.113.5"),
            ("[::ffff:203.0.113.5]:443", "203.0.113.5"),
            (" 203.0.113.5 ", "203.0.113.5"),
        ] {
            assert_eq!(client(PROXY, &[entry], true, 1), address, "{entry}");
        }
        for entry in [
            "",
            "unknown",
            "_hidden",
            "203.0.113.5:",
            "203.0.113.5:x",
            "203.0.113.5:99999",
            "[2001:db8::1",
            "[2001:db8::1]x",
            "[]:1",
            "example.org",
            "203.0.113",
        ] {
            assert_eq!(client(PROXY, &[entry], true, 1), "10.0.0.1", "{entry:?}");
        }
    }

    #[test]
    fn the_client_is_as_many_entries_from_the_end_as_there_are_proxies() {
        let entries = ["6.6.6.6, 203.0.113.5:1", "198.51.100.7"];
        for (hops, address) in
            [(1, "198.51.100.7"), (2, "203.0.113.5"), (3, "6.6.6.6"), (4, "6.6.6.6")]
        {
            assert_eq!(client(PROXY, &entries, true, hops), address, "{hops}");
        }
        assert_eq!(client(PROXY, &[], true, 2), "10.0.0.1");
        assert_eq!(
            client(PROXY, &["\u{e9}, 203.0.113.5"], true, 1),
            "203.0.113.5",
            "an entry that is not ASCII hides no other"
        );
        assert_eq!(
            client(PROXY, &["203.0.113.5,"], true, 1),
            "203.0.113.5",
            "an empty entry does not count"
        );
    }

    #[test]
    fn only_a_proxy_on_a_private_network_is_believed() {
        let entries = ["203.0.113.5"];
        assert_eq!(client(PROXY, &entries, false, 1), "10.0.0.1");
        for peer in [
            "127.0.0.1:1",
            "192.168.1.1:1",
            "100.64.0.1:1",
            "[::1]:1",
            "[fd00::1]:1",
            "[::ffff:10.0.0.1]:1",
        ] {
            assert_eq!(client(peer, &entries, true, 1), "203.0.113.5", "{peer}");
        }
        for peer in ["198.51.100.7:1", "100.128.0.1:1"] {
            assert_eq!(client(peer, &entries, true, 1), peer.trim_end_matches(":1"), "{peer}");
        }
    }
}
