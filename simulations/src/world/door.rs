//! A hub's door for clients: `POST /api/v2/sync` as the hub serves it, without the HTTP around it.

use std::time::Duration;

use inbetweenies_client::wire::{Failure, Refusal, Reply};
use inbetweenies_core::limits::Limits;
use inbetweenies_core::machine::Ticket;
use inbetweenies_core::node::{Mail, room_for_body};
use inbetweenies_core::reconcile;
use inbetweenies_core::value::{Budget, decode_msgpack};
use inbetweenies_core::wire::{Problem, SyncRequest, SyncResponse};

use super::hub::Process;
use super::{Due, World};
use crate::chance::Stream;
use crate::plan::Lane;
use crate::watch::{Fate, Seen};

/// Names a request.
pub type CallId = u64;

/// How long a client waits for an answer: longer than a hub takes to say that it does not know.
pub const PATIENCE: Duration = Duration::from_secs(65);
/// How long an exchange may take inside the hub.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A request under way.
#[derive(Debug)]
pub struct Call {
    /// Whose; None for a script that forgets it.
    pub client: Option<usize>,
    /// Where to.
    pub hub: usize,
    /// MessagePack.
    pub body: Vec<u8>,
    /// When it was sent.
    pub sent_at: Duration,
    /// Whether it has come to the hub.
    pub arrived: bool,
    /// The answer, once it is on its way.
    pub answer: Option<Result<Vec<u8>, Failure>>,
}

impl Call {
    fn lane(&self) -> Option<Lane> {
        self.client.map(Lane::Client)
    }

    /// The answer as a client reads it.
    pub(super) fn reply(self) -> Option<Result<Reply, Failure>> {
        Some(match self.answer? {
            Ok(bytes) => Reply::decode(&bytes, &Limits::default()).map_err(Failure::from),
            Err(failure) => Err(failure),
        })
    }
}

impl World {
    /// Sends a request.
    pub(super) fn call(&mut self, client: Option<usize>, hub: usize, body: Vec<u8>) -> CallId {
        self.calls_made += 1;
        let id = self.calls_made;
        let bytes = body.len();
        let call = Call {
            client,
            hub,
            body,
            sent_at: self.now,
            arrived: false,
            answer: None,
        };
        let lane = call.lane();
        self.calls.insert(id, call);
        self.after(PATIENCE, Due::GiveUp { call: id });
        let Some(lane) = lane else {
            self.after(Duration::from_micros(200), Due::Request { call: id });
            return id;
        };
        let stream = Stream::Client(client.unwrap_or(0) as u64);
        let replica = client.map(|client| &self.clients[client].replica);
        let news =
            replica.is_some_and(|replica| replica.clock().is_empty() || replica.pending().next().is_some());
        let lost = self.net.held_up(lane, Lane::Hub(hub)) || self.hubs[hub].dark;
        let wait = self.latency(lane, Lane::Hub(hub), stream);
        let fate = if lost {
            Fate::Lost
        } else {
            Fate::Arrives(self.now + wait)
        };
        self.saw(&Seen::Asked {
            client: lane,
            hub,
            bytes,
            fate,
            news,
        });
        if !lost {
            self.after(wait, Due::Request { call: id });
        }
        id
    }

    /// A request arrives.
    pub(super) fn request(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.arrived = true;
        let (hub, body) = (call.hub, std::mem::take(&mut call.body));
        if self.hubs[hub].process.is_none() {
            let detail = "connection refused".to_owned();
            return self.answer_with(id, Err(Failure::NoHub { detail }), false);
        }
        let budget = Budget::new(self.limits.depth_max, self.limits.elements_max);
        let read = decode_msgpack(&body, &budget)
            .map_err(Problem::from)
            .and_then(|value| SyncRequest::read(value, &self.limits));
        let request = match read {
            Ok(request) => request,
            Err(problem) => return self.refuse(id, &problem),
        };
        self.saw(&Seen::Request {
            hub,
            call: id,
            request: &request,
        });
        if !request.sets.is_empty() && !self.hubs[hub].disk.has_room(room_for_body(body.len())) {
            let detail = "this hub's disk is full; reads go on, changes are taken when there is room";
            let mut problem = Problem::new(507, "Disk full", "disk_full", detail);
            problem.retry_after = Some(30);
            self.saw(&Seen::DiskFull { hub, call: id });
            return self.refuse(id, &problem);
        }
        let Some(process) = &mut self.hubs[hub].process else {
            return;
        };
        let ticket = Ticket(process.name());
        process.calls.insert(ticket, id);
        self.after(ANSWER_TIMEOUT, Due::Overdue { call: id });
        self.post(
            hub,
            Mail::Reconcile(reconcile::Input::Sync {
                ticket,
                request: Box::new(request),
            }),
        );
    }

