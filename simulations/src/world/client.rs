//! A phone: the client's own replica and sessions, carried from hub to hub.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use inbetweenies_client::wire::{Failure, Reply};
use inbetweenies_client::{Draft, Frame, Next, Opened, Options, Replica, Session};
use inbetweenies_core::blob::BlobId;
use inbetweenies_core::id::Id;
use inbetweenies_core::value::Map;

use super::blobs::Attached;
use super::clock::WallClock;
use super::{CallId, Due, World};
use crate::chance::Stream;
use crate::domain::type_of;
use crate::plan::{Lane, Said};
use crate::watch::Seen;

/// How soon a client syncs after an edit, where a hub is near.
const SOON: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(400));
/// How soon it tries again where a hub did not answer.
const AGAIN: Duration = Duration::from_secs(3);

/// A client.
pub struct Client {
    /// For people, and the user in its versions.
    pub name: String,
    /// What it holds.
    pub replica: Replica,
    /// The hub that it talks to; None while it is out.
    pub at: Option<usize>,
    /// Its clock.
    pub clock: WallClock,
    /// How often it syncs by itself.
    pub sync_every: Duration,
    /// The sync under way.
    session: Option<Session>,
    /// The request under way.
    pub waits_for: Option<CallId>,
    /// The hub of the sync under way.
    with: usize,
    /// What was arranged in an earlier round is dropped.
    round: u64,
    /// Blobs of which it keeps the bytes.
    pub attached: BTreeMap<BlobId, Attached>,
    /// Why it does nothing: numbers of events.
    pub gone: BTreeSet<u64>,
}

impl Client {
    /// Whether it has nothing to do.
    pub fn is_idle(&self) -> bool {
        self.session.is_none()
    }
}

impl World {
    pub(super) fn begin_clients(&mut self) {
        let plan = self.plan.clone();
        for (at, client) in plan.clients.iter().enumerate() {
            let number = Stream::ClientName(at as u64).of(plan.seed).draw();
            let opened = Opened::new(format!("device-{at}"), client.name.clone(), number);
            let replica = Replica::open(opened).unwrap_or_else(|error| panic!("a new replica: {error}"));
            self.clients.push(Client {
                name: client.name.clone(),
                replica,
                at: client.at,
                clock: WallClock::new(client.clock),
                sync_every: client.sync_every,
                session: None,
                waits_for: None,
                with: 0,
                round: 0,
                attached: BTreeMap::new(),
                gone: BTreeSet::new(),
            });
            let first = self.chance.below(Stream::Client(at as u64), 2_000);
            self.client_again(at, Duration::from_millis(first));
        }
    }

    /// The client does what it planned after so long, and nothing that it planned before.
    pub(super) fn client_again(&mut self, client: usize, wait: Duration) {
        self.clients[client].round += 1;
        let round = self.clients[client].round;
        self.after(wait, Due::Client { client, round });
    }

    /// A client that has something to tell does so soon, if it is not at it already.
    pub(super) fn client_soon(&mut self, client: usize) {
        if self.clients[client].is_idle() {
            let (least, most) = SOON;
            let spread = (most - least).as_millis() as u64;
            let drawn = self.chance.below(Stream::Client(client as u64), spread);
            self.client_again(client, least + Duration::from_millis(drawn));
        }
    }

    pub(super) fn client_turn(&mut self, at: usize, round: u64) {
        let client = &self.clients[at];
        if client.round != round || client.waits_for.is_some() || !client.gone.is_empty() {
            return;
        }
        if client.session.is_none() && !self.begin_sync(at) {
            let wait = self.clients[at].sync_every;
            return self.client_again(at, wait);
        }
        self.drive(at);
    }

    /// Meets the hub that is near, if one is and answers.
    fn begin_sync(&mut self, at: usize) -> bool {
        let Some(hub) = self.clients[at].at else {
            return false;
        };
        let near = !self.net.held_up(Lane::Client(at), Lane::Hub(hub))
            && !self.net.held_up(Lane::Hub(hub), Lane::Client(at));
        let Some(process) = self.hubs[hub].process.as_ref().filter(|_| near) else {
            return false;
        };
        let home = process.identity.home_id;
        let lost = self.healed && self.watch().is_some_and(|watch| watch.oracle().may_go_back());
        let name = self.hubs[hub].name.clone();
        let client = &mut self.clients[at];
        // What stood on a lost disk alone is waited for in vain, until whoever owns the client says that it is gone.
        let options = Options {
            accept_behind: lost,
            ..Options::default()
        };
        client.session = Session::new(options, home, name, &client.replica).ok();
        client.with = hub;
        client.session.is_some()
    }

