//! JSON-RPC 2.0 over any byte stream: `read thread → loop → calls → loop → write thread`.
//!
//! Serves any method table to any number of sessions. Names no method (the loop itself knows `exit`
//! and `$/cancelRequest`) and no error code (see [`crate::error`]).
//!
//! The rules, each kept where it stands:
//! - only the loop answers, and only a call that still waits: one answer each ([`calls`]);
//! - cancelling is an answer (`-32800`), and so is a panic (`-32603`) ([`start`]);
//! - a client that reads nothing stops nothing but itself ([`wire`]);
//! - the end of input ends the session once the calls already read are answered ([`GRACE`]).

mod calls;
mod frame;
mod message;
mod note;
mod session;
mod start;
pub mod stdio;
mod wire;

pub use note::Notifier;
pub use session::{Answered, Session, Written};

use crate::error::Error;
use calls::{Calls, Reply, Ticket};
use jsonrpsee::core::server::{MethodResponse, Methods, ResponsePayload};
use jsonrpsee::types::Id;
use message::{Call, Incoming, Message};
use note::Note;
use serde::Deserialize;
use serde_json::value::RawValue;
use start::{Feed, Outcome, Run, Starter};
use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use wire::{Inlet, Input, Outlet};

/// How long the calls that were read before the end of input may still take.
pub const GRACE: Duration = Duration::from_secs(3);

/// How long what is already answered may take to be written after `exit`.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// Calls that run at once; more wait their turn.
const RUNNING: usize = 4096;

/// Why a session ended.
#[derive(Debug)]
pub enum Ended {
    /// The client said `exit`.
    Exit {
        /// After a `shutdown`, as LSP asks.
        shut_down: bool,
    },
    /// The end of input.
    EndOfInput,
    /// The input is in no framing that can be read on.
    Unreadable,
    /// The client is gone, or a thread could not be started.
    Disconnected(io::Error),
}

/// Serves one client until end of input, `exit`, or a write error. Everything it needs is handed in.
///
/// When it returns, the session's calls are stopped and its subscriptions closed.
pub async fn serve<R, W>(read: R, write: W, methods: Methods, session: Arc<Session>) -> Ended
where
    R: Read + Send + 'static,
    W: Write + Send + 'static,
{
    let framing = Arc::new(OnceLock::new());
    let threads = Inlet::open(read, Arc::clone(&framing))
        .and_then(|inlet| Ok((inlet, Outlet::open(write, framing)?)));
    match threads {
        Ok((inlet, outlet)) => Loop::new(outlet, methods, session).run(inlet).await,
        Err(error) => Ended::Disconnected(error),
    }
}

struct Loop {
    outlet: Outlet,
    starter: Starter,
    session: Arc<Session>,
    calls: Calls,
    waiting: VecDeque<(Ticket, Run)>,
    running: JoinSet<Outcome>,
    feeds: HashMap<u64, AbortHandle>,
    forwarders: JoinSet<()>,
    notes: mpsc::Receiver<Note>,
    note: mpsc::Sender<Note>,
}

/// How a session goes on after an input.
enum Flow {
    Continue,
    /// No more input: end by this, once everything is answered.
    Finish(Ended),
    /// End now.
    Stop(Ended),
}

impl Loop {
    fn new(outlet: Outlet, methods: Methods, session: Arc<Session>) -> Self {
        let (note, notes) = mpsc::channel(1);
        Loop {
            outlet,
            starter: Starter::new(methods, Arc::clone(&session), Notifier::new(note.clone())),
            session,
            calls: Calls::default(),
            waiting: VecDeque::new(),
            running: JoinSet::new(),
            feeds: HashMap::new(),
            forwarders: JoinSet::new(),
            notes,
            note,
        }
    }

