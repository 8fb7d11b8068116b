//! Events that come out of order, under our own rules and Celery's.

use super::support::{Lab, event};
use crate::state::task::DEVIATIONS;
use crate::state::{Noun, Rules};
use serde_json::{Value, json};

const KINDS: [&str; 10] = [
    "sent",
    "received",
    "started",
    "succeeded",
    "failed",
    "retried",
    "revoked",
    "rejected",
    "progress",
    "cancelled",
];

/// The row happened before the column, and was heard before it. A star: Celery's `State` differs.
const IN_ORDER: &str = "
     sent   PENDING   RECEIVED    STARTED    SUCCESS    FAILURE      RETRY    REVOKED   REJECTED   PROGRESS  CANCELLED
 received  RECEIVED   RECEIVED    STARTED    SUCCESS    FAILURE      RETRY    REVOKED   REJECTED*  PROGRESS  CANCELLED
  started   STARTED    STARTED    STARTED    SUCCESS    FAILURE      RETRY    REVOKED   REJECTED*  PROGRESS  CANCELLED
succeeded   SUCCESS   RECEIVED*   STARTED*   SUCCESS    SUCCESS    SUCCESS*   SUCCESS    SUCCESS    SUCCESS    SUCCESS
   failed   FAILURE   RECEIVED*   STARTED*   SUCCESS    FAILURE    FAILURE*   FAILURE    FAILURE    FAILURE    FAILURE
  retried     RETRY*  RECEIVED    STARTED    SUCCESS    FAILURE      RETRY    REVOKED      RETRY*  PROGRESS  CANCELLED
  revoked   REVOKED   RECEIVED*   STARTED*   SUCCESS    FAILURE    REVOKED*   REVOKED    REVOKED    REVOKED*   REVOKED*
 rejected  REJECTED   RECEIVED    STARTED    SUCCESS    FAILURE   REJECTED*   REVOKED   REJECTED   REJECTED*  REJECTED*
 progress  PROGRESS   PROGRESS   PROGRESS    SUCCESS    FAILURE      RETRY    REVOKED*  REJECTED*  PROGRESS  CANCELLED
cancelled CANCELLED   RECEIVED*   STARTED*   SUCCESS    FAILURE      RETRY    REVOKED*  REJECTED*  PROGRESS  CANCELLED";

/// The row happened before the column, and was heard after it.
const OUT_OF_ORDER: &str = "
     sent   PENDING   RECEIVED    STARTED    SUCCESS    FAILURE      RETRY*   REVOKED   REJECTED   PROGRESS  CANCELLED
 received  RECEIVED   RECEIVED    STARTED    SUCCESS    FAILURE      RETRY*   REVOKED   REJECTED*  PROGRESS  CANCELLED
  started   STARTED    STARTED    STARTED    SUCCESS    FAILURE      RETRY*   REVOKED   REJECTED*  PROGRESS  CANCELLED
succeeded   SUCCESS    SUCCESS    SUCCESS    SUCCESS    SUCCESS    SUCCESS    SUCCESS    SUCCESS    SUCCESS    SUCCESS
   failed   FAILURE    FAILURE    FAILURE    SUCCESS    FAILURE    FAILURE    FAILURE    FAILURE    FAILURE    FAILURE
  retried   PENDING*  RECEIVED*   STARTED*   SUCCESS*   FAILURE*     RETRY    REVOKED*  REJECTED*  PROGRESS* CANCELLED*
  revoked   REVOKED    REVOKED    REVOKED    SUCCESS    FAILURE    REVOKED    REVOKED    REVOKED   PROGRESS  CANCELLED
 rejected   PENDING*  RECEIVED    STARTED    SUCCESS    FAILURE      RETRY*   REVOKED   REJECTED   PROGRESS  CANCELLED
 progress  PROGRESS   PROGRESS   PROGRESS    SUCCESS    FAILURE      RETRY*   REVOKED*  REJECTED*  PROGRESS  CANCELLED*
cancelled CANCELLED  CANCELLED  CANCELLED    SUCCESS    FAILURE      RETRY*   REVOKED*  REJECTED*  PROGRESS* CANCELLED";

#[test]
fn every_pair_of_events_in_and_out_of_order() {
    for (table, order) in [(IN_ORDER, [0, 1]), (OUT_OF_ORDER, [1, 0])] {
        let shown: String =
            KINDS.iter().map(|first| format!("\n{}", pairs(first, order))).collect();
        assert_eq!(shown, table, "{shown}");
    }
}

fn pairs(first: &str, order: [usize; 2]) -> String {
    let cells = KINDS.iter().map(|second| {
        let pair = [(first, 1.0), (*second, 2.0)];
        let events = order.map(|index| pair[index]);
        let ours = state_after(Rules::Ours, &events);
        let star = if ours == state_after(Rules::Celery, &events) { " " } else { "*" };
        format!(" {ours:>9}{star}")
    });
    format!("{first:>9}{}", cells.collect::<String>()).trim_end().to_owned()
}

