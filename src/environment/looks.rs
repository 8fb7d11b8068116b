//! How often we ask the cluster what: only what somebody needs, and never more than a twentieth of
//! the time that an answer takes (design, "How often we look").

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

/// After a look that took t we wait at least this many t.
pub(super) const REST: u32 = 20;

/// How soon the next stretch of a long way is gone.
const NEXT_STRETCH: Duration = Duration::from_millis(250);

/// What a caller or a subscription shows, and so needs to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Workers, and what they run.
    Workers,
    /// Tasks, wherever they are.
    Tasks,
    /// Queues and their lengths.
    Queues,
    /// The counts of an environment's row, while somebody else keeps it connected.
    Counts,
    /// Who comes and goes.
    Presence,
}

const NEEDS: [Need; 5] = [Need::Workers, Need::Tasks, Need::Queues, Need::Counts, Need::Presence];

/// One kind of question to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Who is there: `ping`, `stats`, `active_queues`, `registered`, `conf` of everybody.
    Roll,
    /// `active` and `stats`.
    Active,
    /// Which exchanges have bindings: a search through all keys, a little at a time.
    Search,
    /// Which queues there are.
    Names,
    /// How long they are.
    Depths,
    /// What waits at their heads.
    Heads,
    /// What workers hold.
    Unacked,
    /// Results that were stored before we came.
    Stored,
}

impl Look {
    /// Every kind.
    pub const ALL: [Look; 8] = [
        Look::Roll,
        Look::Active,
        Look::Search,
        Look::Names,
        Look::Depths,
        Look::Heads,
        Look::Unacked,
        Look::Stored,
    ];

    /// What has to be looked at for a list of tasks to be true.
    pub const TASKS: &[Look] =
        &[Look::Roll, Look::Active, Look::Heads, Look::Unacked, Look::Stored];

    /// The shortest time from one look to the next.
    pub fn interval(self) -> Duration {
        Duration::from_secs(match self {
            Look::Search | Look::Depths => 1,
            Look::Heads | Look::Unacked => 2,
            Look::Active | Look::Names => 5,
            Look::Roll => 60,
            Look::Stored => 600,
        })
    }

    /// Its word in `incomplete`.
    pub fn name(self) -> &'static str {
        match self {
            Look::Roll => "workers",
            Look::Active => "active",
            Look::Search | Look::Names | Look::Depths => "queues",
            Look::Heads => "messages",
            Look::Unacked => "unacked",
            Look::Stored => "results",
        }
    }

    /// The looks whose answers it builds on: names come from workers and from what the search found so
    /// far, lengths from names.
    fn after(self) -> &'static [Look] {
        match self {
            Look::Names => &[Look::Roll, Look::Search],
            Look::Depths | Look::Heads => &[Look::Names],
            Look::Roll | Look::Active | Look::Search | Look::Unacked | Look::Stored => &[],
        }
    }

    /// Who needs it.
    fn serves(self, need: Need) -> bool {
        match self {
            Look::Roll => true,
            Look::Active => matches!(need, Need::Workers | Need::Tasks),
            Look::Search | Look::Names => {
                matches!(need, Need::Tasks | Need::Queues | Need::Counts)
            }
            Look::Depths => matches!(need, Need::Queues | Need::Counts),
            Look::Heads => matches!(need, Need::Tasks),
            Look::Unacked => matches!(need, Need::Tasks | Need::Queues | Need::Workers),
            Look::Stored => need == Need::Tasks,
        }
    }
}

/// Which looks are needed, and when each was last finished.
#[derive(Debug, Default)]
pub(super) struct Looks {
    needs: [AtomicUsize; NEEDS.len()],
    /// What came of the last look of each kind.
    finished: Mutex<[Option<Outcome>; Look::ALL.len()]>,
    released: Mutex<Option<Instant>>,
    /// Somebody came or went.
    moved: Notify,
    /// Somebody came.
    arrived: Notify,
    arrivals: AtomicU64,
    /// A look was finished.
    done: Notify,
}

/// How a look ended.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    /// Until then it counts as now.
    valid: Instant,
    reach: Reach,
}

