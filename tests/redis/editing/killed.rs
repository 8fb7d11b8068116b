//! The process is killed at random points, and every message is accounted for.
//!
//! The point is a number of bytes on the line to Redis: a command may be cut in two, or be done and
//! its answer lost.

use super::*;
use crate::support::proxy::Proxy;
use rustix::process::{Pid, Signal, kill_process};
use std::thread;

/// Messages in a queue.
const MESSAGES: usize = 40;

/// Points for each action.
const POINTS: usize = 50;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Victim {
    Purge,
    Delete,
    Move,
    Restore,
}

/// One queue, and who acts on it.
struct Scene<'a> {
    redis: &'a Redis,
    template: &'a Template,
    /// It lives on, and puts back.
    survivor: &'a mut Server,
    queue: String,
    victim: Victim,
}

impl Scene<'_> {
    fn request(&mut self) -> (&'static str, Value) {
        let queue = &self.queue;
        let some: Vec<_> = names(queue, MESSAGES).into_iter().step_by(2).collect();
        match self.victim {
            Victim::Purge => ("queue/purge", json!({ "queue": queue })),
            Victim::Delete => ("queue/delete_messages", json!({ "queue": queue, "uuids": some })),
            Victim::Move => {
                let params = json!({ "queue": queue, "to": self.target(), "uuids": some });
                ("queue/move_messages", params)
            }
            Victim::Restore => {
                let purged = call(self.survivor, "queue/purge", json!({ "queue": queue }));
                ("queue/restore", json!({ "saved_as": purged["saved_as"] }))
            }
        }
    }

    fn target(&self) -> String {
        format!("{}-target", self.queue)
    }

    /// Plays it; the process is killed after so many bytes, if it is not through by then. Answers
    /// how many bytes passed.
    fn play(&mut self, bytes: usize) -> usize {
        let before =
            self.template.fill(self.redis, &self.queue, &self.queue, &names(&self.queue, MESSAGES));
        // A list makes it known, and nothing in it is anybody's.
        self.redis.command::<u64>(&["LPUSH", &self.target(), "bystander"]);
        let (method, params) = self.request();
        let proxy = Proxy::to(self.redis.port());
        if let Some(saved_as) = params["saved_as"].as_str() {
            readdress(Path::new(saved_as), &proxy.url(0));
        }
        let mut server = Server::start(&["--broker", &proxy.url(0)], &[]);
        call(&mut server, "queue/list", json!({}));
        let pid = Pid::from_raw(server.pid().try_into().unwrap()).unwrap();
        let passed = proxy.passed();
        server.send(&json!({ "jsonrpc": "2.0", "id": 99, "method": method, "params": params }));
        proxy.after(bytes, move || {
            // It may have ended.
            let _ = kill_process(pid, Signal::KILL);
        });
        while server.read().is_some_and(|message| message["id"] != 99) {}
        let passed = proxy.passed() - passed;
        // From here on the number may be another process's.
        proxy.after(usize::MAX, || {});
        server.kill();
        let file = match self.victim {
            Victim::Restore => Some(PathBuf::from(params["saved_as"].as_str().unwrap())),
            _ => files(server.home()).pop(),
        };
        self.account(&before, file.as_deref(), bytes);
        passed
    }

    /// Each message is in its queue, or saved in the file, and comes back exactly once.
    fn account(&mut self, before: &[Vec<u8>], file: Option<&Path>, bytes: usize) {
        let (victim, queue) = (self.victim, self.queue.clone());
        let saved: HashSet<Vec<u8>> = file.map(saved).into_iter().flatten().collect();
        let there: HashSet<_> = list(self.redis, &queue).into_iter().collect();
        let lost = before.iter().filter(|raw| !there.contains(*raw) && !saved.contains(*raw));
        assert_eq!(lost.count(), 0, "{victim:?}, {bytes}: neither in the queue nor in the file");
        // It may have been made, and nothing written to it.
        let begun = |file: &&Path| fs::metadata(file).unwrap().len() > 0;
        let Some(file) = file.filter(begun) else { return };
        let whole = json!({ "saved_as": file });
        readdress(file, &self.redis.url(0));
        let first = call(self.survivor, "queue/restore", whole.clone());
        let doubtful: Vec<&Value> = first["skipped"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|skipped| skipped["reason"].as_str().unwrap().contains("was about to be"))
            .map(|skipped| &skipped["key"])
            .collect();
        if !doubtful.is_empty() {
            assert_eq!(victim, Victim::Restore, "{first}");
            let named = json!({ "saved_as": file, "keys": doubtful });
            call(self.survivor, "queue/restore", named);
        }
        let mut after = list(self.redis, &queue);
        if matches!(victim, Victim::Purge) {
            assert!(after == before, "{bytes}: in order\n{first}");
        }
        let mut before = before.to_vec();
        before.sort();
        after.sort();
        assert!(after == before, "{victim:?}, {bytes}: each is there once\n{first}");
        assert_eq!(list(self.redis, &self.target()), [b"bystander"], "{victim:?}, {bytes}");
        let again = call(self.survivor, "queue/restore", whole);
        assert_eq!(again["restored"], 0, "{victim:?}, {bytes}: nothing is doubled");
    }
}

/// A file belongs to a broker by its URL, and the victim's leads through a proxy.
fn readdress(file: &Path, url: &str) {
    let text = fs::read_to_string(file).unwrap();
    let (header, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let Ok(mut header) = serde_json::from_str::<Value>(header) else { return };
    header["place"]["broker"] = url.into();
    fs::write(file, format!("{header}\n{rest}")).unwrap();
}

#[test]
fn killed_at_200_random_points_every_message_is_accounted_for() {
    let redis = Redis::start();
    let template = Template::of(&redis, "lab.add", json!([1, 2]));
    let (redis, template) = (&redis, &template);
    let victims = [Victim::Purge, Victim::Delete, Victim::Move, Victim::Restore];
    thread::scope(|scope| {
        for victims in victims.chunks(2) {
            scope.spawn(move || {
                let mut survivor = Server::on(redis);
                for victim in victims {
                    let mut scene = Scene {
                        redis,
                        template,
                        survivor: &mut survivor,
                        queue: format!("{victim:?}-0"),
                        victim: *victim,
                    };
                    let through = scene.play(usize::MAX);
                    for point in 1..=POINTS {
                        scene.queue = format!("{victim:?}-{point}");
                        scene.play(fastrand::usize(1..through));
                    }
                }
            });
        }
    });
}
