//! What kombu and Celery make of a URL's parts: defaults, databases, sockets, alternatives, and what
//! they refuse.

use super::parts::Parts;
use super::{Address, Server, is_redis};

/// `kombu/transport/__init__.py`
const TRANSPORTS: &[&str] = &[
    "amqp",
    "amqps",
    "pyamqp",
    "librabbitmq",
    "confluentkafka",
    "kafka",
    "memory",
    "redis",
    "rediss",
    "SQS",
    "sqs",
    "mongodb",
    "zookeeper",
    "sqlalchemy",
    "sqla",
    "SLMQ",
    "slmq",
    "filesystem",
    "qpid",
    "sentinel",
    "consul",
    "etcd",
    "azurestoragequeues",
    "azureservicebus",
    "pyro",
    "gcpubsub",
    "pgmq",
];

/// What kombu's `Connection` takes from the query of a broker's URL; `ssl_…` beside these.
const CONNECTION_PARAMETERS: &[&str] =
    &["insist", "ssl", "connect_timeout", "login_method", "heartbeat", "credential_provider"];

const CERT_REQS: &[&str] =
    &["CERT_REQUIRED", "CERT_OPTIONAL", "CERT_NONE", "required", "optional", "none"];

/// What a URL is for: Celery reads the same text differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// `broker_url`
    Broker,
    /// `result_backend`
    ResultBackend,
}

impl Use {
    pub(super) fn setting(self) -> &'static str {
        match self {
            Use::Broker => "broker_url",
            Use::ResultBackend => "result_backend",
        }
    }

    /// Where Celery goes when the URL names no host.
    pub(super) fn default_host(self) -> &'static str {
        match self {
            Use::Broker => "127.0.0.1",
            Use::ResultBackend => "localhost",
        }
    }
}

/// The servers of a URL, at least one, and sentences about what it does not mean.
pub(super) fn servers(text: &str, usage: Use) -> Result<(Vec<Server>, Vec<String>), String> {
    let mut warnings = Vec::new();
    // Python's urlsplit drops these, so a URL read from a file may end in a line break.
    let text = text.replace(['\t', '\r', '\n'], "");
    // Result backends know alternatives only where they are sentinels.
    let several = usage == Use::Broker || text.starts_with("sentinel");
    let (text, alternatives) = match text.split_once(';') {
        Some((first, others)) if several => (first, Some(others)),
        _ => (text.as_str(), None),
    };
    let first = server(text, usage, None, &mut warnings)?;
    let mut servers = vec![first.clone()];
    for text in alternatives.into_iter().flat_map(|texts| texts.split(';')) {
        let mut other = if text.contains("://") {
            server(text, usage, servers.last(), &mut warnings)?
        } else {
            alternative_host(text, &first)?
        };
        if first.transport == "sentinel" {
            other = sentinel(&first, other, &mut warnings);
        }
        servers.push(other);
    }
    Ok((servers, warnings))
}

fn server(
    text: &str,
    usage: Use,
    before: Option<&Server>,
    warnings: &mut Vec<String>,
) -> Result<Server, String> {
    let Some((scheme, _)) = text.split_once("://") else {
        return bare_host(text, usage, warnings);
    };
    if let Some((transport, kind)) = scheme.split_once('+') {
        check_transport(transport)?;
        if is_redis(transport) {
            let parts = Parts::split(&text[transport.len() + 1..])?;
            return redis_within(transport, kind, parts, usage, warnings);
        }
        return Ok(plain(transport, Parts::default(), None, usage));
    }
    if scheme == "unix" {
        return unix(Parts::split(text)?, warnings);
    }
    check_transport(scheme)?;
    if !is_redis(scheme) && !scheme.contains("amqp") {
        // How the others read their URL is theirs; we only know that we do not speak them.
        return Ok(plain(scheme, Parts::default(), None, usage));
    }
    let parts = Parts::split(text)?;
    if parts.fragment {
        warnings.push("everything behind `#` is ignored, as Celery does; a `#` is `%23`".into());
    }
    if usage == Use::Broker {
        check_query(&parts)?;
    }
    let db = match (usage, &parts.path, before) {
        _ if !is_redis(scheme) => 0,
        (Use::ResultBackend, path, _) => backend_db(path.as_deref(), parts.query("db"))?,
        (Use::Broker, None, Some(before)) => before.db,
        (Use::Broker, path, _) => broker_db(path.as_deref())?,
    };
    Ok(Server { db, ..plain(scheme, parts, before, usage) })
}

/// A server by kombu's general rule. What an alternative leaves out, it has from the one before.
fn plain(transport: &str, parts: Parts, before: Option<&Server>, usage: Use) -> Server {
    let default_port = match transport {
        "redis" | "rediss" => 6379,
        "sentinel" => 26379,
        "amqps" => 5671,
        amqp if amqp.contains("amqp") && parts.query("ssl").is_some() => 5671,
        amqp if amqp.contains("amqp") => 5672,
        _ => 0,
    };
    let inherited = match before.map(|before| &before.address) {
        Some(Address::Tcp { port, .. }) => *port,
        Some(Address::Unix(_)) => 0,
        None => default_port,
    };
    let port = parts.port.filter(|&port| port != 0 || usage == Use::ResultBackend);
    let virtual_host = match (parts.path, before) {
        (Some(path), _) => path,
        (None, Some(before)) => before.virtual_host.clone(),
        (None, None) => "/".into(),
    };
    Server {
        transport: transport.to_owned(),
        address: Address::Tcp {
            host: parts.host.unwrap_or_else(|| usage.default_host().into()),
            port: port.unwrap_or(inherited),
        },
        db: 0,
        virtual_host,
        user: parts.user,
        password: parts.password,
    }
}

