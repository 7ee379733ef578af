//! The hub as a whole: which room an output is for. The only place that knows all rooms.
//!
//! Invariant: a runtime (the hub, the simulator) adds nothing to this routing; it carries mail and does effects.

mod flow;

pub use flow::{Admission, Outbox, brings_entries, room_for_body, room_for_page, size};

use std::net::SocketAddr;
use std::sync::Arc;

use crate::blob::BlobId;
use crate::clock::Clock;
use crate::id::HubId;
use crate::machine::{
    BlobsTold, Check, ClockDoubt, Comparison, Horizon, Identity, Link, RootTold, Ticket, Totals,
};
use crate::store::Commit;
use crate::view::Policy;
use crate::wire::{Message, Problem, SyncResponse};
use crate::{conflict, merkle, peers, reconcile, storage, transfer};

/// An input on its way to a room.
#[derive(Debug, Clone, PartialEq)]
pub enum Mail {
    /// To the only writer.
    Storage(storage::Input),
    /// To reconciliation.
    Reconcile(reconcile::Input),
    /// To conflicts.
    Conflict(conflict::Input),
    /// To anti-entropy.
    Merkle(merkle::Input),
    /// To blobs on their way.
    Transfer(transfer::Input),
    /// To peers.
    Peers(peers::Input),
}

/// What the runtime is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Put in a room's mailbox. Mail from one room to another arrives in the order it was posted.
    Post(Mail),
    /// Make durable, then post `Committed` to storage.
    Commit(Commit),
    /// Do on files, where it may take time, then post what was done to transfer.
    Work(transfer::Work),
    /// What a client brought is durable.
    Stored {
        /// Of whoever waits.
        ticket: Ticket,
        /// The blob.
        id: BlobId,
    },
    /// Put on a link, after what was put there before.
    Send {
        /// Where.
        link: Link,
        /// What.
        message: Message,
    },
    /// Close a link after what was put on it.
    Cut {
        /// Which.
        link: Link,
        /// Stable.
        code: &'static str,
        /// For people.
        detail: String,
    },
    /// Open a link; `Connected` or `DialFailed` answers.
    Dial {
        /// `host:port`.
        address: String,
    },
    /// Send a datagram.
    Datagram {
        /// To.
        to: SocketAddr,
        /// Its bytes.
        data: Vec<u8>,
    },
    /// Answer a client.
    Reply {
        /// To which request.
        ticket: Ticket,
        /// What.
        answer: Result<Box<SyncResponse>, Problem>,
    },
    /// Something that the runtime shows people.
    Notice(Notice),
}

/// What the runtime shows people: status, metrics, logs.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// Who this hub is.
    Identity(Identity),
    /// How far everything is held, durably, and how much that is.
    Progress {
        /// May be advertised.
        clock: Clock,
        /// Counts.
        totals: Totals,
        /// Entries that became durable just now.
        entries: usize,
    },
    /// The policy in force.
    Policy(Arc<Policy>),
    /// Whether this hub's clock can be right, by what others say.
    ClockDoubt(Option<ClockDoubt>),
    /// How far content counts as forgotten.
    Horizon(Horizon),
    /// What this hub holds, as anti-entropy tells it.
    Root(RootTold),
    /// What this hub holds of blobs.
    Blobs(BlobsTold),
    /// What a comparison with another hub came to.
    Compared(Comparison),
    /// What holding all records against the tree came to.
    Checked(Check),
    /// A fork, a rollback, a new life.
    Event(storage::Event),
    /// Who is there.
    Peers(Vec<peers::PeerStatus>),
    /// A link stands up; frames on it may be packed.
    LinkUp {
        /// Which.
        link: Link,
        /// To whom.
        hub_id: HubId,
        /// Whether they unpack LZ4.
        lz4: bool,
    },
    /// What a peer holds, as it said.
    Heard {
        /// On which link.
        link: Link,
        /// How far it holds each log.
        clock: Clock,
    },
    /// Everything is on disk; the process may end.
    Stopped,
}

/// Where a peer's message goes.
pub fn deliver(link: Link, message: Message) -> Mail {
    match message {
        Message::Hello(_)
        | Message::Swim { .. }
        | Message::Ping { .. }
        | Message::Pong { .. }
        | Message::Bye { .. } => Mail::Peers(peers::Input::Message { link, message }),
        Message::Clock { .. }
        | Message::Pull { .. }
        | Message::Page { .. }
        | Message::Push { .. }
        | Message::Mend { .. }
        | Message::Trace { .. }
        | Message::Chain { .. } => Mail::Reconcile(reconcile::Input::Message { link, message }),
        Message::Tree(message) => Mail::Merkle(merkle::Input::Message { link, message }),
        Message::Blob(message) => Mail::Transfer(transfer::Input::Message { link, message }),
    }
}

