//! Connects to Redis, and says in one line why a Redis cannot serve.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue,
    IntoConnectionInfo, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError, Value,
};

use super::address::{Address, Encryption};

/// The oldest Redis that serves.
const OLDEST: (u64, u64) = (6, 2);

/// Why there is no connection that serves. The text is one line for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No connection, or it ended.
    #[error("Redis cannot be reached: {0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("Redis did not answer within {0:?}")]
    Silent(Duration),
    /// Wrong user or password, or none.
    #[error("Redis refuses the user or password of cluster.url: {0}")]
    Password(String),
    /// The user may not do what is needed.
    #[error(
        "Redis forbids the user of cluster.url something that is needed (docs/DEPLOY.md has an ACL line): {0}"
    )]
    Forbidden(String),
    /// Too old.
    #[error("Redis {0} is too old; it must be 6.2 or newer, or Valkey")]
    TooOld(String),
    /// Redis Cluster or Sentinel.
    #[error(
        "this is Redis in the mode {0:?}; it must be a single Redis (standalone), with replicas or without"
    )]
    Mode(String),
    /// A replica.
    #[error("this Redis is a read-only replica; cluster.url must lead to the master")]
    Replica,
    /// Another error.
    #[error("Redis says: {0}")]
    Other(String),
}

impl Refusal {
    /// Returns whether trying again is of no use: another Redis is needed.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::TooOld(_) | Self::Mode(_))
    }
}

impl From<RedisError> for Refusal {
    fn from(error: RedisError) -> Self {
        let text = said(&error);
        match (error.kind(), error.code()) {
            (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => {
                Self::Password(text)
            }
            (ErrorKind::RESP3NotSupported, _) => Self::TooOld("before 6".to_owned()),
            (ErrorKind::Io, _) => Self::Unreachable(text),
            (_, Some("NOPERM")) => Self::Forbidden(text),
            _ if text.contains("WRONGPASS") || text.contains("NOAUTH") => Self::Password(text),
            _ => Self::Other(text),
        }
    }
}

/// Returns what Redis said, as it said it, or what else went wrong.
#[must_use]
pub fn said(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => error.to_string(),
    }
}

/// How long Redis has for an answer while a connection is made.
#[derive(Debug, Clone, Copy)]
pub struct Patience(pub Duration);

impl Patience {
    /// Waits for an answer.
    ///
    /// # Errors
    /// When the answer is an error, or does not come in time.
    pub async fn wait<T, E: Into<Refusal>>(
        self,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Refusal> {
        let answer = tokio::time::timeout(self.0, answer).await;
        answer.map_err(|_| Refusal::Silent(self.0))?.map_err(Into::into)
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// When the answer is an error, does not come in time, or is not of this type.
    pub async fn ask<T: FromRedisValue>(
        self,
        connection: &mut MultiplexedConnection,
        command: &Cmd,
    ) -> Result<T, Refusal> {
        self.wait(command.query_async(connection)).await
    }
}

fn client(address: &Address) -> Result<Client, RedisError> {
    let (host, port) = (address.host.clone(), address.port);
    let place = match address.encryption {
        Encryption::None => ConnectionAddr::Tcp(host, port),
        Encryption::Verified | Encryption::AnyCertificate => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: address.encryption == Encryption::AnyCertificate,
            tls_params: None,
        },
    };
    let mut login = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_skip_set_lib_name()
        .set_db(address.database);
    if let Some(user) = &address.user {
        login = login.set_username(user);
    }
    if !address.password.is_empty() {
        login = login.set_password(address.password.expose());
    }
    // without it, small commands wait for the acknowledgement of the last ones
    let tcp = TcpSettings::default().set_nodelay(true);
    Client::open(place.into_connection_info()?.set_redis_settings(login).set_tcp_settings(tcp))
}

/// Makes a connection. The name of the host is resolved anew each time. `pushed` is told what is
/// published to this connection, and that it ended.
///
/// # Errors
/// When there is no connection within `patience`, or Redis refuses the login.
pub async fn connect(
    address: &Address,
    patience: Patience,
    pushed: impl Fn(PushInfo) + Send + Sync + 'static,
) -> Result<MultiplexedConnection, Refusal> {
    let pushed = move |info| {
        pushed(info);
        Ok::<_, std::convert::Infallible>(())
    };
    // who waits for an answer measures the time, here and later
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_push_sender(pushed);
    let client = client(address)?;
    patience.wait(client.get_multiplexed_async_connection_with_config(&config)).await
}

/// Checks that a Redis can serve.
///
/// # Errors
/// When it is too old, of another mode, or a replica.
pub async fn check(
    connection: &mut MultiplexedConnection,
    patience: Patience,
) -> Result<(), Refusal> {
    let hello: Value = patience.ask(connection, redis::cmd("HELLO").arg(3)).await?;
    let entries = hello.as_map_iter().into_iter().flatten();
    let (mut server, mut version) = (String::new(), String::new());
    for (name, value) in entries {
        let text = String::from_redis_value_ref(value).unwrap_or_default();
        match String::from_redis_value_ref(name).unwrap_or_default().as_str() {
            "server" => server = text,
            "version" => version = text,
            "mode" if text != "standalone" => return Err(Refusal::Mode(text)),
            "role" if text != "master" => return Err(Refusal::Replica),
            _ => {}
        }
    }
    // Valkey counts its versions from 7.2
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    let number = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if server == "redis" && number < OLDEST {
        return Err(Refusal::TooOld(version));
    }
    Ok(())
}

/// Returns what the operator should know of a Redis that serves, as one line: that it may throw
/// away keys when its memory is full.
pub async fn warning(connection: &mut MultiplexedConnection, patience: Patience) -> Option<String> {
    // INFO may be forbidden
    let info: String = patience.ask(connection, redis::cmd("INFO").arg("memory")).await.ok()?;
    let policy = info.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"))?.trim();
    // what a cluster keeps has no time to live, so volatile policies never evict it
    policy.starts_with("allkeys").then(|| {
        format!(
            "Redis has maxmemory-policy {policy}: when its memory is full it throws away what the \
             cluster needs; set it to noeviction"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_commands_are_sent_at_once() {
        for url in ["redis://h", "rediss://h#insecure"] {
            let address = Address::parse(url, |_| None).unwrap().unwrap();
            assert!(client(&address).unwrap().get_connection_info().tcp_settings().nodelay());
        }
    }
}
