//! Join tickets: JSON Web Tokens (RFC 7519) with which a site says who may join which page.

use std::sync::Arc;

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

/// Difference that is allowed between the signer's clock and the server's, in seconds.
const LEEWAY_S: f64 = 30.0;
/// Time from now to `nbf` that a client may wait out, in seconds. A clock with the wrong time zone
/// is at most 14 h off. For longer, the client is not told to come back.
const WAIT_S: f64 = 86_400.0;
/// The first number that is no time in seconds. In seconds it is in the year 33658, in milliseconds
/// in 2001.
const TOO_LATE_S: f64 = 1e12;

/// Claims of a ticket. Other claims are ignored.
#[derive(Debug, Deserialize)]
struct Ticket {
    /// Name of the page that the ticket is for.
    page: Option<String>,
    /// Start of the names of the pages that the ticket is for. A ticket with neither claim is for
    /// clients without a page.
    page_prefix: Option<String>,
    /// The id that the ticket is for, or nothing for any id.
    id: Option<String>,
    /// When the ticket runs out, in seconds since 1970. Any JSON is read, so that the error can say
    /// what is wrong with it.
    exp: Option<Value>,
    /// When the ticket becomes valid, in the form of `exp`.
    nbf: Option<Value>,
    /// Whether the bearer may host.
    #[serde(default = "yes")]
    host: bool,
    /// Whether the bearer may use the relay.
    #[serde(default = "yes")]
    relay: bool,
}

const fn yes() -> bool {
    true
}

/// Why a ticket does not let its bearer in. The message is for the author of the ticket.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message explains its variant")]
pub enum TicketError {
    #[error("a ticket is needed: &ticket=, signed by the site of this page")]
    Missing,
    #[error("the ticket is not a JSON Web Token")]
    NotAToken,
    #[error("the ticket must be signed with HS256")]
    Algorithm,
    #[error("the ticket is not signed with this server's secret")]
    Signature,
    #[error(
        "the ticket is not as it should be: {0} (exp and nbf are numbers of seconds since 1970)"
    )]
    Claims(Arc<serde_json::Error>),
    #[error("the ticket's {claim} is {problem}")]
    Time { claim: &'static str, problem: TimeProblem },
    #[error("the ticket lacks exp: when it runs out, in seconds since 1970")]
    NoExpiry,
    #[error("the ticket is never valid: its nbf is after its exp")]
    NeverValid,
    #[error("the ticket has run out {ago_s:.0} s ago by this server's clock: ask for a fresh one")]
    Expired { ago_s: f64 },
    #[error("the ticket is not valid before {ahead_s:.0} s from now by this server's clock (nbf)")]
    NotYetValid { ahead_s: f64 },
    #[error("the ticket names a page and a page_prefix: one of them must do")]
    PageAndPrefix,
    #[error("the ticket is for another page")]
    OtherPage,
    #[error("the ticket is for another id")]
    OtherId,
}

/// Why a claim is no time.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[expect(missing_docs, reason = "each message explains its variant")]
pub enum TimeProblem {
    #[error("before 1970")]
    Negative,
    #[error("too large: it must be in seconds since 1970, not in milliseconds")]
    TooLarge,
    #[error("a text: it must be a number of seconds since 1970, without quotes")]
    Text,
    #[error("no number: it must be in seconds since 1970")]
    NotANumber,
}

impl TicketError {
    /// Returns the close that tells the client whether to come back.
    const fn close(&self) -> Close {
        match self {
            Self::Expired { .. } => Close::TicketExpired,
            Self::NotYetValid { ahead_s } if *ahead_s <= WAIT_S => Close::TicketEarly,
            Self::NotYetValid { .. }
            | Self::Missing
            | Self::NotAToken
            | Self::Algorithm
            | Self::Signature
            | Self::Claims(_)
            | Self::Time { .. }
            | Self::NoExpiry
            | Self::NeverValid
            | Self::PageAndPrefix
            | Self::OtherPage
            | Self::OtherId => Close::TicketRefused,
        }
    }
}

impl From<TicketError> for Refused {
    fn from(error: TicketError) -> Self {
        Self(error.close(), Some(error.to_string()))
    }
}

impl From<&ErrorKind> for TicketError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library may name more kinds of error")]
    fn from(kind: &ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidSignature => Self::Signature,
            ErrorKind::InvalidAlgorithm => Self::Algorithm,
            ErrorKind::Json(error) => Self::Claims(Arc::clone(error)),
            _ => Self::NotAToken,
        }
    }
}

/// Checks tickets with the secret that they are signed with.
pub struct TicketCheck {
    key: DecodingKey,
    validation: Validation,
}

impl TicketCheck {
    /// Creates a check for tickets that are signed with `secret` (`auth.ticket_secret`).
    #[must_use]
    pub fn new(secret: &str) -> Self {
        // one algorithm, whatever the header of a ticket says
        let mut validation = Validation::new(Algorithm::HS256);
        // `check_times` checks the times, because its errors say more than the library's
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.required_spec_claims.clear();
        // a site may use its tickets for other services, too
        validation.validate_aud = false;
        Self { key: DecodingKey::from_secret(secret.as_bytes()), validation }
    }

