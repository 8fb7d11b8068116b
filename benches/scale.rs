//! What many tasks cost: bytes, pages, searches, a feed while they change. No broker, no server:
//! the state alone, told by events.

use lazycelery::celery::Event;
use lazycelery::celery::event::{Body, TaskEvent, TaskEventKind};
use lazycelery::state::filter::Filter;
use lazycelery::state::filter::complete::complete;
use lazycelery::state::{Kind, Micros, Noun, Observation, Query, Rules, Sort, State};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// When the first task is heard of.
const BEGAN: Micros = 1_795_494_675_000_000;

/// Microseconds between two tasks.
const APART: usize = 50;

/// How often each figure of a page is taken.
const PAGES: usize = 31;

/// Bytes of what a person searches, in each task of the search's table.
const SEARCHED: usize = 350;

/// Bytes of heavy arguments.
const HEAVY: usize = 500;

/// A table of everything here, up to `most` tasks.
pub fn measure(most: usize) {
    println!("\n| figure | tasks | bytes a task | |");
    println!("|---|--:|--:|---|");
    for tasks in [most / 10, most] {
        for (kind, arguments) in [("light arguments", 0), ("500 B arguments", HEAVY)] {
            weigh_apart(kind, tasks, arguments);
        }
    }
    head();
    for tasks in [most / 100, most / 10, most] {
        let state = filled(tasks, 0, 1 << 40);
        pages(&state, tasks);
        completions(&state, tasks, "40 names");
        if tasks == most {
            feed(state, tasks);
        }
    }
    completions(&named(most / 20), most / 20, "as many names");
    searches(most);
    through(most, 64 << 20);
}

/// What a process of its own weighs with so many tasks: what another run left is not counted.
fn weigh_apart(kind: &str, tasks: usize, arguments: usize) {
    let program = std::env::current_exe().unwrap();
    let call = ["--weigh".to_owned(), tasks.to_string(), arguments.to_string()];
    let output = Command::new(program).args(call).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let (bytes, counted) = told.trim().split_once(' ').unwrap();
    println!("| {kind} | {tasks} | {bytes} | {counted} by our own count |");
}

/// The child's half: prints bytes a task by the operating system and by our own count.
pub fn weigh(arguments: &[String]) {
    let number = |at: usize| arguments[at].parse::<usize>().unwrap();
    let (tasks, arguments) = (number(0), number(1));
    let before = resident();
    let state = filled(tasks, arguments, 1 << 40);
    println!("{} {}", (resident() - before) / tasks, state.bytes() / tasks);
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kilobytes = line.split_whitespace().nth(1).unwrap();
    kilobytes.parse::<usize>().unwrap() << 10
}

fn filled(tasks: usize, arguments: usize, budget: usize) -> State {
    let mut state = State::new(Rules::Ours, budget);
    for number in 0..tasks {
        live(&mut state, number, arguments);
    }
    state
}

/// All that is heard of one task; of a hundred, two never finish.
fn live(state: &mut State, number: usize, arguments: usize) {
    tell(state, number, 0, received(number, arguments));
    tell(state, number, 10_000, TaskEvent { kind: TaskEventKind::Started, ..TaskEvent::default() });
    if number % 100 >= 2 {
        let (kind, exception) = match number % 20 {
            7 => (TaskEventKind::Failed, Some(format!("ValueError('order {number}')"))),
            _ => (TaskEventKind::Succeeded, None),
        };
        let result = exception.is_none().then(|| format!("'order {number} shipped'"));
        let runtime = Some((number as f64 * 0.618).fract() * 10.0);
        tell(
            state,
            number,
            135_000,
            TaskEvent { kind, result, exception, runtime, ..TaskEvent::default() },
        );
    }
}

fn received(number: usize, arguments: usize) -> TaskEvent {
    TaskEvent {
        kind: TaskEventKind::Received,
        name: Some(format!("shop.orders.task_{}", number % 40)),
        args: Some(format!(
            "({number}, 'customer-{}', {})",
            number % 997,
            lines(number, arguments)
        )),
        kwargs: Some("{'priority': 'high'}".into()),
        retries: Some(0),
        ..TaskEvent::default()
    }
}

/// So many bytes of an order's lines, as Python writes them: no two orders are alike.
fn lines(number: usize, bytes: usize) -> String {
    const CITIES: [&str; 6] = ["Graz", "Lyon", "Porto", "Turku", "Brno", "Split"];
    let mut chance = fastrand::Rng::with_seed(number as u64);
    let mut lines = String::from("[");
    while lines.len() < bytes {
        let (article, count) = (chance.u32(..), chance.u8(1..9));
        let (price, city) = (chance.u16(..), chance.choice(CITIES).unwrap());
        let line = format!("'article': '{article:08x}', 'price': {price}, 'city': '{city}'");
        lines += &format!("{{{line}, 'count': {count}, 'gift': {}}}, ", count > 7);
    }
    lines.truncate(bytes);
    lines + "]"
}

fn tell(state: &mut State, number: usize, later: usize, told: TaskEvent) {
    let micros = BEGAN + (number * APART + later) as Micros;
    let uuid =
        format!("{:08x}-7b1e-4d55-9a6c-2f0c5d1e8a90", number.wrapping_mul(2_654_435_761) as u32);
    let event = Event {
        hostname: format!("w{}@lab", number % 8),
        timestamp: micros as f64 / 1e6,
        pid: Some(4711),
        clock: Some(number as u64),
        body: Body::Task(Box::new(TaskEvent { uuid, ..told })),
    };
    state.apply(&Observation { seen: micros + 700, kind: Kind::Event(event) });
}

