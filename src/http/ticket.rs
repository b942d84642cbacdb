//! Join tickets: JSON Web Tokens (RFC 7519) by which a site says which clients may join which
//! pages.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde_json::Value;

use super::refusal::Refused;
use crate::clock::unix_ms;
use peerstar_core::page::member::Rights;
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::{PageKey, PeerId};
use peerstar_core::protocol::secret;

/// Allowed difference between the signer's clock and this server's, in seconds.
const LEEWAY_S: f64 = 30.0;
/// How far ahead `nbf` may be for the client to return and wait, in seconds. A clock with the wrong
/// time zone is at most 14 h off. A client whose `nbf` is further ahead is told not to return.
const WAIT_S: f64 = 86_400.0;
/// Smallest number that cannot be a time in seconds (year 33658). In milliseconds it is a time in
/// 2001.
const TOO_LATE_S: f64 = 1e12;

/// Claims of a ticket. Claims that are not listed here are ignored.
#[derive(Debug, Deserialize)]
struct Ticket {
    /// Name of the page that the ticket is for.
    page: Option<String>,
    /// Prefix of the names of the pages that the ticket is for. A ticket with neither is for peers
    /// without a page.
    page_prefix: Option<String>,
    /// Id that the ticket is for. A ticket without one is for any id.
    id: Option<String>,
    /// Time when the ticket expires, in seconds since 1970. Any JSON is read, so that an error can
    /// say what is wrong with it.
    exp: Option<Value>,
    /// Time from which on the ticket is valid, in seconds since 1970. Any JSON is read.
    nbf: Option<Value>,
    /// Whether the client may host.
    #[serde(default = "yes")]
    host: bool,
    /// Whether the client may use the relay.
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
    /// Returns a check of tickets that are signed with `secret` (`auth.ticket_secret`).
    #[must_use]
    pub fn new(secret: &str) -> Self {
        // one algorithm, whatever the ticket's header says
        let mut validation = Validation::new(Algorithm::HS256);
        // the times are checked here, with better errors than the library's
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.required_spec_claims.clear();
        // a site's tickets may be for other services as well
        validation.validate_aud = false;
        Self { key: DecodingKey::from_secret(secret.as_bytes()), validation }
    }

    /// Returns what the client `id` may do on the page `key` with `ticket`.
    ///
    /// # Errors
    /// Returns why the client is refused.
    pub fn check(
        &self,
        ticket: Option<&str>,
        key: &PageKey,
        id: &PeerId,
    ) -> Result<Rights, Refused> {
        self.check_at(ticket, key, id, unix_ms())
    }

