//! Reads the URL of a WebSocket: who the client is, and which page it wants to join.

use percent_encoding::percent_decode_str;

use super::refusal::Refused;
use super::ticket::TicketCheck;
use peerstar_core::page::member::Rights;
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::{BadName, Capabilities, Epoch, PageKey, PageName, PeerId, Token};
use peerstar_core::protocol::outgoing::GROUP_VERSION;
use peerstar_core::session::Identity;

/// Refuses a name, with the rule that it breaks.
fn bad_name(close: Close) -> impl Fn(BadName) -> Refused {
    move |bad| Refused(close, Some(bad.to_string()))
}

/// Reads the query of `GET …/peerjs`. `page` is the page's segment of the path, not decoded. `key`
/// is the server's key. `tickets` checks tickets, if they are needed.
///
/// # Errors
/// Returns why the client is refused.
pub fn read(
    query: &str,
    page: Option<&str>,
    key: &str,
    tickets: Option<&TicketCheck>,
) -> Result<Identity, Refused> {
    let mut parameters = Parameters::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        let Some(slot) = parameters.slot(&name) else { continue };
        if slot.as_ref().is_some_and(|known| *known != value) {
            return Err(Refused(
                Close::BadParameter,
                Some(format!("{name} is given twice, with different values")),
            ));
        }
        *slot = Some(value);
    }
    let Parameters {
        key: key_in_query,
        id,
        token,
        ticket,
        page: page_in_query,
        group,
        can,
        epoch,
        host,
    } = parameters;

    let in_path = page.map(page_in_path).transpose()?;
    let in_query = page_in_query
        .as_deref()
        .map(PageName::parse)
        .transpose()
        .map_err(bad_name(Close::BadPage))?;
    let page = match (in_path, in_query) {
        (Some(path), Some(query)) if path != query => {
            return Err(Refused(
                Close::BadPage,
                Some("the path and the query name different pages".into()),
            ));
        }
        (path, query) => path.or(query).map_or(PageKey::Pageless, PageKey::Named),
    };
    let filled = |value: Option<String>| value.filter(|value| !value.is_empty());
    let (Some(id), Some(key_in_query)) = (filled(id), filled(key_in_query)) else {
        return Err(Close::MissingParameter.into());
    };
    let token = filled(token);
    if token.is_none() && page == PageKey::Pageless {
        return Err(Close::MissingParameter.into());
    }
    if key_in_query != key {
        return Err(Close::InvalidKey.into());
    }
    let group = match group.as_deref() {
        None | Some("0") => 0,
        Some(version) if version.parse() == Ok(GROUP_VERSION) => GROUP_VERSION,
        Some(_) => return Err(Close::UnknownVersion.into()),
    };
    let can = match can.filter(|_| group > 0) {
        Some(names) => Capabilities::parse(&names).map_err(bad_name(Close::BadParameter))?,
        None => Capabilities::default(),
    };
    let claim = match (epoch, host) {
        (Some(epoch), Some(host)) => {
            let epoch = epoch.parse().ok().filter(|epoch| *epoch < Epoch::LIMIT);
            let epoch = epoch.ok_or_else(|| {
                Refused(
                    Close::BadParameter,
                    Some("epoch must be an integer from 0 to 2^53 - 1".into()),
                )
            })?;
            let host = PeerId::parse(&host)
                .map_err(|bad| Refused(Close::BadParameter, Some(format!("host: {bad}"))))?;
            Some(Claim { epoch: Epoch(epoch), host })
        }
        (None, None) => None,
        _ => return Err(Refused(Close::BadParameter, Some("epoch and host go together".into()))),
    };
    let id = PeerId::parse(&id).map_err(bad_name(Close::BadId))?;
    let token =
        token.as_deref().map(Token::parse).transpose().map_err(bad_name(Close::BadParameter))?;
    let rights =
        tickets.map_or(Ok(Rights::ALL), |tickets| tickets.check(ticket.as_deref(), &page, &id))?;
    Ok(Identity { id, token, key: page, group, can, rights, claim })
}

#[derive(Default)]
struct Parameters {
    key: Option<String>,
    id: Option<String>,
    token: Option<String>,
    ticket: Option<String>,
    page: Option<String>,
    group: Option<String>,
    can: Option<String>,
    epoch: Option<String>,
    host: Option<String>,
}

impl Parameters {
    fn slot(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "key" => &mut self.key,
            "id" => &mut self.id,
            "token" => &mut self.token,
            "ticket" => &mut self.ticket,
            "page" => &mut self.page,
            "group" => &mut self.group,
            "can" => &mut self.can,
            "epoch" => &mut self.epoch,
            "host" => &mut self.host,
            _ => return None,
        })
    }
}

fn decode(text: &str) -> Result<String, Refused> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| Refused(Close::BadParameter, Some("the address is not UTF-8".into())))
}

