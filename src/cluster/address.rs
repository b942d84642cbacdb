//! `cluster.url`: where the cluster's Redis is, and how it is used.

use std::fmt;

use peerstar_core::protocol::secret::Secret;
use percent_encoding::percent_decode_str;
use url::Url;

/// The beginning of a cluster's names in Redis, unless the URL says otherwise.
const PREFIX: &str = "peerstar";
/// Length of the longest prefix, in bytes.
const MAX_PREFIX: usize = 64;
/// Begins the name of the environment variable that holds the URL.
const FROM_ENVIRONMENT: &str = "env:";

/// Where the cluster's Redis is.
///
/// `Display` and `Debug` show the URL without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// A host name or an IP address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// Whether and how the connection is encrypted.
    pub encryption: Encryption,
    /// The user, for a Redis with more than one.
    pub user: Option<String>,
    /// The password. Empty if the Redis has none.
    pub password: Secret,
    /// Number of the database.
    pub database: i64,
    /// The beginning of all names of this cluster. Clusters with different prefixes may share a
    /// Redis.
    pub prefix: String,
}

/// How a connection to Redis is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Not at all (`redis://`).
    None,
    /// TLS, with a certificate that the system trusts (`rediss://`).
    Verified,
    /// TLS with any certificate (`rediss://…#insecure`).
    AnyCertificate,
}

/// Why `cluster.url` says no address. The text never repeats the URL, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// The variable of `env:NAME` is not set, or empty.
    #[error(
        "the environment variable {0} is not set; it must hold a URL such as redis://host:6379"
    )]
    NoVariable(String),
    /// The variable of `env:NAME` holds another `env:NAME`.
    #[error("the environment variable {0} must hold a URL, not the name of another variable")]
    VariableAgain(String),
    /// It is no URL.
    #[error("is no URL ({0}); it must look like redis://user:password@host:6379/0")]
    NoUrl(url::ParseError),
    /// The scheme is not one of Redis.
    #[error(
        "must begin with redis://, rediss:// (TLS) or env: (the name of an environment variable)"
    )]
    Scheme,
    /// There is no host.
    #[error("names no host; it must look like redis://host:6379")]
    NoHost,
    /// User or password are not UTF-8, or have control characters.
    #[error(
        "user and password must be text without control characters, with %40 for @ and %2F for /"
    )]
    BadPassword,
    /// The path is no database.
    #[error("has a path that is no number of a database, such as /0")]
    BadDatabase,
    /// There is a query.
    #[error("must have no ?; options follow #: insecure, prefix=name, and & between them")]
    Query,
    /// There is an unknown option.
    #[error("has an unknown option after #; there are insecure, prefix=name, and & between them")]
    BadOption,
    /// `#insecure` without TLS.
    #[error("#insecure is for rediss:// only: it accepts any certificate")]
    InsecureWithoutTls,
    /// The prefix is none.
    #[error("#prefix= must be 1 to 64 letters, digits, and any of _ . -")]
    BadPrefix,
}

impl Address {
    /// Reads `cluster.url`: `redis://` or `rediss://`, or `env:NAME` for an environment variable
    /// that holds one. Both may have options after `#`. An empty text is no address.
    ///
    /// `variable` returns the value of an environment variable.
    ///
    /// # Errors
    /// When the text or the variable says no address.
    pub fn parse(
        text: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, BadAddress> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let Some(named) = text.strip_prefix(FROM_ENVIRONMENT) else {
            return Self::of_url(text).map(Some);
        };
        let (name, options) = named.split_once('#').map_or((named, None), |(n, o)| (n, Some(o)));
        let value = variable(name).unwrap_or_default();
        let value = value.trim();
        if value.is_empty() {
            return Err(BadAddress::NoVariable(name.to_owned()));
        }
        if value.starts_with(FROM_ENVIRONMENT) {
            return Err(BadAddress::VariableAgain(name.to_owned()));
        }
        let mut address = Self::of_url(value)?;
        if let Some(options) = options {
            address.take_options(options)?;
        }
        Ok(Some(address))
    }

    fn of_url(text: &str) -> Result<Self, BadAddress> {
        let url = Url::parse(text).map_err(BadAddress::NoUrl)?;
        let encryption = match url.scheme() {
            "redis" => Encryption::None,
            "rediss" => Encryption::Verified,
            _ => return Err(BadAddress::Scheme),
        };
        if url.query().is_some() {
            return Err(BadAddress::Query);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(BadAddress::NoHost)?;
        let user = decode(url.username())?;
        let password = decode(url.password().unwrap_or_default())?;
        let database = match url.path().trim_matches('/') {
            "" => 0,
            number => number.parse::<u16>().map_err(|_| BadAddress::BadDatabase)?.into(),
        };
        let mut address = Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(6379),
            encryption,
            user: (!user.is_empty()).then_some(user),
            password: Secret::parse(&password).map_err(|_| BadAddress::BadPassword)?,
            database,
            prefix: PREFIX.to_owned(),
        };
        address.take_options(url.fragment().unwrap_or_default())?;
        Ok(address)
    }