    /// Goes on with a sync until it must wait for something.
    fn drive(&mut self, at: usize) {
        while let Some(mut session) = self.clients[at].session.take() {
            match session.next(&self.clients[at].replica) {
                Ok(Next::Ask(body)) => {
                    let hub = self.clients[at].with;
                    self.clients[at].session = Some(session);
                    let call = self.call(Some(at), hub, body);
                    self.clients[at].waits_for = Some(call);
                    return;
                }
                Ok(Next::Keep(frame)) => {
                    self.clients[at].session = Some(session);
                    self.keep(at, &frame);
                }
                Ok(Next::Wait(wait)) => {
                    self.clients[at].session = Some(session);
                    return self.client_again(at, wait);
                }
                Ok(Next::Done) => {
                    let hub = self.clients[at].with;
                    self.saw(&Seen::Synced { client: at, hub });
                    self.upload(at, hub);
                    let jitter = self.chance.below(Stream::Client(at as u64), 1_000);
                    let wait = self.clients[at].sync_every + Duration::from_millis(jitter);
                    return self.client_again(at, wait);
                }
                Err(error) => {
                    let text = error.to_string();
                    self.saw(&Seen::SyncFailed {
                        client: at,
                        text: &text,
                    });
                    let wait = AGAIN.max(self.clients[at].sync_every);
                    return self.client_again(at, wait);
                }
            }
        }
    }

    fn keep(&mut self, at: usize, frame: &Frame) {
        if let Err(error) = self.clients[at].replica.apply(frame) {
            panic!("the client's own frame does not fit: {error}");
        }
        self.saw(&Seen::Kept { client: at, frame });
    }

    /// An answer, or none.
    pub(super) fn heard(&mut self, at: usize, call: CallId, answer: Result<Reply, Failure>) {
        let client = &mut self.clients[at];
        if client.waits_for != Some(call) {
            return; // it has given up on it
        }
        client.waits_for = None;
        if let Some(session) = &mut client.session {
            session.answered(answer);
        }
        self.drive(at);
    }

    /// A client drops what it is doing: the app is closed, the battery is dead.
    pub(super) fn drop_session(&mut self, at: usize) {
        let client = &mut self.clients[at];
        client.session = None;
        client.waits_for = None;
        client.round += 1;
    }

    /// Drafts of an edit on what the client sees.
    pub(super) fn edit(&mut self, at: usize, things: &[String], fields: &[(String, Said)]) {
        let replica = &self.clients[at].replica;
        let policy = replica.policy();
        let mut drafts = Vec::new();
        for thing in things {
            let Ok(id) = Id::new(thing) else { continue };
            let mut draft = match replica.view(&id, &policy) {
                Some(view) => Draft::on(&view),
                None => Draft::entity(id, type_of(thing), Some(thing.clone()), "manual", Map::new()),
            };
            draft.deleted = false;
            for (field, said) in fields {
                draft.content.insert(field.clone(), said.value());
            }
            drafts.push(draft);
        }
        self.stamp(at, drafts);
    }

    /// The draft of a deletion.
    pub(super) fn delete(&mut self, at: usize, thing: &str) {
        let replica = &self.clients[at].replica;
        let view = Id::new(thing)
            .ok()
            .and_then(|id| replica.view(&id, &replica.policy()));
        if let Some(view) = view.filter(|view| !view.record.deleted) {
            let mut draft = Draft::on(&view);
            draft.deleted = true;
            draft.content = Map::new();
            self.stamp(at, vec![draft]);
        }
    }

    /// The draft of where a thing stands, with the thing and the room where they are not known.
    pub(super) fn place(&mut self, at: usize, thing: &str, room: &str) {
        let replica = &self.clients[at].replica;
        let policy = replica.policy();
        let (Ok(from), Ok(to)) = (Id::new(thing), Id::new(room)) else {
            return;
        };
        let mut drafts = Vec::new();
        for (id, name, kind) in [(&from, thing, "device"), (&to, room, "room")] {
            if replica.view(id, &policy).is_none_or(|view| view.record.deleted) {
                let mut draft = Draft::entity(id.clone(), kind, Some(name.to_owned()), "manual", Map::new());
                if let Some(view) = replica.view(id, &policy) {
                    draft.parents = view.heads;
                }
                drafts.push(draft);
            }
        }
        let id = Id::single(&from, "located_in");
        let parents = replica
            .view(&id, &policy)
            .map_or_else(Vec::new, |view| view.heads);
        let mut edge = Draft::relationship(id, from, "located_in", to, Map::new());
        edge.parents = parents;
        drafts.push(edge);
        self.stamp(at, drafts);
    }

    pub(super) fn stamp(&mut self, at: usize, drafts: Vec<Draft>) {
        let client = &self.clients[at];
        let now = client.clock.read(self.now);
        match client.replica.stamp(drafts, now) {
            Ok(edited) => {
                let frame = Frame::Edited(edited);
                self.keep(at, &frame);
                self.client_soon(at);
            }
            Err(error) => {
                let text = error.to_string();
                self.saw(&Seen::SyncFailed {
                    client: at,
                    text: &text,
                });
            }
        }
    }
}
