//! Where tasks are: queues, unacknowledged messages, workers' lists, the result backend.

use super::support::{Lab, event};
use crate::state::{Noun, Query};
use serde_json::{Value, json};

fn head(queue: &str, uuids: &[&str], complete: bool) -> Value {
    let messages: Vec<Value> = uuids
        .iter()
        .map(|uuid| json!({"uuid": uuid, "name": "lab.add", "args": "[1]", "args_json": "[1]"}))
        .collect();
    json!({"head": {"queue": queue, "messages": messages, "complete": complete,
                    "total": uuids.len()}})
}

fn place(lab: &Lab, uuid: &str) -> Value {
    lab.task(uuid)["place"].clone()
}

#[test]
fn a_waiting_message_is_a_pending_task() {
    let mut lab = Lab::new();
    lab.see(1.0, head("celery", &["a", "b"], true));
    let row = lab.task("b");
    assert_eq!((&row["state"], &row["place"]), (&json!("PENDING"), &json!("queue")));
    assert_eq!((&row["queue"], &row["seen"]), (&json!("celery"), &json!(1.0)));
    assert_eq!(row.get("received"), None);
    let details = lab.details("b");
    assert_eq!(details["position"], json!(1));
    assert_eq!(details.get("consumers"), None, "no worker was heard");
    assert_eq!(details["args_json"], "[1]");
    assert_eq!(details["sources"]["args_json"], "queue");
    let revision = lab.state.revision();
    lab.see(3.0, head("celery", &["a", "b"], true));
    assert_eq!(lab.task("b")["seen"], json!(1.0), "reading the same again does not move it");
    assert_eq!(lab.state.revision(), revision);
    lab.inspect(4.0, "w1@lab", json!({"active_queues": [{"name": "high"}]}));
    assert_eq!(lab.details("b")["consumers"], json!(0));
    lab.inspect(5.0, "w1@lab", json!({"active_queues": [{"name": "high"}, {"name": "celery"}]}));
    assert_eq!(lab.details("b")["consumers"], json!(1));
    lab.task_event(6.0, "received", json!({"uuid": "b"}));
    assert_eq!(lab.details("b").get("consumers"), None, "it waits no more");
}

#[test]
fn a_purged_task_is_gone_unless_events_know_it() {
    let mut lab = Lab::new();
    lab.event(0.5, event("sent", 0.5, json!({"uuid": "known", "queue": "celery"})));
    lab.see(1.0, head("celery", &["purged", "known"], true));
    lab.see(3.0, head("celery", &[], true));
    assert_eq!(place(&lab, "purged"), Value::Null, "nobody knows where");
    assert_eq!(lab.state.unexplained(10), ["known", "purged"]);
    lab.see(4.0, json!({"no_result": {"uuids": ["purged", "known"]}}));
    assert!(lab.state.unexplained(10).is_empty(), "just asked");
    lab.tick(12.9);
    assert_eq!(lab.task("purged")["state"], "PENDING", "it may have been taken");
    lab.tick(13.0);
    assert_eq!(lab.task("purged"), Value::Null);
    assert_eq!(lab.task("known")["state"], "PENDING");
    assert_eq!(lab.state.counts().tasks, 1);
}

#[test]
fn a_message_that_was_taken_is_explained_by_its_result() {
    let mut lab = Lab::new();
    lab.see(1.0, head("celery", &["a"], true));
    lab.see(3.0, head("celery", &[], true));
    lab.see(
        4.0,
        json!({"result": {"uuid": "a", "status": "SUCCESS", "result_json": "3", "date_done": 2.5}}),
    );
    let row = lab.task("a");
    assert_eq!((&row["state"], &row["place"]), (&json!("SUCCESS"), &json!("done")));
    assert_eq!((&row["result"], &row["finished"]), (&json!("3"), &json!(2.5)));
    assert_eq!(row.get("succeeded"), None, "no event told");
    assert_eq!(row["seen"], json!(3.0), "newer than the result: that it left the queue");
    let details = lab.details("a");
    assert_eq!(details["sources"]["state"], "backend");
    assert_eq!(details["result_json"], "3");
}