/// Without a transport Celery takes a broker's URL for a host of RabbitMQ.
fn bare_host(text: &str, usage: Use, warnings: &mut Vec<String>) -> Result<Server, String> {
    if usage == Use::ResultBackend || text.is_empty() || text.contains(['@', '/', ':']) {
        return Err("a URL begins with a transport, such as `redis://`".into());
    }
    warnings.push(format!("`{text}` is no URL, so Celery takes it for a host of RabbitMQ"));
    let parts = Parts { host: Some(text.to_owned()), ..Parts::default() };
    Ok(plain("amqp", parts, None, usage))
}

/// Without a transport an alternative is a host, and has all else from the first.
fn alternative_host(text: &str, first: &Server) -> Result<Server, String> {
    if text.contains('@') {
        return Err("the user or password holds a raw `;`, write `%3B`".into());
    }
    let mut server = first.clone();
    if let Address::Tcp { host, .. } = &mut server.address {
        text.clone_into(host);
    }
    Ok(server)
}

/// `redis+socket://` and what else stands behind a `+`.
fn redis_within(
    transport: &str,
    kind: &str,
    parts: Parts,
    usage: Use,
    warnings: &mut Vec<String>,
) -> Result<Server, String> {
    let virtual_host = parts.query("virtual_host");
    let plain_db = parts.query("db");
    if kind == "socket" {
        let db = match usage {
            Use::Broker => {
                if plain_db.is_some() {
                    warnings.push("`db=` is ignored here by Celery; write `virtual_host=`".into());
                }
                broker_db(virtual_host)?
            }
            Use::ResultBackend => backend_db(virtual_host, plain_db)?,
        };
        return socket(transport, db, parts);
    }
    if usage == Use::ResultBackend {
        let db = backend_db(parts.path.as_deref(), plain_db)?;
        return Ok(Server { db, ..plain(transport, parts, None, usage) });
    }
    // kombu forgets host, port and path of any other scheme behind the `+` (F21).
    warnings.push(format!("Celery connects to 127.0.0.1:6379 for `{transport}+{kind}://`"));
    let known = Parts { user: parts.user, password: parts.password, ..Parts::default() };
    Ok(plain(transport, known, None, usage))
}

/// `unix://path?db=4`: an extra of ours.
fn unix(parts: Parts, warnings: &mut Vec<String>) -> Result<Server, String> {
    warnings.push("`unix://` is ours; Celery calls it `redis+socket://`".into());
    let db = broker_db(parts.query("virtual_host").or(parts.query("db")))?;
    socket("redis", db, parts)
}

fn socket(transport: &str, db: u32, parts: Parts) -> Result<Server, String> {
    let path = parts.path.ok_or("a socket needs a path: `redis+socket:///run/redis.sock`")?;
    Ok(Server {
        transport: transport.to_owned(),
        address: Address::Unix(format!("/{path}").into()),
        db,
        virtual_host: "/".into(),
        user: parts.user,
        password: parts.password,
    })
}

/// Sentinels are asked one after the other; the rest is read from the first URL alone (F12).
fn sentinel(first: &Server, other: Server, warnings: &mut Vec<String>) -> Server {
    if other.db != first.db || (other.password.is_some() && other.password != first.password) {
        warnings
            .push("Celery reads database, user and password from the first sentinel alone".into());
    }
    Server { address: other.address, ..first.clone() }
}

fn check_transport(transport: &str) -> Result<(), String> {
    if TRANSPORTS.contains(&transport) {
        return Ok(());
    }
    let hint = match transport {
        "valkey" | "keydb" | "dragonfly" => "; Celery reaches it as `redis://`",
        "valkeys" => "; Celery reaches it as `rediss://`",
        _ => "",
    };
    Err(format!("`{transport}` is no transport of Celery{hint}"))
}

fn check_query(parts: &Parts) -> Result<(), String> {
    for (name, value) in &parts.query {
        if name == "ssl_cert_reqs" && !CERT_REQS.contains(&value.as_str()) {
            return Err("ssl_cert_reqs: expected required, optional or none".into());
        }
        if !CONNECTION_PARAMETERS.contains(&name.as_str()) && !name.starts_with("ssl_") {
            return Err(format!("Celery refuses the parameter `{name}` in a broker's URL"));
        }
    }
    Ok(())
}

/// `_prepare_virtual_host` of `kombu/transport/redis.py`.
fn broker_db(path: Option<&str>) -> Result<u32, String> {
    let path = path.unwrap_or_default();
    match path.strip_prefix('/').unwrap_or(path) {
        "" => Ok(0),
        number => number_of(number),
    }
}

/// `_params_from_url` of `celery/backends/redis.py`: `db=` wins, but the other must be a number too.
fn backend_db(path: Option<&str>, db: Option<&str>) -> Result<u32, String> {
    let by_path = match path.map(|path| path.trim_matches('/')) {
        None => 0,
        Some(number) => number_of(number)?,
    };
    db.map_or(Ok(by_path), number_of)
}

/// Python's `int()`, as far as a database's number goes.
fn number_of(text: &str) -> Result<u32, String> {
    let digits = text.trim().trim_start_matches('+');
    digits.parse().map_err(|_| {
        "the database is no number: Redis numbers its databases from 0, as in `redis://host/0`"
            .into()
    })
}
