use super::*;
use jiff::tz::TimeZone;
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Row {
    key: String,
    worker: Option<String>,
    runtime: Option<f64>,
    seen: f64,
}

impl Record for Row {
    fn key(&self) -> &str {
        &self.key
    }

    fn revision(&self) -> u64 {
        7
    }

    fn field(&self, name: &str) -> Option<Cell<'_>> {
        match name {
            "worker" => self.worker.as_deref().map(Cell::Text),
            "runtime" => self.runtime.map(Cell::Number),
            "seen" => Some(Cell::Number(self.seen)),
            _ => None,
        }
    }
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        prop::option::of("[ab]@[xy]"),
        prop::option::of((0..4_u8).prop_map(f64::from)),
        (0..4_u8).prop_map(f64::from),
    );
    prop::collection::vec(row, 0..30).prop_map(|rows| {
        let row =
            |(at, (worker, runtime, seen))| Row { key: format!("k{at:02}"), worker, runtime, seen };
        rows.into_iter().enumerate().map(row).collect()
    })
}

fn query(sort: &str, filter: &str, limit: usize) -> Query {
    Query {
        filter: Filter::parse(filter, Noun::Task, &TimeZone::UTC).unwrap(),
        sort: Some(Sort::parse(sort, Noun::Task).unwrap()),
        limit,
        ..Query::default()
    }
}

fn keys(page: &Page) -> Vec<String> {
    page.keys.iter().map(|(key, _)| key.clone()).collect()
}

/// What a window must be, in the plainest way: everything sorted, then a stretch of it.
fn plain(rows: &[Row], query: &Query) -> Vec<String> {
    let sort = query.sort.unwrap();
    let mut places: Vec<Place<'_>> = rows
        .iter()
        .filter(|row| query.filter.verdict(*row, 0) == Verdict::Yes)
        .map(|row| Place { value: row.field(sort.column), key: &row.key })
        .collect();
    places.sort_by(|a, b| sort.compare(a, b));
    places.iter().map(|place| place.key.to_owned()).collect()
}

#[test]
fn f40_absent_comes_last_in_both_directions() {
    let row = |key: &str, runtime| Row { key: key.into(), worker: None, runtime, seen: 0.0 };
    let rows = [row("c", None), row("b", Some(1.0)), row("a", None), row("d", Some(2.0))];
    for (sort, expected) in [("runtime", ["b", "d", "a", "c"]), ("-runtime", ["d", "b", "a", "c"])]
    {
        let query = query(sort, "", 10);
        let page = window(rows.iter(), &query, query.sort.unwrap(), 0).unwrap();
        assert_eq!(keys(&page), expected, "{sort}");
    }
}

#[test]
fn a_cursor_outlives_its_row() {
    let row = |key: &str| Row { key: key.into(), worker: None, runtime: Some(1.0), seen: 0.0 };
    let mut rows = vec![row("a"), row("b"), row("c"), row("d")];
    let mut query = query("runtime", "", 2);
    let page = window(rows.iter(), &query, query.sort.unwrap(), 0).unwrap();
    assert_eq!(keys(&page), ["a", "b"]);
    rows.remove(1);
    query.cursor = page.cursor;
    let page = window(rows.iter(), &query, query.sort.unwrap(), 0).unwrap();
    assert_eq!((keys(&page), &page.cursor), (vec!["c".into(), "d".into()], &None));
    query.sort = Some(Sort::parse("-runtime", Noun::Task).unwrap());
    assert!(window(rows.iter(), &query, query.sort.unwrap(), 0).is_err(), "of another order");
    query.cursor = Some("gibberish".into());
    assert!(window(rows.iter(), &query, query.sort.unwrap(), 0).is_err());
}

#[test]
fn an_unknown_column_names_the_nearest() {
    match Sort::parse("-runtim", Noun::Task) {
        Err(Error::InvalidParams(sentence)) => {
            assert!(sentence.contains("`runtime`"), "{sentence}")
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(Sort::parse("", Noun::Task).unwrap(), Sort::parse("-seen", Noun::Task).unwrap());
    assert_eq!(Sort::parse("", Noun::Queue).unwrap(), Sort::parse("name", Noun::Queue).unwrap());
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_window_is_a_stretch_of_everything_sorted(
        rows in rows(), sort in "-?(runtime|worker|seen)", filter in "(|worker:a|!worker:a|runtime:>1)",
        offset in 0..8_usize, limit in 0..8_usize,
    ) {
        let query = Query { offset, ..query(&sort, &filter, limit) };
        let page = window(rows.iter(), &query, query.sort.unwrap(), 0).unwrap();
        let all = plain(&rows, &query);
        let expected: Vec<String> = all.iter().skip(offset).take(limit).cloned().collect();
        prop_assert_eq!(keys(&page), expected);
        prop_assert_eq!(page.total, all.len() as u64);
        if limit > 0 {
            prop_assert_eq!(page.cursor.is_some(), all.len() > offset + limit);
        }
    }

    #[test]
    fn pages_by_cursor_are_everything_once(rows in rows(), sort in "-?(runtime|worker)", limit in 1..7_usize) {
        let mut query = query(&sort, "", limit);
        let mut shown = Vec::new();
        loop {
            let page = window(rows.iter(), &query, query.sort.unwrap(), 0).unwrap();
            shown.extend(keys(&page));
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        prop_assert_eq!(shown, plain(&rows, &query));
    }
}