    async fn run(mut self, mut inlet: Inlet) -> Ended {
        let mut finish: Option<Ended> = None;
        let mut deadline = Instant::now();
        let ended = loop {
            self.start_waiting();
            if finish.is_some() && self.calls.is_empty() {
                break finish;
            }
            tokio::select! {
                input = inlet.next(), if finish.is_none() => match self.input(input) {
                    Flow::Continue => {}
                    Flow::Finish(ended) => {
                        finish = Some(ended);
                        self.session.end_input();
                        deadline = Instant::now() + GRACE;
                    }
                    Flow::Stop(ended) => {
                        self.outlet.close(LAST_WORDS).await;
                        return ended;
                    }
                },
                Some(outcome) = self.running.join_next() => self.outcome(outcome.ok()),
                Some(note) = self.notes.recv() => self.note(note),
                written = self.outlet.progress() => if let Err(error) = written {
                    return Ended::Disconnected(error);
                },
                () = sleep_until(deadline), if finish.is_some() => break finish,
            }
        };
        self.finish(deadline).await;
        ended.unwrap_or(Ended::EndOfInput)
    }

    /// The end of a session whose input ended: what is still unanswered is told so.
    async fn finish(mut self, deadline: Instant) {
        for ticket in self.calls.unanswered() {
            let error = Error::Internal("not answered before the end of the session".into());
            let answer = self.calls.fail(ticket, error);
            self.send(answer);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        self.outlet.close(left.max(LAST_WORDS)).await;
    }

    fn send(&self, json: Option<Box<RawValue>>) {
        if let Some(json) = json {
            self.outlet.send(json, None);
        }
    }

    fn refuse(&self, error: Error) {
        self.send(Some(MethodResponse::error(Id::Null, error).into_json()));
    }

    fn input(&mut self, input: Input) -> Flow {
        match input {
            Input::Text(text, room) => self.frame(message::read(&text), room),
            Input::Skipped(reason) => {
                self.refuse(Error::Parse(reason));
                Flow::Continue
            }
            Input::Unreadable(reason) => {
                self.refuse(Error::Parse(reason));
                Flow::Finish(Ended::Unreadable)
            }
            Input::End => Flow::Finish(Ended::EndOfInput),
        }
    }

    fn frame(&mut self, incoming: Incoming, room: Arc<OwnedSemaphorePermit>) -> Flow {
        match incoming {
            Incoming::Single(message) => self.message(message, Reply::Alone, &room),
            Incoming::Batch(messages) => {
                let batch = self.calls.open_batch(messages.len());
                for (place, message) in messages.into_iter().enumerate() {
                    let reply = Reply::Batch { batch, place };
                    if let Flow::Stop(ended) = self.message(message, reply, &room) {
                        return Flow::Stop(ended);
                    }
                }
                Flow::Continue
            }
        }
    }

    /// One message. `reply` is where an answer to it goes, if there is to be one.
    fn message(
        &mut self,
        message: Message,
        reply: Reply,
        room: &Arc<OwnedSemaphorePermit>,
    ) -> Flow {
        match message {
            Message::Call(call) if call.method == "exit" => {
                return Flow::Stop(Ended::Exit { shut_down: self.session.is_shut_down() });
            }
            Message::Call(call) if call.id.is_none() => {
                let place = self.calls.route(reply, None);
                self.send(place);
                self.notification(call, room);
            }
            Message::Call(call) => self.call(call, reply, room),
            Message::Answer => {
                let place = self.calls.route(reply, None);
                self.send(place);
            }
            Message::Invalid(id, error) => {
                let answer = self.calls.route(reply, Some(MethodResponse::error(id, error)));
                self.send(answer);
            }
        }
        Flow::Continue
    }

    fn call(&mut self, call: Call, reply: Reply, room: &Arc<OwnedSemaphorePermit>) {
        tracing::debug!(method = call.method, "call");
        match self.calls.enter(call.id.clone(), reply, Arc::clone(room)) {
            Ok(ticket) => match self.starter.prepare(&call, reply) {
                Ok(run) => self.waiting.push_back((ticket, run)),
                Err(error) => {
                    let answer = self.calls.fail(ticket, error);
                    self.send(answer);
                }
            },
            // The id belongs to the call that still waits, so this answer carries none.
            Err(error) => {
                let answer = self.calls.route(reply, Some(MethodResponse::error(Id::Null, error)));
                self.send(answer);
            }
        }
    }

    fn notification(&mut self, call: Call, room: &Arc<OwnedSemaphorePermit>) {
        if call.method == "$/cancelRequest" {
            return self.cancel(&call);
        }
        // An unknown one is ignored, as LSP asks; nobody waits for an error either.
        if let Ok(run) = self.starter.prepare(&call, Reply::Nowhere)
            && let Ok(ticket) = self.calls.enter(None, Reply::Nowhere, Arc::clone(room))
        {
            self.waiting.push_back((ticket, run));
        }
    }

    fn cancel(&mut self, call: &Call) {
        #[derive(Deserialize)]
        struct Cancel<'a> {
            #[serde(borrow)]
            id: Id<'a>,
        }
        let params = call.params();
        let Ok(Cancel { id }) = params.parse() else { return };
        if let Some(ticket) = self.calls.cancel(&id.into_owned()) {
            let answer = self.calls.fail(ticket, Error::Cancelled);
            self.send(answer);
        }
    }