    /// Checks a ticket like [`TicketCheck::check`], at the given time.
    fn check_at(
        &self,
        ticket: Option<&str>,
        key: &PageKey,
        id: &PeerId,
        unix_ms: u64,
    ) -> Result<Rights, Refused> {
        let ticket = ticket.ok_or_else(|| {
            refused("a ticket is needed: &ticket=, signed by the site of this page")
        })?;
        // backends that print the ticket add a line break
        let ticket = decode::<Ticket>(secret::trim(ticket), &self.key, &self.validation)
            .map_err(|e| why_not(e.kind()))?;
        let Ticket { page, page_prefix, id: for_id, exp, nbf, host, relay } = ticket.claims;
        check_times(exp.as_ref(), nbf.as_ref(), unix_ms as f64 / 1000.0)?;
        let fits = match (key, page.as_deref(), page_prefix.as_deref()) {
            (_, Some(_), Some(_)) => {
                return Err(refused(
                    "the ticket names a page and a page_prefix: one of them must do",
                ));
            }
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

/// Checks that a ticket is valid at `now`, in seconds since 1970.
fn check_times(exp: Option<&Value>, nbf: Option<&Value>, now: f64) -> Result<(), Refused> {
    let exp = seconds("exp", exp)?
        .ok_or_else(|| refused("the ticket lacks exp: when it runs out, in seconds since 1970"))?;
    let nbf = seconds("nbf", nbf)?;
    if nbf.is_some_and(|nbf| nbf - LEEWAY_S > exp + LEEWAY_S) {
        return Err(refused("the ticket is never valid: its nbf is after its exp"));
    }
    if exp < now - LEEWAY_S {
        let why = format!(
            "the ticket has run out {:.0} s ago by this server's clock: ask for a fresh one",
            now - exp
        );
        return Err(Refused(Close::TicketExpired, Some(why)));
    }
    let ahead = nbf.map_or(0.0, |nbf| nbf - now);
    if ahead > LEEWAY_S {
        let close = if ahead > WAIT_S { Close::TicketRefused } else { Close::TicketEarly };
        let why = format!(
            "the ticket is not valid before {ahead:.0} s from now by this server's clock (nbf)"
        );
        return Err(Refused(close, Some(why)));
    }
    Ok(())
}

/// Reads a NumericDate (RFC 7519, 2): a number of seconds since 1970, possibly with a fraction.
fn seconds(claim: &str, value: Option<&Value>) -> Result<Option<f64>, Refused> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let kind = match value {
        Value::Number(number) => match number.as_f64() {
            Some(time) if (0.0..TOO_LATE_S).contains(&time) => return Ok(Some(time)),
            Some(time) if time < 0.0 => "before 1970",
            _ => "too large: it must be in seconds since 1970, not in milliseconds",
        },
        Value::String(_) => "a text: it must be a number of seconds since 1970, without quotes",
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            "no number: it must be in seconds since 1970"
        }
    };
    Err(refused(&format!("the ticket's {claim} is {kind}")))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library may name more ways to be no good token"
)]
fn why_not(error: &ErrorKind) -> Refused {
    match error {
        ErrorKind::InvalidSignature => {
            refused("the ticket is not signed with this server's secret")
        }
        ErrorKind::InvalidAlgorithm => refused("the ticket must be signed with HS256"),
        ErrorKind::Json(why) => refused(&format!(
            "the ticket is not as it should be: {why} (exp and nbf are numbers of seconds since 1970)"
        )),
        _ => refused("the ticket is not a JSON Web Token"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::unix_ms;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use peerstar_core::protocol::id::PageName;
    use serde_json::{Value, json};

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn signed(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
        let key = EncodingKey::from_secret(secret.as_bytes());
        encode(&Header::new(algorithm), claims, &key).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Returns the rights, or the close's name and text.
    fn check(ticket: &str, page: Option<&str>) -> Result<Rights, (&'static str, String)> {
        let key = page.map_or(PageKey::Pageless, |page| {
            PageKey::Named(PageName::parse(page).unwrap_or_else(|e| panic!("{e}")))
        });
        let id = PeerId::parse("ann").unwrap_or_else(|e| panic!("{e}"));
        let checked =
            TicketCheck::new(SECRET).check(Some(ticket).filter(|t| !t.is_empty()), &key, &id);
        checked.map_err(|Refused(close, words)| (close.name(), words.unwrap_or_default()))
    }

    fn exp(after_s: i64) -> i64 {
        unix_ms() as i64 / 1000 + after_s
    }

    #[test]
    fn a_ticket_admits_to_the_page_that_it_names() {
        for (claims, page) in [
            (json!({"page": "https://a.org/x"}), Some("https://a.org/x")),
            (json!({"page_prefix": "https://a.org/"}), Some("https://a.org/x")),
            (json!({"page_prefix": ""}), Some("p")),
            (json!({"page": "p", "id": "ann"}), Some("p")),
            (json!({"page": "p", "aud": "others", "sub": "u17", "nbf": exp(20)}), Some("p")),
            (json!({}), None),
        ] {
            let mut claims = claims;
            // expired, but within the leeway
            claims["exp"] = json!(exp(-15));
            assert_eq!(
                check(&signed(Algorithm::HS256, SECRET, &claims), page),
                Ok(Rights::ALL),
                "{claims}"
            );
        }
        let claims = json!({"page": "p", "exp": exp(60), "host": false, "relay": false});
        let rights = check(&signed(Algorithm::HS256, SECRET, &claims), Some("p"));
        assert_eq!(rights, Ok(Rights { host: false, relay: false }));
    }

    #[test]
    fn a_refusal_says_what_is_wrong_with_the_ticket() {
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
            (
                sign(&json!({"page": 7, "exp": exp(60)})),
                Some("p"),
                "ticket-refused",
                "not as it should be",
            ),
            (
                sign(&json!({"page": "p", "exp": exp(60), "host": "no"})),
                Some("p"),
                "ticket-refused",
                "not as it should be",
            ),
            (sign(&good), Some("pp"), "ticket-refused", "another page"),
            (sign(&good), None, "ticket-refused", "another page"),
            (
                sign(&json!({"page_prefix": "", "exp": exp(60)})),
                None,
                "ticket-refused",
                "another page",
            ),
            (sign(&json!({"exp": exp(60)})), Some("p"), "ticket-refused", "another page"),
            (
                sign(&json!({"page": "p", "page_prefix": "p", "exp": exp(60)})),
                Some("p"),
                "ticket-refused",
                "one of them",
            ),
            (
                sign(&json!({"page": "p", "id": "bob", "exp": exp(60)})),
                Some("p"),
                "ticket-refused",
                "another id",
            ),
        ] {
            let checked = check(&ticket, page);
            let (name, said) =
                checked.err().unwrap_or_else(|| panic!("let in: {ticket} on {page:?}"));
            assert!(
                name == close && said.contains(words),
                "{name} {said:?}, not {close} {words:?}"
            );
        }
    }

    #[test]
    fn white_space_around_a_ticket_is_ignored() {
        let ticket = signed(Algorithm::HS256, SECRET, &json!({"page": "p", "exp": exp(60)}));
        for ticket in
            [format!("{ticket}\n"), format!(" {ticket}\r\n"), format!("\u{feff}{ticket}\t")]
        {
            assert_eq!(check(&ticket, Some("p")), Ok(Rights::ALL), "{ticket:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_is_wrong_with_the_times_and_whether_to_return() {
        const NOW: u64 = 1_800_000_000;
        let id = PeerId::parse("ann").unwrap_or_else(|e| panic!("{e}"));
        let tickets = TicketCheck::new(SECRET);
        let check = |times: &Value| {
            let mut ticket = times.clone();
            ticket["page_prefix"] = "".into();
            let ticket = signed(Algorithm::HS256, SECRET, &ticket);
            let page = PageKey::Named(PageName::parse("p").unwrap_or_else(|e| panic!("{e}")));
            let checked = tickets.check_at(Some(&ticket), &page, &id, NOW * 1000);
            checked.map_or_else(
                |Refused(close, words)| (close.name(), words.unwrap_or_default()),
                |_| ("", String::new()),
            )
        };
        for (times, close, words) in [
            (json!({"exp": NOW - 30}), "", ""),
            (json!({"exp": NOW as f64 + 0.5}), "", ""),
            (json!({"exp": 253_402_300_799_u64}), "", ""),
            (json!({"exp": NOW + 60, "nbf": NOW + 30}), "", ""),
            (json!({"exp": NOW + 60, "nbf": null}), "", ""),
            (json!({"exp": NOW - 31}), "ticket-expired", "31 s ago"),
            (json!({"exp": 0}), "ticket-expired", "fresh one"),
            (json!({"exp": NOW + 60, "nbf": NOW + 45}), "ticket-early", "45 s from now"),
            (json!({"exp": NOW + 90_000, "nbf": NOW + 86_400}), "ticket-early", "nbf"),
            (json!({"exp": NOW + 90_000, "nbf": NOW + 86_401}), "ticket-refused", "nbf"),
            (json!({"exp": NOW + 60, "nbf": NOW + 60}), "ticket-early", "60 s from now"),
            (json!({"exp": NOW + 60, "nbf": NOW + 121}), "ticket-refused", "never valid"),
            (json!({"exp": NOW - 60, "nbf": NOW + 1}), "ticket-refused", "never valid"),
            (json!({}), "ticket-refused", "lacks exp"),
            (json!({"exp": null}), "ticket-refused", "lacks exp"),
            (json!({"exp": "soon"}), "ticket-refused", "exp is a text"),
            (json!({"exp": NOW.to_string()}), "ticket-refused", "without quotes"),
            (json!({"exp": true}), "ticket-refused", "exp is no number"),
            (json!({"exp": [NOW + 60]}), "ticket-refused", "exp and nbf are numbers of seconds"),
            (json!({"exp": (NOW + 60) * 1000}), "ticket-refused", "not in milliseconds"),
            (json!({"exp": 1e300}), "ticket-refused", "not in milliseconds"),
            (json!({"exp": -1}), "ticket-refused", "before 1970"),
            (json!({"exp": NOW + 60, "nbf": "now"}), "ticket-refused", "nbf is a text"),
            (
                json!({"exp": NOW + 60, "nbf": (NOW - 60) * 1000}),
                "ticket-refused",
                "nbf is too large",
            ),
            (json!({"exp": NOW + 60, "nbf": -5}), "ticket-refused", "nbf is before 1970"),
        ] {
            let (name, said) = check(&times);
            assert!(
                name == close && said.contains(words),
                "{times}: {name:?} {said:?}, not {close:?} {words:?}"
            );
        }
    }
}
