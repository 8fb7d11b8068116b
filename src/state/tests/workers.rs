//! Workers: alive or not and why, their figures, and the tasks they leave behind.

use super::support::{Lab, event};
use crate::state::{Flow, Noun, Query};
use serde_json::{Value, json};

/// Status and evidence.
fn verdict(lab: &Lab, hostname: &str) -> (String, String) {
    let row = lab.worker(hostname);
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    (text("status"), text("evidence"))
}

fn status(lab: &Lab, hostname: &str) -> String {
    verdict(lab, hostname).0
}

#[test]
fn a_beat_counts_for_two_periods() {
    let mut lab = Lab::new();
    lab.beat(10.0, "w1@lab", 7);
    lab.tick(13.9);
    assert_eq!(status(&lab, "w1@lab"), "online");
    let before = lab.state.revision();
    lab.tick(14.0);
    assert_eq!(status(&lab, "w1@lab"), "silent");
    assert_eq!(lab.state.revision(), before + 1);
    lab.tick(15.0);
    assert_eq!(lab.state.revision(), before + 1, "time alone changes nothing");
    lab.tick(70.1);
    assert_eq!(status(&lab, "w1@lab"), "lost");
    lab.beat(71.0, "w1@lab", 7);
    assert_eq!(status(&lab, "w1@lab"), "online");
}

#[test]
fn goodbye_is_offline_and_an_unknown_goodbye_is_no_row() {
    let mut lab = Lab::new();
    let offline = |hostname: &str, at: f64| json!({"type": "worker-offline", "hostname": hostname, "timestamp": at, "freq": 2.0});
    lab.event(1.0, offline("w9@lab", 1.0));
    assert_eq!(lab.worker("w9@lab"), Value::Null);
    lab.beat(2.0, "w1@lab", 7);
    lab.event(3.0, offline("w1@lab", 3.0));
    assert_eq!(status(&lab, "w1@lab"), "offline");
    lab.tick(90.0);
    assert_eq!(status(&lab, "w1@lab"), "offline");
}

#[test]
fn f29_a_client_is_no_worker_and_a_strange_event_no_harm() {
    let mut lab = Lab::new();
    lab.event(1.0, event("sent", 1.0, json!({"name": null, "queue": null})));
    lab.event(1.0, event("audit", 1.0, json!({"uuid": "other", "hostname": "gen7@x"})));
    assert!(lab.keys(Noun::Worker, Query::default()).is_empty());
    assert_eq!(lab.task("t")["state"], "PENDING");
    lab.see(2.0, json!({"undecodable": {"what": "event", "reason": "no uuid"}}));
    assert_eq!(lab.state.counts().undecodable, 1);
}

#[test]
fn f32_a_worker_that_answers_is_silent_and_never_lost() {
    let mut lab = Lab::new();
    lab.beat(10.0, "w1@lab", 7);
    for at in [20.0, 70.0, 120.0] {
        lab.inspect(at, "w1@lab", json!("ping"));
        lab.tick(at + 1.0);
        let expected = ("silent".into(), "heartbeats stopped; it answers `ping`".into());
        assert_eq!(verdict(&lab, "w1@lab"), expected);
    }
}

#[test]
fn a_worker_without_heartbeats_is_online_while_it_answers() {
    let mut lab = Lab::new();
    let changes = lab.inspect(1.0, "w1@lab", json!("ping"));
    assert_eq!(changes.appeared, ["w1@lab"]);
    lab.tick(300.0);
    assert_eq!(status(&lab, "w1@lab"), "online");
    assert_eq!(lab.state.workers_online(), ["w1@lab"]);
    lab.see(301.0, json!({"missing": {"method": "ping", "hostnames": ["w1@lab", "never@lab"]}}));
    assert_eq!(status(&lab, "w1@lab"), "lost");
    assert_eq!(lab.worker("never@lab"), Value::Null, "a name alone is no worker");
}