#[test]
fn a_queue_read_in_part_tells_who_went() {
    let mut lab = Lab::new();
    lab.see(1.0, head("celery", &["a", "b", "c", "d"], false));
    lab.see(3.0, head("celery", &["c", "d", "e", "f"], false));
    assert_eq!(place(&lab, "a"), Value::Null, "ahead of one that stands");
    lab.see(5.0, head("celery", &["urgent-1", "urgent-2", "c", "d"], false));
    assert_eq!(place(&lab, "f"), "queue", "pushed out of sight by more urgent ones");
    lab.see(7.0, head("celery", &["urgent-3", "urgent-4", "urgent-5", "urgent-6"], false));
    assert_eq!(place(&lab, "d"), "queue", "nothing that stood behind it is seen");
    lab.see(8.0, json!({"found": {"queue": "celery", "message": {"uuid": "deep"}}}));
    assert_eq!(place(&lab, "deep"), "queue");
    assert_eq!(lab.details("deep").get("position"), None);
    assert_eq!(place(&lab, "urgent-3"), "queue", "one message tells nothing of others");
}

#[test]
fn what_workers_hold_is_reserved_until_it_is_not() {
    let mut lab = Lab::new();
    let message = json!({"uuid": "a", "name": "lab.add", "priority": 3});
    lab.see(
        5.0,
        json!({"unacked": {"index": [["tag", 4.0]], "complete": true,
            "new": [{"delivery_tag": "tag", "queue": "high", "message": message}]}}),
    );
    let row = lab.task("a");
    assert_eq!((&row["state"], &row["place"]), (&json!("RECEIVED"), &json!("reserved")));
    assert_eq!(row["seen"], json!(4.0), "when it was handed out");
    assert_eq!(lab.details("a")["sources"]["queue"], "unacked");
    assert!(lab.state.known_tags().contains("tag"));
    lab.see(7.0, json!({"unacked": {"index": [["tag", 4.0]], "complete": true}}));
    assert_eq!(place(&lab, "a"), "reserved");
    lab.see(9.0, json!({"unacked": {"complete": true}}));
    assert_eq!(place(&lab, "a"), Value::Null);
    assert!(lab.state.known_tags().is_empty());
    assert_eq!(lab.state.unexplained(10), ["a"]);
    lab.inspect(10.0, "w1@lab", json!({"active": [{"uuid": "a", "time_start": 8.9}]}));
    let row = lab.task("a");
    assert_eq!((&row["state"], &row["place"]), (&json!("STARTED"), &json!("active")));
    assert_eq!((&row["started"], &row["worker"]), (&json!(8.9), &json!("w1@lab")));
}

#[test]
fn a_queue_counts_what_workers_hold_of_it() {
    let mut lab = Lab::new();
    lab.see(1.0, json!({"queue_names": {"names": ["high", "low"]}}));
    assert_eq!(lab.queue("high").get("unacked"), None);
    lab.see(
        2.0,
        json!({"unacked": {"index": [["t", 1.0]], "complete": true,
            "new": [{"delivery_tag": "t", "queue": "high", "message": {}}]}}),
    );
    assert_eq!(lab.queue("high")["unacked"], json!(1));
    assert_eq!(lab.queue("low")["unacked"], json!(0));
    lab.see(2.5, json!({"queue_names": {"names": ["later"]}}));
    assert_eq!(lab.queue("later")["unacked"], json!(0), "its workers were looked through before");
}

#[test]
fn a_task_waits_for_its_eta_until_it_comes() {
    let mut lab = Lab::new();
    lab.event(10.0, event("received", 10.0, json!({"eta": "1970-01-01T00:01:00+00:00"})));
    let row = lab.task("t");
    assert_eq!((&row["state"], &row["place"]), (&json!("RECEIVED"), &json!("scheduled")));
    assert_eq!(row["eta"], json!(60.0));
    lab.tick(59.0);
    assert_eq!(place(&lab, "t"), "scheduled");
    lab.tick(60.0);
    assert_eq!(place(&lab, "t"), "reserved");
    assert_eq!(lab.task("t")["seen"], json!(10.0), "nothing new is known of it");
}

#[test]
fn scheduled_and_reserved_lists_place_tasks() {
    let mut lab = Lab::new();
    let eta = "1970-01-01T01:00:00+00:00";
    lab.inspect(
        1.0,
        "w1@lab",
        json!({"scheduled": [{"uuid": "s", "name": "lab.add", "eta": eta}]}),
    );
    lab.inspect(1.0, "w1@lab", json!({"reserved": [{"uuid": "r", "routing_key": "celery"}]}));
    assert_eq!(place(&lab, "s"), "scheduled");
    assert_eq!(place(&lab, "r"), "reserved");
    assert_eq!(lab.worker("w1@lab")["reserved"], json!(1));
    assert_eq!(lab.details("r")["sources"]["queue"], "inspect");
    lab.inspect(6.0, "w1@lab", json!({"reserved": []}));
    assert_eq!(place(&lab, "r"), Value::Null);
    assert_eq!(place(&lab, "s"), "scheduled");
}

