use super::*;
use crate::state::tests::support::{Lab, event};
use crate::state::{Noun, Query, Rules};
use serde_json::json;

/// Room for about `tasks` tasks of the kind that these tests make.
fn room_for(tasks: usize) -> usize {
    let mut lab = Lab::new();
    lab.event(1.0, event("received", 1.0, json!({"uuid": "task-00000"})));
    lab.event(1.0, event("succeeded", 1.0, json!({"uuid": "task-00000"})));
    lab.state.tasks.bytes * tasks
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
fn the_count_of_bytes_returns_to_where_it_was() {
    let mut lab = Lab::new();
    for number in 0..50 {
        run(&mut lab, number, number as f64, number % 2 == 0);
    }
    let store = &mut lab.state.tasks;
    let uuids: Vec<Arc<str>> = store.tasks.keys().cloned().collect();
    for uuid in uuids {
        store.remove(&uuid, 0);
    }
    assert_eq!(store.bytes, 0);
    assert!(store.order.is_empty() && store.finished.is_empty() && store.by_name.is_empty());
    assert!(store.running.is_empty() && store.due.is_empty() && store.adrift.is_empty());
    assert!(store.places.values().all(|count| *count == 0));
}

#[test]
fn unused_texts_are_let_go() {
    let mut names = Interner::default();
    for number in 0..10_000 {
        names.intern(&format!("queue-{number}"));
    }
    assert!(names.texts.len() <= 1024, "{}", names.texts.len());
    let kept = names.intern("celery");
    assert!(Arc::ptr_eq(&kept, &names.intern("celery")));
}