/// Outputs that can be routed.
pub trait Route {
    /// What is to be done with it.
    fn route(self, effects: &mut Vec<Effect>);
}

impl Route for storage::Output {
    fn route(self, effects: &mut Vec<Effect>) {
        use storage::Output;
        let mut post = |mail| effects.push(Effect::Post(mail));
        match self {
            Output::Commit(commit) => effects.push(Effect::Commit(commit)),
            Output::Accepted { ticket, results } => {
                post(Mail::Reconcile(reconcile::Input::Accepted { ticket, results }));
            }
            Output::Governed { ticket, result } => {
                let answer = result.map(|landed| {
                    let (id, version) = (landed.id.to_string(), landed.version.to_string());
                    Box::new(SyncResponse::decided(id, version, landed.known))
                });
                effects.push(Effect::Reply { ticket, answer });
            }
            Output::Applied {
                link,
                applied,
                gap,
                forks,
                mended,
            } => {
                if let Some(mended) = mended {
                    post(Mail::Merkle(merkle::Input::Mended { link, mended }));
                }
                post(Mail::Reconcile(reconcile::Input::Applied {
                    link,
                    applied,
                    gap,
                    forks,
                    mended,
                }));
            }
            Output::Durable {
                bundles,
                clock,
                totals,
            } => {
                let entries = bundles.len();
                post(Mail::Merkle(merkle::Input::Durable));
                post(Mail::Peers(peers::Input::Clock(clock.clone())));
                post(Mail::Reconcile(reconcile::Input::Durable {
                    bundles,
                    clock: clock.clone(),
                }));
                effects.push(Effect::Notice(Notice::Progress {
                    clock,
                    totals,
                    entries,
                }));
            }
            Output::Identity(identity) => {
                post(Mail::Reconcile(reconcile::Input::Identity(identity.clone())));
                post(Mail::Peers(peers::Input::Identity(identity.clone())));
                effects.push(Effect::Notice(Notice::Identity(identity)));
            }
            Output::Members(members) => {
                post(Mail::Transfer(transfer::Input::Members(members.clone())));
                post(Mail::Peers(peers::Input::Members(members)));
            }
            Output::BlobsKept { number, dropped } => {
                post(Mail::Transfer(transfer::Input::Kept { number, dropped }));
            }
            Output::Refs { ids } => post(Mail::Transfer(transfer::Input::Refs { ids })),
            Output::Policy(policy) => {
                post(Mail::Conflict(conflict::Input::Policy(policy.clone())));
                effects.push(Effect::Notice(Notice::Policy(policy)));
            }
            Output::Holes { holes } => post(Mail::Reconcile(reconcile::Input::Holes { holes })),
            Output::ClockDoubt(doubt) => effects.push(Effect::Notice(Notice::ClockDoubt(doubt))),
            Output::Horizon(horizon) => effects.push(Effect::Notice(Notice::Horizon(horizon))),
            Output::Event(event) => effects.push(Effect::Notice(Notice::Event(event))),
            Output::Stopped => effects.push(Effect::Notice(Notice::Stopped)),
        }
    }
}

impl Route for reconcile::Output {
    fn route(self, effects: &mut Vec<Effect>) {
        use reconcile::Output;
        let mut post = |mail| effects.push(Effect::Post(mail));
        match self {
            Output::Send { link, message } => effects.push(Effect::Send { link, message }),
            Output::Cut { link, code, detail } => {
                let bye = Message::Bye {
                    code: code.to_owned(),
                    detail: detail.clone(),
                };
                effects.push(Effect::Send { link, message: bye });
                effects.push(Effect::Cut { link, code, detail });
            }
            Output::Apply { link, bundles, mend } => {
                post(Mail::Storage(storage::Input::Apply { link, bundles, mend }));
            }
            Output::Doubt => post(Mail::Merkle(merkle::Input::Doubt)),
            Output::Accept { ticket, sets } => post(Mail::Storage(storage::Input::Accept { ticket, sets })),
            Output::Fork { replica, common } => {
                post(Mail::Storage(storage::Input::Fork { replica, common }));
            }
            Output::Judge { ticket, landed } => {
                post(Mail::Conflict(conflict::Input::Judge { ticket, landed }))
            }
            Output::Heard { link, clock } => effects.push(Effect::Notice(Notice::Heard { link, clock })),
            Output::Reached { hub_id, clock } => post(Mail::Storage(storage::Input::Heard {
                hub_id,
                clock: Some(clock),
                wall: None,
            })),
            Output::Reply { ticket, answer } => effects.push(Effect::Reply { ticket, answer }),
        }
    }
}

