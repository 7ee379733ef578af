//! Drives a client's session with a hub over HTTP, until neither side lacks anything.

use inbetweenies_client::wire::{Failure, Malformed};
use inbetweenies_client::{
    Frame, FrameError, Next, Options, Replica, Session, SessionError, Store, StoreError, Summary,
};
use inbetweenies_core::id::HomeId;

use super::{ApiError, Hub, HubUrl};

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
        theirs: HomeId,
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
        "the hub at {url} has not caught up with what this store has seen: try again shortly, or ask another hub; if the \
         hub that had more is gone for good, `sync --accept-behind` goes on from what this one has"
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

/// Pushes what is pending and fetches what is new, until there is neither. `progress` hears of every step that was kept.
pub async fn sync(
    keeper: &mut impl Keeper,
    hub: &Hub,
    options: Options,
    progress: &mut dyn FnMut(&Summary),
) -> Result<Summary, SyncError> {
    let mut session = meet(keeper.replica(), hub, options).await?;
    loop {
        let next = session.next(keeper.replica());
        match next.map_err(|error| SyncError::of(error, hub.url(), session.summary()))? {
            Next::Ask(body) => {
                let answer = hub.exchange(body).await;
                session.answered(answer.map_err(|error| error.failure));
            }
            Next::Keep(frame) => {
                keep(keeper, hub, &frame)?;
                progress(session.summary());
            }
            Next::Wait(wait) => actix_rt::time::sleep(wait).await,
            Next::Done => return Ok(session.into_summary()),
        }
    }
}

/// Asks who the hub is: nothing is pushed into another home.
async fn meet(replica: &Replica, hub: &Hub, options: Options) -> Result<Session, SyncError> {
    let status = hub.status().await?;
    let read = |text: String| {
        text.parse().map_err(|error| ApiError {
            url: hub.url().clone(),
            failure: Failure::Malformed(Malformed(format!("the status: home_id: {error}"))),
        })
    };
    let home_id = status.home_id.map(read).transpose()?;
    Session::new(options, home_id, status.name, replica)
        .map_err(|error| SyncError::of(error, hub.url(), &Summary::default()))
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

impl SyncError {
    /// What a session says, of this hub and with what was done until then.
    fn of(error: SessionError, url: &HubUrl, done: &Summary) -> SyncError {
        let url = url.clone();
        match error {
            SessionError::NoHome => SyncError::NoHome { url },
            SessionError::OtherHome { theirs, ours } => SyncError::OtherHome { url, theirs, ours },
            SessionError::Failed(failure) => SyncError::Api(ApiError { url, failure }),
            SessionError::NotYet => SyncError::NotYet {
                url,
                done: Box::new(done.clone()),
            },
            SessionError::Stalled { pending } => SyncError::Stalled { url, pending },
        }
    }
}
