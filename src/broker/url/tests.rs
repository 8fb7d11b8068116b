//! URLs against a table that the installed kombu and Celery made (`tests/fixtures/kombu_urls.py`).

use super::read::Use;
use super::*;
use serde_json::Value;

const TABLE: &str = include_str!("../../../tests/fixtures/kombu_urls.json");

/// Transport, host, port, user and password and socket, database, virtual host.
type Flat = (String, String, u64, [Option<String>; 3], u64, String);

fn expected(place: &Value, usage: Use) -> Flat {
    let text = |name: &str| place[name].as_str().map(str::to_owned);
    let socket = text("socket");
    let reached = |default: &str| if socket.is_some() { String::new() } else { default.into() };
    let port = if socket.is_some() { 0 } else { place["port"].as_u64().unwrap_or(6379) };
    (
        text("transport").unwrap(),
        text("host").unwrap_or_else(|| reached(usage.default_host())),
        port,
        [text("user"), text("password"), socket],
        place["db"].as_u64().unwrap_or_default(),
        text("virtual_host").unwrap_or_default(),
    )
}

fn flat(server: &Server) -> Flat {
    let (host, port, socket) = match &server.address {
        Address::Tcp { host, port } => (host.clone(), u64::from(*port), None),
        Address::Unix(path) => (String::new(), 0, path.to_str().map(str::to_owned)),
    };
    let virtual_host = if is_redis(&server.transport) { "" } else { &server.virtual_host };
    (
        server.transport.clone(),
        host,
        port,
        [server.user.clone(), server.password.clone(), socket],
        server.db.into(),
        virtual_host.into(),
    )
}

#[test]
fn f14_f21_urls_are_read_as_celery_reads_them() {
    let table: Value = serde_json::from_str(TABLE).unwrap();
    let rows = table["urls"].as_array().unwrap();
    assert!(rows.len() > 100, "{} rows", rows.len());
    for row in rows {
        let text = row["url"].as_str().unwrap();
        let usage = if row["use"] == "broker" { Use::Broker } else { Use::ResultBackend };
        let ours = BrokerUrl::read(text, usage);
        match row["places"].as_array() {
            Some(places) => {
                let ours = ours.unwrap_or_else(|error| panic!("{usage:?} {text}: {error}"));
                let ours: Vec<_> = ours.servers().iter().map(flat).collect();
                let theirs: Vec<_> = places.iter().map(|place| expected(place, usage)).collect();
                assert_eq!(ours, theirs, "{usage:?} {text}");
            }
            None => assert!(ours.is_err(), "{usage:?} {text}: Celery refuses it, we read {ours:?}"),
        }
    }
}

#[test]
fn f14_a_raw_character_is_named_and_the_secret_is_not() {
    for (raw, code) in [('/', "%2F"), ('?', "%3F"), ('#', "%23"), ('[', "%5B"), (']', "%5D")] {
        let text = format!("redis://me:topsecret{raw}x1@h:6380/3");
        let error = BrokerUrl::parse(&text).unwrap_err().to_string();
        assert!(error.contains(&format!("`{raw}`")) && error.contains(code), "{error}");
        assert!(error.contains("redis://***@h:6380/3"), "{error}");
        assert!(
            !error.contains("topsecret") && !error.contains("x1") && !error.contains("me:"),
            "{error}"
        );
    }
}

#[test]
fn a_secret_without_a_host_is_not_shown_either() {
    let error = BrokerUrl::parse("redis://:topsecret").unwrap_err().to_string();
    assert!(!error.contains("topsecret") && error.contains("port"), "{error}");
}

#[test]
fn what_is_shown_hides_the_password() {
    let url = BrokerUrl::parse("redis://me:s%2Fx@h/3;redis://:other@[::1]:1/4").unwrap();
    assert_eq!(url.to_string(), "redis://me:***@h:6379/3;redis://:***@[::1]:1/4");
    assert_eq!(format!("{url:?}"), url.to_string());
    assert_eq!(url.redacted(), url.to_string());
    assert_eq!(url.servers()[0].password(), Some("s/x"));
    let socket = BrokerUrl::parse("redis+socket://:x@/run/r.sock?virtual_host=4").unwrap();
    assert_eq!(socket.to_string(), "redis+socket://:***@/run/r.sock?virtual_host=4");
    let rabbit = BrokerUrl::parse("amqp://me:x@h//app").unwrap();
    assert_eq!(rabbit.to_string(), "amqp://me:***@h:5672//app");
}

#[test]
fn f21_a_database_that_celery_ignores_is_warned_of() {
    let url = BrokerUrl::parse("redis+socket:///run/r.sock?db=4").unwrap();
    assert_eq!((url.servers()[0].db(), url.warnings().len()), (0, 1), "{:?}", url.warnings());
    assert!(url.warnings()[0].contains("virtual_host="));
    let backend = BrokerUrl::parse_backend("redis+socket:///run/r.sock?db=4").unwrap();
    assert_eq!((backend.servers()[0].db(), backend.warnings().len()), (4, 0));
    let ours = BrokerUrl::parse("unix:///run/r.sock?db=4").unwrap();
    assert_eq!(
        (ours.servers()[0].address(), ours.servers()[0].db),
        (&Address::Unix("/run/r.sock".into()), 4)
    );
    assert!(ours.warnings()[0].contains("ours"));
}

#[test]
fn f12_the_first_sentinel_speaks_for_all() {
    let url = BrokerUrl::parse("sentinel://:pw@a:26379/3;sentinel://b:26380/7").unwrap();
    let [first, second] = url.servers() else { panic!("{url}") };
    assert_eq!(url.to_string(), "sentinel://:***@a:26379/3;sentinel://:***@b:26380/3");
    assert_eq!((first.password(), second.password()), (Some("pw"), Some("pw")));
    assert_eq!(url.warnings().len(), 1);
}

#[test]
fn f53_valkey_is_told_its_name() {
    let error = BrokerUrl::parse("valkey://h/1").unwrap_err().to_string();
    assert!(error.contains("redis://"), "{error}");
}

#[test]
fn one_place_under_two_names() {
    let url = |text| BrokerUrl::parse(text).unwrap();
    assert!(url("redis://localhost/1").same_place(&url("redis://:x@127.0.0.1:6379/1")));
    assert!(!url("redis://localhost/1").same_place(&url("redis://localhost/2")));
    assert!(!url("redis://a/1").same_place(&url("redis://b/1")));
}

#[test]
fn a_secret_cut_in_two_by_a_semicolon_is_not_shown() {
    let error = BrokerUrl::parse("redis://:123;topsecret@h/1").unwrap_err().to_string();
    assert!(error.contains("%3B") && !error.contains("topsecret"), "{error}");
}