/// Reads the page's name from a path segment: percent-encoded, or `~` and base64url for proxies
/// that change `%2F`.
///
/// Percent-encoding is decoded first, because `%7E` and `~` are equivalent (RFC 3986, 2.3), and
/// proxies replace one with the other. A page whose name begins with `~` is named in base64url.
///
/// # Errors
/// Returns [`Close::BadPage`] when the segment is neither, or the name breaks a rule.
pub fn page_in_path(segment: &str) -> Result<PageName, Refused> {
    use base64::Engine;
    use base64::alphabet::URL_SAFE;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    const BASE64URL: GeneralPurpose = GeneralPurpose::new(
        &URL_SAFE,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );

    let decoded: Vec<u8> = percent_decode_str(segment).collect();
    let bytes = match decoded.strip_prefix(b"~") {
        Some(encoded) => BASE64URL
            .decode(encoded)
            .map_err(|_| Refused(Close::BadPage, Some("page after ~ is not base64url".into())))?,
        None => decoded,
    };
    let name = String::from_utf8(bytes)
        .map_err(|_| Refused(Close::BadPage, Some("page is not UTF-8".into())))?;
    PageName::parse(&name).map_err(bad_name(Close::BadPage))
}

/// Reads an id from a percent-encoded path segment.
///
/// # Errors
/// Returns [`Close::BadId`] when the id breaks a rule.
pub fn id_in_path(segment: &str) -> Result<PeerId, Refused> {
    let id = percent_decode_str(segment)
        .decode_utf8()
        .map_err(|_| Refused(Close::BadId, Some("id is not UTF-8".into())))?;
    PeerId::parse(&id).map_err(bad_name(Close::BadId))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(query: &str, page: Option<&str>) -> &'static str {
        read(query, page, "peerjs", None).map_or_else(|Refused(close, _)| close.name(), |_| "")
    }

    #[test]
    fn a_missing_or_wrong_parameter_is_named_by_the_close() {
        assert_eq!(refused("key=peerjs&id=a&token=t", None), "");
        assert_eq!(refused("key=peerjs&id=a&page=p", None), "", "on a page the token is optional");
        assert_eq!(refused("key=peerjs&id=a", Some("p")), "");
        for (query, page, close) in [
            ("", None, "missing-parameter"),
            ("key=peerjs&id=a", None, "missing-parameter"),
            ("key=peerjs&token=t", None, "missing-parameter"),
            ("id=a&token=t", None, "missing-parameter"),
            ("key=other&id=a&token=t", None, "invalid-key"),
            ("key=peerjs&id=a%00b&token=t", None, "bad-id"),
            ("key=peerjs&id=a%2Fb&token=t", None, "bad-id"),
            ("key=peerjs&id=%FF&token=t", None, "bad-parameter"),
            ("key=peerjs&id=a&id=b&token=t", None, "bad-parameter"),
            ("key=peerjs&id=a&token=t&page=", None, "bad-page"),
            ("key=peerjs&id=a&token=t&page=p", Some("q"), "bad-page"),
            ("key=peerjs&id=a&token=t", Some("~!"), "bad-page"),
            ("key=peerjs&id=a&token=t", Some("%FF"), "bad-page"),
            ("key=peerjs&id=a&page=p&group=1", None, "unknown-version"),
            ("key=peerjs&id=a&page=p&group=3", None, "unknown-version"),
            ("key=peerjs&id=a&page=p&group=2&can=a,,b", None, "bad-parameter"),
            ("key=peerjs&id=a&page=p&group=2&epoch=1", None, "bad-parameter"),
            ("key=peerjs&id=a&page=p&group=2&epoch=9007199254740992&host=b", None, "bad-parameter"),
        ] {
            assert_eq!(refused(query, page), close, "{query} {page:?}");
        }
    }

    #[test]
    fn a_page_is_decoded_exactly_once() {
        let name =
            |segment| page_in_path(segment).map(|p| p.as_str().to_owned()).unwrap_or_default();
        assert_eq!(name("https%3A%2F%2Fa.org%2F%2541"), "https://a.org/%41");
        assert_eq!(name("~aHR0cHM6Ly9hLm9yZy8"), "https://a.org/");
        assert_eq!(name("~aHR0cHM6Ly9hLm9yZy8="), "https://a.org/");
        assert_eq!(name("a+b"), "a+b", "in a path a plus is no space");
        for same in [
            "%7EaHR0cHM6Ly9hLm9yZy8",
            "%7eaHR0cHM6Ly9hLm9yZy8",
            "~%61HR0cHM6Ly9hLm9yZy8",
            "~aHR0cHM6Ly9hLm9yZy8%3D",
        ] {
            assert_eq!(name(same), "https://a.org/", "{same}");
        }
        assert_eq!(
            (name("%70"), name("~fnA"), name("a~%7Eb")),
            ("p".into(), "~p".into(), "a~~b".into())
        );
    }

    #[test]
    fn a_stock_client_may_name_its_page_in_the_token() {
        let Ok(identity) =
            read("key=peerjs&id=a&token=xyz&page=p%2Fq&version=1.5.5", None, "peerjs", None)
        else {
            panic!("refused")
        };
        assert_eq!(identity.key.name(), Some("p/q"));
        assert!(identity.token.is_some() && identity.group == 0 && identity.claim.is_none());
        assert!(!format!("{identity:?}").contains("xyz"), "a token is not shown: {identity:?}");
    }

    #[test]
    fn a_group_member_may_say_what_it_can() {
        let of = |query: &str| read(query, None, "peerjs", None).map(|identity| identity.can);
        let can = of("key=peerjs&id=a&page=p&group=2&can=zip%2Cx-1").ok();
        assert_eq!(can, Capabilities::parse("zip,x-1").ok());
        let stock = of("key=peerjs&id=a&page=p&can=!").ok();
        assert_eq!(stock, Some(Capabilities::default()), "a stock client has none");
    }
}
