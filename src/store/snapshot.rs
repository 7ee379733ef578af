//! Reading: a handle that any thread may have, and one instant of the store.

use std::fs::File;
use std::sync::Arc;

use inbetweenies_core::store::{Family, Snapshot, StoreError, Visit};
use rocksdb::{ColumnFamily, DB, ErrorKind, ReadOptions};
use self_cell::self_cell;

use super::errors::NoRoom;
use super::room::Room;

/// The open database. The lock comes last: it is given up when the database is closed.
pub(super) struct Open {
    pub(super) db: DB,
    pub(super) room: Room,
    pub(super) _lock: File,
}

impl Open {
    /// The column family; all are opened with the database, or it is not.
    pub(super) fn family(&self, family: Family) -> &ColumnFamily {
        let handle = self.db.cf_handle(family.name());
        handle.unwrap_or_else(|| panic!("family {} is not open", family.name()))
    }
}

/// Reads the store from any thread. Cheap to clone; the folder stays locked as long as one of them or of their
/// snapshots lives.
#[derive(Clone)]
pub struct StoreReader(pub(super) Arc<Open>);

impl StoreReader {
    /// Ends what RocksDB does by itself and waits for it: to be called last, before the process ends under its threads.
    pub fn quiet(&self) {
        self.0.db.cancel_all_background_work(true);
    }

    /// A consistent view of what is committed.
    pub fn snapshot(&self) -> Snap {
        Snap(Cell::new(Arc::clone(&self.0), |open| open.db.snapshot()))
    }

    /// Whether so many bytes can be written and the headroom stays free. To be asked before writes are taken; costs
    /// well under a microsecond, and the file system's answer is at most 200 ms or 1 MiB of writes old.
    pub fn room_for(&self, bytes: usize) -> Result<(), NoRoom> {
        self.0.room.for_bytes(bytes)
    }
}

type Borrowed<'db> = rocksdb::Snapshot<'db>;

// RocksDB's snapshot borrows the database, ours has to own it: the port's snapshots go to other threads and outlive
// the call that made them. This is the safe way to hold both; by hand it takes `unsafe`.
self_cell!(
    struct Cell {
        owner: Arc<Open>,
        #[covariant]
        dependent: Borrowed,
    }
);

/// One instant of the store. Rows that were replaced since stay on disk while it lives: keep it briefly.
pub struct Snap(Cell);

impl Snap {
    /// Visits rows as [`Snapshot::scan`] does, with options of the caller's.
    pub(super) fn scan_with(
        &self,
        mut options: ReadOptions,
        family: Family,
        from: &[u8],
        until: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        if let Some(until) = until {
            if until <= from {
                return Ok(());
            }
            options.set_iterate_upper_bound(until);
        }
        let (open, snapshot) = (self.0.borrow_owner(), self.0.borrow_dependent());
        let mut rows = snapshot.raw_iterator_cf_opt(open.family(family), options);
        rows.seek(from);
        while let Some((key, value)) = rows.item() {
            if !visit(key, value) {
                return Ok(());
            }
            rows.next();
        }
        // An iterator ends where it cannot read on, too.
        rows.status().map_err(|error| read_error(family, &error))
    }
}

impl Snapshot for Snap {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let (open, snapshot) = (self.0.borrow_owner(), self.0.borrow_dependent());
        snapshot
            .get_cf(open.family(family), key)
            .map_err(|error| read_error(family, &error))
    }

    fn scan(
        &self,
        family: Family,
        from: &[u8],
        until: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.scan_with(ReadOptions::default(), family, from, until, visit)
    }
}

fn read_error(family: Family, error: &rocksdb::Error) -> StoreError {
    match error.kind() {
        ErrorKind::Corruption => StoreError::Corrupt {
            family: family.name(),
            detail: error.to_string(),
        },
        _ => StoreError::Io {
            doing: "read",
            detail: error.to_string(),
        },
    }
}