fn query(filter: &str, sort: &str) -> Query {
    let zone = jiff::tz::TimeZone::UTC;
    Query {
        filter: Filter::parse(filter, Noun::Task, &zone).unwrap(),
        sort: Some(Sort::parse(sort, Noun::Task).unwrap()),
        limit: 100,
        ..Query::default()
    }
}

fn pages(state: &State, tasks: usize) {
    let facets = ["", "state:success", "state:failure worker:w7@lab name:shop.orders.task_7"];
    for sort in ["-seen", "name", "-runtime"] {
        for (count, filter) in [0, 1, 3].iter().zip(facets) {
            let query = query(filter, sort);
            let name = format!("page of 100 by `{sort}`, {count} facets");
            let total = state.window(Noun::Task, &query).unwrap().total;
            row(
                &name,
                tasks,
                times(PAGES, || drop(state.window(Noun::Task, &query))),
                &format!("{total} match"),
            );
        }
    }
}

/// Tasks of a cluster in which each has a name of its own.
fn named(tasks: usize) -> State {
    let mut state = State::new(Rules::Ours, 1 << 40);
    for number in 0..tasks {
        let name = Some(format!("shop.orders.task_{number}"));
        tell(&mut state, number, 0, TaskEvent { name, ..received(number, 0) });
    }
    state
}

/// What a person waits for who types a filter.
fn completions(state: &State, tasks: usize, names: &str) {
    for text in ["", "state:", "name:shop.o", "worker:w"] {
        let seen = |column: &'static str| state.seen(Noun::Task, column);
        let completed = || complete(text, text.len(), Noun::Task, seen);
        let items = completed().items.len();
        let name = format!("completion of `{text}`, {names}");
        row(&name, tasks, times(PAGES, || drop(completed())), &format!("{items} offered"));
    }
}

/// A page ten times a second while 50,000 changes a second come: what the page costs of a core.
fn feed(mut state: State, tasks: usize) {
    for (name, filter) in
        [("newest", ""), ("of one state", "state:started"), ("of a text", "customer-42")]
    {
        let query = query(filter, "-seen");
        let _ = state.window(Noun::Task, &query);
        let mut next = tasks;
        let taken = (0..PAGES).map(|_| {
            for _ in 0..5_000 / 3 {
                live(&mut state, next % (2 * tasks), 0);
                next += 1;
            }
            let began = Instant::now();
            let _ = state.window(Noun::Task, &query);
            began.elapsed()
        });
        let taken: Vec<Duration> = taken.collect();
        let share = 10.0 * taken.iter().sum::<Duration>().as_secs_f64() / PAGES as f64;
        let remark = format!("{:.1} % of a core at ten a second", 100.0 * share);
        row(&format!("a feed's page, {name}, 5,000 changes between"), tasks, taken, &remark);
    }
}

/// Searches for texts alone, as a table.
pub fn search(tasks: usize) {
    head();
    searches(tasks);
}

/// The first look at all texts, and the next ones.
fn searches(tasks: usize) {
    let mut state = filled(tasks, SEARCHED - 70, 1 << 40);
    for (name, filter) in [
        ("a word that few have", "customer-42"),
        ("a word that none has", "nowhere"),
        ("a word that all have", "customer"),
        ("a regular expression", "/customer-4[0-9]{2}'/"),
        ("`args:` a text", "args:customer-7"),
    ] {
        let query = query(filter, "-seen");
        let began = Instant::now();
        let total = state.window(Noun::Task, &query).unwrap().total;
        row(&format!("{name}, first"), tasks, vec![began.elapsed()], &format!("{total} match"));
        let again = times(5, || {
            (0..100).for_each(|number| live(&mut state, tasks + number, 0));
            let _ = state.window(Noun::Task, &query);
        });
        row(&format!("{name}, again after 300 changes"), tasks, again, "the changes included");
    }
}

fn through(tasks: usize, budget: usize) {
    let began = Instant::now();
    let before = resident();
    let state = filled(tasks, 0, budget);
    let counts = state.counts();
    let remark = format!(
        "{} kept, {} let go, {} MiB by our count, {} MiB more resident",
        counts.tasks,
        counts.dropped,
        state.bytes() >> 20,
        resident().saturating_sub(before) >> 20
    );
    row("all of them through 64 MiB", tasks, vec![began.elapsed()], &remark);
}

fn times(count: usize, mut work: impl FnMut()) -> Vec<Duration> {
    let taken = (0..count).map(|_| {
        let began = Instant::now();
        work();
        began.elapsed()
    });
    taken.collect()
}

fn head() {
    println!("\n| figure | tasks | p50 ms | max ms | |");
    println!("|---|--:|--:|--:|---|");
}

fn row(name: &str, tasks: usize, mut taken: Vec<Duration>, remark: &str) {
    taken.sort_unstable();
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    let (middle, most) = (ms(taken[taken.len() / 2]), ms(taken[taken.len() - 1]));
    println!("| {name} | {tasks} | {middle:.3} | {most:.3} | {remark} |");
}