#[test]
fn a_solo_worker_is_quiet_while_its_task_runs() {
    let mut lab = Lab::new();
    lab.beat(10.0, "w1@lab", 7);
    let stats = json!({"stats": {"pid": 7, "pool": {"implementation": "celery.concurrency.solo:TaskPool",
                       "processes": [7]}}});
    lab.inspect(10.5, "w1@lab", stats);
    let row = lab.worker("w1@lab");
    assert_eq!((&row["pool"], &row["active"]), (&json!("solo"), &json!(0)), "{row}");
    // One of two listeners answered; the other may be this one.
    lab.see(
        75.0,
        json!({"missing": {"method": "ping", "hostnames": ["w1@lab"], "listeners": 2, "answered": 1}}),
    );
    lab.tick(80.0);
    let (status, evidence) = verdict(&lab, "w1@lab");
    assert_eq!(status, "silent");
    assert!(evidence.contains("solo") && evidence.contains("listeners"), "{evidence}");
    assert_eq!(lab.worker("w1@lab").get("active"), None, "its last beat was before the task");
    // Nobody listens any more: it is gone.
    lab.see(
        81.0,
        json!({"missing": {"method": "ping", "hostnames": ["w1@lab"], "listeners": 1, "answered": 1}}),
    );
    assert_eq!(verdict(&lab, "w1@lab").0, "lost");
}

#[test]
fn silence_does_not_count_while_we_are_deaf() {
    let mut lab = Lab::new();
    lab.beat(10.0, "w1@lab", 7);
    lab.see(11.0, json!({"disconnected": null}));
    lab.tick(200.0);
    assert_eq!(status(&lab, "w1@lab"), "online", "what was last known");
    lab.see(201.0, json!({"gap": {"from": 11.0}}));
    lab.tick(204.0);
    assert_eq!(status(&lab, "w1@lab"), "online", "it gets its time to be heard");
    lab.tick(205.0);
    assert_eq!(status(&lab, "w1@lab"), "silent");
    let gaps = json!(lab.state.gaps());
    assert_eq!(gaps, json!([{"from": 11.0, "to": 201.0, "refilled": false}]));
    lab.see(206.0, json!({"refilled": null}));
    assert!(lab.state.gaps()[0].refilled);
}

#[test]
fn f36_skew_is_the_smallest_distance_of_recent_beats() {
    let mut lab = Lab::new();
    for (received, sent) in [(10.0, 9.9), (12.0, 11.95), (14.0, 3.0)] {
        let beat = json!({"type": "worker-heartbeat", "hostname": "w1@lab", "timestamp": sent,
                          "pid": 7, "freq": 2.0});
        lab.event(received, beat);
    }
    assert_eq!(lab.worker("w1@lab")["skew"], json!(0.05));
}

#[test]
fn f27_a_clock_that_starts_again_orders_nothing() {
    let mut lab = Lab::new();
    let mut beat = |at: f64, pid: i64, clock: u64| {
        lab.event(
            at,
            json!({"type": "worker-heartbeat", "hostname": "w1@lab", "timestamp": at,
                             "pid": pid, "clock": clock, "freq": 2.0}),
        );
    };
    beat(1.0, 23819, 492);
    beat(9.0, 414, 1);
    assert_eq!(lab.worker("w1@lab")["clock"], json!(1));
    lab.event(10.0, event("received", 10.0, json!({"uuid": "old", "clock": 900})));
    lab.event(11.0, event("received", 11.0, json!({"uuid": "new", "clock": 2})));
    assert_eq!(lab.keys(Noun::Task, Query::default()), ["new", "old"]);
}

#[test]
fn f25_counts_are_sizes_of_sets_and_a_restart_orphans_what_ran() {
    let mut lab = Lab::new();
    lab.beat(1.0, "w1@lab", 7);
    lab.event(2.0, event("started", 2.0, json!({"uuid": "a"})));
    lab.event(2.0, event("succeeded", 2.0, json!({"uuid": "never-started"})));
    assert_eq!(lab.state.counts().active, 1);
    let changes = lab.beat(10.0, "w1@lab", 8);
    assert_eq!(changes.appeared, ["w1@lab"], "a new process is asked at once");
    assert_eq!(lab.task("a")["orphaned"], json!({"worker": "w1@lab", "since": 10.0}));
    assert_eq!(lab.state.unexplained(10), ["a"], "the backend may know");
    lab.event(11.0, event("succeeded", 2.5, json!({"uuid": "a"})));
    assert_eq!(lab.task("a").get("orphaned"), None);
    assert_eq!(lab.state.counts().active, 0);
    // A late beat of the process before is no restart.
    assert!(lab.beat(12.0, "w1@lab", 7).appeared.is_empty());
}

