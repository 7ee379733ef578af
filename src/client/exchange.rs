//! Exchanges with a hub until neither side lacks anything.
//!
//! It stops: every round acknowledges or refuses a pending set, moves the clock, or waits, and waits are counted.

use std::collections::BTreeSet;
use std::time::Duration;

use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::HomeId;
use inbetweenies_core::wire::SyncType;

use super::frame::{Frame, RefusedRow};
use super::replica::{FrameError, Replica};
use super::round::{judge, next_push, take_page};
use super::store::{Store, StoreError};
use crate::api::{ApiError, ConflictRow, Exchange, Hub, HubUrl};

/// The longest that a hub's advice to wait is followed at a time.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Whoever keeps a replica: on disk, or in memory while a command runs.
pub trait Keeper {
    /// The replica as it is kept.
    fn replica(&self) -> &Replica;
    /// Takes a step: kept when this returns.
    fn keep(&mut self, frame: &Frame) -> Result<(), StoreError>;
}

impl Keeper for Store {
    fn replica(&self) -> &Replica {
        Store::replica(self)
    }

    fn keep(&mut self, frame: &Frame) -> Result<(), StoreError> {
        Store::keep(self, frame)
    }
}

/// How to sync.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether superseded records are left out: enough for one look, not for a replica that goes on.
    pub heads_only: bool,
    /// How often to try again where the hub says so or a connection broke, before giving up.
    pub retries: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            heads_only: false,
            retries: 5,
        }
    }
}

/// What a sync did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// The hub's name.
    pub hub: String,
    /// Sets that the hub has now.
    pub sets_landed: usize,
    /// Their records.
    pub records_sent: usize,
    /// Records received, own ones included.
    pub records_received: usize,
    /// Requests made.
    pub rounds: usize,
    /// Bytes of the answers.
    pub bytes_received: usize,
    /// Records that the hub refused; kept aside.
    pub refused: Vec<RefusedRow>,
    /// Ids whose edit is kept, and not what readers see.
    pub lost: Vec<String>,
    /// Conflicts that the push met.
    pub conflicts: Vec<ConflictRow>,
    /// Records that were pushed again because no hub's log is known to hold them.
    pub requeued: usize,
}

/// Why a sync ended early. What was acknowledged until then is kept.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The hub, or the way to it.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// This device's disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The hub keeps another home. Nothing was sent.
    #[error(
        "{url} belongs to the home {theirs}, this store to {ours}: name a hub of your own home, or `init` another store"
    )]
    OtherHome {
        /// Who was asked.
        url: HubUrl,
        /// Its home.
        theirs: String,
        /// This store's.
        ours: HomeId,
    },
    /// The hub looks for its home. Nothing was sent.
    #[error(
        "the hub at {url} belongs to no home yet: wait until it has found one of its seeds, or ask another hub"
    )]
    NoHome {
        /// Who was asked.
        url: HubUrl,
    },
    /// The hub is behind what this replica has seen. What was pending has been pushed all the same.
    #[error(
        "the hub at {url} has not caught up with what this store has seen: try again shortly, or ask another hub"
    )]
    NotYet {
        /// Who was asked.
        url: HubUrl,
        /// What was done until then.
        done: Box<Summary>,
    },
    /// The hub says that there is more to do and nothing moves. What is pending stays so.
    #[error(
        "the hub at {url} answers, and nothing moves ({pending} change sets pending): is its software as new as this?"
    )]
    Stalled {
        /// Who was asked.
        url: HubUrl,
        /// Sets without a verdict.
        pending: usize,
    },
    /// An answer that cannot be kept.
    #[error("{url} sent what cannot be kept ({error}): is its software newer than this?")]
    Unkept {
        /// Who was asked.
        url: HubUrl,
        /// What was wrong with it.
        error: FrameError,
    },
}

