use super::*;
use crate::state::observation::seconds;
use crate::state::record::{Cell, Record};
use crate::state::{Page, Place, Status};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

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
            ("kwargs", "{'user': {'id': 42, 'name': 'Ada'}, 'note': 'timed out...'}"),
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
        "since:1970-01-01 until:1970-01-01",
        "since:1w2d",
        "  state:received   worker:web-1 charge ",
        "name:/^shop\\.tasks\\.(charge|mail)$/",
        "!name:/CHARGE/",
        "name:/CHARGE/i",
        "state:/^rec/,failure",
        "worker:/^web/",
        "args:/eur/i",
        "/'EUR', +'a/",
        "kwargs.user.id:42",
        "kwargs.user.id:>40 kwargs.user.id:<43",
        "kwargs.user.name:A*,Bob",
        "kwargs.user.name:/^ada$/i",
        "!kwargs.user.id:41",
        "!kwargs.user.age:41",
        "kwargs:name kwargs:'Ada'",
        "args.0:42 args.1:EUR",
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
        "name:/^tasks/",
        "args:/eur/",
        "until:1969-12-31",
        "kwargs.user.id:4",
        "!kwargs.user.id:42",
        "kwargs.user.id:>42",
    ] {
        assert_eq!(verdict(text), Verdict::No, "{text}");
    }
}

