use super::*;
use crate::state::filter::Filter;
use crate::state::query::{Query, Sort};
use crate::state::tests::properties::{kind, recording_of};
use crate::state::tests::support::{Lab, event};
use crate::state::{Noun, Rules};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::json;

/// Room for about `tasks` tasks of the kind that these tests make.
fn room_for(tasks: usize) -> usize {
    let mut lab = Lab::new();
    run(&mut lab, 0, 1.0, true);
    lab.state.tasks.bytes() * tasks
}

fn run(lab: &mut Lab, number: usize, at: f64, finish: bool) {
    let uuid = format!("task-{number:05}");
    lab.event(at, event("received", at, json!({ "uuid": uuid })));
    if finish {
        lab.event(at, event("succeeded", at, json!({ "uuid": uuid })));
    }
}

#[test]
fn f41_numbers_equal_the_lists_they_open() {
    let mut lab = Lab::with(Rules::Ours, room_for(100));
    for number in 0..300 {
        run(&mut lab, number, number as f64, number % 3 > 0);
    }
    let counts = lab.state.counts();
    let shown = lab.keys(Noun::Task, Query { limit: 1000, ..Query::default() });
    assert_eq!(counts.tasks, shown.len() as u64);
    assert_eq!(counts.dropped + counts.tasks, 300);
    assert!((80..=120).contains(&shown.len()), "{}", shown.len());
    let name = lab.row(Noun::Name, "lab.add");
    assert_eq!(name["tasks"], json!(shown.len()));
    let states = name["states"].as_object().unwrap().values();
    assert_eq!(states.filter_map(|count| count.as_u64()).sum::<u64>(), shown.len() as u64);
}

#[test]
fn finished_tasks_go_first_oldest_first() {
    let mut lab = Lab::with(Rules::Ours, room_for(10));
    for number in 0..3 {
        run(&mut lab, number, number as f64, false);
    }
    for number in 3..40 {
        run(&mut lab, number, number as f64, true);
    }
    for unfinished in ["task-00000", "task-00001", "task-00002"] {
        assert_eq!(lab.task(unfinished)["state"], "RECEIVED", "it is not over");
    }
    assert_eq!(lab.task("task-00003"), serde_json::Value::Null);
    assert_eq!(lab.task("task-00039")["state"], "SUCCESS");
}

#[test]
fn what_nobody_mentioned_for_a_day_goes_with_the_finished() {
    let mut lab = Lab::with(Rules::Ours, room_for(10));
    run(&mut lab, 0, 0.0, false);
    run(&mut lab, 1, 1.0, false);
    let day = 86_400.0;
    lab.inspect(1.5, "w1@lab", json!({"active": [{"uuid": "task-00001", "time_start": 1.2}]}));
    for number in 2..30 {
        run(&mut lab, number, day + 10.0 + number as f64, true);
    }
    assert_eq!(lab.task("task-00000"), serde_json::Value::Null, "a zombie");
    assert_eq!(lab.task("task-00001")["place"], "active", "its worker reports it");
}

#[test]
fn at_last_the_oldest_goes() {
    let mut lab = Lab::with(Rules::Ours, room_for(10));
    for number in 0..30 {
        run(&mut lab, number, number as f64, false);
    }
    assert_eq!(lab.task("task-00000"), serde_json::Value::Null);
    assert_eq!(lab.task("task-00029")["state"], "RECEIVED");
    assert!(lab.state.counts().dropped >= 15);
}

#[test]
fn nothing_is_left_of_tasks_that_went() {
    let mut lab = Lab::new();
    for number in 0..50 {
        run(&mut lab, number, number as f64, number % 2 == 0);
    }
    let store = &mut lab.state.tasks;
    for number in 0..50 {
        store.remove(&format!("task-{number:05}"), 0).unwrap();
    }
    assert_eq!((store.bytes(), store.len(), store.names.uses()), (0, 0, 0));
    assert!(store.order.oldest(0).next().is_none() && store.facets.all.is_empty());
    assert!(store.running.is_empty() && store.due.is_empty() && store.adrift.is_empty());
    assert!(store.roots.is_empty() && store.by_name.iter().next().is_none());
}