fn state_after(rules: Rules, events: &[(&str, f64)]) -> String {
    let mut lab = Lab::with(rules, usize::MAX);
    for (heard, (kind, at)) in events.iter().enumerate() {
        lab.event(100.0 + heard as f64, event(kind, *at, json!({})));
    }
    lab.task("t")["state"].as_str().unwrap().to_owned()
}

#[test]
fn every_deviation_from_celery_is_as_the_table_says() {
    type Case = (&'static str, Vec<(&'static str, f64, Value)>, Value, Value);
    let none = || json!({});
    let cases: Vec<Case> = vec![
        (
            "a new attempt",
            vec![("failed", 1.0, none()), ("received", 2.0, none()), ("started", 3.0, none())],
            json!({"state": "FAILURE"}),
            json!({"state": "STARTED"}),
        ),
        (
            "a late retried",
            vec![("succeeded", 2.0, none()), ("retried", 1.0, none())],
            json!({"state": "RETRY"}),
            json!({"state": "SUCCESS"}),
        ),
        (
            "what came before a retry",
            vec![("retried", 3.0, none()), ("started", 2.0, none())],
            json!({"state": "STARTED"}),
            json!({"state": "RETRY"}),
        ),
        (
            "rejected while running",
            vec![("started", 1.0, none()), ("rejected", 2.0, none())],
            json!({"state": "STARTED"}),
            json!({"state": "REJECTED"}),
        ),
        (
            "revoked while it reports progress",
            vec![("progress", 1.0, json!({"current": 1})), ("revoked", 2.0, none())],
            json!({"state": "PROGRESS"}),
            json!({"state": "REVOKED"}),
        ),
        (
            "late facts fill, never overwrite",
            vec![
                ("received", 2.0, json!({"retries": 1, "args": "(1,)"})),
                ("started", 3.0, none()),
                ("sent", 1.0, json!({"retries": 0, "args": "(0,)"})),
            ],
            json!({"state": "STARTED", "retries": 0, "args": "(0,)"}),
            json!({"state": "STARTED", "retries": 1, "args": "(1,)"}),
        ),
    ];
    let named: Vec<&str> = cases.iter().map(|case| case.0).collect();
    let listed: Vec<&str> = DEVIATIONS.iter().map(|deviation| deviation.name).collect();
    assert_eq!(named, listed);
    for (name, events, celerys, ours) in cases {
        for (rules, expected) in [(Rules::Celery, celerys), (Rules::Ours, ours)] {
            let mut lab = Lab::with(rules, usize::MAX);
            for (heard, (kind, at, more)) in events.iter().enumerate() {
                lab.event(10.0 + heard as f64, event(kind, *at, more.clone()));
            }
            let row = lab.task("t");
            for (field, value) in expected.as_object().unwrap() {
                assert_eq!(row[field], *value, "{name}, {rules:?}: {field}");
            }
        }
    }
}

#[test]
fn a_retry_begins_a_new_attempt() {
    let mut lab = Lab::new();
    lab.task_event(1.0, "received", json!({}));
    lab.task_event(2.0, "started", json!({}));
    lab.task_event(3.0, "retried", json!({"exception": "KeyError(7)", "traceback": "Trace"}));
    lab.task_event(4.0, "received", json!({"retries": 1, "hostname": "w2@lab"}));
    lab.task_event(5.0, "started", json!({"hostname": "w2@lab"}));
    lab.task_event(6.0, "succeeded", json!({"hostname": "w2@lab", "result": "3", "runtime": 0.5}));
    let details = lab.details("t");
    assert_eq!(
        details["attempts"],
        json!([
            {"state": "RETRY", "retries": 0, "worker": "w1@lab", "received": 1.0, "started": 2.0,
             "retried": 3.0, "exception": "KeyError(7)"},
            {"state": "SUCCESS", "retries": 1, "worker": "w2@lab", "received": 4.0,
             "started": 5.0, "succeeded": 6.0, "runtime": 0.5},
        ])
    );
    assert_eq!(details["exception"], Value::Null, "the row shows the last attempt alone");
    assert_eq!(details["finished"], json!(6.0));
}

#[test]
fn an_event_goes_to_the_attempt_it_is_about() {
    let mut lab = Lab::new();
    lab.task_event(1.0, "received", json!({}));
    lab.event(4.1, event("received", 4.0, json!({"retries": 1, "hostname": "w2@lab"})));
    // The first worker's events come late: its buffer was flushed after the second's.
    lab.event(4.2, event("started", 2.0, json!({})));
    lab.event(4.3, event("retried", 3.0, json!({"exception": "KeyError(7)"})));
    let details = lab.details("t");
    assert_eq!(details["state"], "RECEIVED");
    assert_eq!(details["worker"], "w2@lab");
    assert_eq!(details["attempts"][0]["state"], "RETRY");
    assert_eq!(details["attempts"][0]["started"], json!(2.0));
    assert_eq!(details["attempts"][1]["state"], "RECEIVED");
}

