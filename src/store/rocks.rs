//! The store itself: what one thread owns and writes with.

use std::path::Path;
use std::sync::Arc;

use inbetweenies_core::store::{Commit, Marks, Store, StoreError, Write};
use rocksdb::{DB, ErrorKind, WriteBatch, WriteOptions};

use super::errors::{NoRoom, OpenError};
use super::folder;
use super::marks::MarkFiles;
use super::room::Room;
use super::snapshot::{Open, Snap, StoreReader};
use super::tuning::{self, StoreOptions};

/// What RocksDB's batch adds to a row: its kind, its family, two lengths.
const ROW_OVERHEAD_BYTES: usize = 12;

/// The store in a data folder. One thread owns it; others read through [`RocksStore::reader`].
pub struct RocksStore {
    reader: StoreReader,
    marks: MarkFiles,
    synced: WriteOptions,
    /// The first failure. What reached the disk is not known after it (a second fsync that succeeds does not say that
    /// the first one's pages were written), so nothing more is written until the store is opened again.
    failed: Option<StoreError>,
}

impl RocksStore {
    /// Opens the store in a folder. The folder is locked until the store, its readers and their snapshots are gone.
    pub fn open(path: &Path, options: &StoreOptions) -> Result<RocksStore, OpenError> {
        let lock = folder::claim(path, options.init)?;
        let marks = MarkFiles::open(path)
            .map_err(|error| OpenError::io(path, "read the marks beside its rows", &error))?;
        let database = tuning::database(options).map_err(|error| open_error(path, &error))?;
        let db = DB::open_cf_descriptors(&database, path.join(folder::DATABASE), tuning::families(options))
            .map_err(|error| open_error(path, &error))?;
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        let open = Open {
            db,
            room: Room::new(path, options.headroom_bytes),
            _lock: lock,
        };
        Ok(RocksStore {
            reader: StoreReader(Arc::new(open)),
            marks,
            synced,
            failed: None,
        })
    }

    /// A handle for readers on other threads.
    pub fn reader(&self) -> StoreReader {
        self.reader.clone()
    }

    /// See [`StoreReader::room_for`]. `commit` itself does not ask: what was taken is written.
    pub fn room_for(&self, bytes: usize) -> Result<(), NoRoom> {
        self.reader.room_for(bytes)
    }

    fn write(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let failed = |doing, detail| StoreError::Io { doing, detail };
        if let Some(high_water) = &commit.high_water {
            self.marks
                .write_high_water(high_water)
                .map_err(|error| failed("write the high-water mark", error.to_string()))?;
        }
        if !commit.writes.is_empty() {
            let open = &self.reader.0;
            let batch = batch(open, &commit.writes);
            open.room.wrote(batch.size_in_bytes());
            open.db
                .write_opt(batch, &self.synced)
                .map_err(|error| failed("write rows", error.to_string()))?;
        }
        if let Some(note) = &commit.note {
            self.marks
                .write_note(note)
                .map_err(|error| failed("write the note", error.to_string()))?;
        }
        Ok(())
    }
}

impl Store for RocksStore {
    type Snap = Snap;

    fn snapshot(&self) -> Snap {
        self.reader.snapshot()
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        if let Some(first) = &self.failed {
            return Err(StoreError::Io {
                doing: "write after an earlier failure",
                detail: first.to_string(),
            });
        }
        let done = self.write(commit);
        self.failed = done.clone().err();
        done
    }

    fn marks(&self) -> Marks {
        self.marks.marks().clone()
    }
}

fn batch(open: &Open, writes: &[Write]) -> WriteBatch {
    let bytes = writes
        .iter()
        .map(|(_, key, value)| key.len() + value.as_ref().map_or(0, Vec::len) + ROW_OVERHEAD_BYTES)
        .sum();
    let mut batch = WriteBatch::with_capacity_bytes(bytes);
    for (family, key, value) in writes {
        match value {
            Some(value) => batch.put_cf(open.family(*family), key, value),
            None => batch.delete_cf(open.family(*family), key),
        }
    }
    batch
}

/// What RocksDB says when it does not open, told by what can be done about it.
fn open_error(path: &Path, error: &rocksdb::Error) -> OpenError {
    let detail = error.to_string();
    let path = path.to_owned();
    match error.kind() {
        ErrorKind::Corruption => OpenError::Damaged { path, detail },
        // A file that the manifest names and the folder lacks comes as an I/O error; only the words tell.
        ErrorKind::IOError if detail.contains("No such file") => OpenError::Damaged { path, detail },
        // Families or a file format of a later version.
        ErrorKind::InvalidArgument | ErrorKind::NotSupported => OpenError::Later { path, detail },
        _ => OpenError::Io {
            path,
            doing: "open the database",
            detail,
        },
    }
}