#[test]
fn f33_two_looks_that_miss_a_running_task_end_it() {
    let mut lab = Lab::new();
    lab.beat(1.0, "w1@lab", 7);
    lab.task_event(2.0, "started", json!({}));
    lab.inspect(5.0, "w1@lab", json!({"active": []}));
    assert_eq!(lab.task("t").get("ended"), None);
    assert_eq!(lab.state.unexplained(10), ["t"], "the backend is asked after the first");
    lab.inspect(10.0, "w1@lab", json!({"active": []}));
    let row = lab.task("t");
    assert_eq!((&row["ended"], &row["place"]), (&json!("unknown"), &json!("done")));
    assert_eq!(row["state"], "STARTED");
    // A result explains it after all.
    lab.see(11.0, json!({"result": {"uuid": "t", "status": "FAILURE", "exception": "E('x')"}}));
    let row = lab.task("t");
    assert_eq!((&row["state"], row.get("ended")), (&json!("FAILURE"), None));
}

#[test]
fn f33_a_task_that_is_named_again_runs() {
    let mut lab = Lab::new();
    lab.beat(1.0, "w1@lab", 7);
    lab.task_event(2.0, "started", json!({}));
    let listed = json!({"active": [{"uuid": "t", "time_start": 2.0}]});
    for (at, reply) in [(5.0, json!({"active": []})), (10.0, listed), (15.0, json!({"active": []}))]
    {
        lab.inspect(at, "w1@lab", reply);
        assert_eq!(lab.task("t").get("ended"), None, "only two in a row end it");
    }
}

#[test]
fn f34_a_running_task_whose_message_was_put_back_is_at_two_places() {
    let mut lab = Lab::new();
    lab.task_event(1.0, "received", json!({}));
    lab.task_event(2.0, "started", json!({}));
    let stale = json!({"head": {"queue": "celery", "messages": [{"uuid": "t"}], "complete": true}});
    lab.see(2.5, stale);
    assert_eq!(lab.details("t").get("also"), None, "the look is older than the event");
    lab.see(
        3.0,
        json!({"head": {"queue": "celery", "messages": [{"uuid": "t", "redelivered": true}],
                        "complete": true}}),
    );
    let details = lab.details("t");
    assert_eq!((&details["state"], &details["place"]), (&json!("STARTED"), &json!("active")));
    assert_eq!(details["redelivered"], json!(true));
    assert_eq!(details["also"], json!([{"place": "queue", "queue": "celery"}]));
    lab.see(5.0, json!({"head": {"queue": "celery", "complete": true}}));
    assert_eq!(lab.details("t").get("also"), None);
}

#[test]
fn f17_one_task_in_two_queues_is_not_moved() {
    let mut lab = Lab::new();
    lab.see(1.0, head("qa", &["t"], true));
    lab.see(1.0, head("qb", &["t"], true));
    assert_eq!(lab.details("t")["also"].as_array().unwrap().len(), 1);
    lab.see(3.0, head("qa", &[], true));
    assert_eq!((place(&lab, "t"), lab.details("t").get("also")), (json!("queue"), None));
}

#[test]
fn the_backend_wins_over_a_late_event_and_not_over_a_later_run() {
    let stored = json!({"result": {"uuid": "t", "status": "SUCCESS", "date_done": 5.0}});
    let mut lab = Lab::new();
    lab.task_event(4.0, "started", json!({}));
    lab.see(6.0, stored.clone());
    lab.event(7.0, event("retried", 2.0, json!({})));
    assert_eq!(lab.task("t")["state"], "SUCCESS");
    lab.task_event(8.0, "received", json!({}));
    lab.see(9.0, stored);
    assert_eq!(lab.task("t")["state"], "RECEIVED", "the stored one is the run before's");
    assert_eq!(lab.details("t")["attempts"][0]["state"], "SUCCESS");
    // A stored RETRY says nothing of the run that followed it.
    lab.see(10.0, json!({"result": {"uuid": "t", "status": "RETRY"}}));
    assert_eq!(lab.task("t")["state"], "RECEIVED");
}