    /// Starts what waits, as long as the client takes what it asked for.
    fn start_waiting(&mut self) {
        while self.running.len() < RUNNING
            && self.outlet.has_room()
            && let Some((ticket, run)) = self.waiting.pop_front()
        {
            if self.calls.waits(ticket) {
                let running = self.running.spawn(run.run(ticket));
                self.calls.started(ticket, running);
            }
        }
    }

    /// `None`: the call was cancelled, and so answered.
    fn outcome(&mut self, outcome: Option<Outcome>) {
        let Some(Outcome { ticket, mut answer, feed, ends, answered }) = outcome else { return };
        if let Some((number, id)) = ends {
            let forwarder = self.feeds.remove(&number);
            let known = ResponsePayload::success(forwarder.is_some());
            answer = Some(MethodResponse::response(id, known, usize::MAX));
            if let Some(forwarder) = forwarder {
                forwarder.abort();
            }
        }
        if !self.calls.waits(ticket) {
            return;
        }
        let answer = match answer {
            Some(answer) => self.calls.answer(ticket, answer),
            None => self.calls.fail(ticket, Error::Internal("the handler panicked".into())),
        };
        // The answer first: what follows it names the number that the answer tells.
        self.send(answer);
        answered.send_replace(true);
        if let Some(feed) = feed {
            let number = feed.subscription;
            let forwarder = self.forwarders.spawn(forward(feed, self.note.clone()));
            self.feeds.insert(number, forwarder);
        }
    }

    /// Nothing is sent for a subscription once its end was answered.
    fn note(&mut self, note: Note) {
        match note {
            Note::Fed { subscription, json, receipt } => {
                if self.feeds.contains_key(&subscription) {
                    self.outlet.send(json, Some(receipt));
                }
            }
            Note::Ended { subscription } => {
                self.feeds.remove(&subscription);
                while self.forwarders.try_join_next().is_some() {}
            }
            Note::Told { json, receipt } => self.outlet.send(json, Some(receipt)),
        }
    }
}

/// Carries one feed's notifications to the loop, each only after the one before it was written.
async fn forward(mut feed: Feed, notes: mpsc::Sender<Note>) {
    let subscription = feed.subscription;
    while let Some(json) = feed.notifications.recv().await {
        let (receipt, written) = oneshot::channel();
        let note = Note::Fed { subscription, json, receipt };
        if notes.send(note).await.is_err() || written.await.is_err() {
            return;
        }
        feed.written.send_modify(|count| *count += 1);
    }
    // Nobody is left to be told where the session is over.
    let _ = notes.send(Note::Ended { subscription }).await;
}

#[cfg(test)]
mod tests;
