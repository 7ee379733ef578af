//! Where mail goes and effects are done: the runtime's half of the core's routing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use actix::Recipient;
use actix::prelude::SendError;
use inbetweenies_core::blob::BlobId;
use inbetweenies_core::limits::Limits;
use inbetweenies_core::machine::{Link, Ticket};
use inbetweenies_core::node::{Effect, Mail, room_for_page};
use inbetweenies_core::time::{Micros, Now};
use inbetweenies_core::wire::{Problem, SyncResponse};
use inbetweenies_core::{conflict, merkle, peers, reconcile, storage, transfer};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;

use super::board::Board;
use super::links::Links;
use super::room::Post;
use super::work::Workshop;
use crate::store::StoreReader;

/// The answer to a client's sync exchange.
pub type Answer = Result<Box<SyncResponse>, Problem>;

/// An answer that somebody waits for. Whoever stops waiting, for whatever reason, drops this and is forgotten.
pub struct Expected {
    /// Under which it is asked for.
    pub ticket: Ticket,
    office: Arc<Office>,
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.office
            .replies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.ticket);
    }
}

/// The rooms' letter boxes.
pub struct Boxes {
    /// To the only writer.
    pub storage: Recipient<Post<storage::Input>>,
    /// To reconciliation.
    pub reconcile: Recipient<Post<reconcile::Input>>,
    /// To conflicts.
    pub conflict: Recipient<Post<conflict::Input>>,
    /// To anti-entropy.
    pub merkle: Recipient<Post<merkle::Input>>,
    /// To blobs on their way.
    pub transfer: Recipient<Post<transfer::Input>>,
    /// To peers.
    pub peers: Recipient<Post<peers::Input>>,
}

/// A client's blob on its way into the store.
struct Bringing {
    /// Where its bytes lie.
    path: PathBuf,
    /// Who waits.
    told: oneshot::Sender<BlobId>,
}

/// A blob that somebody waits for to be durable. Whoever stops waiting drops this.
pub struct Brought {
    /// Under which it is brought.
    pub ticket: Ticket,
    office: Arc<Office>,
}

impl Drop for Brought {
    fn drop(&mut self) {
        self.office.not_stored(self.ticket);
    }
}

/// Shared by rooms, links and doors.
pub struct Office {
    started: Instant,
    boxes: OnceLock<Boxes>,
    replies: Mutex<BTreeMap<Ticket, oneshot::Sender<Answer>>>,
    bringing: Mutex<BTreeMap<Ticket, Bringing>>,
    workshop: Mutex<Option<Workshop>>,
    names: AtomicU64,
    datagrams: OnceLock<Arc<UdpSocket>>,
    /// What people are shown.
    pub board: Board,
    /// The links that stand.
    pub links: Links,
    /// Bounds of what comes from clients: the config may lower them.
    pub limits: Limits,
    /// Bounds of what comes from peers: the protocol's own, for what one hub accepted the others must take.
    pub peer_limits: Limits,
    store: StoreReader,
}

impl Office {
    /// An office whose rooms are not open yet.
    pub fn new(board: Board, links: Links, limits: Limits, store: StoreReader) -> Office {
        Office {
            started: Instant::now(),
            boxes: OnceLock::new(),
            replies: Mutex::default(),
            bringing: Mutex::default(),
            workshop: Mutex::default(),
            names: AtomicU64::new(1),
            datagrams: OnceLock::new(),
            board,
            links,
            limits,
            peer_limits: Limits::default(),
            store,
        }
    }

    /// Opens the rooms' boxes and the port for datagrams.
    pub fn open(&self, boxes: Boxes, datagrams: Option<Arc<UdpSocket>>) {
        if self.boxes.set(boxes).is_err() {
            panic!("the office was opened twice");
        }
        if let Some(socket) = datagrams {
            drop(self.datagrams.set(socket));
        }
    }