/// Pushes what is pending and fetches what is new, until there is neither. `progress` hears of every round.
pub async fn sync(
    keeper: &mut impl Keeper,
    hub: &Hub,
    options: Options,
    progress: &mut dyn FnMut(&Summary),
) -> Result<Summary, SyncError> {
    let mut summary = Summary::default();
    let mut waits = options.retries;
    let home_id = meet(keeper.replica(), hub, &mut summary).await?;
    loop {
        let pushed = next_push(keeper.replica());
        let reply = {
            let replica = keeper.replica();
            let exchange = Exchange {
                device_id: replica.device_id(),
                user_id: replica.user_id(),
                sync_type: if replica.clock().is_empty() {
                    SyncType::Full
                } else {
                    SyncType::Delta
                },
                clock: replica.clock(),
                sets: pushed.iter().map(|(_, records)| records.clone()).collect(),
                heads_only: options.heads_only,
            };
            hub.sync(&exchange).await
        };
        summary.rounds += 1;
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => match patience(&error).filter(|_| waits > 0) {
                Some(wait) => {
                    waits -= 1;
                    actix_rt::time::sleep(wait.min(WAIT_MAX)).await;
                    continue;
                }
                None if error.is_not_yet() => {
                    return Err(SyncError::NotYet {
                        url: hub.url().clone(),
                        done: Box::new(summary),
                    });
                }
                None => return Err(error.into()),
            },
        };
        let before = (
            keeper.replica().clock().clone(),
            keeper.replica().pending().count(),
        );
        let mut synced = judge(&pushed, &reply, &mut summary);
        synced.home_id = home_id.filter(|_| keeper.replica().home_id().is_none());
        if !reply.not_yet {
            take_page(keeper.replica(), &reply, &mut synced, &mut summary);
        }
        if !synced.is_empty() {
            keep(keeper, hub, &Frame::Synced(Box::new(synced)))?;
        }
        progress(&summary);
        let after = (
            keeper.replica().clock().clone(),
            keeper.replica().pending().count(),
        );
        let pending = after.1;
        if pending > 0 || reply.more || reply.not_yet || !reply.reset.is_empty() {
            if before == after {
                return Err(SyncError::Stalled {
                    url: hub.url().clone(),
                    pending,
                });
            }
            // With nothing left to push, a hub that is behind says so as a refusal, with a time to wait.
            continue;
        }
        if !requeue(keeper, hub, &mut summary, options)? {
            return Ok(summary);
        }
    }
}

/// Asks who the hub is: nothing is pushed into another home.
async fn meet(replica: &Replica, hub: &Hub, summary: &mut Summary) -> Result<Option<HomeId>, SyncError> {
    let status = hub.status().await?;
    summary.hub = status.name;
    let Some(theirs) = status.home_id else {
        return Err(SyncError::NoHome {
            url: hub.url().clone(),
        });
    };
    let read = theirs.parse().ok();
    match replica.home_id() {
        Some(ours) if read != Some(ours) => Err(SyncError::OtherHome {
            url: hub.url().clone(),
            theirs,
            ours,
        }),
        _ => Ok(read),
    }
}

/// How long to wait before the same is tried again. The hub answered a moment ago, so one that is not there is being
/// started anew.
fn patience(error: &ApiError) -> Option<Duration> {
    let gone = matches!(error, ApiError::NoHub { .. }).then_some(Duration::from_secs(1));
    error.retry_after().or(gone)
}

/// Pushes again what no hub's log is known to hold; false if there is nothing of that kind, or it was done already.
fn requeue(
    keeper: &mut impl Keeper,
    hub: &Hub,
    summary: &mut Summary,
    options: Options,
) -> Result<bool, SyncError> {
    if options.heads_only || summary.requeued > 0 {
        return Ok(false);
    }
    let orphans = keeper.replica().orphans();
    summary.requeued = orphans.len();
    for digest in &orphans {
        // Each by itself: that they were one set once is in a log that is gone.
        let (set, digests): (u64, Vec<Digest>) = (keeper.replica().next_set(), vec![*digest]);
        keep(keeper, hub, &Frame::Requeued { set, digests })?;
    }
    Ok(!orphans.is_empty())
}

fn keep(keeper: &mut impl Keeper, hub: &Hub, frame: &Frame) -> Result<(), SyncError> {
    keeper.keep(frame).map_err(|error| match error {
        StoreError::Frame { error, .. } => SyncError::Unkept {
            url: hub.url().clone(),
            error,
        },
        other => SyncError::Store(other),
    })
}

impl Summary {
    /// Ids whose conflict readers should look at, each once.
    pub fn lost_ids(&self) -> BTreeSet<&str> {
        self.lost.iter().map(String::as_str).collect()
    }
}
