//! Blobs: what files take, and photos on phones until a hub has them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use inbetweenies_client::Draft;
use inbetweenies_core::blob::{
    BlobFiles, BlobId, CHUNK_BYTES, FileError, Hasher, Manifest, MemoryFiles, ROW_BYTES_MAX, Stored, pack,
};
use inbetweenies_core::id::Id;
use inbetweenies_core::machine::Ticket;
use inbetweenies_core::node::Mail;
use inbetweenies_core::store::{
    Family, MemorySnapshot, OfBlob, Snapshot, StoreError, blob_kind, blob_of, read_held, read_ref,
    scan_prefix,
};
use inbetweenies_core::transfer::{Done, Input, Work, perform};
use inbetweenies_core::value::{Map, Value};
use inbetweenies_core::wire::{BlobMessage, Message};

use super::{Due, Upload, World};
use crate::chance::Stream;
use crate::domain::type_of;
use crate::plan::Lane;
use crate::watch::Seen;

/// How long files take for a piece of work.
const WORK_US: (u64, u64) = (200, 4_000);
/// How fast a phone uploads, in bytes a second.
const UPLOAD_RATE: u64 = 2 << 20;

/// A blob of which a phone keeps the bytes.
#[derive(Debug, Clone)]
pub struct Attached {
    /// The bytes.
    pub bytes: Arc<Vec<u8>>,
    /// Its manifest.
    pub manifest: Arc<Manifest>,
    /// Whether it is on its way.
    pub uploading: bool,
}

/// Files on a disk that may be full.
struct Full<'d> {
    files: &'d mut MemoryFiles,
    full: bool,
}

impl BlobFiles for Full<'_> {
    fn write(&mut self, id: BlobId, size: u64, index: u32, stored: &Stored) -> Result<(), FileError> {
        if self.full {
            return Err(FileError::NoRoom);
        }
        self.files.write(id, size, index, stored)
    }

    fn read(&mut self, id: BlobId, size: u64, index: u32) -> Result<Option<Stored>, FileError> {
        self.files.read(id, size, index)
    }

    fn sync(&mut self, id: BlobId) -> Result<(), FileError> {
        self.files.sync(id)
    }

    fn remove(&mut self, id: BlobId) -> Result<(), FileError> {
        self.files.remove(id)
    }
}

