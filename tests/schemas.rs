//! The document that `rpc.discover` answers, and that all that is answered in a transcript is as it
//! says: no member that it does not name, none missing that it promises.

use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::redis::Redis;
use crate::support::server::Server;
use crate::support::wait::wait_until;
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::OnceLock;

/// The document, from the real program.
fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let mut server = Server::start(&[], &[]);
        server.call("rpc.discover", json!({})).unwrap()
    })
}

/// What one method is described with.
struct Method {
    params: HashMap<&'static str, Validator>,
    result: Validator,
}

/// Every method and notification.
struct Schemas {
    methods: HashMap<&'static str, Method>,
    changed: HashMap<&'static str, Vec<Validator>>,
    /// Notifications that belong to no subscription.
    told: HashMap<&'static str, Validator>,
}

fn schemas() -> &'static Schemas {
    static SCHEMAS: OnceLock<Schemas> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let (mut methods, mut changed) = (HashMap::new(), HashMap::<_, Vec<_>>::new());
        for method in items(&document()["methods"]) {
            let params = items(&method["params"])
                .iter()
                .map(|param| (text(&param["name"]), validator(&param["schema"])))
                .collect();
            let result = validator(&method["result"]["schema"]);
            methods.insert(text(&method["name"]), Method { params, result });
            if let Some(note) = method.get("x-notification") {
                changed.entry(text(&note["name"])).or_default().push(validator(&note["result"]));
            }
        }
        let told = items(&document()["x-notifications"])
            .iter()
            .map(|note| (text(&note["name"]), validator(&note["params"])))
            .collect();
        Schemas { methods, changed, told }
    })
}

fn items(value: &'static Value) -> &'static [Value] {
    value.as_array().unwrap()
}

fn text(value: &'static Value) -> &'static str {
    value.as_str().unwrap()
}

/// A validator that also refuses what a schema does not name.
fn validator(schema: &Value) -> Validator {
    let mut schema = json!({ "allOf": [schema], "components": document()["components"] });
    close(&mut schema);
    jsonschema::draft7::new(&schema).unwrap()
}

fn close(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Object(members) => {
            members.values_mut().for_each(close);
            if members.get("properties").is_some_and(Value::is_object) {
                members.entry("additionalProperties").or_insert(false.into());
            }
        }
        _ => {}
    }
}

/// Checks what was said in one conversation, in order: `sent` by the client, or by the server.
pub fn check(messages: impl IntoIterator<Item = (bool, Value)>) {
    let mut asked = HashMap::new();
    for (sent, message) in messages {
        let parts = match message {
            Value::Array(parts) => parts,
            message => vec![message],
        };
        for part in parts {
            match (sent, part.get("id"), part["method"].as_str()) {
                (true, Some(id), Some(method)) => {
                    asked.insert(id.to_string(), (method.to_owned(), part["params"].clone()));
                }
                (false, None, Some(method)) => notification(method, &part["params"]),
                (false, Some(id), None) if part.get("result").is_some() => {
                    let (method, params) = &asked[&id.to_string()];
                    answer(method, params, &part["result"]);
                }
                _ => {}
            }
        }
    }
}

/// Checks one answer or notification that something else than the server gave.
pub fn check_one(method: &str, params: &Value, result: &Value) {
    if method.ends_with("/changed") {
        notification(method, &json!({ "result": result }));
    } else {
        answer(method, params, result);
    }
}

fn answer(method: &str, params: &Value, result: &Value) {
    let described = schemas().methods.get(method);
    let described = described.unwrap_or_else(|| panic!("rpc.discover lacks {method}"));
    agree(method, &described.result, result);
    // Language clients send `initialize` much that is ignored.
    let named = params.as_object().filter(|_| method != "initialize");
    for (name, value) in named.into_iter().flatten() {
        let schema = described.params.get(name.as_str());
        agree(method, schema.unwrap_or_else(|| panic!("{method} lacks {name}")), value);
    }
}

fn notification(method: &str, params: &Value) {
    if let Some(schema) = schemas().told.get(method) {
        return agree(method, schema, params);
    }
    let result = &params["result"];
    let Some(described) = schemas().changed.get(method) else {
        panic!("rpc.discover lacks {method}");
    };
    if !described.iter().any(|schema| schema.is_valid(result)) {
        agree(method, &described[0], result);
    }
}

fn agree(method: &str, schema: &Validator, value: &Value) {
    let errors: Vec<String> = schema.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(
        errors.is_empty(),
        "{method} answers what its schema does not say: {errors:#?}\n{value:#}"
    );
}

/// What the OpenRPC specification demands.
#[test]
fn the_document_is_openrpc() {
    let document = document();
    assert_eq!(document["openrpc"], "1.3.2");
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let mut names = BTreeSet::new();
    for method in items(&document["methods"]) {
        let name = text(&method["name"]);
        assert!(names.insert(name), "{name} twice");
        assert!(!text(&method["summary"]).is_empty(), "{name}");
        assert!(method["result"]["name"].is_string() && method["result"]["schema"].is_object());
        let by_name = method["paramStructure"] == "by-name";
        assert!(by_name || method["paramStructure"] == "either", "{name}");
        let params = items(&method["params"]);
        let required: Vec<bool> =
            params.iter().map(|param| param["required"].as_bool().unwrap()).collect();
        assert!(required.is_sorted_by(|a, b| a >= b), "{name}: required ones come first");
        assert!(by_name || required[0], "{name}: what may come by position is required");
        assert!(params.iter().all(|param| param["schema"].is_object()), "{name}");
    }
    let shared: BTreeSet<_> =
        document["components"]["schemas"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut used = BTreeSet::new();
    references(document, &mut used);
    assert_eq!(used, shared, "schemas that are used, and those that are there");
}

fn references(value: &'static Value, used: &mut BTreeSet<&'static str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, used)),
        Value::Object(members) => {
            used.extend(members.get("$ref").map(|name| text(name).rsplit_once('/').unwrap().1));
            members.values().for_each(|member| references(member, used));
        }
        _ => {}
    }
}

