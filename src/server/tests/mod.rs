//! Conversations with [`serve`] over in-memory pipes: the rules of the design, one test each.

mod client;
mod specification;

use super::*;
use client::{Client, PATIENCE, bare, read_line, wait_until};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;

#[test]
fn answers_come_in_the_framing_of_the_requests() {
    let (mut client, mut answers) = Client::deaf();
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"lines"}"#;
    client.write(format!("content-length:{}\n\n{call}", call.len()).as_bytes());
    client.requests = None;
    let mut all = String::new();
    answers.read_to_string(&mut all).unwrap();
    let json = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[1,\r\n2]}";
    assert_eq!(all, format!("Content-Length: {}\r\n\r\n{json}", json.len()));

    let mut client = Client::new();
    assert_eq!(
        client.ask(1, "lines", json!([])),
        json!({"jsonrpc": "2.0", "id": 1, "result": [1, 2]})
    );
}

#[test]
fn n23_what_cannot_be_read_is_one_error_and_a_clean_end() {
    let wide: Vec<u8> = "\u{FEFF}{}\n{}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for stream in [&wide[..], b"Content-Length: -1\r\n\r\n{}", b"Content-Length: 5\r\n\r\n{}"] {
        let mut client = Client::new();
        client.write(stream);
        // The last one is cut off only when nothing follows.
        client.requests = None;
        let line = client.answers.recv_timeout(PATIENCE).unwrap();
        let body = if stream[0] == b'C' {
            assert!(line.starts_with("Content-Length: "), "{line}");
            client.answers.recv_timeout(PATIENCE).unwrap();
            client.answers.recv_timeout(PATIENCE).unwrap()
        } else {
            line
        };
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["error"]["code"], -32700, "{answer}");
        let ended = client.end();
        assert!(matches!(ended, Ended::Unreadable), "{ended:?}");
        assert_eq!(client.answers.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    }
}

#[test]
fn n23_a_length_in_characters_ends_the_session_with_errors_only() {
    let mut client = Client::new();
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"sum","params":["é"]}"#;
    client.write(format!("Content-Length: {}\r\n\r\n{call}", call.chars().count()).as_bytes());
    client.requests = None;
    let said: Vec<String> = client.answers.iter().collect();
    assert!(said.iter().any(|line| line.contains("-32700")), "{said:?}");
    assert!(!said.iter().any(|line| line.contains("result")), "{said:?}");
    assert!(matches!(client.end(), Ended::Unreadable));
}

