//! The examples of the JSON-RPC 2.0 specification, played against a session, one line each.

use super::client::{Client, bare};
use crate::server::Ended;
use serde_json::Value;

/// Every example of section 7 of the JSON-RPC 2.0 specification: what is said, what is heard.
const SPECIFICATION: &[(&str, &str)] = &[
    (
        r#"{"jsonrpc":"2.0","method":"subtract","params":[42,23],"id":1}"#,
        r#"{"jsonrpc":"2.0","result":19,"id":1}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","method":"subtract","params":[23,42],"id":2}"#,
        r#"{"jsonrpc":"2.0","result":-19,"id":2}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","method":"subtract","params":{"subtrahend":23,"minuend":42},"id":3}"#,
        r#"{"jsonrpc":"2.0","result":19,"id":3}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","method":"subtract","params":{"minuend":42,"subtrahend":23},"id":4}"#,
        r#"{"jsonrpc":"2.0","result":19,"id":4}"#,
    ),
    (r#"{"jsonrpc":"2.0","method":"update","params":[1,2,3,4,5]}"#, ""),
    (r#"{"jsonrpc":"2.0","method":"foobar"}"#, ""),
    (
        r#"{"jsonrpc":"2.0","method":"foobar","id":"1"}"#,
        r#"{"jsonrpc":"2.0","error":-32601,"id":"1"}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","method":"foobar,"params":"bar","baz]"#,
        r#"{"jsonrpc":"2.0","error":-32700,"id":null}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","method":1,"params":"bar"}"#,
        r#"{"jsonrpc":"2.0","error":-32600,"id":null}"#,
    ),
    (
        r#"[{"jsonrpc":"2.0","method":"sum","params":[1,2,4],"id":"1"},{"jsonrpc":"2.0","method"]"#,
        r#"{"jsonrpc":"2.0","error":-32700,"id":null}"#,
    ),
    ("[]", r#"{"jsonrpc":"2.0","error":-32600,"id":null}"#),
    ("[1]", r#"[{"jsonrpc":"2.0","error":-32600,"id":null}]"#),
    (
        "[1,2,3]",
        r#"[{"jsonrpc":"2.0","error":-32600,"id":null},{"jsonrpc":"2.0","error":-32600,"id":null},{"jsonrpc":"2.0","error":-32600,"id":null}]"#,
    ),
    (
        r#"[{"jsonrpc":"2.0","method":"sum","params":[1,2,4],"id":"1"},{"jsonrpc":"2.0","method":"notify_hello","params":[7]},{"jsonrpc":"2.0","method":"subtract","params":[42,23],"id":"2"},{"foo":"boo"},{"jsonrpc":"2.0","method":"foo.get","params":{"name":"myself"},"id":"5"},{"jsonrpc":"2.0","method":"get_data","id":"9"}]"#,
        r#"[{"jsonrpc":"2.0","result":7,"id":"1"},{"jsonrpc":"2.0","result":19,"id":"2"},{"jsonrpc":"2.0","error":-32600,"id":null},{"jsonrpc":"2.0","error":-32601,"id":"5"},{"jsonrpc":"2.0","result":["hello",5],"id":"9"}]"#,
    ),
    (
        r#"[{"jsonrpc":"2.0","method":"notify_sum","params":[1,2,4]},{"jsonrpc":"2.0","method":"notify_hello","params":[7]}]"#,
        "",
    ),
];

#[test]
fn every_example_of_the_specification() {
    for (said, heard) in SPECIFICATION {
        let mut client = Client::new();
        client.say(said);
        let answers: Vec<_> = client.rest().into_iter().map(bare).collect();
        let expected: Vec<Value> =
            (!heard.is_empty()).then(|| serde_json::from_str(heard).unwrap()).into_iter().collect();
        assert_eq!(answers, expected, "{said}");
        assert!(matches!(client.end(), Ended::EndOfInput));
    }
}