#[test]
fn what_is_stored_after_a_retry_is_the_next_run() {
    let retry = |exception: &str| {
        json!({"result": {"uuid": "t", "status": "RETRY", "exception": exception,
            "traceback": "Traceback (most recent call last):\nValueError: x\n"}})
    };
    let stored =
        json!({"result": {"uuid": "t", "status": "SUCCESS", "result_json": "3", "date_done": 9.0}});

    // Without events.
    let mut lab = Lab::new();
    lab.see(1.0, head("celery", &["t"], true));
    lab.see(3.0, retry("ValueError('x')"));
    lab.see(5.0, retry("ValueError('y')"));
    assert_eq!(lab.task("t")["exception"], "ValueError('y')", "the store holds the newest");
    lab.see(7.0, json!({"result": {"uuid": "t", "status": "STARTED"}}));
    let row = lab.task("t");
    assert_eq!((&row["state"], row.get("exception")), (&json!("STARTED"), None));
    lab.see(10.0, stored.clone());
    let details = lab.details("t");
    assert_eq!((&details["state"], &details["result"]), (&json!("SUCCESS"), &json!("3")));
    assert_eq!((details.get("exception"), details.get("traceback")), (None, None));
    assert_eq!(details["attempts"][0]["exception"], "ValueError('y')");
    assert_eq!(details.get("retries"), None, "there may have been more runs between");

    // With them: the result is read before the events of the run that stored it are heard.
    let mut lab = Lab::new();
    lab.task_event(2.0, "received", json!({"retries": 0}));
    lab.task_event(4.0, "retried", json!({"exception": "ValueError('x')"}));
    lab.see(5.0, json!({"result": {"uuid": "t", "status": "STARTED"}}));
    let attempts = lab.details("t")["attempts"].as_array().unwrap().len();
    assert_eq!(attempts, 1, "read before the retry, perhaps");
    lab.see(10.0, stored);
    lab.task_event(6.0, "received", json!({"retries": 1}));
    lab.task_event(9.0, "succeeded", json!({"result": "3"}));
    let details = lab.details("t");
    assert_eq!(details["attempts"].as_array().unwrap().len(), 2);
    assert_eq!((&details["state"], details.get("exception")), (&json!("SUCCESS"), None));
}

#[test]
fn an_extended_result_alone_makes_a_row() {
    let mut lab = Lab::new();
    lab.see(
        9.0,
        json!({"result": {"uuid": "t", "status": "FAILURE", "exception": "ValueError('x')",
            "traceback": "Traceback (most recent call last):\n  File \"a.py\", line 3, in f\n    g()\nValueError: x\n",
            "date_done": 5.0, "name": "lab.add", "args_json": "[1, NaN]", "kwargs_json": "{}",
            "worker": "w1@lab", "retries": 2, "queue": "celery", "group_id": "g"}}),
    );
    let details = lab.details("t");
    assert_eq!(details["seen"], json!(5.0), "when it ended, not when we read it");
    assert_eq!((&details["args"], &details["args_json"]), (&json!("[1, NaN]"), &json!("[1, NaN]")));
    assert_eq!(details["traceback"]["frames"][0]["line"], json!(3));
    assert_eq!(details["sources"]["queue"], "backend");
    assert_eq!(
        details["history"][0],
        json!({"type": "FAILURE", "at": 5.0, "seen": 9.0,
        "source": "backend", "worker": "w1@lab"})
    );
    assert!(lab.state.is_over("t"));
    assert!(lab.keys(Noun::Worker, Query::default()).is_empty(), "a name alone is no worker");
}

#[test]
fn a_snapshot_is_dated_by_our_clock() {
    let mut lab = Lab::new();
    // The worker's clock is an hour ahead of ours.
    let beat = json!({"type": "worker-heartbeat", "hostname": "w1@lab", "timestamp": 3610.0,
                      "pid": 7, "freq": 2.0});
    lab.event(10.0, beat);
    lab.inspect(12.0, "w1@lab", json!({"active": [{"uuid": "t", "time_start": 3611.0}]}));
    assert_eq!(lab.task("t")["seen"], json!(11.0));
    lab.inspect(17.0, "w1@lab", json!({"active": [{"uuid": "t", "time_start": 3611.0}]}));
    assert_eq!(lab.task("t")["seen"], json!(11.0));
    lab.see(20.0, json!({"result": {"uuid": "t", "status": "SUCCESS", "date_done": 9999.0}}));
    assert_eq!(lab.task("t")["seen"], json!(20.0), "never later than now");
}

