//! Splitting a URL as Python's `urlsplit` and kombu's `url_to_parts` do, and saying what is wrong
//! with it without repeating a secret.

use percent_encoding::percent_decode_str;

/// `url_to_parts`: percent-decoded, absent where empty.
#[derive(Default)]
pub(super) struct Parts {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub password: Option<String>,
    /// Without its first slash.
    pub path: Option<String>,
    pub query: Vec<(String, String)>,
    /// Something stood behind a `#`.
    pub fragment: bool,
}

impl Parts {
    /// Splits a text that holds `://`.
    ///
    /// # Errors
    /// The sentence why Python refuses it.
    pub fn split(text: &str) -> Result<Parts, String> {
        let (_, rest) = text.split_once("://").ok_or("a URL holds `://`")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (netloc, tail) = rest.split_at(end);
        let (user_info, host_info) = match netloc.rsplit_once('@') {
            Some((user_info, host_info)) => (Some(user_info), host_info),
            None => (None, netloc),
        };
        if let Some(raw) = user_info.unwrap_or_default().chars().find(|c| matches!(c, '[' | ']')) {
            return Err(raw_character(text, raw));
        }
        let (host, port) = split_host(host_info).map_err(|why| explain(text, tail, why))?;
        let (tail, fragment) = tail.split_once('#').unwrap_or((tail, ""));
        let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
        // Behind a `;` in its last segment a path has "parameters", which nobody reads.
        let last = path.rfind('/').unwrap_or(0);
        let path = path[last..].find(';').map_or(path, |at| &path[..last + at]);
        let (user, password) =
            match user_info.map(|info| info.split_once(':').unwrap_or((info, ""))) {
                Some((user, password)) => (decode(user), decode(password)),
                None => (None, None),
            };
        Ok(Parts {
            host: decode(&lower(host)),
            port,
            user,
            password,
            path: decode(path.strip_prefix('/').unwrap_or(path)),
            query: pairs(query),
            fragment: !fragment.is_empty(),
        })
    }

    /// The last value of a parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn split_host(info: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = match info.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']').ok_or("a `[` that nothing closes")?;
            host.split('%')
                .next()
                .unwrap_or_default()
                .parse::<std::net::Ipv6Addr>()
                .map_err(|_| "no IPv6 address between `[` and `]`")?;
            if !(port.is_empty() || port.starts_with(':')) {
                return Err("something stands between `]` and the port");
            }
            (host, port.strip_prefix(':').unwrap_or_default())
        }
        None if info.contains(['[', ']']) => return Err("a bracket outside an IPv6 address"),
        None => info.split_once(':').unwrap_or((info, "")),
    };
    if port.is_empty() {
        return Ok((host, None));
    }
    if !port.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err("the port is no number");
    }
    Ok((host, Some(port.parse().map_err(|_| "the port is above 65535")?)))
}

/// An `@` behind the end of the host tells that a secret before it was cut in two.
fn explain(text: &str, tail: &str, why: &str) -> String {
    match tail.chars().next() {
        Some(cut) if tail.contains('@') => raw_character(text, cut),
        _ => format!("{}: {why}", masked(text)),
    }
}

fn raw_character(text: &str, raw: char) -> String {
    let code = u32::from(raw);
    format!("{}: the user or password holds a raw `{raw}`, write `%{code:02X}`", masked(text))
}

/// What may be shown of a URL that could not be read: with nothing to tell where a secret ends,
/// the transport alone.
fn masked(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", ""));
    match rest.rsplit_once('@') {
        Some((_, place)) => {
            let place = place.split(['?', '#']).next().unwrap_or_default();
            format!("{scheme}://***@{place}")
        }
        None => format!("{scheme}://…"),
    }
}

/// `SplitResult.hostname`: an IPv6 zone keeps its case.
fn lower(host: &str) -> String {
    let (name, zone) = host.split_at(host.find('%').unwrap_or(host.len()));
    name.to_lowercase() + zone
}

/// Python's `unquote`; a `%` that begins no code stays.
fn decode(text: &str) -> Option<String> {
    let decoded = percent_decode_str(text).decode_utf8_lossy().into_owned();
    (!decoded.is_empty()).then_some(decoded)
}

/// `parse_qsl`
fn pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter_map(|(name, value)| {
            let value = decode(&value.replace('+', " "))?;
            Some((decode(&name.replace('+', " ")).unwrap_or_default(), value))
        })
        .collect()
}