#[test]
fn a_cancelled_call_is_answered_once_and_its_id_is_free_again() {
    let mut client = Client::new();
    client.call(7, "hang", json!([]));
    client.say(r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":7}}"#);
    assert_eq!(bare(client.hear()), json!({"jsonrpc": "2.0", "id": 7, "error": -32800}));
    // Neither a second cancel nor one of an id that nobody used says anything.
    client.say(r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":7}}"#);
    client.say(r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"x"}}"#);
    client.say(r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":[]}"#);
    client.say(r#"{"jsonrpc":"2.0","method":"$/other"}"#);
    assert_eq!(client.ask(7, "sum", json!([1]))["result"], 1);
    assert_eq!(client.rest(), [] as [Value; 0]);
}

#[test]
fn a_cancelled_call_of_a_batch_is_answered_in_its_place() {
    let mut client = Client::new();
    client.say(r#"[{"jsonrpc":"2.0","id":1,"method":"hang"},{"jsonrpc":"2.0","id":2,"method":"sum","params":[2]},{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}]"#);
    let expected = json!([
        {"jsonrpc": "2.0", "id": 1, "error": -32800},
        {"jsonrpc": "2.0", "id": 2, "result": 2},
    ]);
    assert_eq!(bare(client.hear()), expected);
}

#[test]
fn an_id_that_still_waits_is_not_taken_twice() {
    let mut client = Client::new();
    client.call(1, "wait", json!([]));
    assert_eq!(
        bare(client.ask(1, "sum", json!([1]))),
        json!({"jsonrpc": "2.0", "id": null, "error": -32600})
    );
    client.world.go.notify_one();
    assert_eq!(client.hear()["result"], "waited");
}

#[test]
fn a_panic_is_an_answer() {
    let mut client = Client::new();
    assert_eq!(
        bare(client.ask(1, "panic", json!([]))),
        json!({"jsonrpc": "2.0", "id": 1, "error": -32603})
    );
    assert_eq!(client.ask(2, "sum", json!([1, 2]))["result"], 3);
}

#[test]
fn a_subscription_answers_first_and_says_nothing_after_its_end() {
    let mut client = Client::new();
    let answer = client.ask(1, "count/subscribe", json!([]));
    assert_eq!(answer, json!({"jsonrpc": "2.0", "id": 1, "result": 1}));
    let first = client.hear();
    let note = json!({"jsonrpc": "2.0", "method": "count/changed", "params": {"subscription": 1, "result": 1}});
    assert_eq!(first, note);
    // Calls run side by side, so each is waited for: the end of another one ends nothing, any noun's
    // method ends this one, and after that nothing of it is heard.
    assert!(!client.unsubscribe(2, "count/unsubscribe", json!([2])));
    assert!(client.unsubscribe(3, "drop/unsubscribe", json!({"subscription": 1})));
    assert_eq!(client.ask(4, "count/unsubscribe", json!([1]))["result"], false);
    assert_eq!(bare(client.ask(5, "count/unsubscribe", json!(["1"])))["error"], -32602);
    assert_eq!(
        bare(client.ask(6, "count/unsubscribe", json!({"subscriptions": 1})))["error"],
        -32602
    );
    assert_eq!(client.ask(7, "count/subscribe", json!([]))["result"], 2);
}

#[test]
fn a_subscription_that_is_refused_or_forgotten_is_answered_once() {
    let mut client = Client::new();
    assert_eq!(bare(client.ask(1, "drop/subscribe", json!([])))["error"], -32603);
    assert_eq!(bare(client.ask(2, "no/subscribe", json!([])))["error"], -32029);
    client.say(r#"{"jsonrpc":"2.0","method":"count/subscribe"}"#);
    client.say(r#"[{"jsonrpc":"2.0","id":3,"method":"count/subscribe"}]"#);
    assert_eq!(bare(client.hear()), json!([{"jsonrpc": "2.0", "id": 3, "error": -32600}]));
    assert_eq!(client.rest(), [] as [Value; 0]);
}

#[test]
fn a_session_holds_256_subscriptions_and_they_end_with_it() {
    let (mut client, answers) = Client::deaf();
    for id in 0..=u64::from(session::SUBSCRIPTIONS) {
        client.call(id, "count/subscribe", json!([]));
    }
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut answers = answers;
        while let Some(answer) = read_line(&mut answers) {
            if answer.contains("\"id\"") {
                let _ = sender.send(answer);
            }
        }
    });
    client.answers = receiver;
    let refused: Vec<Value> = (0..=session::SUBSCRIPTIONS)
        .map(|_| client.hear())
        .filter(|answer| answer.get("error").is_some())
        .collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0]["error"]["code"], -32030);
    client.requests = None;
    assert!(matches!(client.end(), Ended::EndOfInput));
    wait_until("the feeds end", || client.world.subscribed.load(Ordering::SeqCst) == 0);
}

#[test]
fn a_feed_never_runs_ahead_of_a_client_that_does_not_read() {
    let (mut client, mut answers) = Client::deaf();
    client.call(1, "count/subscribe", json!([]));
    let sent = || client.world.sent.load(Ordering::SeqCst);
    // The pipe fills: from then on the number stands still, however often one looks.
    let mut last = 0;
    let mut still = 0;
    wait_until("the feed stands still", || {
        let now = sent();
        still = if now == last && now > 0 { still + 1 } else { 0 };
        last = now;
        still > 200
    });
    let stuck = sent();
    assert!(stuck * 80 < 128 << 10, "{stuck} notifications in a pipe of 64 KiB");
    for _ in 0..2000 {
        read_line(&mut answers).unwrap();
    }
    wait_until("the feed goes on", || sent() > stuck);
}

#[test]
fn a_client_that_does_not_read_is_still_heard() {
    let (mut client, _answers) = Client::deaf();
    let filler = "x".repeat(1 << 20);
    client.call(0, "big", json!([20 << 20]));
    client.call(1, "hang", json!([]));
    for id in 2..20 {
        client.call(id, "sum", json!([1, filler]));
    }
    client.say(r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}"#);
    client.say(r#"{"jsonrpc":"2.0","method":"exit"}"#);
    assert!(matches!(client.end(), Ended::Exit { shut_down: false }));
}

#[test]
fn no_call_starts_while_too_much_is_unwritten() {
    let (mut client, mut answers) = Client::deaf();
    client.call(1, "big", json!([17 << 20]));
    client.call(2, "hang", json!([]));
    let first = read_line(&mut answers).unwrap();
    assert!(first.len() > 17 << 20);
    wait_until("the next call starts", || client.world.started.load(Ordering::SeqCst) == 1);
}

#[test]
fn exit_ends_at_once_and_shutdown_makes_it_clean() {
    let mut client = Client::new();
    client.call(1, "hang", json!([]));
    client.say(r#"{"jsonrpc":"2.0","method":"exit"}"#);
    assert!(matches!(client.end(), Ended::Exit { shut_down: false }));

    let mut client = Client::new();
    assert_eq!(client.ask(1, "shutdown", json!([]))["result"], Value::Null);
    assert!(client.session.is_shut_down());
    assert_eq!(bare(client.ask(2, "sum", json!([1])))["error"], -32600);
    client.say(r#"{"jsonrpc":"2.0","method":"exit"}"#);
    assert!(matches!(client.end(), Ended::Exit { shut_down: true }));
}

#[test]
fn the_end_of_input_answers_what_was_read() {
    let mut client = Client::new();
    client.call(1, "wait", json!([]));
    client.say(r#"{"jsonrpc":"2.0","id":2,"method":"sum","params":[1]}"#);
    client.requests = None;
    assert_eq!(client.hear()["id"], 2);
    client.world.go.notify_one();
    assert_eq!(client.hear()["result"], "waited");
    assert!(matches!(client.end(), Ended::EndOfInput));

    let mut client = Client::new();
    client.call(1, "hang", json!([]));
    let started = std::time::Instant::now();
    let answers: Vec<_> = client.rest().into_iter().map(bare).collect();
    assert_eq!(answers, [json!({"jsonrpc": "2.0", "id": 1, "error": -32603})]);
    assert!(started.elapsed() >= GRACE);
}

#[test]
fn n25_a_client_that_is_gone_ends_the_session() {
    let (mut client, answers) = Client::deaf();
    drop(answers);
    client.call(1, "sum", json!([1]));
    let ended = client.end();
    assert!(matches!(ended, Ended::Disconnected(_)), "{ended:?}");
}

#[test]
fn a_wrong_name_tells_the_nearest_one() {
    let mut client = Client::new();
    let message = |answer: Value| answer["error"]["message"].as_str().unwrap().to_owned();
    let near = message(client.ask(1, "substract", json!([])));
    assert!(near.contains("did you mean `subtract`"), "{near}");
    let far = message(client.ask(2, "rpc.discover", json!([])));
    assert!(!far.contains("did you mean"), "{far}");
}