#[test]
fn a_lost_worker_orphans_what_ran() {
    let mut lab = Lab::new();
    lab.beat(1.0, "w1@lab", 7);
    lab.task_event(2.0, "started", json!({}));
    lab.tick(50.0);
    assert_eq!(lab.task("t").get("orphaned"), None);
    lab.tick(63.0);
    assert_eq!(lab.task("t")["orphaned"], json!({"worker": "w1@lab", "since": 63.0}));
    // It is delivered again, to another worker.
    lab.event(70.0, event("received", 70.0, json!({"hostname": "w2@lab"})));
    let details = lab.details("t");
    assert_eq!(details["attempts"].as_array().unwrap().len(), 2);
    assert_eq!((&details["state"], &details["worker"]), (&json!("RECEIVED"), &json!("w2@lab")));
}

#[test]
fn f49_a_worker_that_comes_late_appears() {
    let mut lab = Lab::new();
    lab.tick(1.0);
    assert_eq!(lab.beat(34.0, "slow@lab", 7).appeared, ["slow@lab"]);
    assert!(lab.beat(36.0, "slow@lab", 7).appeared.is_empty());
    let event = event("started", 40.0, json!({"hostname": "quiet@lab"}));
    assert_eq!(lab.event(40.0, event).appeared, ["quiet@lab"]);
}

#[test]
fn whether_task_events_are_on() {
    let beat = |at: f64, processed: u64| {
        json!({"type": "worker-heartbeat", "hostname": "w1@lab", "timestamp": at, "pid": 7,
               "freq": 2.0, "processed": processed})
    };
    let mut lab = Lab::new();
    lab.event(1.0, beat(1.0, 0));
    assert_eq!(lab.worker("w1@lab").get("events"), None, "unknown");
    assert_eq!(lab.state.events_flow(), Flow::Silent);
    lab.event(3.0, beat(3.0, 4));
    lab.event(5.0, beat(5.0, 9));
    assert_eq!(lab.worker("w1@lab")["events"], "off");
    assert_eq!(lab.state.events_flow(), Flow::Off);
    assert!(lab.state.some_worker_sends_no_task_events());
    lab.task_event(6.0, "progress", json!({"current": 1}));
    assert_eq!(lab.worker("w1@lab")["events"], "off", "`send_event()` needs no -E");
    let told = |reply: &str| json!({"control": {"hostname": "w1@lab", "method": "enable_events", "reply": reply}});
    lab.see(7.0, told("event dispatcher unavailable"));
    assert_eq!(lab.worker("w1@lab")["events"], "off");
    lab.see(7.0, told("task events enabled"));
    assert_eq!(lab.worker("w1@lab")["events"], "on");
    assert_eq!(lab.state.events_flow(), Flow::Flowing);
    // A worker started with -E says so, and goes on.
    lab.see(
        8.0,
        json!({"control": {"hostname": "w1@lab", "method": "disable_events",
                           "reply": "task events already disabled"}}),
    );
    assert_eq!(lab.worker("w1@lab")["events"], "on");
    lab.event(9.0, beat(9.0, 9));
    lab.beat(10.0, "w1@lab", 8);
    assert_eq!(lab.worker("w1@lab").get("events"), None, "a new process has forgotten");
}

#[test]
fn counters_count_what_was_heard() {
    let mut lab = Lab::new();
    lab.beat(1.0, "w1@lab", 7);
    assert_eq!(lab.worker("w1@lab").get("failed"), None);
    lab.task_event(2.0, "received", json!({}));
    lab.task_event(3.0, "failed", json!({}));
    let row = lab.worker("w1@lab");
    assert_eq!(row["counters"], json!({"task-failed": 1, "task-received": 1}));
    assert_eq!((&row["failed"], &row["counted_since"]), (&json!(1), &json!(2.0)));
}

