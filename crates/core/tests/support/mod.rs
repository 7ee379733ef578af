//! Several hubs in one thread and in virtual time: the same machines, routing and frames as the hub, on memory stores.
//! Enough to tell the story of a promise or a bug; the simulator has faults, chance and invariants.

#![allow(dead_code, reason = "each test file uses the part it needs")]
#![allow(missing_docs, reason = "a test's own helper")]

pub mod check;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use inbetweenies_core::blob::{
    BlobFiles, BlobId, CHUNK_BYTES, Hasher, MemoryFiles, ROW_BYTES_MAX, chunks_of, pack,
};
use inbetweenies_core::clock::{Clock, Point};
use inbetweenies_core::conflict::{self, Conflict, read};
use inbetweenies_core::entry::{Bundle, ChangeSet, Sealed};
use inbetweenies_core::hash::Check;
use inbetweenies_core::id::{Id, Version};
use inbetweenies_core::limits::Limits;
use inbetweenies_core::machine::{
    Act, BlobsTold, Comparison, Identity, Link, Machine, RootTold, Ticket, load_members,
};
use inbetweenies_core::merkle::{self, Merkle};
use inbetweenies_core::node::{Effect, Mail, Notice, Route, deliver};
use inbetweenies_core::peers::{self, Peers};
use inbetweenies_core::reconcile::{self, Reconcile};
use inbetweenies_core::record::{Kind, Parent, Record};
use inbetweenies_core::rng::Rng;
use inbetweenies_core::storage::{self, Event, Storage};
use inbetweenies_core::store::{Commit, MemoryStore, Store, read_held};
use inbetweenies_core::time::{Micros, Now};
use inbetweenies_core::transfer::{self, Transfer, perform};
use inbetweenies_core::value::{Map, Value};
use inbetweenies_core::view::Policy;
use inbetweenies_core::wire::{
    Assembler, BlobMessage, Filters, Message, Problem, RequestedSet, SyncRequest, SyncResponse, SyncType,
    encode_frames,
};

pub struct Hub {
    pub store: MemoryStore,
    pub storage: Storage,
    pub reconcile: Reconcile,
    pub conflict: Conflict,
    pub merkle: Merkle,
    pub peers: Peers,
    pub transfer: Transfer,
    pub policy: Arc<Policy>,
    pub identity: Identity,
    pub events: Vec<Event>,
    pub root: Option<RootTold>,
    pub compared: Vec<Comparison>,
    pub blobs: BlobsTold,
    pub stored: BTreeMap<Ticket, BlobId>,
    boot: u64,
    mail: VecDeque<Mail>,
    pub replies: BTreeMap<Ticket, Result<Box<SyncResponse>, Problem>>,
}

/// One end of a connection: hub and its own name for the link.
type EndOf = (usize, Link);