/// The bytes of a photo: half of them are such that packing pays.
fn photo(len: usize, seed: u64, number: u64) -> Vec<u8> {
    let mut rng = Stream::Photo(number).of(seed);
    if rng.below(2) == 0 {
        let mut bytes: Vec<u8> = number.to_be_bytes().to_vec();
        bytes.resize(len, 7);
        bytes.truncate(len);
        return bytes;
    }
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&rng.draw().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

impl World {
    /// What files are to do takes a while; a process that ends meanwhile has not done it.
    pub(super) fn work_later(&mut self, at: usize, work: Work) {
        let boot = self.hubs[at].boots;
        let (least, most) = WORK_US;
        let drawn = self.chance.below(Stream::Disk(at as u64), most - least);
        let stalled = self.hubs[at].disk.stalled_until.saturating_sub(self.now);
        let wait = stalled + Duration::from_micros(least + drawn);
        let work = Box::new(work);
        self.after(wait, Due::Worked { hub: at, boot, work });
    }

    pub(super) fn worked(&mut self, at: usize, boot: u64, work: Work) {
        if self.hubs[at].boots != boot || self.hubs[at].process.is_none() {
            return;
        }
        if let Work::Adopt { ticket, manifest } = work {
            return self.adopt(at, ticket, &manifest);
        }
        let hub = &mut self.hubs[at];
        let full = !hub.disk.has_room(CHUNK_BYTES);
        let fails = matches!(work, Work::Sync { .. }) && std::mem::take(&mut hub.disk.fails_next);
        let store = hub.disk.reader();
        let mut files = Full {
            files: hub.disk.files(),
            full,
        };
        let done = match perform(work, &mut files, &store) {
            _ if fails => Err("the disk reports an error (EIO)".to_owned()),
            Ok(done) => Ok(done),
            Err(error) => Err(error.to_string()),
        };
        match done {
            Ok((done, sent)) => {
                self.saw(&Seen::Worked { hub: at, done: &done });
                self.post(at, Mail::Transfer(Input::Done(done)));
                for (link, mut message) in sent {
                    self.garble(at, &mut message);
                    self.send(at, link, Message::Blob(message));
                }
            }
            Err(detail) => {
                let doing = "work on the file of a blob";
                self.abort(at, &StoreError::Io { doing, detail });
            }
        }
    }

    /// A hub's memory is bad, or it lies: a bit of a chunk flips before its message gets a checksum.
    fn garble(&mut self, at: usize, message: &mut BlobMessage) {
        let rate = self.plan.tuning.chunks_garbled as u32;
        if self.healed || !self.chance.happens(Stream::Garble(at as u64), rate) {
            return;
        }
        let BlobMessage::Chunks { chunks } = message else {
            return;
        };
        if let Some(stored) = chunks.first_mut().and_then(|chunk| chunk.stored.as_mut()) {
            let mut bytes = stored.bytes.to_vec();
            bytes.iter_mut().last().into_iter().for_each(|byte| *byte ^= 1);
            stored.bytes = bytes.into();
        }
    }

    fn adopt(&mut self, at: usize, ticket: Ticket, manifest: &Arc<Manifest>) {
        let hub = &mut self.hubs[at];
        let Some(upload) = hub
            .process
            .as_ref()
            .and_then(|process| process.uploads.get(&ticket))
        else {
            return;
        };
        let bytes = upload.bytes.clone();
        for (index, chunk) in (0..).zip(bytes.chunks(CHUNK_BYTES)) {
            let stored = pack(chunk.to_vec());
            let written = hub.disk.files().write(manifest.id, manifest.size, index, &stored);
            debug_assert!(written.is_ok(), "memory takes what comes");
        }
        let synced = hub.disk.files().sync(manifest.id);
        debug_assert!(synced.is_ok(), "memory syncs");
        let manifest = manifest.clone();
        self.post(
            at,
            Mail::Transfer(Input::Done(Done::Adopted { ticket, manifest })),
        );
    }

    /// A hub says that what a client brought is durable.
    pub(super) fn stored(&mut self, at: usize, ticket: Ticket, id: BlobId) {
        let process = self.hubs[at].process.as_mut();
        let upload = process.and_then(|process| process.uploads.remove(&ticket));
        self.saw(&Seen::Stored { hub: at, id });
        if let Some(upload) = upload {
            if let Some(attached) = self.clients[upload.client].attached.get_mut(&id) {
                attached.uploading = false;
            }
            self.upload(upload.client, at);
        }
    }

    /// A client attaches a photo to a thing: the bytes are on the phone before the edit is.
    pub(super) fn attach(&mut self, at: usize, thing: &str, len: usize, number: u64) {
        let bytes = photo(len, self.plan.seed, number);
        let mut hasher = Hasher::default();
        hasher.update(&bytes);
        let manifest = Arc::new(hasher.finish());
        let id = manifest.id;
        let replica = &self.clients[at].replica;
        let Ok(thing_id) = Id::new(thing) else { return };
        let mut draft = match replica.view(&thing_id, &replica.policy()) {
            Some(view) => Draft::on(&view),
            None => Draft::entity(
                thing_id,
                type_of(thing),
                Some(thing.to_owned()),
                "manual",
                Map::new(),
            ),
        };
        draft.deleted = false;
        let text = Value::Text(id.to_string());
        draft.content.insert("blob_id".to_owned(), text);
        draft.content.insert("size".to_owned(), Value::Int(len as i64));
        self.clients[at].attached.insert(
            id,
            Attached {
                bytes: Arc::new(bytes),
                manifest,
                uploading: false,
            },
        );
        self.stamp(at, vec![draft]);
    }

    /// A client that has met a hub brings it what it lacks, and lets its own copy go once the hub has it and knows what for.
    pub(super) fn upload(&mut self, at: usize, hub: usize) {
        let ids: Vec<BlobId> = self.clients[at].attached.keys().copied().collect();
        for id in ids {
            let near =
                !self.net.held_up(Lane::Client(at), Lane::Hub(hub)) && self.clients[at].at == Some(hub);
            if !near || self.hubs[hub].process.is_none() {
                return;
            }
            let store = self.hubs[hub].disk.reader();
            let whole = read_held(&store, &id).is_ok_and(|held| held.is_some_and(|held| held.whole));
            let referenced = read_ref(&store, &id).is_ok_and(|row| row.is_some());
            let Some(attached) = self.clients[at].attached.get_mut(&id) else {
                continue;
            };
            if whole && referenced {
                self.clients[at].attached.remove(&id);
                self.saw(&Seen::Safe { client: at, hub, id });
            } else if !whole && !attached.uploading {
                attached.uploading = true;
                let micros = attached.manifest.size * 1_000_000 / UPLOAD_RATE;
                let boot = self.hubs[hub].boots;
                let wait = Duration::from_micros(1_000 + micros);
                self.after(
                    wait,
                    Due::Uploaded {
                        client: at,
                        hub,
                        boot,
                        id,
                    },
                );
            }
        }
    }

    pub(super) fn uploaded(&mut self, at: usize, hub: usize, boot: u64, id: BlobId) {
        let near = !self.net.held_up(Lane::Client(at), Lane::Hub(hub)) && self.clients[at].at == Some(hub);
        let Some(attached) = self.clients[at].attached.get_mut(&id) else {
            return;
        };
        attached.uploading = false;
        let (bytes, manifest) = (attached.bytes.clone(), attached.manifest.clone());
        let taken = near && self.hubs[hub].boots == boot && self.hubs[hub].disk.has_room(bytes.len());
        let Some(process) = self.hubs[hub].process.as_mut().filter(|_| taken) else {
            return; // cut on the way: it tries again when it has met a hub
        };
        let ticket = Ticket(process.name());
        let small = manifest.size <= ROW_BYTES_MAX && manifest.size > 0;
        let stored = small.then(|| pack(bytes.to_vec()));
        process.uploads.insert(ticket, Upload { bytes, client: at });
        let input = Input::Brought {
            ticket,
            manifest,
            stored,
        };
        self.post(hub, Mail::Transfer(input));
    }

    /// Whether every hub that refers to a blob holds it, if another does, and no phone has one that its hub waits for.
    pub(super) fn blobs_done(&self) -> bool {
        let stores: Vec<_> = self.hubs.iter().map(|hub| hub.disk.image().snapshot()).collect();
        let mut held = BTreeSet::new();
        for store in &stores {
            held.extend(blobs_of(store, OfBlob::Held).filter(|id| is_whole(store, id)));
        }
        let waits = |client: &super::Client| {
            let at = client.at.unwrap_or(0);
            let referenced = |id: &BlobId| read_ref(&stores[at], id).is_ok_and(|row| row.is_some());
            client.attached.keys().any(referenced)
        };
        let lacks = |store: &MemorySnapshot| {
            let wanted: BTreeSet<BlobId> = blobs_of(store, OfBlob::Ref).collect();
            wanted.iter().any(|id| held.contains(id) && !is_whole(store, id))
        };
        !stores.iter().any(lacks) && !self.clients.iter().any(waits)
    }
}

/// The blobs that rows of a kind tell of.
pub fn blobs_of(store: &dyn Snapshot, kind: OfBlob) -> impl Iterator<Item = BlobId> + use<> {
    let mut ids = Vec::new();
    let scanned = scan_prefix(store, Family::Blobs, &blob_kind(kind), &mut |key, _| {
        ids.extend(blob_of(key));
        true
    });
    debug_assert!(scanned.is_ok(), "memory reads");
    ids.into_iter()
}

/// Whether a disk holds all of a blob, as it says.
pub fn is_whole(store: &dyn Snapshot, id: &BlobId) -> bool {
    read_held(store, id).is_ok_and(|held| held.is_some_and(|held| held.whole))
}