    /// What a step is told about time.
    pub fn now(&self) -> Now {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_micros());
        Now {
            wall: Micros(u64::try_from(wall).unwrap_or(u64::MAX)),
            mono: self.started.elapsed(),
        }
    }

    /// Whether the disk has room for a page of a peer's entries.
    pub fn has_room(&self) -> bool {
        self.store.room_for(room_for_page(&self.peer_limits)).is_ok()
    }

    /// A link's name, never used twice.
    pub fn new_link(&self) -> Link {
        Link(self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// Waits for the answer to a request posted under the ticket, as long as what it gives back lives.
    pub fn expect(self: &Arc<Self>) -> (Expected, oneshot::Receiver<Answer>) {
        let ticket = Ticket(self.names.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        self.replies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(ticket, sender);
        (
            Expected {
                ticket,
                office: self.clone(),
            },
            receiver,
        )
    }

    /// Has blobs worked on there, until the workshop is closed.
    pub fn open_workshop(&self, workshop: Workshop) {
        *lock(&self.workshop) = Some(workshop);
    }

    /// Nothing more is worked on.
    pub fn close_workshop(&self) {
        *lock(&self.workshop) = None;
    }

    /// Waits for a blob whose bytes lie in a file to be durable, as long as what it gives back lives.
    pub fn expect_stored(self: &Arc<Self>, path: PathBuf) -> (Brought, oneshot::Receiver<BlobId>) {
        let ticket = Ticket(self.names.fetch_add(1, Ordering::Relaxed));
        let (told, receiver) = oneshot::channel();
        lock(&self.bringing).insert(ticket, Bringing { path, told });
        let office = self.clone();
        (Brought { ticket, office }, receiver)
    }

    /// Where the bytes of what a client brings lie.
    pub fn upload_of(&self, ticket: Ticket) -> Option<PathBuf> {
        lock(&self.bringing)
            .get(&ticket)
            .map(|bringing| bringing.path.clone())
    }

    /// Nobody waits for it any more, or it will not come: who waits hears nothing.
    pub fn not_stored(&self, ticket: Ticket) {
        lock(&self.bringing).remove(&ticket);
    }

    /// Puts mail in a room's box.
    pub fn post(&self, mail: Mail) {
        let Some(boxes) = self.boxes.get() else { return };
        match mail {
            Mail::Storage(input) => put(&boxes.storage, input, "storage"),
            Mail::Reconcile(input) => put(&boxes.reconcile, input, "reconcile"),
            Mail::Conflict(input) => put(&boxes.conflict, input, "conflict"),
            Mail::Merkle(input) => put(&boxes.merkle, input, "merkle"),
            Mail::Transfer(input) => put(&boxes.transfer, input, "transfer"),
            Mail::Peers(input) => put(&boxes.peers, input, "peers"),
        }
    }

    /// Puts a peer's message in a box, waiting while the box is full: the peer is held back, not the hub.
    pub async fn post_slowly(&self, mail: Mail) {
        let Some(boxes) = self.boxes.get() else { return };
        let gone = match mail {
            Mail::Reconcile(input) => boxes.reconcile.send(Post(input)).await.is_err(),
            Mail::Merkle(input) => boxes.merkle.send(Post(input)).await.is_err(),
            Mail::Transfer(input) => boxes.transfer.send(Post(input)).await.is_err(),
            Mail::Peers(input) => boxes.peers.send(Post(input)).await.is_err(),
            other => {
                self.post(other);
                false
            }
        };
        if gone {
            tracing::debug!("a message came while the hub stops");
        }
    }

    /// Does what a room wants done. Called on the room's own thread.
    pub fn effect(self: &Arc<Self>, effect: Effect) {
        match effect {
            Effect::Post(mail) => self.post(mail),
            Effect::Commit(_) => panic!("a commit is the storage room's own"),
            Effect::Work(work) => {
                if let Some(workshop) = lock(&self.workshop).as_ref() {
                    workshop.order(work);
                }
            }
            Effect::Stored { ticket, id } => {
                if let Some(bringing) = lock(&self.bringing).remove(&ticket) {
                    // The client may have gone; its blob is on disk all the same.
                    let _ = bringing.told.send(id);
                }
            }
            Effect::Send { link, message } => self.links.send(link, message),
            Effect::Cut { link, code, detail } => {
                tracing::info!(link = link.0, code, detail, "link cut");
                self.links.cut(link);
            }
            Effect::Dial { address } => super::links::dial(self.clone(), address),
            Effect::Datagram { to, data } => self.send_datagram(to, &data),
            Effect::Reply { ticket, answer } => {
                let waiting = self
                    .replies
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&ticket);
                if let Some(sender) = waiting {
                    // The client may have gone; its sets are on disk all the same.
                    drop(sender.send(answer));
                }
            }
            Effect::Notice(notice) => self.board.notice(self, notice),
        }
    }

    fn send_datagram(&self, to: SocketAddr, data: &[u8]) {
        let Some(socket) = self.datagrams.get() else {
            return;
        };
        match socket.try_send_to(data, to) {
            Ok(_) => metrics::counter!("inbetweenies_datagrams_sent_total").increment(1),
            // Datagrams may be lost; the detector knows how to live with that.
            Err(_) => metrics::counter!("inbetweenies_datagrams_lost_total").increment(1),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn put<I: Send>(to: &Recipient<Post<I>>, input: I, room: &str) {
    match to.try_send(Post(input)) {
        Ok(()) | Err(SendError::Closed(_)) => {}
        Err(SendError::Full(_)) => {
            panic!("the box of {room} is full: more mail is under way than credits allow")
        }
    }
}