#[test]
fn a_row_that_lacks_the_field_is_undecided() {
    for text in [
        "queue:high",
        "state:received queue:*",
        "exception:x",
        "root:5f",
        "kwargs.age:42",
        "result.0:1",
        // Cut, so nobody knows what it was.
        "kwargs.note:timed",
        "!kwargs.note:timed",
    ] {
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
        ("place:queued", 6, "`queue` (one of queue, reserved"),
        ("name:/a(b/", 7, "a regular expression (unclosed group)"),
        ("name:/é[/", 7, "a regular expression (unclosed character class)"),
        ("é /a", 2, "a closing `/` (quote a text"),
        ("/app/shop.py", 5, "`i` or a blank after the closing `/`"),
        ("result:/(\\w{500}){500}/", 7, "a smaller regular expression"),
        ("name.first:x", 4, "`name` has none"),
        ("kwargs..id:1", 10, "a key between the dots"),
        ("runtime:/2/", 8, "a duration"),
        ("runtime:>1h30", 9, "a duration"),
        ("since:/1h/", 6, "a time"),
        ("since:99999d", 6, "a time"),
        ("retries:>/2/", 9, "a number"),
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
        (Noun::Environment, "status:connected events:off production:true active:>0 queued:0 redis"),
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

#[test]
fn a_text_has_a_length() {
    let long = "a ".repeat(LONGEST);
    let error = Filter::parse(&long, Noun::Task, &TimeZone::UTC).unwrap_err();
    assert!(matches!(error, Error::Filter { position: LONGEST, .. }), "{error}");
}

#[test]
fn words_that_are_few_are_those_that_rows_have() {
    let places = [Place::Queue, Place::Reserved, Place::Scheduled, Place::Active, Place::Done];
    assert_eq!(places.map(Place::as_str), fields::PLACES);
    let statuses = [Status::Online, Status::Silent, Status::Lost, Status::Offline, Status::Unknown];
    assert_eq!(statuses.map(Status::as_str), fields::STATUSES);
}

/// What Flower's search box takes (`flower/utils/search.py`), as a filter.
#[test]
fn flowers_search_is_a_filter() {
    for (flower, ours) in [
        ("state:FAILURE", "state:FAILURE"),
        ("result:42", "result:42"),
        ("args:\"foo\"", "args:foo"),
        ("args:1 args:2", "args:1 args:2"),
        ("kwargs:user=42", "kwargs.user:42"),
        ("kwargs:name=\"Ada\"", "kwargs.name:Ada"),
        ("queue:high", "queue:high"),
        ("charge", "charge"),
        ("\"two words\"", "\"two words\""),
    ] {
        let parse = |text| Filter::parse(text, Noun::Task, &TimeZone::UTC).unwrap();
        assert_eq!(parse(flower), parse(ours), "{flower}");
    }
}

#[test]
fn what_was_probably_not_meant_is_hinted_at() {
    let seen = |column| -> Vec<Arc<str>> {
        let values: &[&str] = match column {
            "state" => &["FAILURE", "SUCCESS", "REVOKED", "BUILDING"],
            "drawn" => &["SCHEDULED", "ORPHANED"],
            "name" => &["shop.tasks.charge", "shop.tasks.mail"],
            "worker" => &["celery@web-1"],
            _ => &[],
        };
        values.iter().map(|value| Arc::from(*value)).collect()
    };
    let hints = |text: &str, total, undecided| {
        let filter = Filter::parse(text, Noun::Task, &TimeZone::UTC).unwrap();
        let page = Page { total, undecided, ..Page::default() };
        let said = filter.hints(&page, seen).into_iter();
        said.map(|hint| (hint.position, hint.text)).collect::<Vec<_>>()
    };
    let one = |position, text: &str| vec![(position, text.to_owned())];
    for (text, total, undecided, said) in [
        ("state:failed", 0, 0, one(Some(6), "no known state is `failed`: did you mean `failure`?")),
        (
            "é !state:sucess",
            9,
            0,
            one(Some(9), "no known state is `sucess`: did you mean `success`?"),
        ),
        ("state:built", 0, 0, one(Some(6), "no known state is `built`")),
        ("state:building,SCHEDULED,fail*", 0, 0, vec![]),
        (
            "name:charge",
            0,
            0,
            one(Some(5), "no known name is `charge`: did you mean `shop.tasks.charge`?"),
        ),
        ("name:charge", 3, 0, vec![]),
        ("worker:web-1", 0, 0, vec![]),
        ("worker:web-2", 0, 0, one(Some(7), "no known worker is `web-2`: did you mean `web-1`?")),
        (
            "worker:web-2",
            0,
            5,
            vec![
                (Some(7), "no known worker is `web-2`: did you mean `web-1`?".to_owned()),
                (None, "5 rows are left out: their `worker` is not known".to_owned()),
            ],
        ),
        ("queue:high !root:5f", 0, 1, one(None, "1 row is left out: its `queue` is not known")),
        (
            "queue:high runtime:>1",
            2,
            3,
            one(None, "3 rows are left out: their `queue` or `runtime` is not known"),
        ),
        (
            "name:shop.*",
            0,
            1,
            one(
                None,
                "1 row is left out: its `name` is not known; a stored result tells the name with \
                 `result_extended` only",
            ),
        ),
        ("!kwargs.a:1", 2, 3, one(None, "3 rows are left out: their `kwargs.a` is not known")),
    ] {
        assert_eq!(hints(text, total, undecided), said, "{text}");
    }
}

#[test]
fn a_store_can_take_a_filter_apart() {
    let filter =
        Filter::parse("worker:web-1 !state:failure args:42 since:1h", Noun::Task, &TimeZone::UTC);
    let terms = filter.unwrap().terms;
    let columns: Vec<_> =
        terms.iter().map(|term| term.facet().map(|facet| facet.columns)).collect();
    assert_eq!(columns, [Some(&["worker"][..]), Some(&["state", "drawn"][..]), None, None]);
    assert!(terms[0].facet().unwrap().accepts("celery@web-1"));
    assert!(!terms[0].facet().unwrap().accepts("celery@web-2"));
}

/// Texts of every kind of term.
fn any_term() -> impl Strategy<Value = String> {
    let plain = "[a-z*.@é-]{1,6}";
    let quoted = "[a-z*.\"\\\\ ,:!/é]{0,6}".prop_map(|text: String| {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    });
    let expression = "/[a-z. ,\"]{1,4}/i?";
    let value = prop_oneof![plain, quoted, expression];
    let field = prop::sample::select(vec![
        "state",
        "name",
        "queue",
        "worker",
        "id",
        "args",
        "kwargs",
        "result",
        "exception",
        "root",
        "kwargs.a.b",
        "args.0",
        "result.x-y",
    ]);
    let texts = (field, prop::collection::vec(value.clone(), 1..3))
        .prop_map(|(field, values)| format!("{field}:{}", values.join(",")));
    let number = (prop::sample::select(vec!["", "=", ">", ">=", "<", "<="]), 0_u32..99999)
        .prop_map(|(sign, number)| {
            format!("retries:{sign}{number} runtime:{sign}{number}ms kwargs.n:{sign}{number}")
        });
    let time = prop::sample::select(vec![
        "since:90",
        "since:1h30m",
        "until:1.5s",
        "until:2026-11-24",
        "since:2026-11-24T12:00",
        "since:2026-11-24T12:00:00.25+02:00",
    ]);
    let id = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}";
    let flower = "kwargs:[a-z_]{1,4}=[a-z0-9]{1,4}";
    let place = Just("place:que*,DONE".to_owned());
    let term = prop_oneof![
        texts,
        value,
        number,
        time.prop_map(str::to_owned),
        id,
        flower,
        place,
        id.prop_map(|id: String| format!("\"{id}\"")),
    ];
    (any::<bool>(), term)
        .prop_map(|(negated, term)| format!("{}{term}", if negated { "!" } else { "" }))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// And both say the same of a row.
    #[test]
    fn a_printed_filter_parses_to_the_same(terms in prop::collection::vec(any_term(), 0..4)) {
        let text = terms.join(" ");
        let filter = Filter::parse(&text, Noun::Task, &TimeZone::UTC).unwrap();
        let printed = filter.to_string();
        let again = Filter::parse(&printed, Noun::Task, &TimeZone::UTC);
        prop_assert_eq!(again.as_ref(), Ok(&filter), "{} printed as {}", text, printed);
        prop_assert_eq!(again.unwrap().verdict(&row(), 0), filter.verdict(&row(), 0));
    }

    #[test]
    fn no_text_breaks_the_parser(text in "[a-z:,!*\" \\\\>/.(\\[0-9é]{0,40}|((args|kwargs)[.:=/\"][a1.:/\"]{0,9} ?){1,3}") {
        match Filter::parse(&text, Noun::Task, &TimeZone::UTC) {
            Ok(filter) => {
                filter.verdict(&row(), 0);
                let again = Filter::parse(&filter.to_string(), Noun::Task, &TimeZone::UTC);
                prop_assert_eq!(again, Ok(filter));
            }
            Err(Error::Filter { position, .. }) => prop_assert!(position <= text.chars().count()),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn a_name_matches_itself_when_quoted(name in "[a-z*.\"\\\\ ,:/é]{1,20}") {
        let filter = format!("name:{}", print::quoted(&name));
        let filter = Filter::parse(&filter, Noun::Task, &TimeZone::UTC).unwrap();
        prop_assert!(filter.terms[0].facet().unwrap().accepts(&name));
    }
}
