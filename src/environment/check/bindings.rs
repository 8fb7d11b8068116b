//! What the bindings of exchanges hold that should not be there (F56), and what leads to two queues at
//! once (F17).

use super::{Check, SEARCH, few};
use crate::broker::Broker;
use crate::environment::{Environment, queues};
use crate::error::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Commands that are named in a fix.
const NAMED: usize = 5;

/// What was met.
#[derive(Debug, Default)]
struct Met {
    /// The commands that remove malformed members.
    malformed: Vec<String>,
    /// `exchange` and routing key, and the queues both lead to.
    double: Vec<String>,
}

impl Environment {
    /// Looks through the bindings, as far as it comes in a moment.
    pub(super) async fn check_bindings(&self) -> Vec<Check> {
        let looked = async {
            let connection = self.connection().await?;
            self.look_at_bindings(connection.broker.as_ref()).await
        };
        match looked.await {
            Ok(met) => met.checks(),
            // What a user may not read costs no more than this row.
            Err(error) => {
                tracing::debug!(%error, "bindings could not be looked at");
                Vec::new()
            }
        }
    }

    async fn look_at_bindings(&self, broker: &dyn Broker) -> Result<Met> {
        let until = Instant::now() + SEARCH;
        let (mut cursor, mut exchanges) = (0, BTreeSet::new());
        while Instant::now() < until {
            let (next, found) = broker.scan_exchanges(cursor).await?;
            exchanges.extend(found);
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        let mut met = Met::default();
        for exchange in &exchanges {
            met.malformed.extend(broker.malformed_bindings(exchange).await?);
            if !queues::carries_tasks(self, exchange) {
                continue;
            }
            let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for binding in broker.bindings(exchange).await? {
                let key = binding.routing_key.clone();
                // A fanout's keys are empty, and patterns are meant for several.
                if !key.is_empty() && !key.contains(['*', '#']) && !binding.is_broadcast() {
                    keys.entry(key).or_default().push(format!("`{}`", binding.queue));
                }
            }
            let double = keys.into_iter().filter(|(_, queues)| queues.len() > 1);
            met.double.extend(double.map(|(key, queues)| {
                format!("{} by the key `{key}` of `{exchange}`", queues.join(" and "))
            }));
        }
        Ok(met)
    }
}

impl Met {
    fn checks(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        if !self.malformed.is_empty() {
            let count = self.malformed.len();
            let more = count.saturating_sub(NAMED);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            checks.push(Check::warn(
                "bindings",
                format!("{count} members of binding sets are malformed: another kombu, or another `sep`, left them"),
                "workers that meet one cannot answer Celery's own clients (`celery inspect`); what is \
                 asked from here does not need them",
                &format!(
                    "where no client needs them, remove them: {}{more}",
                    self.malformed[..count - count.saturating_sub(NAMED)].join("; ")
                ),
            ));
        }
        if !self.double.is_empty() {
            let names: Vec<&str> = self.double.iter().map(String::as_str).collect();
            checks.push(Check::warn(
                "double bindings",
                few(&names),
                "what clients send through that exchange lands in each of them and runs as often, under \
                 one id; what is sent from here goes to one queue only",
                "give each queue a routing key of its own, unless this is meant",
            ));
        }
        checks
    }
}