pub struct World {
    pub now: Duration,
    pub hubs: Vec<Option<Hub>>,
    pub stores: Vec<MemoryStore>,
    /// Bytes of large blobs.
    pub files: Vec<MemoryFiles>,
    /// What clients have brought and is not where it belongs yet.
    pub uploads: BTreeMap<Ticket, Vec<u8>>,
    /// The line turns these chunks of a blob into others, for so many times.
    pub garble: Option<(usize, u32)>,
    /// Bytes of chunks that came, by hub.
    pub chunk_bytes: Vec<usize>,
    /// How blobs are fetched.
    pub transfer: transfer::Settings,
    other: BTreeMap<EndOf, EndOf>,
    assemblers: BTreeMap<EndOf, Assembler>,
    links: u64,
    tickets: u64,
    boots: u64,
    /// Hubs that cannot be reached.
    pub cut_off: BTreeSet<usize>,
    pub limits: Limits,
    pub frames: usize,
    pub bytes: usize,
    /// Which hub's mail is handled next: by chance, or else the first's.
    pub chance: Option<Rng>,
    /// The next commit of this hub is its last: power fails in the middle of it.
    pub crash: Option<(usize, Crash)>,
    /// Messages of this name to this hub are lost.
    pub lose: Option<(usize, &'static str)>,
    /// How far a hub's wall clock is ahead.
    pub ahead: BTreeMap<usize, Duration>,
    /// How long hubs that start keep replaced content at least; None for ever.
    pub content_min: Option<Duration>,
    /// How anti-entropy is paced.
    pub merkle: merkle::Settings,
}

/// How far a commit gets before the power fails.
#[derive(Debug, Clone, Copy)]
pub enum Crash {
    Before,
    AfterTheMark,
    AfterTheBatch,
    AfterTheNote,
}

const START: u64 = 1_781_516_462_000_000;

pub fn address(at: usize) -> String {
    format!("127.0.0.1:{}", 7_420 + at)
}

pub fn manifest() -> Map {
    let text = |text: &str| Value::Text(text.to_owned());
    let types = |names: &[(&str, &str)]| {
        let rule = |strategy| Value::Map(Map::from([("strategy".to_owned(), text(strategy))]));
        Value::Map(
            names
                .iter()
                .map(|(name, strategy)| ((*name).to_owned(), rule(strategy)))
                .collect(),
        )
    };
    let single = Value::Map(Map::from([
        ("from".to_owned(), Value::List(vec![text("device")])),
        ("to".to_owned(), Value::List(vec![text("room")])),
        ("single".to_owned(), Value::Bool(true)),
    ]));
    Map::from([
        (
            "domain".to_owned(),
            Value::Map(Map::from([("name".to_owned(), text("house"))])),
        ),
        (
            "entity".to_owned(),
            types(&[
                ("device", "merge"),
                ("room", "manual"),
                ("note", "last_write_wins"),
            ]),
        ),
        (
            "relationship".to_owned(),
            Value::Map(Map::from([
                ("located_in".to_owned(), single),
                ("connects_to".to_owned(), Value::Map(Map::new())),
            ])),
        ),
    ])
}

impl World {
    /// A mesh of `count` hubs; the first founds the home, the others know it as their seed.
    pub fn new(count: usize) -> World {
        World::keeping(count, None)
    }

    /// The same, whose hubs keep replaced content so long.
    pub fn keeping(count: usize, content_min: Option<Duration>) -> World {
        let mut world = World {
            now: Duration::ZERO,
            hubs: (0..count).map(|_| None).collect(),
            stores: vec![MemoryStore::default(); count],
            files: vec![MemoryFiles::default(); count],
            uploads: BTreeMap::new(),
            garble: None,
            chunk_bytes: vec![0; count],
            transfer: transfer::Settings {
                fetching: transfer::Fetching::All,
                pin_types: Vec::new(),
                budget: None,
                window_bytes_max: 8 << 20,
                sync_bytes: 4 << 20,
                unreferenced_min: Duration::from_secs(7 * 86_400),
                check_period: Duration::from_secs(30 * 86_400),
            },
            other: BTreeMap::new(),
            assemblers: BTreeMap::new(),
            links: 0,
            tickets: 0,
            boots: 0,
            cut_off: BTreeSet::new(),
            limits: Limits::default(),
            frames: 0,
            bytes: 0,
            chance: None,
            crash: None,
            lose: None,
            ahead: BTreeMap::new(),
            content_min,
            merkle: merkle::Settings::default(),
        };
        (0..count).for_each(|at| world.start(at));
        world.run(Duration::from_secs(10));
        world
    }

    pub fn clock_now(&self) -> Now {
        Now {
            wall: Micros(START).plus(self.now),
            mono: self.now,
        }
    }

    fn now_at(&self, at: usize) -> Now {
        let now = self.clock_now();
        let ahead = self.ahead.get(&at).copied().unwrap_or_default();
        Now {
            wall: now.wall.plus(ahead),
            ..now
        }
    }

