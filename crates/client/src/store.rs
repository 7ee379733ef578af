//! A replica on disk: a folder with a lock and the log of frames.
//!
//! Durability: a frame is synced in the log before it counts in the replica, so what a command reports is on disk.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use inbetweenies_core::time::Micros;
use uuid::Uuid;

use crate::frame::{Frame, Opened};
use crate::log::{Log, LogError};
use crate::replica::{FrameError, Replica};

const LOG: &str = "log";
const LOCK: &str = "lock";
/// How long a command waits for another one on the same store: longer than an edit takes, shorter than a person waits.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_POLL: Duration = Duration::from_millis(20);

/// Why a store cannot be used. Nothing was changed, unless it is an I/O error.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none.
    #[error("{} is no client store: `client --store {} init` makes one", .dir.display(), .dir.display())]
    NotThere {
        /// The folder.
        dir: PathBuf,
    },
    /// There is one already.
    #[error("{} is a client store already: use it as it is, or give another folder", .dir.display())]
    Exists {
        /// The folder.
        dir: PathBuf,
    },
    /// Another process uses it.
    #[error("another process uses the store {}: wait until it is done", .dir.display())]
    Locked {
        /// The folder.
        dir: PathBuf,
    },
    /// The disk or its permissions.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A frame that does not fit those before it.
    #[error("{}: {error}", .path.display())]
    Frame {
        /// The log.
        path: PathBuf,
        /// What was wrong.
        error: FrameError,
    },
}

impl StoreError {
    /// Whether the disk failed, so that trying again from the start makes sense.
    pub fn is_io(&self) -> bool {
        matches!(self, StoreError::Io { .. } | StoreError::Log(LogError::Io { .. }))
    }
}

/// An open store; no other process has it open.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    log: Log,
    replica: Replica,
    /// Held until the store is dropped.
    _lock: File,
}

impl Store {
    /// Makes a store for one person on this device.
    pub fn init(dir: &Path, user_id: &str) -> Result<Store, StoreError> {
        std::fs::create_dir_all(dir).map_err(|error| StoreError::Io {
            path: dir.to_owned(),
            error,
        })?;
        let lock = locked(dir)?;
        let path = dir.join(LOG);
        if path.exists() {
            return Err(StoreError::Exists { dir: dir.to_owned() });
        }
        let random = getrandom::u64().map_err(|error| StoreError::Io {
            path: dir.to_owned(),
            error: io::Error::other(error),
        })?;
        let first = Opened::new(Uuid::new_v4().to_string(), user_id.to_owned(), random);
        let log = Log::create(&path, &Frame::Opened(first.clone()))?;
        let replica = Replica::open(first).map_err(|error| StoreError::Frame { path, error })?;
        Ok(Store {
            dir: dir.to_owned(),
            log,
            replica,
            _lock: lock,
        })
    }

    /// Opens a store. O(records).
    pub fn open(dir: &Path) -> Result<Store, StoreError> {
        let path = dir.join(LOG);
        if !path.exists() {
            return Err(StoreError::NotThere { dir: dir.to_owned() });
        }
        let lock = locked(dir)?;
        let (log, frames) = Log::open(&path)?;
        let replica = replayed(&frames).map_err(|error| StoreError::Frame { path, error })?;
        Ok(Store {
            dir: dir.to_owned(),
            log,
            replica,
            _lock: lock,
        })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The replica as it is on disk.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Takes a step: on disk when this returns.
    pub fn keep(&mut self, frame: &Frame) -> Result<(), StoreError> {
        // A step that does not read must not reach the log, where it would keep the store from opening.
        let step = self.replica.read(frame).map_err(|error| StoreError::Frame {
            path: self.dir.join(LOG),
            error,
        })?;
        self.log.append(frame)?;
        self.replica.take(step);
        Ok(())
    }
}

fn replayed(frames: &[Frame]) -> Result<Replica, FrameError> {
    let Some((Frame::Opened(first), rest)) = frames.split_first() else {
        return Err(FrameError("the log does not begin as one of a store".to_owned()));
    };
    let mut replica = Replica::open(first.clone())?;
    rest.iter().try_for_each(|frame| replica.apply(frame))?;
    Ok(replica)
}

fn locked(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK);
    let io = |error| StoreError::Io {
        path: path.clone(),
        error,
    };
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(io)?;
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(io(error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(StoreError::Locked { dir: dir.to_owned() });
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_POLL),
        }
    }
}

/// What this device's clock says, which may be wrong: it only stamps what no hub has stamped yet.
pub fn wall_clock() -> Micros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Micros(since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX)))
}
