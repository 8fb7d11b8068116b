//! The state from the outside: observations in, rows out.

use serde_json::json;

mod celery;
mod looks;
mod merge;
pub(in crate::state) mod properties;
pub(in crate::state) mod support;
mod workers;

use support::Lab;

#[test]
fn a_heartbeat_makes_a_worker_row() {
    let mut lab = Lab::new();
    let changes = lab.event(
        1.0,
        json!({"type": "worker-heartbeat", "hostname": "w1@lab", "timestamp": 0.9, "pid": 7,
               "clock": 3, "freq": 2.0, "active": 1, "processed": 5, "loadavg": [0.5, 0.4, 0.3],
               "sw_ident": "py-celery", "sw_ver": "5.7.0", "sw_sys": "Linux"}),
    );
    assert_eq!(changes.appeared, ["w1@lab"]);
    assert_eq!(
        lab.worker("w1@lab"),
        json!({"key": "w1@lab", "hostname": "w1@lab", "status": "online",
               "evidence": "heartbeats arrive", "active": 1, "processed": 5,
               "loadavg": [0.5, 0.4, 0.3], "pid": 7,
               "software": {"ident": "py-celery", "version": "5.7.0", "system": "Linux"},
               "heartbeats": [1.0], "freq": 2.0, "clock": 3, "skew": 0.1})
    );
}