    /// Starts a hub on what its disk holds.
    pub fn start(&mut self, at: usize) {
        self.boots += 1;
        let store = self.stores[at].clone();
        let now = self.now_at(at);
        let address = address(at).parse().ok();
        let settings = storage::Settings {
            name: format!("hub{at}"),
            address,
            found: at == 0,
            policy: manifest(),
            group_records_max: 4_096,
            group_bytes_max: 8 << 20,
            content_min: self.content_min,
            horizon_interval: Duration::from_secs(10),
            seed: [self.boots, at as u64],
        };
        let storage = Storage::open(settings, &store.snapshot(), &store.marks()).unwrap();
        let identity = storage.identity();
        let reconcile = Reconcile::new(
            reconcile::Settings {
                limits: self.limits.clone(),
                fanout: 4,
                interval: Duration::from_secs(1),
                quiet_interval: Duration::from_secs(30),
                window_bytes_max: 8 << 20,
                forgets: self.content_min.is_some(),
            },
            &identity,
            storage.clock().clone(),
        );
        let peers = Peers::new(
            peers::Settings {
                limits: self.limits.clone(),
                software: "test".to_owned(),
                seeds: if at == 0 {
                    Vec::new()
                } else {
                    vec![self::address(0)]
                },
                address,
                links_max: 16,
                backoff: (Duration::from_millis(250), Duration::from_secs(10)),
                probe_period: Duration::from_secs(1),
                probe_timeout: Duration::from_millis(400),
                suspect_timeout: Duration::from_secs(5),
                forget_down_after: Duration::from_secs(600),
                keepalive: Duration::from_secs(10),
                boot: self.boots,
                seed: self.boots,
            },
            identity.clone(),
            storage.clock().clone(),
            load_members(&store.snapshot()).unwrap(),
            now,
        );
        let merkle = merkle::Settings {
            depth: 2,
            cells: 256,
            keep_changes: 20,
            seed: self.boots,
            ..self.merkle.clone()
        };
        let merkle = Merkle::open(merkle, &store.snapshot()).unwrap();
        let members = load_members(&store.snapshot()).unwrap();
        let transfer = Transfer::open(self.transfer.clone(), &store.snapshot(), &members).unwrap();
        let policy = storage.policy();
        let conflict = Conflict::new(policy.clone());
        let hub = Hub {
            store,
            storage,
            reconcile,
            conflict,
            merkle,
            peers,
            transfer,
            policy,
            identity,
            events: Vec::new(),
            root: None,
            compared: Vec::new(),
            blobs: BlobsTold::default(),
            stored: BTreeMap::new(),
            boot: self.boots,
            mail: VecDeque::new(),
            replies: BTreeMap::new(),
        };
        self.hubs[at] = Some(hub);
        self.step_storage(at, Vec::new());
        self.step_peers(at, Vec::new());
    }

    /// Stops a hub at once: only what was committed stays.
    pub fn kill(&mut self, at: usize) {
        let Some(hub) = self.hubs[at].take() else { return };
        self.stores[at] = hub.store;
        self.close_links(|end| end.0 == at);
    }

    pub fn stop(&mut self, at: usize) {
        self.step_storage(at, vec![storage::Input::Stop]);
        self.kill(at);
    }

    /// Takes a hub's network away; its links die.
    pub fn unplug(&mut self, at: usize) {
        self.cut_off.insert(at);
        self.close_links(|end| end.0 == at);
    }

    pub fn plug(&mut self, at: usize) {
        self.cut_off.remove(&at);
    }

    fn close_links(&mut self, dead: impl Fn(EndOf) -> bool) {
        let ends: Vec<(EndOf, EndOf)> = self
            .other
            .iter()
            .map(|(a, b)| (*a, *b))
            .filter(|(a, b)| dead(*a) || dead(*b))
            .collect();
        for (a, _) in ends {
            self.other.remove(&a);
            self.assemblers.remove(&a);
            self.post(a.0, Mail::Peers(peers::Input::Closed { link: a.1 }));
        }
    }

