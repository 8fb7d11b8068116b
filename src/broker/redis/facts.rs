//! What a Redis says of itself. Nothing of it is needed to watch: hardened and managed servers
//! refuse INFO (F26), and then that is what is known.

use super::client::reason;
use crate::broker::{Facts, Memory};
use ::redis::aio::MultiplexedConnection;
use std::collections::HashMap;

/// Asks once.
pub(super) async fn ask(connection: &mut MultiplexedConnection) -> Facts {
    match ::redis::cmd("INFO").query_async::<String>(connection).await {
        Ok(info) => read(&info),
        Err(error) => Facts { refused: vec![("INFO".into(), reason(&error))], ..Facts::default() },
    }
}

fn read(info: &str) -> Facts {
    let lines: HashMap<&str, &str> =
        info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
    let text = |name: &str| lines.get(name).map(|value| (*value).to_owned());
    let number = |name: &str| lines.get(name).and_then(|value| value.parse().ok());
    let saves = ["rdb_last_bgsave_status", "aof_last_write_status"];
    let memory = |used| Memory {
        used,
        // 0: as much as there is.
        limit: number("maxmemory").filter(|limit| *limit > 0),
        policy: text("maxmemory_policy"),
    };
    Facts {
        version: text("redis_version"),
        memory: number("used_memory").map(memory),
        replica: lines.get("role").map(|role| *role == "slave"),
        saved: saves.into_iter().filter_map(|save| lines.get(save)).map(|last| *last == "ok").min(),
        refused: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_not_known() {
        let info = "# Server\r\nredis_version:7.0.15\r\nused_memory:100\r\nmaxmemory:200\r\n\
                    maxmemory_policy:allkeys-lru\r\nrole:slave\r\n";
        let memory = Memory { used: 100, limit: Some(200), policy: Some("allkeys-lru".into()) };
        let facts = read(info);
        assert_eq!(facts.memory, Some(memory));
        assert_eq!((facts.version.as_deref(), facts.replica), (Some("7.0.15"), Some(true)));
        assert_eq!(read("used_memory:1\r\nmaxmemory:0\r\n").memory.unwrap().limit, None);
        assert_eq!((read("").memory, read("").saved), (None, None));
        let [well, badly] = ["ok", "err"].map(|last| {
            read(&format!("rdb_last_bgsave_status:{last}\r\naof_last_write_status:ok\r\n")).saved
        });
        assert_eq!((well, badly), (Some(true), Some(false)));
    }
}
