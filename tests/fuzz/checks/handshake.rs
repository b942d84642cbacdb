//! The address of a WebSocket.

use arbitrary::{Arbitrary, Unstructured};
use peerstar::http::handshake::{page_in_path, read};
use peerstar_core::protocol::id::{PageKey, PageName, PeerId};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

#[derive(Debug, Arbitrary)]
enum Address<'a> {
    /// Any query, and any path.
    Raw(&'a str, Option<&'a str>),
    /// A well-formed address with any names.
    Written { id: &'a str, page: &'a str, in_path: bool },
}

/// Nothing panics. A client that is admitted keeps the rules for names. A name that is encoded
/// properly arrives as it was.
pub(crate) fn check(input: &[u8]) {
    match Address::arbitrary_take_rest(Unstructured::new(input)) {
        Ok(Address::Raw(query, segment)) => {
            let Ok(me) = read(query, segment, "peerjs", None) else { return };
            assert!(PeerId::parse(me.id.as_str()).is_ok());
            assert!(me.token.is_some() || me.key != PageKey::Pageless, "no token and no page");
            assert!(me.claim.is_none_or(|claim| claim.epoch.0 < 1 << 53));
            if let Some(segment) = segment {
                let page = page_in_path(segment).expect("let in by a path that names no page");
                assert_eq!(me.key, PageKey::Named(page));
            }
        }
        Ok(Address::Written { id, page, in_path }) => {
            let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let (id_said, page_said) = (encoded(id), encoded(page));
            // in a path, a segment that begins with ~ is base64url, however the ~ is encoded
            let in_path = in_path && !page.starts_with('~');
            let me = if in_path {
                read(&format!("key=peerjs&id={id_said}"), Some(&page_said), "peerjs", None)
            } else {
                read(&format!("id={id_said}&key=peerjs&page={page_said}"), None, "peerjs", None)
            };
            match (PeerId::parse(id), PageName::parse(page)) {
                (Ok(id), Ok(page)) => {
                    let me = me.unwrap_or_else(|refused| panic!("{refused:?}"));
                    assert_eq!((me.id, me.key), (id, PageKey::Named(page)));
                }
                _ => assert!(me.is_err(), "{id:?} {page:?}"),
            }
        }
        Err(_) => {}
    }
}