#[test]
fn an_id_of_zeros_is_one_task() {
    let mut lab = Lab::new();
    for kind in ["received", "started"] {
        let uuid = "00000000-0000-0000-0000-000000000000";
        lab.event(1.0, event(kind, 1.0, json!({ "uuid": uuid })));
        lab.state.tasks.check();
    }
    assert_eq!(lab.state.counts().tasks, 1);
}

#[test]
fn unused_names_are_let_go() {
    let mut names = Names::default();
    let kept = names.intern("celery");
    for number in 0..10_000 {
        names.intern(&format!("queue-{number}"));
    }
    assert!(names.len() <= 1024, "{}", names.len());
    assert!(Arc::ptr_eq(&kept, &names.intern("celery")));
}

#[test]
fn a_name_in_a_record_is_kept() {
    let mut names = Names::default();
    let id = names.hold(&"celery".into());
    for number in 0..10_000 {
        names.intern(&format!("queue-{number}"));
    }
    assert_eq!(&**names.text(id), "celery");
    names.release(id);
}

/// Ids and names are not in the bytes that are looked through first; dead records and other cases of
/// letters are.
#[test]
fn a_word_is_found_wherever_it_stands_and_only_there() {
    let mut lab = Lab::new();
    for (uuid, args) in [
        ("cafe0000-7b1e-4d55-9a6c-2f0c5d1e8a90", "('tea',)"),
        ("order-77", "('Kiosk',)"),
        ("b", "('\u{212a}io\u{17f}k \u{e9}',)"),
    ] {
        lab.event(1.0, event("received", 1.0, json!({ "uuid": uuid, "args": "('gone',)" })));
        lab.event(2.0, event("received", 2.0, json!({ "uuid": uuid, "args": args })));
        lab.event(3.0, event("started", 3.0, json!({ "uuid": uuid, "hostname": "café@lab" })));
    }
    lab.event(4.0, event("started", 4.0, json!({ "uuid": "bare" })));
    for (word, found) in [
        ("cafe", 1),
        ("CAFE0000-7B1E", 1),
        ("order-7", 1),
        ("kiosk", 2),
        ("osk", 2),
        ("ss", 0),
        ("gone", 0),
        ("add", 3),
        ("café", 3),
        ("!tea", 3),
        ("!add", 1),
        ("args:tea,kiosk", 3),
        ("!args:tea", 3),
        ("args:gone", 0),
        ("/[Kk]io/", 1),
    ] {
        let filter = Filter::parse(word, Noun::Task, &TimeZone::UTC).unwrap();
        let query = Query { filter, limit: 10, ..Query::default() };
        let sort = Sort::of(Noun::Task);
        assert_eq!(
            lab.state.tasks.check_window(&query, sort, lab.state.now()).total,
            found,
            "{word}"
        );
    }
}

