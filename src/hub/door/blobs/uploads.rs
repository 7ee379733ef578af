//! The uploads that are under way.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use inbetweenies_core::wire::Problem;
use tokio::sync::OwnedMutexGuard;

use crate::store::uploads::{Upload, UploadInfo, drop_upload, read_info, unix_seconds};

/// How long whoever asks about an upload waits for whoever brings it.
const WAIT: Duration = Duration::from_secs(2);

/// How often it is looked whether some have expired.
pub const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// One upload, or its place.
type Slot = Arc<tokio::sync::Mutex<Option<Upload>>>;

/// One upload, held by whoever works on it.
pub type Held = OwnedMutexGuard<Option<Upload>>;

/// The uploads of a hub, each open at most once.
#[derive(Clone)]
pub struct Uploads {
    folder: PathBuf,
    open: Arc<Mutex<BTreeMap<String, Slot>>>,
    count: Arc<Mutex<Count>>,
    /// Under way at once.
    most: usize,
    /// How long one that does not go on is kept.
    pub expiry: Duration,
}

/// How many are under way, as of a look at the folder and what has begun and ended since.
#[derive(Default)]
struct Count {
    under_way: usize,
    looked: Option<Instant>,
}

/// The disk said no.
pub fn disk(error: &io::Error) -> Problem {
    let full = matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    );
    if full {
        return full_disk();
    }
    Problem::new(
        500,
        "The disk failed",
        "store_failed",
        format!("the disk of this hub failed: {error}"),
    )
}

/// There is no room for what a client brings; what came before is kept.
pub fn full_disk() -> Problem {
    let detail =
        "this hub's disk is full; what has come of the upload is kept: go on with it when there is room";
    let mut problem = Problem::new(507, "Disk full", "disk_full", detail);
    problem.retry_after = Some(30);
    problem
}

impl Uploads {
    /// Of a folder.
    pub fn new(folder: PathBuf, most: usize, expiry: Duration) -> Uploads {
        Uploads {
            folder,
            open: Arc::default(),
            count: Arc::default(),
            most,
            expiry,
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Slot>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> std::sync::MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops what has expired. Blocks on the disk.
    pub fn tidy(&self) -> io::Result<()> {
        self.look(&mut self.count())
    }

    /// Under the lock that beginning takes too: what has a file and no description yet is none that is left over.
    fn look(&self, count: &mut Count) -> io::Result<()> {
        count.under_way = self.sweep()?;
        count.looked = Some(Instant::now());
        Ok(())
    }

    fn sweep(&self) -> io::Result<usize> {
        let mut under_way = 0;
        for name in Upload::names(&self.folder)? {
            match read_info(&self.folder, &name) {
                Some(info) if info.expires >= unix_seconds() => under_way += usize::from(info.done.is_none()),
                _ => {
                    let busy = self
                        .open()
                        .get(&name)
                        .is_some_and(|upload| upload.try_lock().is_err());
                    if !busy {
                        self.open().remove(&name);
                        drop_upload(&self.folder, &name);
                    }
                }
            }
        }
        Ok(under_way)
    }

    /// Begins one. Blocks on the disk.
    pub fn begin(&self, info: UploadInfo) -> Result<Held, Problem> {
        let mut count = self.count();
        let old = count.looked.is_none_or(|at| at.elapsed() > SWEEP_EVERY);
        if old || count.under_way >= self.most {
            self.look(&mut count).map_err(|error| disk(&error))?;
        }
        if count.under_way >= self.most {
            let detail = format!(
                "{} uploads are under way, as many as this hub takes: finish or drop some, or wait until they expire",
                self.most
            );
            let mut problem = Problem::new(503, "Too many uploads", "too_many_uploads", detail);
            problem.retry_after = Some(30);
            return Err(problem);
        }
        let upload = Upload::begin(&self.folder, info).map_err(|error| disk(&error))?;
        count.under_way += 1;
        let name = upload.name().to_owned();
        let upload = Arc::new(tokio::sync::Mutex::new(Some(upload)));
        self.open().insert(name, upload.clone());
        upload.try_lock_owned().map_err(|_| locked())
    }

    /// Takes one in hand. Those that a start has left are opened, and hashed again.
    pub async fn take(&self, name: &str) -> Result<Held, Problem> {
        let sane = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !sane {
            return Err(gone());
        }
        let upload = self.open().entry(name.to_owned()).or_default().clone();
        let held = tokio::time::timeout(WAIT, upload.lock_owned()).await;
        let mut held = held.map_err(|_| locked())?;
        // A request that ended in the middle has left bytes that were not checked: what the disk says counts.
        if held.as_ref().is_none_or(Upload::is_doubted) {
            *held = None;
            let (folder, wanted) = (self.folder.clone(), name.to_owned());
            let opened = actix_web::web::block(move || Upload::open(&folder, &wanted)).await;
            *held = match opened {
                Ok(Ok(opened)) => opened,
                Ok(Err(error)) => return Err(disk(&error)),
                Err(_) => return Err(locked()),
            };
        }
        if held
            .as_ref()
            .is_none_or(|upload| upload.info.expires < unix_seconds())
        {
            self.open().remove(name);
            return Err(gone());
        }
        Ok(held)
    }

    /// What one has become, if it is finished.
    pub fn finished(&self, name: &str) -> Option<UploadInfo> {
        let sane = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        read_info(&self.folder, name).filter(|info| sane && info.done.is_some())
    }

    /// One has become a blob: its file need not stay open.
    pub fn close(&self, upload: &Upload) {
        self.open().remove(upload.name());
        self.ended();
    }

    fn ended(&self) {
        let mut count = self.count();
        count.under_way = count.under_way.saturating_sub(1);
    }

    /// Gives its space back.
    pub fn forget(&self, mut held: Held) {
        if let Some(upload) = held.take() {
            self.open().remove(upload.name());
            drop_upload(&self.folder, upload.name());
            self.ended();
        }
    }
}

/// There is no such upload, or no more.
pub fn gone() -> Problem {
    Problem::not_found(
        "no such upload: it was dropped, has expired, or is another hub's; begin a new one".to_owned(),
    )
}

fn locked() -> Problem {
    let detail = "another request works on this upload; try again in a moment";
    let mut problem = Problem::new(423, "Locked", "locked", detail);
    problem.retry_after = Some(1);
    problem
}