#[test]
fn a_worker_with_one_queue_tells_where_its_tasks_came_from() {
    let mut lab = Lab::new();
    lab.task_event(1.0, "received", json!({"uuid": "before"}));
    lab.inspect(2.0, "w1@lab", json!({"active_queues": [{"name": "celery"}]}));
    lab.task_event(3.0, "received", json!({"uuid": "after"}));
    for uuid in ["before", "after"] {
        assert_eq!(lab.details(uuid)["queue"], "celery");
        assert_eq!(lab.details(uuid)["sources"]["queue"], "worker");
    }
    lab.inspect(4.0, "w1@lab", json!({"active_queues": [{"name": "celery"}, {"name": "high"}]}));
    lab.task_event(5.0, "received", json!({"uuid": "either"}));
    assert_eq!(lab.task("either").get("queue"), None, "never guessed");
    // What the message itself says is stronger.
    lab.see(6.0, json!({"found": {"queue": "high", "message": {"uuid": "after"}}}));
    assert_eq!(lab.task("after")["queue"], "high");
}

#[test]
fn registered_names_are_rows_and_tell_max_retries() {
    let mut lab = Lab::new();
    lab.task_event(1.0, "received", json!({}));
    let revision = lab.state.revision_of(Noun::Task, "t");
    let registered = json!({"registered": [{"name": "lab.add", "info": {"max_retries": 3}},
                                           {"name": "lab.never"}]});
    lab.inspect(2.0, "w1@lab", registered.clone());
    assert_eq!(lab.task("t")["max_retries"], json!(3));
    assert!(lab.state.revision_of(Noun::Task, "t") > revision);
    assert_eq!(lab.keys(Noun::Name, Query::default()), ["lab.add", "lab.never"]);
    assert_eq!(
        lab.row(Noun::Name, "lab.add"),
        json!({"key": "lab.add", "name": "lab.add", "tasks": 1, "states": {"RECEIVED": 1},
               "registered": true, "max_retries": 3})
    );
    let revision = lab.state.revision_of(Noun::Task, "t");
    lab.inspect(62.0, "w1@lab", registered);
    assert_eq!(lab.state.revision_of(Noun::Task, "t"), revision);
}

#[test]
fn a_workflow_is_told_by_roots_and_a_cycle_harms_nobody() {
    let mut lab = Lab::new();
    let ids = |uuid: &str, root: &str, parent: &str| json!({"uuid": uuid, "root_id": root, "parent_id": parent});
    lab.task_event(1.0, "received", json!({"uuid": "root", "root_id": "root"}));
    lab.task_event(2.0, "received", ids("child", "root", "root"));
    lab.task_event(3.0, "received", ids("grandchild", "root", "child"));
    lab.task_event(4.0, "received", ids("other", "root", "root"));
    let relations = |lab: &Lab, uuid: &str| -> Vec<(String, String)> {
        let details = lab.details(uuid);
        let relatives = details["workflow"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        relatives.iter().map(|other| (text(&other["uuid"]), text(&other["relation"]))).collect()
    };
    let expected = [("root", "root"), ("child", "parent"), ("other", "related")];
    assert_eq!(relations(&lab, "grandchild"), expected.map(|(a, b)| (a.into(), b.into())));
    let expected = [("root", "parent"), ("grandchild", "child"), ("other", "sibling")];
    assert_eq!(relations(&lab, "child"), expected.map(|(a, b)| (a.into(), b.into())));
    lab.task_event(5.0, "received", ids("x", "y", "y"));
    lab.task_event(5.0, "received", ids("y", "x", "x"));
    assert_eq!(relations(&lab, "x"), [("y".into(), "parent".into())]);
}

#[test]
fn f40_rows_with_almost_nothing_known() {
    for kind in ["sent", "started", "succeeded"] {
        let mut lab = Lab::new();
        lab.event(1.0, event(kind, 1.0, json!({"name": null, "args": null, "kwargs": null})));
        let row = lab.task("t");
        assert!(row.as_object().unwrap().values().all(|value| !value.is_null()), "{row}");
        assert_eq!(row.get("name"), None);
    }
}

#[test]
fn what_a_gap_left_open_is_asked_for() {
    let mut lab = Lab::new();
    lab.task_event(1.0, "received", json!({}));
    assert!(lab.state.unexplained(10).is_empty());
    lab.see(9.0, json!({"gap": {"from": 2.0}}));
    assert_eq!(lab.state.unexplained(10), ["t"]);
    assert_eq!(place(&lab, "t"), "reserved", "nothing else is known of it");
    lab.see(10.0, json!({"no_result": {"uuids": ["t"]}}));
    lab.tick(19.0);
    assert!(lab.state.unexplained(10).is_empty());
    lab.tick(20.0);
    assert_eq!(lab.state.unexplained(10), ["t"]);
    lab.task_event(21.0, "started", json!({}));
    assert!(lab.state.unexplained(10).is_empty());
}