impl Route for merkle::Output {
    fn route(self, effects: &mut Vec<Effect>) {
        use merkle::Output;
        let mut post = |mail| effects.push(Effect::Post(mail));
        match self {
            Output::Send { link, message } => effects.push(Effect::Send {
                link,
                message: Message::Tree(message),
            }),
            Output::Serve { link, dots } => post(Mail::Reconcile(reconcile::Input::Serve { link, dots })),
            Output::Again { link } => post(Mail::Reconcile(reconcile::Input::Again { link })),
            Output::Holes { holes } => post(Mail::Reconcile(reconcile::Input::Holes { holes })),
            Output::Recheck { records } => post(Mail::Storage(storage::Input::Recheck { records })),
            Output::Recount { records, leaves } => {
                post(Mail::Storage(storage::Input::Recount { records, leaves }));
            }
            Output::Keep { rows, above, upto } => {
                post(Mail::Storage(storage::Input::KeepTree { rows, above, upto }));
            }
            Output::Key { key } => post(Mail::Storage(storage::Input::TreeKey { key })),
            Output::Root(told) => effects.push(Effect::Notice(Notice::Root(told))),
            Output::Compared(comparison) => effects.push(Effect::Notice(Notice::Compared(comparison))),
            Output::Checked(check) => effects.push(Effect::Notice(Notice::Checked(check))),
        }
    }
}

impl Route for transfer::Output {
    fn route(self, effects: &mut Vec<Effect>) {
        use transfer::Output;
        match self {
            Output::Send { link, message } => effects.push(Effect::Send {
                link,
                message: Message::Blob(message),
            }),
            Output::Work(work) => effects.push(Effect::Work(work)),
            Output::Keep { number, rows, drop } => {
                let input = storage::Input::KeepBlobs { number, rows, drop };
                effects.push(Effect::Post(Mail::Storage(input)));
            }
            Output::Stored { ticket, id } => effects.push(Effect::Stored { ticket, id }),
            Output::Told(told) => effects.push(Effect::Notice(Notice::Blobs(told))),
        }
    }
}

impl Route for conflict::Output {
    fn route(self, effects: &mut Vec<Effect>) {
        let conflict::Output::Judged {
            ticket,
            conflicts,
            lost,
        } = self;
        effects.push(Effect::Post(Mail::Reconcile(reconcile::Input::Judged {
            ticket,
            conflicts,
            lost,
        })));
    }
}

impl Route for peers::Output {
    fn route(self, effects: &mut Vec<Effect>) {
        use peers::Output;
        let mut post = |mail| effects.push(Effect::Post(mail));
        match self {
            Output::Dial { address } => effects.push(Effect::Dial { address }),
            Output::Send { link, message } => effects.push(Effect::Send { link, message }),
            Output::Cut { link, code, detail } => effects.push(Effect::Cut { link, code, detail }),
            Output::Datagram { to, data } => effects.push(Effect::Datagram { to, data }),
            Output::Wall { hub_id, wall } => post(Mail::Storage(storage::Input::Heard {
                hub_id,
                clock: None,
                wall: Some(wall),
            })),
            Output::LinkUp {
                link,
                hub_id,
                clock,
                lz4,
                blobs,
            } => {
                post(Mail::Reconcile(reconcile::Input::LinkUp { link, hub_id, clock }));
                post(Mail::Merkle(merkle::Input::LinkUp { link, hub_id }));
                if blobs {
                    post(Mail::Transfer(transfer::Input::LinkUp { link, hub_id }));
                }
                effects.push(Effect::Notice(Notice::LinkUp { link, hub_id, lz4 }));
            }
            Output::LinkDown { link } => {
                post(Mail::Reconcile(reconcile::Input::LinkDown { link }));
                post(Mail::Merkle(merkle::Input::LinkDown { link }));
                post(Mail::Transfer(transfer::Input::LinkDown { link }));
            }
            Output::Join { home_id } => post(Mail::Storage(storage::Input::Join { home_id })),
            Output::Twin { of } => post(Mail::Storage(storage::Input::Twin { of })),
            Output::Peers(peers) => effects.push(Effect::Notice(Notice::Peers(peers))),
        }
    }
}
