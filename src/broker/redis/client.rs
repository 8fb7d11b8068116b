//! Connections for commands, and how what goes wrong on them is told.

use super::super::url::{Address, BrokerUrl, Server};
use super::unsupported;
use crate::error::{Error, LOGIN, Result};
use ::redis::aio::MultiplexedConnection;
use ::redis::io::tcp::TcpSettings;
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo,
    RedisConnectionInfo, RedisError,
};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long connecting, and how long an answer, may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// The longest sentence that is read from a server that closes at once, in bytes.
const PARTING_WORDS: u64 = 512;

/// The first server that answers, of those a URL names, and a connection for commands to it.
///
/// # Errors
/// [`Error::Unsupported`] for a transport that is not Redis in the clear, [`Error::Broker`] with the
/// last server's reason where none answers.
pub(crate) async fn reachable(url: &BrokerUrl) -> Result<(Server, MultiplexedConnection)> {
    if url.transport() != "redis" {
        return Err(unsupported(url));
    }
    let mut refused = unsupported(url);
    for server in url.servers() {
        match commands(server).await {
            Ok(commands) => return Ok((server.clone(), commands)),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// A connection for commands; every answer comes within 3 s or is an error.
///
/// # Errors
/// [`Error::Broker`].
pub(crate) async fn commands(server: &Server) -> Result<MultiplexedConnection> {
    let address = match server.address() {
        Address::Tcp { host, port } => ConnectionAddr::Tcp(host.clone(), *port),
        Address::Unix(path) => ConnectionAddr::Unix(path.clone()),
    };
    let mut login = RedisConnectionInfo::default()
        .set_db(i64::from(server.db()))
        .set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    if let Some(user) = server.user() {
        login = login.set_username(user);
    }
    if let Some(password) = server.password() {
        login = login.set_password(password);
    }
    let failed = |error: RedisError| match (is_login(&error), server.password()) {
        (false, _) => broken("connect", &error),
        (true, Some(_)) => broken(LOGIN, &error),
        (true, None) => {
            let reason = format!("{} (the URL has no password)", reason(&error));
            Error::Broker { operation: LOGIN.into(), reason }
        }
    };
    let info = address
        .into_connection_info()
        .map_err(failed)?
        .set_redis_settings(login)
        .set_tcp_settings(TcpSettings::default().set_nodelay(true));
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let client = Client::open(info).map_err(failed)?;
    let greeted = async {
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        // A server that wants a password lets everybody in, and refuses what comes then.
        ping(&mut connection).await.map(|()| connection)
    };
    match timeout(PATIENCE, greeted).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) if error.is_io_error() => match parting_words(server).await {
            Some(reason) => Err(Error::Broker { operation: "connect".into(), reason }),
            None => Err(failed(error)),
        },
        Ok(Err(error)) => Err(failed(error)),
        Err(_) => Err(silent("connect")),
    }
}

/// What a server says that closes a connection before it was asked anything, such as one that takes
/// no more clients. Who writes to it meets a broken pipe and never reads that.
async fn parting_words(server: &Server) -> Option<String> {
    let Address::Tcp { host, port } = server.address() else { return None };
    let read = async {
        let mut said = Vec::new();
        let mut stream = TcpStream::connect((host.as_str(), *port)).await?;
        let _ = (&mut stream).take(PARTING_WORDS).read_to_end(&mut said).await;
        std::io::Result::Ok(said)
    };
    let said = timeout(Duration::from_millis(200), read).await.ok()?.ok()?;
    let line = String::from_utf8_lossy(&said);
    let line = line.lines().next()?.strip_prefix('-')?;
    Some(line.strip_prefix("ERR ").unwrap_or(line).to_owned())
}

/// Whether a server answers. One that may not be pinged does, and so does one that cannot save what it
/// holds, and refuses that as it refuses every write (F51).
pub(crate) async fn ping(connection: &mut MultiplexedConnection) -> ::redis::RedisResult<()> {
    match ::redis::cmd("PING").query_async(connection).await {
        Err(error) if matches!(error.code(), Some("NOPERM" | "MISCONF")) => Ok(()),
        answered => answered,
    }
}

/// Whether user and password were refused, or none given where they are wanted.
fn is_login(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
}

/// A server that does not answer.
pub(super) fn silent(operation: &str) -> Error {
    Error::Broker { operation: operation.into(), reason: "no answer within 3 s".into() }
}

/// What a command's failure is to a caller: the server's or the system's own words.
pub(crate) fn broken(operation: &str, error: &RedisError) -> Error {
    Error::Broker { operation: operation.into(), reason: reason(error) }
}

/// Likewise, of a command that is never sent again blindly (F54): where its answer was lost, it may have
/// been done all the same.
pub(super) fn unanswered(operation: &str, error: &RedisError) -> Error {
    if error.is_io_error() || error.is_timeout() {
        let operation = operation.into();
        return Error::Unsure { operation, reason: reason(error), uuids: Vec::new() };
    }
    broken(operation, error)
}

/// The server's or the system's own words.
pub(crate) fn reason(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        _ if error.is_timeout() => "no answer within 3 s".into(),
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    }
}