    /// The names of a hub's links.
    pub fn links_of(&self, at: usize) -> Vec<Link> {
        self.other
            .keys()
            .filter(|end| end.0 == at)
            .map(|end| end.1)
            .collect()
    }

    pub fn hub(&self, at: usize) -> &Hub {
        self.hubs[at].as_ref().unwrap()
    }

    pub fn post(&mut self, at: usize, mail: Mail) {
        if let Some(hub) = &mut self.hubs[at] {
            hub.mail.push_back(mail);
        }
    }

    /// Lets time pass: mail first, then the next timer, until `span` is over.
    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.settle();
            let next = self.hubs.iter().flatten().filter_map(|hub| {
                [
                    hub.peers.wake_at(),
                    hub.reconcile.wake_at(),
                    hub.storage.wake_at(),
                    hub.merkle.wake_at(),
                    hub.transfer.wake_at(),
                ]
                .into_iter()
                .flatten()
                .min()
            });
            match next.min().filter(|at| *at <= end) {
                Some(at) => self.now = self.now.max(at),
                None => break,
            }
            for at in 0..self.hubs.len() {
                if self.hubs[at].is_some() {
                    self.step_peers(at, Vec::new());
                    self.step_reconcile(at, Vec::new());
                    self.step_storage(at, Vec::new());
                    self.step_merkle(at, Vec::new());
                    self.step_transfer(at, Vec::new());
                }
            }
        }
        self.now = end;
    }

    fn settle(&mut self) {
        let mut steps = 0;
        while let Some(at) = self.next_with_mail() {
            steps += 1;
            assert!(steps < 1_000_000, "the mesh does not come to rest");
            let mail = self.hubs[at].as_mut().and_then(|hub| hub.mail.pop_front());
            match mail {
                Some(Mail::Storage(input)) => self.step_storage(at, vec![input]),
                Some(Mail::Reconcile(input)) => self.step_reconcile(at, vec![input]),
                Some(Mail::Merkle(input)) => self.step_merkle(at, vec![input]),
                Some(Mail::Transfer(input)) => self.step_transfer(at, vec![input]),
                Some(Mail::Peers(input)) => self.step_peers(at, vec![input]),
                Some(Mail::Conflict(input)) => self.step_conflict(at, vec![input]),
                None => {}
            }
        }
    }

    fn next_with_mail(&mut self) -> Option<usize> {
        let with_mail = |at: &usize| self.hubs[*at].as_ref().is_some_and(|hub| !hub.mail.is_empty());
        match &mut self.chance {
            None => (0..self.hubs.len()).find(with_mail),
            Some(chance) => {
                let waiting: Vec<usize> = (0..self.hubs.len()).filter(with_mail).collect();
                (!waiting.is_empty()).then(|| waiting[chance.below(waiting.len())])
            }
        }
    }

    fn step_storage(&mut self, at: usize, inputs: Vec<storage::Input>) {
        self.step(at, inputs, |hub| &mut hub.storage);
    }

    fn step_merkle(&mut self, at: usize, inputs: Vec<merkle::Input>) {
        self.step(at, inputs, |hub| &mut hub.merkle);
    }

    fn step_transfer(&mut self, at: usize, inputs: Vec<transfer::Input>) {
        self.step(at, inputs, |hub| &mut hub.transfer);
    }

    fn step_reconcile(&mut self, at: usize, inputs: Vec<reconcile::Input>) {
        self.step(at, inputs, |hub| &mut hub.reconcile);
    }

    fn step_peers(&mut self, at: usize, inputs: Vec<peers::Input>) {
        self.step(at, inputs, |hub| &mut hub.peers);
    }

    fn step_conflict(&mut self, at: usize, inputs: Vec<conflict::Input>) {
        self.step(at, inputs, |hub| &mut hub.conflict);
    }

    fn step<M: Machine>(&mut self, at: usize, inputs: Vec<M::Input>, room: impl Fn(&mut Hub) -> &mut M)
    where
        M::Output: Route,
    {
        let now = self.now_at(at);
        let Some(hub) = &mut self.hubs[at] else { return };
        let snapshot = hub.store.snapshot();
        let mut outputs = Vec::new();
        room(hub).step(now, &snapshot, inputs, &mut outputs).unwrap();
        drop(snapshot);
        let mut effects = Vec::new();
        outputs.into_iter().for_each(|output| output.route(&mut effects));
        for effect in effects {
            self.effect(at, effect);
        }
    }

    fn effect(&mut self, at: usize, effect: Effect) {
        let Some(hub) = &mut self.hubs[at] else { return };
        match effect {
            Effect::Post(mail) => hub.mail.push_back(mail),
            Effect::Commit(commit) => {
                if let Some((_, crash)) = self.crash.take_if(|(of, _)| *of == at) {
                    return self.fail_power(at, commit, crash);
                }
                hub.store.commit(&commit).unwrap();
                hub.mail.push_back(Mail::Storage(storage::Input::Committed {
                    number: commit.number,
                }));
            }
            Effect::Send { link, message } => {
                let frames = encode_frames(&message, true, 512, &self.limits);
                let Some((to, other)) = self.other.get(&(at, link)).copied() else {
                    return;
                };
                for frame in frames {
                    self.frames += 1;
                    self.bytes += frame.len();
                    let assembler = self.assemblers.entry((to, other)).or_default();
                    if let Some(mut message) = assembler.take_whole(&frame.join(), &self.limits).unwrap()
                        && self.lose != Some((to, message.name()))
                    {
                        self.came(to, &mut message);
                        self.post(to, deliver(other, message));
                    }
                }
            }
            Effect::Work(work) => self.work(at, work),
            Effect::Stored { ticket, id } => drop(hub.stored.insert(ticket, id)),
            Effect::Notice(Notice::Blobs(told)) => hub.blobs = told,
            Effect::Cut { link, .. } => self.close_links(|end| end == (at, link)),
            Effect::Dial { address } => {
                let to = (0..self.hubs.len()).find(|to| self::address(*to) == address);
                let to = to.filter(|to| {
                    self.hubs[*to].is_some() && !self.cut_off.contains(to) && !self.cut_off.contains(&at)
                });
                let Some(to) = to else {
                    return self.post(at, Mail::Peers(peers::Input::DialFailed { address }));
                };
                let (ours, theirs) = (Link(self.links + 1), Link(self.links + 2));
                self.links += 2;
                self.other.insert((at, ours), (to, theirs));
                self.other.insert((to, theirs), (at, ours));
                self.post(at, Mail::Peers(peers::Input::Connected { address, link: ours }));
                self.post(to, Mail::Peers(peers::Input::Incoming { link: theirs }));
            }
            Effect::Datagram { to, data } => {
                let to = (0..self.hubs.len()).find(|at| self::address(*at) == to.to_string());
                if let Some(to) = to.filter(|to| !self.cut_off.contains(to) && !self.cut_off.contains(&at)) {
                    self.post(to, Mail::Peers(peers::Input::Datagram { data }));
                }
            }
            Effect::Reply { ticket, answer } => drop(hub.replies.insert(ticket, answer)),
            Effect::Notice(Notice::Event(event)) => hub.events.push(event),
            Effect::Notice(Notice::Root(told)) => hub.root = Some(told),
            Effect::Notice(Notice::Compared(comparison)) => hub.compared.push(comparison),
            Effect::Notice(Notice::Identity(identity)) => hub.identity = identity,
            Effect::Notice(Notice::Policy(policy)) => hub.policy = policy,
            Effect::Notice(_) => {}
        }
    }

    /// Chunks that come to a hub, counted, and garbled where the test wants that.
    fn came(&mut self, to: usize, message: &mut Message) {
        let Message::Blob(BlobMessage::Chunks { chunks }) = message else {
            return;
        };
        for stored in chunks.iter_mut().filter_map(|chunk| chunk.stored.as_mut()) {
            self.chunk_bytes[to] += stored.bytes.len();
            if let Some((_, times)) = self.garble.as_mut().filter(|(at, times)| *at == to && *times > 0) {
                *times -= 1;
                let mut bytes = stored.bytes.to_vec();
                bytes[0] ^= 1;
                stored.bytes = bytes.into();
            }
        }
    }

    /// A client brings a blob to a hub; whether the hub says that it is durable.
    pub fn bring(&mut self, at: usize, bytes: &[u8]) -> (BlobId, bool) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        let manifest = Arc::new(hasher.finish());
        let id = manifest.id;
        let small = manifest.size <= ROW_BYTES_MAX;
        let stored = (small && manifest.size > 0).then(|| pack(bytes.to_vec()));
        self.uploads.insert(ticket, bytes.to_vec());
        let input = transfer::Input::Brought {
            ticket,
            manifest,
            stored,
        };
        self.post(at, Mail::Transfer(input));
        self.settle();
        (id, self.hub(at).stored.get(&ticket) == Some(&id))
    }

    /// The bytes of a blob, verified chunk by chunk, if a hub holds all of them.
    pub fn read_blob(&mut self, at: usize, id: BlobId) -> Option<Vec<u8>> {
        let store = self.hub(at).store.snapshot();
        let held = read_held(&store, &id).unwrap()?;
        let mut bytes = Vec::new();
        for index in 0..chunks_of(held.size) {
            bytes.extend(transfer::read_verified(&mut self.files[at], &store, id, index).unwrap()?);
        }
        assert_eq!(BlobId::of(&bytes), id);
        Some(bytes)
    }

    /// What a hub has to do on its files, done at once.
    fn work(&mut self, at: usize, work: transfer::Work) {
        let Some(hub) = &mut self.hubs[at] else { return };
        if let transfer::Work::Adopt { ticket, manifest } = work {
            let bytes = self.uploads.remove(&ticket).unwrap();
            for (index, chunk) in (0..).zip(bytes.chunks(CHUNK_BYTES)) {
                let stored = pack(chunk.to_vec());
                let files = &mut self.files[at];
                files.write(manifest.id, manifest.size, index, &stored).unwrap();
            }
            self.files[at].sync(manifest.id).unwrap();
            let done = transfer::Done::Adopted { ticket, manifest };
            return self.post(at, Mail::Transfer(transfer::Input::Done(done)));
        }
        let (done, sent) = perform(work, &mut self.files[at], &hub.store.snapshot()).unwrap();
        self.post(at, Mail::Transfer(transfer::Input::Done(done)));
        for (link, message) in sent {
            let message = Message::Blob(message);
            self.effect(at, Effect::Send { link, message });
        }
    }

    fn fail_power(&mut self, at: usize, mut commit: Commit, crash: Crash) {
        match crash {
            Crash::Before => commit = Commit::default(),
            Crash::AfterTheMark => {
                commit = Commit {
                    high_water: commit.high_water,
                    ..Commit::default()
                }
            }
            Crash::AfterTheBatch => commit.note = None,
            Crash::AfterTheNote => {}
        }
        if let Some(hub) = &mut self.hubs[at] {
            hub.store.commit(&commit).unwrap();
        }
        self.kill(at);
    }

    /// What an owner decides, asked of one hub.
    pub fn govern(&mut self, at: usize, act: Act) -> Result<Box<SyncResponse>, Problem> {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.post(at, Mail::Storage(storage::Input::Govern { ticket, act }));
        self.settle();
        self.hubs[at].as_mut().unwrap().replies.remove(&ticket).unwrap()
    }

    /// What a peer sends, whatever it is.
    pub fn apply(&mut self, at: usize, bundle: Bundle, mend: bool) {
        let link = Link(u64::MAX);
        self.post(
            at,
            Mail::Storage(storage::Input::Apply {
                link,
                bundles: vec![bundle],
                mend,
            }),
        );
        self.settle();
    }

    /// One sync exchange, answered before time goes on.
    pub fn sync(
        &mut self,
        at: usize,
        clock: Clock,
        sets: Vec<ChangeSet>,
    ) -> Result<Box<SyncResponse>, Problem> {
        self.try_sync(at, clock, sets).expect("an answer")
    }

    /// The same; None if the hub died over it.
    pub fn try_sync(
        &mut self,
        at: usize,
        clock: Clock,
        sets: Vec<ChangeSet>,
    ) -> Option<Result<Box<SyncResponse>, Problem>> {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let request = SyncRequest {
            device_id: "test".to_owned(),
            user_id: None,
            sync_type: SyncType::Delta,
            clock,
            sets: sets
                .into_iter()
                .map(|set| RequestedSet { set: Ok(set) })
                .collect(),
            filters: Filters::default(),
            limit: 1_000,
            heads_only: false,
        };
        self.post(
            at,
            Mail::Reconcile(reconcile::Input::Sync {
                ticket,
                request: Box::new(request),
            }),
        );
        self.settle();
        self.hubs[at].as_mut()?.replies.remove(&ticket)
    }

    pub fn push(&mut self, at: usize, record: Record) -> Box<SyncResponse> {
        self.sync(at, Clock::new(), vec![set(vec![record])]).unwrap()
    }

    pub fn shown(&self, at: usize, id: &str) -> Option<read::Shown> {
        let hub = self.hub(at);
        let mut shown = read::one(
            &hub.store.snapshot(),
            &hub.policy,
            &Id::new(id).unwrap(),
            true,
            None,
        )
        .unwrap();
        if let Some(shown) = &mut shown {
            shown.complete_to.clear();
        }
        shown
    }

    pub fn clock(&self, at: usize) -> Clock {
        read::clock(&self.hub(at).store.snapshot()).unwrap()
    }

    /// All running hubs hold the same clock and show the same of every id given.
    pub fn assert_equal(&self, ids: &[&str]) {
        let running: Vec<usize> = (0..self.hubs.len())
            .filter(|at| self.hubs[*at].is_some())
            .collect();
        for at in &running[1..] {
            assert_eq!(
                self.clock(running[0]),
                self.clock(*at),
                "hub {} and hub {at}",
                running[0]
            );
            for id in ids {
                assert_eq!(
                    self.shown(running[0], id),
                    self.shown(*at, id),
                    "{id} at hub {at}"
                );
            }
        }
    }
}