#[test]
fn a_wrong_answer_would_be_noticed() {
    let row = json!({
        "key": "q", "name": "q", "messages": 3, "colour": "red",
    });
    let list = |row: Value| json!({ "rows": [row], "total": 1, "exact": true });
    let queue = &schemas().methods["queue/list"].result;
    assert!(!queue.is_valid(&list(row.clone())), "a member that is not described");
    let mut known: Map<_, _> = row.as_object().unwrap().clone();
    known.remove("colour");
    assert!(queue.is_valid(&list(known.clone().into())));
    known.insert("messages".into(), Value::Null);
    assert!(!queue.is_valid(&list(known.clone().into())), "null for what is not known");
    known.remove("messages");
    known.remove("name");
    assert!(!queue.is_valid(&list(known.into())), "a member that is missing");
}

/// A real cluster answers more than a recording holds.
#[test]
fn what_a_real_cluster_tells_is_as_described() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options::default());
    let mut server = Server::on(&redis);
    server.call("task/list", json!({})).unwrap();
    let mut sender = Sender::start(&redis, App::Default);
    sender.send_with("lab.add", json!([1, 2]), json!({ "queue": "waiting" }));
    let uuid = sender.send("lab.fail", json!([7]));
    wait_until("the failed task", || {
        // On its way from the queue to the worker it is nowhere to be seen.
        let task = server.call("task/get", json!({ "uuid": uuid }))?;
        if task["traceback"].is_object() { Ok(()) } else { Err(task) }
    });
    let mut ask = |method: &str, params: Value| {
        let result = server.call(method, params.clone()).unwrap();
        answer(method, &params, &result);
    };
    ask("task/list", json!({}));
    ask("task/get", json!({ "uuid": uuid }));
    for method in ["environment/list", "environment/check", "worker/list", "task/names"] {
        ask(method, json!({}));
    }
    ask("worker/get", json!({ "hostname": "w1@lab" }));
    ask("worker/inspect", json!({ "method": "stats" }));
    ask("worker/control", json!({ "method": "enable_events" }));
    ask("queue/list", json!({}));
    ask("queue/messages", json!({ "queue": "waiting" }));
}