    /// A room answers a client.
    pub(super) fn reply(&mut self, at: usize, ticket: Ticket, answer: Result<Box<SyncResponse>, Problem>) {
        let Some(process) = &mut self.hubs[at].process else {
            return;
        };
        let Some(id) = process.calls.remove(&ticket) else {
            return;
        };
        self.saw(&Seen::Answered {
            hub: at,
            call: id,
            answer: &answer,
        });
        match answer {
            Ok(response) => {
                let news = !response.changes.is_empty()
                    || !response.applied.is_empty()
                    || !response.rejected.is_empty();
                let bytes = rmp_serde::to_vec_named(&*response)
                    .unwrap_or_else(|error| panic!("an answer cannot be written: {error}"));
                self.answer_with(id, Ok(bytes), news);
            }
            Err(problem) => self.refuse(id, &problem),
        }
    }

    fn refuse(&mut self, id: CallId, problem: &Problem) {
        let bytes = rmp_serde::to_vec_named(problem)
            .unwrap_or_else(|error| panic!("a problem cannot be written: {error}"));
        let refusal = Refusal::decode(problem.status, &bytes, &Limits::default());
        self.answer_with(id, Err(Failure::Refused(Box::new(refusal))), true);
    }

    /// Puts an answer on its way, if the client can be reached.
    fn answer_with(&mut self, id: CallId, answer: Result<Vec<u8>, Failure>, news: bool) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let bytes = answer.as_ref().map_or(200, Vec::len);
        let (hub, lane, client) = (call.hub, call.lane(), call.client);
        call.answer = Some(answer);
        let Some(lane) = lane else {
            return self.told(id);
        };
        let lost = self.net.held_up(Lane::Hub(hub), lane);
        let stream = Stream::Client(client.unwrap_or(0) as u64);
        let wait = self.latency(Lane::Hub(hub), lane, stream);
        let fate = if lost {
            Fate::Lost
        } else {
            Fate::Arrives(self.now + wait)
        };
        self.saw(&Seen::AnswerSent {
            client: lane,
            hub,
            bytes,
            fate,
            news,
        });
        if !lost {
            self.after(wait, Due::Answer { call: id });
        }
    }

    /// A client hears an answer.
    pub(super) fn answer(&mut self, id: CallId) {
        let Some(call) = self.calls.remove(&id) else {
            return;
        };
        if let (Some(client), Some(answer)) = (call.client, call.reply()) {
            self.heard(client, id, answer);
        }
    }

    /// A hub says that it does not know what became of a request, since its rooms have not said.
    pub(super) fn overdue(&mut self, id: CallId) {
        let Some(hub) = self
            .calls
            .get(&id)
            .filter(|call| call.answer.is_none())
            .map(|call| call.hub)
        else {
            return;
        };
        self.saw(&Seen::NoAnswer { hub, call: id });
        if let Some(process) = &mut self.hubs[hub].process {
            process.calls.retain(|_, call| *call != id);
        }
        let detail = "no answer within 60 s; what you pushed may or may not have landed: push the same again";
        self.refuse(id, &Problem::new(504, "Too slow", "unknown_outcome", detail));
    }

    /// A client has waited long enough.
    pub(super) fn give_up(&mut self, id: CallId) {
        let Some(call) = self.calls.remove(&id) else {
            return;
        };
        let waited = PATIENCE;
        self.saw(&Seen::NoAnswer {
            hub: call.hub,
            call: id,
        });
        if let Some(client) = call.client {
            self.heard(client, id, Err(Failure::Timeout { waited }));
        }
    }

    /// A process is gone: killed, its connections are closed; without power nobody says anything.
    pub(super) fn calls_ended(&mut self, process: &Process, power: bool) {
        for id in process.calls.values() {
            let Some(hub) = self.calls.get(id).map(|call| call.hub) else {
                continue;
            };
            self.saw(&Seen::NoAnswer { hub, call: *id });
            if !power {
                let detail = "the hub closed the connection".to_owned();
                self.answer_with(*id, Err(Failure::Cut { detail }), true);
            }
        }
    }
}