/// The place that an answer gives to go on from.
pub fn cursor(response: &SyncResponse) -> Clock {
    let checked = |replica: &String| {
        response
            .clock_checks
            .get(replica)
            .and_then(|check| Check::parse(check))
    };
    let point = |(replica, sequence): (&String, &u64)| {
        let point = Point {
            sequence: *sequence,
            check: checked(replica),
        };
        (replica.parse().unwrap(), point)
    };
    response.vector_clock.iter().map(point).collect()
}

pub fn set(records: Vec<Record>) -> ChangeSet {
    ChangeSet {
        records: records
            .into_iter()
            .map(|record| Arc::new(Sealed::new(record)))
            .collect(),
    }
}

pub fn device(id: &str, version: &str, parents: &[&Record], content: &[(&str, i64)]) -> Record {
    let mut parents: Vec<Parent> = parents
        .iter()
        .map(|parent| Parent {
            version: parent.version.clone(),
            digest: Some(Sealed::new((*parent).clone()).digest),
        })
        .collect();
    parents.sort();
    Record {
        id: Id::new(id).unwrap(),
        version: Version::new(&format!("2026-06-15T09:41:{version}+00:00-000001-alice")).unwrap(),
        kind: Kind::Entity {
            entity_type: "device".into(),
            name: Some(id.into()),
            source_type: None,
        },
        user_id: Some("alice".into()),
        parents,
        deleted: false,
        content: content
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Value::Int(*value)))
            .collect(),
        extra: Map::new(),
    }
}