    /// Returns what the bearer of `ticket` may do as `id` on the page `key`.
    ///
    /// # Errors
    /// When the ticket does not let its bearer in.
    pub fn check(
        &self,
        ticket: Option<&str>,
        key: &PageKey,
        id: &PeerId,
    ) -> Result<Rights, TicketError> {
        self.check_at(ticket, key, id, unix_ms())
    }

    /// Does what [`TicketCheck::check`] does, at a given time.
    fn check_at(
        &self,
        ticket: Option<&str>,
        key: &PageKey,
        id: &PeerId,
        unix_ms: u64,
    ) -> Result<Rights, TicketError> {
        let ticket = ticket.ok_or(TicketError::Missing)?;
        // a ticket that a command printed ends with a line break
        let ticket = decode::<Ticket>(secret::trim(ticket), &self.key, &self.validation)
            .map_err(|error| TicketError::from(error.kind()))?;
        let Ticket { page, page_prefix, id: for_id, exp, nbf, host, relay } = ticket.claims;
        check_times(exp.as_ref(), nbf.as_ref(), unix_ms as f64 / 1000.0)?;
        let fits = match (key, page.as_deref(), page_prefix.as_deref()) {
            (_, Some(_), Some(_)) => return Err(TicketError::PageAndPrefix),
            (PageKey::Named(name), Some(page), None) => name.as_str() == page,
            (PageKey::Named(name), None, Some(prefix)) => name.as_str().starts_with(prefix),
            (PageKey::Pageless, page, prefix) => page.or(prefix).is_none(),
            (PageKey::Named(_), None, None) => false,
        };
        if !fits {
            return Err(TicketError::OtherPage);
        }
        if for_id.is_some_and(|allowed| allowed != id.as_str()) {
            return Err(TicketError::OtherId);
        }
        Ok(Rights { host, relay })
    }
}

/// Checks that a ticket is valid at `now`, in seconds since 1970.
fn check_times(exp: Option<&Value>, nbf: Option<&Value>, now: f64) -> Result<(), TicketError> {
    let exp = seconds("exp", exp)?.ok_or(TicketError::NoExpiry)?;
    let nbf = seconds("nbf", nbf)?;
    if nbf.is_some_and(|nbf| nbf - LEEWAY_S > exp + LEEWAY_S) {
        return Err(TicketError::NeverValid);
    }
    if exp < now - LEEWAY_S {
        return Err(TicketError::Expired { ago_s: now - exp });
    }
    let ahead_s = nbf.map_or(0.0, |nbf| nbf - now);
    if ahead_s > LEEWAY_S {
        return Err(TicketError::NotYetValid { ahead_s });
    }
    Ok(())
}

/// Reads a NumericDate (RFC 7519, 2): a number of seconds since 1970, which may have a fraction.
fn seconds(claim: &'static str, value: Option<&Value>) -> Result<Option<f64>, TicketError> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let problem = match value {
        Value::Number(number) => match number.as_f64() {
            Some(time) if (0.0..TOO_LATE_S).contains(&time) => return Ok(Some(time)),
            Some(time) if time < 0.0 => TimeProblem::Negative,
            _ => TimeProblem::TooLarge,
        },
        Value::String(_) => TimeProblem::Text,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            TimeProblem::NotANumber
        }
    };
    Err(TicketError::Time { claim, problem })
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

    /// Returns the close and the words of a refusal, or the rights.
    fn check(ticket: &str, page: Option<&str>) -> Result<Rights, (&'static str, String)> {
        let key = page.map_or(PageKey::Pageless, |page| {
            PageKey::Named(PageName::parse(page).unwrap_or_else(|e| panic!("{e}")))
        });
        let id = PeerId::parse("ann").unwrap_or_else(|e| panic!("{e}"));
        let checked =
            TicketCheck::new(SECRET).check(Some(ticket).filter(|t| !t.is_empty()), &key, &id);
        checked.map_err(|error| (error.close().name(), error.to_string()))
    }

    fn exp(after_s: i64) -> i64 {
        unix_ms() as i64 / 1000 + after_s
    }

    #[test]
    fn a_ticket_opens_the_pages_that_it_names() {
        for (claims, page) in [
            (json!({"page": "https://a.org/x"}), Some("https://a.org/x")),
            (json!({"page_prefix": "https://a.org/"}), Some("https://a.org/x")),
            (json!({"page_prefix": ""}), Some("p")),
            (json!({"page": "p", "id": "ann"}), Some("p")),
            (json!({"page": "p", "aud": "others", "sub": "u17", "nbf": exp(20)}), Some("p")),
            (json!({}), None),
        ] {
            let mut claims = claims;
            // run out, but within the leeway
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
    fn a_refused_ticket_is_refused_with_the_reason() {
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
            let refused = check(&ticket, page).err();
            let (name, error) = refused.unwrap_or_else(|| panic!("let in: {ticket} on {page:?}"));
            assert!(
                name == close && error.contains(words),
                "{name} {error:?}, not {close} {words:?}"
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
    fn times_are_checked_and_a_ticket_that_will_be_valid_is_worth_a_wait() {
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
                |error| (error.close().name(), error.to_string()),
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
            let (name, error) = check(&times);
            assert!(
                name == close && error.contains(words),
                "{times}: {name:?} {error:?}, not {close:?} {words:?}"
            );
        }
    }
}