/// How far a look reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// All there is was seen.
    Whole,
    /// Bounds ended it before.
    Part,
    /// A stretch of a way that the next look soon goes on with; `whole` where all there is was seen
    /// before, on an earlier one.
    Stretch { whole: bool },
}

impl Reach {
    fn is_whole(self) -> bool {
        matches!(self, Reach::Whole | Reach::Stretch { whole: true })
    }
}

impl Looks {
    pub fn need(&self, needs: &[Need]) {
        for need in needs {
            self.needs[*need as usize].fetch_add(1, Ordering::AcqRel);
        }
        self.moved.notify_waiters();
        if needs.iter().any(|need| *need != Need::Counts) {
            self.arrivals.fetch_add(1, Ordering::AcqRel);
            self.arrived.notify_waiters();
        }
    }

    pub fn release(&self, needs: &[Need]) {
        for need in needs {
            self.needs[*need as usize].fetch_sub(1, Ordering::AcqRel);
        }
        *self.released.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.moved.notify_waiters();
    }

    /// Does anybody use this environment? Who only counts keeps nothing connected.
    pub fn used(&self) -> bool {
        NEEDS.iter().any(|need| *need != Need::Counts && self.is_needed(*need))
    }

    fn is_needed(&self, need: Need) -> bool {
        self.needs[need as usize].load(Ordering::Acquire) > 0
    }

    /// Waits until nobody has used it for `keep`.
    pub async fn unused_for(&self, keep: Duration) {
        loop {
            let moved = self.moved.notified();
            if self.used() {
                moved.await;
                continue;
            }
            let since = *self.released.lock().unwrap_or_else(PoisonError::into_inner);
            let until = since.unwrap_or_else(Instant::now) + keep;
            tokio::select! {
                () = moved => {}
                () = tokio::time::sleep_until(until) => return,
            }
        }
    }

    /// How often somebody came.
    pub fn arrivals(&self) -> u64 {
        self.arrivals.load(Ordering::Acquire)
    }

    /// Waits until somebody comes.
    pub async fn arrival(&self) {
        self.arrived.notified().await;
    }

    fn needed(&self, look: Look) -> bool {
        NEEDS.iter().any(|need| look.serves(*need) && self.is_needed(*need))
    }

    /// Waits until somebody needs this look.
    pub async fn wanted(&self, look: Look) {
        loop {
            let moved = self.moved.notified();
            if self.needed(look) {
                return;
            }
            moved.await;
        }
    }

    /// Waits until what this look builds on was through once, or failed.
    pub async fn ready(&self, look: Look) {
        loop {
            let finished = self.finished();
            let outcomes = *self.outcomes();
            if look.after().iter().all(|before| outcomes[*before as usize].is_some()) {
                return;
            }
            finished.await;
        }
    }

    /// Notes that a look which began at `started` is through, and answers how long to rest.
    pub fn finish(&self, look: Look, reach: Reach, started: Instant) -> Duration {
        let took = started.elapsed();
        let rest = rest(look, reach, took);
        // The next look may take as long again.
        let valid = Instant::now() + rest + look.interval() + took;
        self.outcomes()[look as usize] = Some(Outcome { valid, reach });
        self.done.notify_waiters();
        rest
    }

    /// Notes that a look failed. What builds on it need not wait for it then: a broker that is full, and takes
    /// no answers of workers, still tells which queues there are (F06).
    pub fn fail(&self, look: Look) {
        let nothing = Outcome { valid: Instant::now(), reach: Reach::Part };
        self.outcomes()[look as usize].get_or_insert(nothing);
        self.done.notify_waiters();
    }

    /// Forgets what was finished: a new connection has looked at nothing yet.
    pub fn forget(&self) {
        *self.outcomes() = Default::default();
    }

