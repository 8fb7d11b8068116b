use super::*;
use serde_json::json;

fn sample(messages: u64, arrived: Option<u64>) -> QueueSample {
    QueueSample {
        name: "celery".into(),
        priorities: BTreeMap::from([(0, messages), (3, 0)]),
        arrived,
        oldest: None,
    }
}

fn at(seconds: f64) -> Micros {
    seconds::to_micros(seconds)
}

fn row(queue: &Queue) -> Value {
    json!(queue.row())
}

#[test]
fn rates_follow_from_what_came_and_how_it_grew() {
    let mut queue = Queue::new("celery".into());
    queue.sample(&sample(100, None), at(0.0));
    assert_eq!(row(&queue).get("net_rate"), None);
    queue.sample(&sample(110, Some(30)), at(2.0));
    let shown = row(&queue);
    assert_eq!(shown["messages"], json!(110));
    assert_eq!(shown["priorities"], json!({"0": 110, "3": 0}));
    assert_eq!(
        (&shown["incoming_rate"], &shown["net_rate"], &shown["outgoing_rate"]),
        (&json!(15.0), &json!(5.0), &json!(10.0))
    );
    queue.sample(&sample(110, None), at(3.0));
    let shown = row(&queue);
    assert_eq!(shown.get("incoming_rate"), None, "unknown is never 0");
    assert_eq!(shown.get("outgoing_rate"), None);
    assert!(shown.get("net_rate").is_some());
    queue.sample(&sample(110, Some(0)), at(14.0));
    assert_eq!(row(&queue)["incoming_rate"], json!(0.0), "the unknown sample is past");
}

#[test]
fn after_an_interruption_rates_begin_anew() {
    let mut queue = Queue::new("celery".into());
    queue.sample(&sample(100, None), at(0.0));
    queue.interrupt();
    queue.sample(&sample(900, Some(800)), at(600.0));
    assert_eq!(row(&queue).get("net_rate"), None);
}

#[test]
fn history_has_fifteen_points_one_a_minute() {
    let mut queue = Queue::new("celery".into());
    for minute in 0..20 {
        queue.sample(&sample(minute, None), at(60.0 * minute as f64));
        queue.sample(&sample(minute + 100, None), at(60.0 * minute as f64 + 30.0));
    }
    let points: Vec<u64> = (105..120).collect();
    assert_eq!(row(&queue)["history"], json!(points));
    queue.sample(&sample(7, None), at(60.0 * 25.0));
    assert_eq!(row(&queue)["history"], json!([7]), "no point is invented");
}

#[test]
fn f09_a_step_that_could_not_be_read_is_absent() {
    let mut queue = Queue::new("celery".into());
    let steps = BTreeMap::from([(0, 4), (6, 1)]);
    queue.sample(&QueueSample { priorities: steps, ..sample(0, None) }, at(1.0));
    assert_eq!(row(&queue)["priorities"], json!({"0": 4, "6": 1}));
    queue.sample(&QueueSample { priorities: BTreeMap::new(), ..sample(0, None) }, at(2.0));
    assert_eq!(row(&queue).get("messages"), None, "absent, never 0");
}