#[test]
fn a_runtime_is_the_mean_of_the_last_successes() {
    let mut lab = Lab::new();
    lab.task_event(1.0, "failed", json!({"runtime": 9.0}));
    assert_eq!(lab.worker("w1@lab").get("runtime"), None);
    lab.task_event(2.0, "succeeded", json!({"runtime": 1.0}));
    lab.task_event(3.0, "succeeded", json!({"runtime": 17.0}));
    assert_eq!(lab.worker("w1@lab")["runtime"], 2.0);
    for second in 4..204 {
        lab.task_event(f64::from(second), "succeeded", json!({"runtime": 17.0}));
    }
    assert!(lab.worker("w1@lab")["runtime"].as_f64().unwrap() > 16.9, "old ones are forgotten");
}

#[test]
fn stats_tell_the_pool_and_two_of_them_its_cpu() {
    let mut lab = Lab::new();
    let stats = |processes: &[i64], used: f64, uptime: u64| {
        json!({"stats": {"pid": 7, "uptime": uptime, "total": {"lab.add": 3, "lab.mul": 2},
            "pool": {"implementation": "celery.concurrency.prefork:TaskPool",
                     "max-concurrency": 2, "processes": processes},
            "rusage": {"utime": used, "stime": 1.0, "maxrss": 50_000}}})
    };
    lab.inspect(100.0, "w1@lab", stats(&[8, 9], 4.0, 40));
    let row = lab.worker("w1@lab");
    assert_eq!(row["pool"], "prefork");
    assert_eq!((&row["concurrency"], &row["processed"]), (&json!(2), &json!(5)));
    assert_eq!((&row["started"], &row["memory"]), (&json!(60.0), &json!(51_200_000)));
    assert_eq!(row.get("cpu"), None);
    lab.inspect(105.0, "w1@lab", stats(&[8, 9, 10], 5.5, 45));
    let row = lab.worker("w1@lab");
    assert_eq!((&row["concurrency"], &row["cpu"]), (&json!(3), &json!(0.3)));
    let details = json!(lab.state.worker("w1@lab"));
    assert_eq!(details["as_of"], json!({"stats": 105.0}));
    assert_eq!(details["stats"]["uptime"], json!(45));
}

#[test]
fn a_beat_that_was_asked_for_overwrites_nothing() {
    let mut lab = Lab::new();
    lab.beat(1.0, "w1@lab", 7);
    lab.event(
        2.0,
        json!({"type": "worker-heartbeat", "hostname": "w1@lab", "timestamp": 2.0,
                          "pid": 7, "freq": 5}),
    );
    let row = lab.worker("w1@lab");
    assert_eq!((&row["freq"], &row["active"]), (&json!(2.0), &json!(0)));
}

/// What else happens at a time.
type Change<'a> = &'a dyn Fn(&mut Lab, f64);

/// A minute in which a worker beats and its queue stands still, but for `change`, which is told every
/// second; answers whether it is said to ignore its queue.
fn ignores(change: impl Fn(&mut Lab, f64)) -> bool {
    let mut lab = Lab::new();
    let consumes = |queues: &[&str]| {
        let entry = |queue| json!({"name": queue, "exchange_type": "direct"});
        json!({"active_queues": queues.iter().map(entry).collect::<Vec<_>>()})
    };
    lab.inspect(0.0, "w1@lab", consumes(&["q"]));
    for second in 1..=60 {
        let at = f64::from(second);
        let sample = json!({"name": "q", "priorities": {"0": 3}, "arrived": 0});
        lab.beat(at, "w1@lab", 7);
        lab.see(at, json!({"queues": [sample]}));
        lab.see(at, json!({"unacked": {"complete": true}}));
        change(&mut lab, at + 0.5);
        for hostname in lab.tick(at + 0.6).appeared {
            lab.inspect(at + 0.7, &hostname, consumes(&["q"]));
        }
    }
    lab.worker("w1@lab").get("ignores").is_some()
}

