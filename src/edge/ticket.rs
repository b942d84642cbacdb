//! Join tickets: JSON Web Tokens (RFC 7519) by which a site says whom it lets in, and to what.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

use super::handshake::Refused;
use crate::core::close::Close;
use crate::core::id::{PageKey, PeerId};
use crate::core::member::Rights;

/// By how much the signer's clock may differ from ours, in seconds.
const LEEWAY_S: u64 = 30;

/// What a ticket says. Claims that are not listed are nobody's business here.
#[derive(Debug, Deserialize)]
struct Ticket {
    /// The page it is for.
    page: Option<String>,
    /// Or what the names of the pages it is for begin with. With neither it is for peers without a page.
    page_prefix: Option<String>,
    /// The id it is for; any, where it names none.
    id: Option<String>,
    /// Whether its bearer may host.
    #[serde(default = "yes")]
    host: bool,
    /// Whether its bearer may use the relay.
    #[serde(default = "yes")]
    relay: bool,
}

const fn yes() -> bool {
    true
}

/// Checks tickets.
pub struct TicketCheck {
    key: DecodingKey,
    validation: Validation,
}

impl TicketCheck {
    /// With the secret that they are signed with (`auth.ticket_secret`).
    #[must_use]
    pub fn new(secret: &str) -> Self {
        // one algorithm, whatever a ticket says of itself; `exp` is required
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        // whom else a site's tickets are for is its own affair
        validation.validate_aud = false;
        Self { key: DecodingKey::from_secret(secret.as_bytes()), validation }
    }

    /// What the bearer of `ticket` may do as `id` on the page `key`.
    ///
    /// # Errors
    /// Why it is not let in.
    pub fn check(&self, ticket: Option<&str>, key: &PageKey, id: &PeerId) -> Result<Rights, Refused> {
        let ticket = ticket.ok_or_else(|| refused("a ticket is needed: &ticket=, signed by the site of this page"))?;
        let ticket = decode::<Ticket>(ticket, &self.key, &self.validation).map_err(|e| why_not(e.kind()))?;
        let Ticket { page, page_prefix, id: for_id, host, relay } = ticket.claims;
        let fits = match (key, page.as_deref(), page_prefix.as_deref()) {
            (_, Some(_), Some(_)) => return Err(refused("the ticket names a page and a page_prefix: one of them must do")),
            (PageKey::Named(name), Some(page), None) => name.as_str() == page,
            (PageKey::Named(name), None, Some(prefix)) => name.as_str().starts_with(prefix),
            (PageKey::Pageless, page, prefix) => page.or(prefix).is_none(),
            (PageKey::Named(_), None, None) => false,
        };
        if !fits {
            return Err(refused("the ticket is for another page"));
        }
        if for_id.is_some_and(|allowed| allowed != id.as_str()) {
            return Err(refused("the ticket is for another id"));
        }
        Ok(Rights { host, relay })
    }
}

