use super::*;
use std::collections::BTreeMap;

/// A row of nothing but the columns it is given.
struct Row(BTreeMap<&'static str, Option<f64>>, BTreeMap<&'static str, &'static str>);

impl Record for Row {
    fn key(&self) -> &str {
        self.1.get("uuid").copied().unwrap_or_default()
    }

    fn revision(&self) -> u64 {
        0
    }

    fn field(&self, name: &str) -> Option<Cell<'_>> {
        match (self.1.get(name), self.0.get(name)) {
            (Some(text), _) => Some(Cell::Text(text)),
            (None, Some(number)) => number.map(Cell::Number),
            (None, None) => None,
        }
    }
}

fn row() -> Row {
    Row(
        BTreeMap::from([("runtime", Some(2.5)), ("retries", Some(1.0)), ("seen", Some(1000.0))]),
        BTreeMap::from([
            ("uuid", "5f2c9e10-0000-4000-8000-000000000077"),
            ("state", "RECEIVED"),
            ("drawn", "SCHEDULED"),
            ("place", "scheduled"),
            ("name", "shop.tasks.charge"),
            ("worker", "celery@web-1"),
            ("args", "(42, 'EUR', 'a*b')"),
        ]),
    )
}

fn verdict(text: &str) -> Verdict {
    let filter = Filter::parse(text, Noun::Task, &TimeZone::UTC).unwrap();
    filter.verdict(&row(), seconds::to_micros(1060.0))
}

#[test]
fn what_matches() {
    for text in [
        "",
        "   ",
        "state:received",
        "state:RECEIVED,failure",
        "state:scheduled",
        "place:scheduled",
        "!state:failure,retry",
        "name:shop.*",
        "name:*.charge",
        "name:s*tasks*e",
        "name:\"shop.tasks.charge\"",
        "worker:web-1",
        "worker:celery",
        "worker:celery@web-1",
        "worker:celery@*",
        "id:5f2c",
        "5f2c9e10-0000-4000-8000-000000000077",
        "args:eur",
        "args:\"a*b\"",
        "args:4*b",
        "charge",
        "CHARGE",
        "\"'EUR', 'a\"",
        "!nothing",
        "!queue:high",
        "runtime:>2s",
        "runtime:>=2500ms runtime:<1m",
        "runtime:2.5",
        "retries:<3",
        "since:1m",
        "since:1970-01-01 until:1970-01-02",
        "since:1970-01-01T00:16:40 until:1970-01-01T00:16:40Z",
        "  state:received   worker:web-1 charge ",
    ] {
        assert_eq!(verdict(text), Verdict::Yes, "{text}");
    }
}

#[test]
fn what_does_not_match() {
    for text in [
        "state:failure",
        "!state:scheduled",
        "name:shop",
        "name:shop.tasks.CHARGE",
        "name:*charge*x",
        "worker:web",
        "id:9e10",
        "5F2C9E10-0000-4000-8000-000000000077",
        "args:\"4*b\"",
        "nothing",
        "!charge",
        "runtime:<2s",
        "since:59s",
        "until:61s",
        "state:received nothing",
        "state:failure queue:high",
    ] {
        assert_eq!(verdict(text), Verdict::No, "{text}");
    }
}

#[test]
fn a_row_that_lacks_the_field_is_undecided() {
    for text in ["queue:high", "state:received queue:*", "exception:x", "root:5f"] {
        assert_eq!(verdict(text), Verdict::Undecided, "{text}");
    }
}

#[test]
fn mistakes_have_a_place_and_a_cure() {
    for (text, position, expected) in [
        ("stat:failure", 0, "`state:`"),
        ("é worke:x", 2, "`worker:`"),
        ("name:a !qeue:high", 8, "`queue:`"),
        ("state:", 6, "a value of `state`"),
        ("state:a,,b", 8, "a value of `state`"),
        ("state:a, b", 8, "a value of `state`"),
        ("a !", 3, "a field or a word after `!`"),
        ("x \"open", 2, "a closing"),
        ("name:\"a\"b", 8, "a blank after"),
        ("runtime:>soon", 9, "a duration"),
        ("retries:many", 8, "a number"),
        ("since:yesterday", 6, "a time"),
        ("since:1h,2h", 9, "one time for `since`"),
        ("http://x", 0, "quote a word that holds a colon"),
    ] {
        match Filter::parse(text, Noun::Task, &TimeZone::UTC) {
            Err(Error::Filter { position: at, expected: cure }) => {
                assert_eq!(at, position, "{text}: {cure}");
                assert!(cure.contains(expected), "{text}: {cure}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn every_noun_has_its_own_fields() {
    for (noun, text) in [
        (Noun::Worker, "status:online queue:high"),
        (Noun::Queue, "name:high messages:>100 worker:web-1"),
        (Noun::Name, "name:shop.*"),
    ] {
        Filter::parse(text, noun, &TimeZone::UTC).unwrap();
        assert!(Filter::parse("place:queue", noun, &TimeZone::UTC).is_err());
    }
}

#[test]
fn dates_without_an_offset_are_in_the_zone() {
    let zone = TimeZone::fixed(jiff::tz::Offset::constant(2));
    let filter = Filter::parse("since:1970-01-01T02:16:41", Noun::Task, &zone).unwrap();
    assert_eq!(filter.verdict(&row(), 0), Verdict::No);
    let filter = Filter::parse("since:1970-01-01T02:16:40", Noun::Task, &zone).unwrap();
    assert_eq!(filter.verdict(&row(), 0), Verdict::Yes);
    assert!(!filter.depends_on_now());
    assert!(Filter::parse("since:1h", Noun::Task, &zone).unwrap().depends_on_now());
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_text_breaks_the_parser(text in "[a-z:,!*\" \\\\>0-9é]{0,40}") {
        match Filter::parse(&text, Noun::Task, &TimeZone::UTC) {
            Ok(filter) => drop(filter.verdict(&row(), 0)),
            Err(Error::Filter { position, .. }) => {
                proptest::prop_assert!(position <= text.chars().count());
            }
            Err(other) => proptest::prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn a_name_matches_itself_when_quoted(name in "[a-z*.\"\\\\ ,:é]{1,20}") {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        let filter = Filter::parse(&format!("name:\"{quoted}\""), Noun::Task, &TimeZone::UTC).unwrap();
        let pattern = match &filter.terms[0].test {
            Test::Text(_, patterns) => patterns[0].clone(),
            other => panic!("{other:?}"),
        };
        proptest::prop_assert!(pattern.matches(&name));
    }
}