#[test]
fn f31_only_a_worker_that_could_take_a_message_ignores_it() {
    assert!(ignores(|_, _| {}));
    let queue = |length: u64, arrived: Option<u64>| json!({"queues": [{"name": "q", "priorities": {"0": length}, "arrived": arrived}]});
    let cases: [(&str, Change<'_>); 7] = [
        ("another takes messages, and as many come", &|lab, at| {
            lab.see(at, queue(3, Some(1)));
        }),
        ("what comes is not known", &|lab, at| {
            lab.see(at, queue(3, None));
        }),
        ("nothing waits", &|lab, at| {
            lab.see(at, queue(0, Some(0)));
        }),
        ("somebody holds messages: for their ETA, or by a rate limit", &|lab, at| {
            let held = json!({"delivery_tag": "t", "queue": "q", "message": {"uuid": "t"}});
            let unacked = json!({"new": [held], "index": [["t", at]], "complete": true});
            lab.see(at, json!({ "unacked": unacked }));
        }),
        ("it runs something", &|lab, at| {
            let beat = json!({"type": "worker-heartbeat", "hostname": "w1@lab", "timestamp": at,
                "pid": 7, "freq": 2.0, "active": 1, "processed": 0});
            lab.event(at, beat);
        }),
        ("its consumer was cancelled", &|lab, at| {
            lab.inspect(at, "w1@lab", json!({"active_queues": []}));
        }),
        ("queues are not looked at any more", &|lab, at| {
            let gone = at > 30.0;
            if gone {
                lab.see(at, json!({"gap": {"from": at}}));
            }
        }),
    ];
    for (case, change) in cases {
        assert!(!ignores(change), "{case}");
    }
}

#[test]
fn f31_what_it_consumes_is_asked_before_it_is_blamed() {
    let mut lab = Lab::new();
    let consumes = json!({"active_queues": [{"name": "q", "exchange_type": "direct"}]});
    lab.inspect(0.0, "w1@lab", consumes);
    let mut asked = Vec::new();
    for second in 1..=45 {
        let at = f64::from(second);
        lab.beat(at, "w1@lab", 7);
        lab.see(at, json!({"queues": [{"name": "q", "priorities": {"0": 3}, "arrived": 0}]}));
        lab.see(at, json!({"unacked": {"complete": true}}));
        asked.extend(lab.tick(at).appeared.into_iter().map(|hostname| (second, hostname)));
    }
    assert_eq!(asked, [(32, "w1@lab".to_owned()), (43, "w1@lab".to_owned())]);
    assert_eq!(lab.worker("w1@lab").get("ignores"), None, "its consumer may have been cancelled");
}

#[test]
fn what_runs_at_one_of_two_workers_of_a_name_is_not_given_up() {
    let mut lab = Lab::new();
    lab.beat(1.0, "w1@lab", 7);
    lab.event(1.5, event("started", 1.5, json!({"uuid": "a"})));
    for second in 2..=40 {
        let at = f64::from(second);
        for pid in [8, 7] {
            lab.beat(at, "w1@lab", pid);
        }
        lab.inspect(at, "w1@lab", json!({"active": [{"uuid": "a", "name": "lab.add"}]}));
        lab.inspect(at, "w1@lab", json!({"active": []}));
        lab.tick(at);
        let task = lab.task("a");
        assert_eq!((task.get("orphaned"), task.get("ended")), (None, None), "{at}: {task}");
        assert_eq!(task["place"], "active", "{at}: {task}");
    }
    // One is left, and it is not the one that ran it.
    for second in 41..=60 {
        let at = f64::from(second);
        lab.beat(at, "w1@lab", 8);
        lab.inspect(at, "w1@lab", json!({"active": []}));
        lab.tick(at);
    }
    assert_eq!(lab.task("a")["ended"], "unknown");
}

#[test]
fn a_worker_that_was_killed_and_started_again_at_once_orphans_what_ran() {
    let mut lab = Lab::new();
    lab.beat(1.0, "w1@lab", 7);
    lab.event(1.5, event("started", 1.5, json!({"uuid": "a"})));
    lab.beat(3.0, "w1@lab", 8);
    assert_eq!(lab.task("a").get("orphaned"), None, "the other may still be there");
    for second in 4..=8 {
        lab.beat(f64::from(second), "w1@lab", 8);
        lab.tick(f64::from(second));
    }
    assert_eq!(lab.task("a")["orphaned"], json!({"worker": "w1@lab", "since": 8.0}));
}