fn refused(why: &str) -> Refused {
    Refused(Close::TicketRefused, Some(why.into()))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library may name more ways to be no good token")]
fn why_not(error: &ErrorKind) -> Refused {
    match error {
        ErrorKind::ExpiredSignature => Close::TicketExpired.into(),
        ErrorKind::ImmatureSignature => refused("the ticket is not valid yet (nbf)"),
        ErrorKind::InvalidSignature => refused("the ticket is not signed with this server's secret"),
        ErrorKind::InvalidAlgorithm => refused("the ticket must be signed with HS256"),
        ErrorKind::MissingRequiredClaim(claim) => refused(&format!("the ticket lacks {claim}")),
        ErrorKind::InvalidClaimFormat(claim) => refused(&format!("the ticket's {claim} is not as it should be")),
        ErrorKind::Json(why) => refused(&format!("the ticket is not as it should be: {why}")),
        _ => refused("the ticket is not a JSON Web Token"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::unix_ms;
    use crate::core::id::PageName;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn signed(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
        let key = EncodingKey::from_secret(secret.as_bytes());
        encode(&Header::new(algorithm), claims, &key).unwrap_or_else(|e| panic!("{e}"))
    }

    /// The close and its words, or the rights.
    fn check(ticket: &str, page: Option<&str>) -> Result<Rights, (&'static str, String)> {
        let key = page.map_or(PageKey::Pageless, |page| PageKey::Named(PageName::parse(page).unwrap_or_else(|e| panic!("{e}"))));
        let id = PeerId::parse("ann").unwrap_or_else(|e| panic!("{e}"));
        let checked = TicketCheck::new(SECRET).check(Some(ticket).filter(|t| !t.is_empty()), &key, &id);
        checked.map_err(|Refused(close, words)| (close.name(), words.unwrap_or_default()))
    }

    fn exp(after_s: i64) -> i64 {
        unix_ms() as i64 / 1000 + after_s
    }

    #[test]
    fn a_ticket_opens_what_it_names() {
        for (claims, page) in [
            (json!({"page": "https://a.org/x"}), Some("https://a.org/x")),
            (json!({"page_prefix": "https://a.org/"}), Some("https://a.org/x")),
            (json!({"page_prefix": ""}), Some("p")),
            (json!({"page": "p", "id": "ann"}), Some("p")),
            (json!({"page": "p", "aud": "others", "sub": "u17", "nbf": exp(20)}), Some("p")),
            (json!({}), None),
        ] {
            let mut claims = claims;
            // just run out: within the leeway
            claims["exp"] = json!(exp(-15));
            assert_eq!(check(&signed(Algorithm::HS256, SECRET, &claims), page), Ok(Rights::ALL), "{claims}");
        }
        let claims = json!({"page": "p", "exp": exp(60), "host": false, "relay": false});
        let rights = check(&signed(Algorithm::HS256, SECRET, &claims), Some("p"));
        assert_eq!(rights, Ok(Rights { host: false, relay: false }));
    }

    #[test]
    fn what_is_wrong_with_a_ticket_is_said() {
        let good = json!({"page": "p", "exp": exp(60)});
        let sign = |claims: &Value| signed(Algorithm::HS256, SECRET, claims);
        // {"alg":"none","typ":"JWT"}, the claims of a good one, no signature
        let body = sign(&good).split('.').nth(1).unwrap_or_default().to_owned();
        let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}.");
        let tampered = {
            let other = sign(&json!({"page": "q", "exp": exp(60)}));
            let parts: Vec<_> = sign(&good).split('.').map(ToOwned::to_owned).collect();
            format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap_or_default(), parts[2])
        };
        for (ticket, page, close, words) in [
            (String::new(), Some("p"), "ticket-refused", "&ticket="),
            ("abc".into(), Some("p"), "ticket-refused", "not a JSON Web Token"),
            (none, Some("p"), "ticket-refused", "`none`"),
            (signed(Algorithm::HS512, SECRET, &good), Some("p"), "ticket-refused", "HS256"),
            (signed(Algorithm::HS256, "another", &good), Some("p"), "ticket-refused", "secret"),
            (tampered, Some("q"), "ticket-refused", "secret"),
            (sign(&json!({"page": "p", "exp": exp(-45)})), Some("p"), "ticket-expired", ""),
            (sign(&json!({"page": "p"})), Some("p"), "ticket-refused", "exp"),
            (sign(&json!({"page": "p", "exp": "soon"})), Some("p"), "ticket-refused", "exp"),
            (sign(&json!({"page": "p", "exp": exp(60), "nbf": exp(50)})), Some("p"), "ticket-refused", "nbf"),
            (sign(&json!({"page": 7, "exp": exp(60)})), Some("p"), "ticket-refused", "not as it should be"),
            (sign(&json!({"page": "p", "exp": exp(60), "host": "no"})), Some("p"), "ticket-refused", "not as it should be"),
            (sign(&good), Some("pp"), "ticket-refused", "another page"),
            (sign(&good), None, "ticket-refused", "another page"),
            (sign(&json!({"page_prefix": "", "exp": exp(60)})), None, "ticket-refused", "another page"),
            (sign(&json!({"exp": exp(60)})), Some("p"), "ticket-refused", "another page"),
            (sign(&json!({"page": "p", "page_prefix": "p", "exp": exp(60)})), Some("p"), "ticket-refused", "one of them"),
            (sign(&json!({"page": "p", "id": "bob", "exp": exp(60)})), Some("p"), "ticket-refused", "another id"),
        ] {
            let told = check(&ticket, page);
            let (name, said) = told.err().unwrap_or_else(|| panic!("let in: {ticket} on {page:?}"));
            assert!(name == close && said.contains(words), "{name} {said:?}, not {close} {words:?}");
        }
    }
}