#[test]
fn a_retry_is_received_before_the_run_that_asks_for_it_ends() {
    let mut lab = Lab::new();
    lab.task_event(1.0, "received", json!({}));
    lab.task_event(2.0, "started", json!({}));
    lab.task_event(3.0, "received", json!({"retries": 1}));
    lab.task_event(3.1, "retried", json!({"exception": "KeyError(0)"}));
    lab.task_event(4.0, "started", json!({}));
    lab.task_event(5.0, "received", json!({"retries": 2}));
    lab.task_event(5.1, "retried", json!({"exception": "KeyError(1)"}));
    lab.task_event(6.0, "started", json!({}));
    lab.task_event(7.0, "succeeded", json!({}));
    let details = lab.details("t");
    let attempts = details["attempts"].as_array().unwrap();
    let told: Vec<_> = attempts.iter().map(|run| (&run["state"], &run["exception"])).collect();
    let [retry, success] = [json!("RETRY"), json!("SUCCESS")];
    let errors = [json!("KeyError(0)"), json!("KeyError(1)")];
    assert_eq!(told, [(&retry, &errors[0]), (&retry, &errors[1]), (&success, &Value::Null)]);
    assert_eq!(details["retries"], 2);
}

#[test]
fn a_lost_received_does_not_hide_a_new_attempt() {
    let mut lab = Lab::new();
    lab.task_event(1.0, "received", json!({}));
    lab.task_event(2.0, "retried", json!({}));
    lab.task_event(9.0, "failed", json!({"exception": "ValueError(1)"}));
    let details = lab.details("t");
    assert_eq!(details["state"], "FAILURE");
    assert_eq!(details["retries"], json!(1), "a retry counts one more");
    assert_eq!(details["attempts"].as_array().unwrap().len(), 2);
}

#[test]
fn f19_odd_retries_and_an_unreported_end() {
    let mut lab = Lab::new();
    lab.task_event(1.0, "received", json!({"retries": 7}));
    lab.task_event(2.0, "started", json!({}));
    let details = lab.details("t");
    assert_eq!(details["retries"], json!(7));
    assert_eq!(details["attempts"].as_array().unwrap().len(), 1, "a first run is no retry");
    lab.event(3.0, event("received", 3.0, json!({"uuid": 41})));
    assert_eq!(lab.task("41")["state"], "RECEIVED");
}

#[test]
fn f38_attempts_and_history_are_bounded() {
    let mut lab = Lab::new();
    for run in 0..2_000 {
        let at = f64::from(run);
        lab.task_event(at, "received", json!({"retries": run}));
        lab.task_event(at + 0.5, "retried", json!({}));
    }
    let details = lab.details("t");
    let attempts = details["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 10);
    assert_eq!(attempts[0]["retries"], json!(0), "the first is kept");
    assert_eq!(attempts[9]["retries"], json!(1999));
    assert_eq!(details["attempts_skipped"], json!(1990));
    let history = details["history"].as_array().unwrap();
    assert_eq!(history.len(), 64);
    assert_eq!(history[0]["at"], json!(0.0));
    assert_eq!(details["history_skipped"], json!(4_000 - 64));
}

#[test]
fn f58_progress_may_come_first_and_holds_no_number_that_json_cannot_express() {
    let mut lab = Lab::new();
    lab.task_event(1.0, "progress", json!({"current": null, "total": 10}));
    let row = lab.task("t");
    assert_eq!(row["progress"], json!({"total": 10}));
    assert_eq!((&row["state"], &row["place"]), (&json!("PROGRESS"), &json!("active")));
    lab.event(2.0, event("started", 0.5, json!({})));
    assert_eq!(lab.task("t")["started"], json!(0.5));
}

#[test]
fn f01_a_repr_that_may_be_cut_says_so() {
    for (args, cut) in [
        ("('wait',)", false),
        ("('wait...',)", true),
        ("({'a': [{...}]},)", true),
        (&format!("('{}',)", "a".repeat(1000)), true),
    ] {
        let mut lab = Lab::new();
        lab.task_event(1.0, "received", json!({ "args": args }));
        assert_eq!(lab.task("t").get("args_cut"), cut.then(|| json!(true)).as_ref(), "{args}");
        assert!(lab.details("t").get("args_json").is_none(), "a repr is never exact");
    }
}

#[test]
fn f42_ids_are_any_text() {
    for uuid in ["orders/2026#1?x=%2F y", "été-\u{202e}\n1", "A70C67FF", "a70c67ff"] {
        let mut lab = Lab::new();
        lab.task_event(1.0, "received", json!({ "uuid": uuid, "name": "pretty/name ü" }));
        assert_eq!(lab.task(uuid)["key"], json!(uuid));
        assert_eq!(lab.keys(Noun::Name, Default::default()), ["pretty/name ü"]);
    }
}