    fn take_options(&mut self, options: &str) -> Result<(), BadAddress> {
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                None if option == "insecure" => {
                    if self.encryption == Encryption::None {
                        return Err(BadAddress::InsecureWithoutTls);
                    }
                    self.encryption = Encryption::AnyCertificate;
                }
                Some(("prefix", name)) => {
                    let is_good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
                    if !(1..=MAX_PREFIX).contains(&name.len()) || !name.chars().all(is_good) {
                        return Err(BadAddress::BadPrefix);
                    }
                    name.clone_into(&mut self.prefix);
                }
                _ => return Err(BadAddress::BadOption),
            }
        }
        Ok(())
    }
}

fn decode(part: &str) -> Result<String, BadAddress> {
    let text = percent_decode_str(part).decode_utf8().map_err(|_| BadAddress::BadPassword)?;
    if text.chars().any(char::is_control) {
        return Err(BadAddress::BadPassword);
    }
    Ok(text.into_owned())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.encryption {
            Encryption::None => "redis://",
            Encryption::Verified | Encryption::AnyCertificate => "rediss://",
        })?;
        let user = self.user.as_deref().unwrap_or_default();
        match (user, self.password.is_empty()) {
            ("", true) => {}
            (user, true) => write!(f, "{user}@")?,
            (user, false) => write!(f, "{user}:***@")?,
        }
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        write!(f, ":{}/{}#prefix={}", self.port, self.database, self.prefix)?;
        match self.encryption {
            Encryption::AnyCertificate => f.write_str("&insecure"),
            Encryption::None | Encryption::Verified => Ok(()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, BadAddress> {
        let variable = |name: &str| match name {
            "REDIS_URL" => Some("rediss://:s3cret@h.example:7000\n".to_owned()),
            "LOOP" => Some("env:REDIS_URL".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        Address::parse(text, variable).map(Option::unwrap)
    }

    #[test]
    fn every_part_of_a_url_is_read() {
        let address = parse("rediss://ann:p%40ss%2F@h.example:7000/3#insecure&prefix=two").unwrap();
        assert_eq!(address.host, "h.example");
        assert_eq!(address.port, 7000);
        assert_eq!(address.encryption, Encryption::AnyCertificate);
        assert_eq!(address.user.as_deref(), Some("ann"));
        assert_eq!(address.password.expose(), "p@ss/");
        assert_eq!((address.database, &*address.prefix), (3, "two"));

        let plain = parse(" redis://localhost ").unwrap();
        assert_eq!((&*plain.host, plain.port, plain.database), ("localhost", 6379, 0));
        assert_eq!((plain.encryption, plain.user), (Encryption::None, None));
        assert!(plain.password.is_empty() && plain.prefix == "peerstar");
        assert_eq!(parse("redis://[::1]:1/").unwrap().host, "::1");
        assert_eq!(Address::parse("  ", |_| None), Ok(None), "no cluster");
    }

    #[test]
    fn a_variable_may_hold_the_url() {
        let address = parse("env:REDIS_URL#insecure").unwrap();
        assert_eq!((&*address.host, address.port), ("h.example", 7000));
        assert_eq!(address.encryption, Encryption::AnyCertificate);
        assert_eq!(address.password.expose(), "s3cret");
        assert_eq!(parse("env:REDIS_URL").unwrap().encryption, Encryption::Verified);
        assert_eq!(parse("env:NONE"), Err(BadAddress::NoVariable("NONE".into())));
        assert_eq!(parse("env:EMPTY"), Err(BadAddress::NoVariable("EMPTY".into())));
        assert_eq!(parse("env:LOOP"), Err(BadAddress::VariableAgain("LOOP".into())));
    }

    #[test]
    fn a_refused_url_names_the_rule_that_it_breaks() {
        for (text, error) in [
            ("localhost:6379", BadAddress::Scheme),
            ("http://localhost", BadAddress::Scheme),
            ("/tmp/redis", BadAddress::NoUrl(url::ParseError::RelativeUrlWithoutBase)),
            ("redis://", BadAddress::NoHost),
            ("redis://h/x", BadAddress::BadDatabase),
            ("redis://h/-1", BadAddress::BadDatabase),
            ("redis://h/?protocol=resp2", BadAddress::Query),
            ("redis://:%ff@h", BadAddress::BadPassword),
            ("redis://:a%0ab@h", BadAddress::BadPassword),
            ("redis://h#insecure", BadAddress::InsecureWithoutTls),
            ("rediss://h#Insecure", BadAddress::BadOption),
            ("rediss://h#prefix", BadAddress::BadOption),
            ("redis://h#prefix=", BadAddress::BadPrefix),
            ("redis://h#prefix=a*", BadAddress::BadPrefix),
            (&format!("redis://h#prefix={}", "a".repeat(65)), BadAddress::BadPrefix),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (text, shown) in [
            ("redis://h", "redis://h:6379/0#prefix=peerstar"),
            ("redis://ann:s3cret@h:1/2", "redis://ann:***@h:1/2#prefix=peerstar"),
            ("env:REDIS_URL#insecure", "rediss://:***@h.example:7000/0#prefix=peerstar&insecure"),
            ("redis://ann@[::1]", "redis://ann@[::1]:6379/0#prefix=peerstar"),
        ] {
            let address = parse(text).unwrap();
            assert_eq!((address.to_string(), format!("{address:?}")), (shown.into(), shown.into()));
            let again = parse(&shown.replace("***", "s3cret")).unwrap();
            assert_eq!(again, address, "what is shown is an address, but for the password");
        }
    }
}