    /// Resolves when a look is finished after this call, polled or not.
    pub fn finished(&self) -> Notified<'_> {
        self.done.notified()
    }

    /// Whether all of these have been through lately.
    pub fn through(&self, looks: &[Look]) -> bool {
        let (outcomes, now) = (self.outcomes(), Instant::now());
        looks.iter().all(|look| outcomes[*look as usize].is_some_and(|last| now < last.valid))
    }

    /// Whether each of these saw all there was when it was last through.
    pub fn whole(&self, looks: &[Look]) -> bool {
        let outcomes = self.outcomes();
        looks.iter().all(|look| outcomes[*look as usize].is_some_and(|last| last.reach.is_whole()))
    }

    /// The names of those that have not been through lately, or saw a part only; each once.
    pub fn incomplete(&self, looks: &[Look]) -> Vec<&'static str> {
        let (outcomes, now) = (self.outcomes(), Instant::now());
        let whole = |last: Outcome| now < last.valid && last.reach.is_whole();
        let mut names: Vec<_> = looks
            .iter()
            .filter(|look| !outcomes[**look as usize].is_some_and(whole))
            .map(|look| look.name())
            .collect();
        names.dedup();
        names
    }

    fn outcomes(&self) -> MutexGuard<'_, [Option<Outcome>; Look::ALL.len()]> {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rest(look: Look, reach: Reach, took: Duration) -> Duration {
    let interval = match reach {
        Reach::Stretch { .. } => NEXT_STRETCH,
        Reach::Whole | Reach::Part => look.interval(),
    };
    interval.max(took * REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_is_asked_for_less_often() {
        let rest = |reach, millis| rest(Look::Depths, reach, Duration::from_millis(millis));
        assert_eq!(rest(Reach::Whole, 1), Duration::from_secs(1));
        assert_eq!(rest(Reach::Whole, 200), Duration::from_secs(4));
        assert_eq!(rest(Reach::Stretch { whole: false }, 1), NEXT_STRETCH);
        assert_eq!(rest(Reach::Stretch { whole: false }, 200), Duration::from_secs(4));
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_needs_is_not_looked_at() {
        let looks = Looks::default();
        assert!(!looks.needed(Look::Heads));
        looks.need(&[Need::Tasks]);
        looks.wanted(Look::Heads).await;
        assert!(!looks.needed(Look::Depths));
        looks.release(&[Need::Tasks]);
        assert!(!looks.needed(Look::Heads));
        looks.unused_for(Duration::from_secs(300)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_is_fresh_for_two_intervals() {
        let looks = Looks::default();
        looks.finish(Look::Depths, Reach::Whole, Instant::now());
        assert!(looks.through(&[Look::Depths]) && looks.incomplete(&[Look::Depths]).is_empty());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!looks.through(&[Look::Depths]));
        assert_eq!(looks.incomplete(&[Look::Names, Look::Depths]), ["queues"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_saw_a_part_is_not_waited_for_and_told() {
        let looks = Looks::default();
        looks.finish(Look::Unacked, Reach::Part, Instant::now());
        assert!(looks.through(&[Look::Unacked]));
        assert_eq!(looks.incomplete(&[Look::Unacked]), ["unacked"]);
        assert!(!looks.whole(&[Look::Unacked]) && looks.whole(&[]));
    }

    #[tokio::test(start_paused = true)]
    async fn f06_what_builds_on_a_look_that_failed_does_not_wait_for_it() {
        let looks = Looks::default();
        looks.fail(Look::Roll);
        looks.finish(Look::Search, Reach::Whole, Instant::now());
        looks.ready(Look::Names).await;
        assert!(!looks.through(&[Look::Roll]) && !looks.whole(&[Look::Roll]));
        looks.finish(Look::Roll, Reach::Whole, Instant::now());
        looks.fail(Look::Roll);
        assert!(looks.through(&[Look::Roll]), "what was seen before is as old as it was");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_whole_stays_so_while_it_is_gone_through_again() {
        let looks = Looks::default();
        assert!(!looks.whole(&[Look::Stored]), "nobody looked yet");
        for (reach, whole) in [
            (Reach::Stretch { whole: false }, false),
            (Reach::Whole, true),
            (Reach::Stretch { whole: true }, true),
        ] {
            looks.finish(Look::Stored, reach, Instant::now());
            assert_eq!(looks.whole(&[Look::Stored]), whole);
            assert_eq!(looks.incomplete(&[Look::Stored]).is_empty(), whole);
        }
    }
}