/// What a person may ask of the tasks that recordings tell of.
fn query() -> impl Strategy<Value = (Query, Sort)> {
    let filter = prop::sample::select(vec![
        "",
        "state:success",
        "!state:success,started",
        "state:orphaned,scheduled",
        "state:prog*",
        "place:active",
        "!place:queue",
        "queue:celery",
        "!queue:high",
        "worker:w1",
        "!worker:lab",
        "name:lab.add",
        "!name:lab.add queue:celery state:received",
        "worker:w1 1.0",
        "a",
        "!b",
        "args:1",
        "ADD",
        "!1.0",
        "lab*[1",
        "/lab.[a-z]+/",
        "/\\[1/",
        "result:current",
        "!result:current",
        "retries:>0",
        "runtime:>1",
        "!runtime:<1 state:success",
        "root:a",
        "since:5s",
        "until:5s queue:celery",
        "worker:w2 since:9s lab",
    ]);
    let sort = "-?(seen|uuid|name|state|place|queue|worker|started|received|finished|runtime|retries|args|result|root_id)";
    (filter, sort, 0..3_usize, 0..5_usize).prop_map(|(filter, sort, offset, limit)| {
        let filter = Filter::parse(filter, Noun::Task, &TimeZone::UTC).unwrap();
        let sort = Sort::parse(&sort, Noun::Task).unwrap();
        (Query { filter, limit, offset, ..Query::default() }, sort)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Queries come between the observations, so what is remembered of one is asked again.
    #[test]
    fn the_store_answers_as_the_model_does(
        recording in recording_of(kind()),
        queries in prop::collection::vec(query(), 1..6),
        budget in prop_oneof![Just(usize::MAX), 600..4_000_usize],
    ) {
        let mut lab = Lab::with(Rules::Ours, budget);
        for observation in recording {
            lab.see(observation["seen"].as_f64().unwrap(), observation);
            lab.state.tasks.check();
            for (query, sort) in &queries {
                let mut query = query.clone();
                for _ in 0..4 {
                    query.cursor = lab.state.tasks.check_window(&query, *sort, lab.state.now()).cursor;
                    if query.cursor.is_none() {
                        break;
                    }
                }
            }
        }
    }
}

/// Reads on, `most` tasks at a time, with a change between two stretches; answers the ids in order.
fn swept(
    lab: &mut Lab,
    filter: &str,
    most: usize,
    mut between: impl FnMut(&mut Lab),
) -> Vec<String> {
    let filter = Filter::parse(filter, Noun::Task, &TimeZone::UTC).unwrap();
    let mut sweep = lab.state.sweep(filter);
    let mut came = Vec::new();
    loop {
        let mut stretch = 0;
        let more = lab.state.go_on(&mut sweep, |row| {
            came.push(row.uuid.to_owned());
            stretch += 1;
            stretch < most
        });
        assert!(stretch <= most);
        if !more {
            return came;
        }
        between(lab);
    }
}

fn ids(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("task-{number:05}")).collect()
}

#[test]
fn who_reads_all_gets_each_once_whatever_happens_meanwhile() {
    let mut lab = Lab::new();
    // Many at one moment: none of them is met twice, or not at all.
    (0..50).for_each(|number| run(&mut lab, number, (number / 20) as f64, false));
    assert_eq!(swept(&mut lab, "", 7, |_| ()), ids(0..50), "oldest first");

    let mut at = 100.0;
    let came = swept(&mut lab, "", 7, |lab| {
        at += 1.0;
        // One that came already, one that did not, and one that is new.
        run(lab, 0, at, false);
        run(lab, 49, at, false);
        run(lab, at as usize, at, false);
    });
    let mut sorted = came.clone();
    sorted.sort();
    assert_eq!(sorted, ids(0..50));
    assert_eq!(came.last(), ids([49]).last(), "news move it to the end");
}

#[test]
fn who_reads_all_that_match_gets_what_still_does() {
    let mut lab = Lab::new();
    (0..30).for_each(|number| run(&mut lab, number, number as f64, number % 3 == 0));
    let mut at = 100.0;
    let came = swept(&mut lab, "state:received", 5, |lab| {
        at += 1.0;
        run(lab, 29, at, true);
    });
    assert_eq!(came, ids((0..29).filter(|number| number % 3 > 0)), "29 was over");
    assert_eq!(swept(&mut lab, "state:nosuch", 5, |_| ()), ids([]));
}

#[test]
fn whoever_is_let_go_meanwhile_is_missing_and_nothing_else() {
    let mut lab = Lab::with(Rules::Ours, room_for(40));
    (0..30).for_each(|number| run(&mut lab, number, number as f64, true));
    let mut number = 1_000;
    let came = swept(&mut lab, "", 5, |lab| {
        for _ in 0..30 {
            number += 1;
            run(lab, number, number as f64, true);
        }
    });
    assert_eq!(came[..5], ids(0..5));
    let mut once = came.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), came.len());
    assert!(came.len() <= 30, "{came:?}");
}
