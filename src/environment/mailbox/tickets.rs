//! What was asked and who still owes an answer. Must not know how answers travel.

use super::Late;
use crate::celery::control::Reply;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How long a late answer still tells something: a solo worker may be busy for minutes.
const LATE: Duration = Duration::from_secs(300);

/// How long an answer that is out is reckoned with. What leaving puts into the list lives as long.
const OWED: Duration = Duration::from_secs(3600);

/// The requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    open: HashMap<String, Ticket>,
    /// Answers to forgotten requests may come until then; nobody learns them.
    owed_until: Option<Instant>,
}

#[derive(Debug)]
struct Ticket {
    method: String,
    asked: Instant,
    /// Answers that may still come: listeners that have not answered.
    outstanding: u64,
    /// Answers that came, possibly before the broker had told us how many there may be.
    answered: u64,
    waiter: mpsc::UnboundedSender<Reply>,
}

impl Tickets {
    /// A request is about to be sent; `waiter` gets its answers for as long as it listens.
    pub fn open(
        &mut self,
        ticket: &str,
        method: &str,
        asked: Instant,
        waiter: mpsc::UnboundedSender<Reply>,
    ) {
        // Until the broker has told how many listen, somebody may answer.
        let outstanding = u64::MAX;
        let method = method.into();
        let opened = Ticket { method, asked, outstanding, answered: 0, waiter };
        self.open.insert(ticket.into(), opened);
    }

    /// So many may answer.
    pub fn expect(&mut self, ticket: &str, listeners: u64) {
        if let Some(ticket) = self.open.get_mut(ticket) {
            ticket.outstanding = listeners.saturating_sub(ticket.answered);
        }
    }

    /// The request was not sent.
    pub fn close(&mut self, ticket: &str) {
        self.open.remove(ticket);
    }

    /// Takes an answer in; gives it back where nobody waits for it any more.
    pub fn deliver(&mut self, reply: Reply) -> Option<Late> {
        let ticket = self.open.get_mut(&reply.ticket)?;
        ticket.outstanding = ticket.outstanding.saturating_sub(1);
        ticket.answered += 1;
        let mpsc::error::SendError(reply) = ticket.waiter.send(reply).err()?;
        let method = ticket.method.clone();
        Some(Late { method, hostname: reply.hostname, said: reply.said })
    }

    /// Forgets the requests whose answers tell nothing any more, but not that answers are out.
    pub fn prune(&mut self, now: Instant) {
        let owed_until = &mut self.owed_until;
        self.open.retain(|_, ticket| {
            let keep = !ticket.waiter.is_closed()
                || ticket.outstanding > 0 && now.duration_since(ticket.asked) < LATE;
            if !keep && ticket.outstanding > 0 {
                *owed_until = (*owed_until).max(Some(ticket.asked + OWED));
            }
            keep
        });
    }

    /// A request is waiting right now.
    pub fn awaited(&self) -> bool {
        self.open.values().any(|ticket| !ticket.waiter.is_closed())
    }

    /// An answer is out.
    pub fn owed(&self, now: Instant) -> bool {
        self.owed_until.is_some_and(|until| now < until)
            || self.open.values().any(|ticket| ticket.outstanding > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::control::Said;
    use serde_json::Value;

    fn reply(ticket: &str) -> Reply {
        Reply { ticket: ticket.into(), hostname: "w1@lab".into(), said: Said::Value(Value::Null) }
    }

    /// A request that two listeners heard and nobody waits for.
    fn asked(tickets: &mut Tickets, ticket: &str, asked: Instant) {
        let (waiter, _) = mpsc::unbounded_channel();
        tickets.open(ticket, "ping", asked, waiter);
        tickets.expect(ticket, 2);
    }

    #[test]
    fn a_late_answer_is_learned_for_minutes() {
        let (mut tickets, start) = (Tickets::default(), Instant::now());
        asked(&mut tickets, "T", start);
        tickets.prune(start + Duration::from_secs(200));
        let late = tickets.deliver(reply("T")).map(|late| (late.method, late.hostname));
        assert_eq!(late, Some(("ping".into(), "w1@lab".into())));
        assert!(tickets.owed(start), "one of two answered");
        assert!(tickets.deliver(reply("T")).is_some());
        assert!(!tickets.owed(start));
    }

    #[test]
    fn f16_an_answer_that_is_out_is_reckoned_with_for_an_hour() {
        let (mut tickets, start) = (Tickets::default(), Instant::now());
        asked(&mut tickets, "T", start);
        let minutes = |count: u64| start + Duration::from_secs(60 * count);
        tickets.prune(minutes(6));
        assert!(tickets.deliver(reply("T")).is_none(), "it tells nothing any more");
        assert!(tickets.owed(minutes(59)) && !tickets.owed(minutes(60)));
        assert!(!tickets.awaited());
    }

    #[test]
    fn answers_may_come_before_their_number_is_known() {
        let (mut tickets, now) = (Tickets::default(), Instant::now());
        let (waiter, mut answers) = mpsc::unbounded_channel();
        tickets.open("T", "ping", now, waiter);
        assert!(tickets.awaited() && tickets.owed(now));
        assert!(tickets.deliver(reply("T")).is_none() && answers.try_recv().is_ok());
        tickets.expect("T", 1);
        assert!(!tickets.owed(now));
        tickets.open("U", "ping", now, mpsc::unbounded_channel().0);
        tickets.close("U");
        assert!(!tickets.owed(now));
    }
}
