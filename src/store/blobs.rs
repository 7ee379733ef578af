//! The bytes of large blobs: one file each, beside the database.
//!
//! A file has a slot of 1 MiB for each chunk, at its place; a chunk that is packed leaves the rest of its slot a hole. Behind
//! the slots stands a table with four bytes for each chunk: how many bytes of its slot it takes, and one more, so that what
//! was never written reads as 0. Which chunks count as held is said by rows of the database, after a sync; what lies here
//! beyond that is looked at, and verified, when a start finds it.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use inbetweenies_core::blob::{
    BlobFiles, BlobId, CHUNK_BYTES, FileError, Manifest, Stored, chunk_len, chunks_of, pack,
};
use inbetweenies_core::store::read_held;
use rustix::buffer::spare_capacity;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, pread};

use super::errors::OpenError;
use super::snapshot::StoreReader;

/// Files kept open at a time.
const OPEN_MAX: usize = 64;
/// The folder of blobs in the data folder.
const BLOBS: &str = "blobs";
/// The folder in it for what clients are bringing.
const UPLOADS: &str = "uploads";

struct Inner {
    path: PathBuf,
    reader: StoreReader,
    /// Bytes of the disk that are left to records.
    reserve: u64,
    /// The last used comes last.
    open: Mutex<VecDeque<(BlobId, Arc<File>)>>,
    /// Held by whoever writes: a file system lets one write at a file at a time and has others spin, on the cores that
    /// hashing needs.
    writing: Mutex<()>,
    /// Files made by this process, whose names are not synced yet.
    fresh: Mutex<BTreeSet<BlobId>>,
}

/// A handle to the files of large blobs. Cheap to clone; any thread may have one.
#[derive(Clone)]
pub struct BlobStore(Arc<Inner>);

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> FileError {
    move |error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => FileError::NoRoom,
        _ => FileError::Io {
            doing,
            detail: error.to_string(),
        },
    }
}

impl BlobStore {
    /// Opens the folder, and takes away files of which no row tells: a crash left them between their writing and their row,
    /// or between their row's end and theirs.
    /// Blobs leave `reserve` bytes of the disk free beyond the headroom of records.
    pub fn open(data: &Path, reader: &StoreReader, reserve: u64) -> Result<BlobStore, OpenError> {
        let store = BlobStore::with(data, reader, reserve);
        let io = |error: io::Error| OpenError::io(data, "open the folder of blobs", &error);
        fs::create_dir_all(store.uploads()).map_err(io)?;
        for folder in [&store.0.path, data] {
            File::open(folder).and_then(|dir| dir.sync_all()).map_err(io)?;
        }
        store.sweep().map_err(io)?;
        Ok(store)
    }

    /// The folder as it is, to be read alone: nothing is made or taken away.
    pub fn look(data: &Path, reader: &StoreReader) -> BlobStore {
        BlobStore::with(data, reader, 0)
    }

    fn with(data: &Path, reader: &StoreReader, reserve: u64) -> BlobStore {
        BlobStore(Arc::new(Inner {
            path: data.join(BLOBS),
            reader: reader.clone(),
            reserve,
            open: Mutex::default(),
            writing: Mutex::default(),
            fresh: Mutex::default(),
        }))
    }

    fn sweep(&self) -> io::Result<()> {
        let snapshot = self.0.reader.snapshot();
        for folder in fs::read_dir(&self.0.path)? {
            let folder = folder?;
            if folder.file_name() == UPLOADS || !folder.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder.path())? {
                let file = file?;
                let id = file.file_name().to_str().and_then(BlobId::parse);
                let held = id.is_some_and(|id| !matches!(read_held(&snapshot, &id), Ok(None)));
                if !held {
                    fs::remove_file(file.path())?;
                }
            }
        }
        Ok(())
    }

    /// Where clients' uploads lie.
    pub fn uploads(&self) -> PathBuf {
        self.0.path.join(UPLOADS)
    }

    /// Whether so many bytes, which are about to be written, leave enough free.
    pub fn has_room(&self, bytes: usize) -> bool {
        let reserve = usize::try_from(self.0.reserve).unwrap_or(usize::MAX);
        let room = self.0.reader.room_for(bytes.saturating_add(reserve)).is_ok();
        if room {
            self.0.reader.0.room.wrote(bytes);
        }
        room
    }

    fn folder(&self, id: BlobId) -> PathBuf {
        self.0.path.join(&id.to_string()[..2])
    }

    fn path(&self, id: BlobId) -> PathBuf {
        self.folder(id).join(id.to_string())
    }

    fn file(&self, id: BlobId, make: bool) -> io::Result<Option<Arc<File>>> {
        let mut open = lock(&self.0.open);
        if let Some(at) = open.iter().position(|(of, _)| *of == id) {
            let entry = open.remove(at);
            open.extend(entry.clone());
            return Ok(entry.map(|(_, file)| file));
        }
        let path = self.path(id);
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound && !make => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(self.folder(id))?;
                lock(&self.0.fresh).insert(id);
                let mut options = OpenOptions::new();
                options
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .open(&path)?
            }
            Err(error) => return Err(error),
        };
        let file = Arc::new(file);
        if open.len() >= OPEN_MAX {
            open.pop_front();
        }
        open.push_back((id, file.clone()));
        Ok(Some(file))
    }

    /// Makes a file's name durable.
    fn sync_name(&self, id: BlobId) -> io::Result<()> {
        File::open(self.folder(id))?.sync_all()?;
        File::open(&self.0.path)?.sync_all()
    }

    /// Takes over what a client has brought: a file with all bytes in their order, which are the manifest's. Synced and in
    /// its place when this returns.
    ///
    /// It leaves the uploads, durably, before its bytes are packed: after a crash nobody takes packed bytes for those that
    /// the client sent. A start takes away what was not finished, and the client begins anew.
    pub fn adopt(&self, upload: &Path, manifest: &Manifest) -> Result<(), FileError> {
        if !self.has_room(4 * manifest.chunks() as usize) {
            return Err(FileError::NoRoom);
        }
        let name = upload.file_name().unwrap_or_default();
        let part = self.folder(manifest.id).join(name).with_extension("part");
        let adopt = || -> io::Result<()> {
            fs::create_dir_all(self.folder(manifest.id))?;
            fs::rename(upload, &part)?;
            self.sync_name(manifest.id)?;
            File::open(self.uploads())?.sync_all()?;
            let file = OpenOptions::new().read(true).write(true).open(&part)?;
            let mut raw = vec![0; CHUNK_BYTES];
            for index in 0..manifest.chunks() {
                let len = chunk_len(manifest.size, index);
                raw.resize(len, 0);
                file.read_exact_at(&mut raw, slot(index))?;
                let stored = pack(std::mem::take(&mut raw));
                if stored.packed {
                    file.write_all_at(&stored.bytes, slot(index))?;
                    punch(
                        &file,
                        slot(index) + stored.bytes.len() as u64,
                        len - stored.bytes.len(),
                    );
                }
                write_table(&file, manifest.size, index, stored.bytes.len())?;
                raw = stored.bytes.into();
            }
            file.sync_data()?;
            fs::rename(&part, self.path(manifest.id))?;
            lock(&self.0.open).retain(|(of, _)| *of != manifest.id);
            self.sync_name(manifest.id)
        };
        adopt().map_err(|error| {
            drop(fs::remove_file(&part));
            failed("take over an upload")(error)
        })
    }
}

fn slot(index: u32) -> u64 {
    u64::from(index) * CHUNK_BYTES as u64
}

fn table(size: u64, index: u32) -> u64 {
    slot(chunks_of(size)) + 4 * u64::from(index)
}

/// So many bytes from there on, read where they stay, without zeros first; None if the file ends before.
fn read_at(file: &File, len: usize, at: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        let from = at + bytes.len() as u64;
        match pread(file, spare_capacity(&mut bytes), from) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(len);
    Ok(Some(bytes))
}

fn write_table(file: &File, size: u64, index: u32, len: usize) -> io::Result<()> {
    file.write_all_at(&(len as u32 + 1).to_be_bytes(), table(size, index))
}

/// Gives back the space of a part of a file, where the file system can.
fn punch(file: &File, from: u64, len: usize) {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let _ = fallocate(file, flags, from, len as u64);
}

impl BlobFiles for BlobStore {
    fn write(&mut self, id: BlobId, size: u64, index: u32, stored: &Stored) -> Result<(), FileError> {
        if !self.has_room(stored.bytes.len()) {
            return Err(FileError::NoRoom);
        }
        let write = || -> io::Result<()> {
            let Some(file) = self.file(id, true)? else {
                return Err(ErrorKind::NotFound.into());
            };
            let _writing = lock(&self.0.writing);
            file.write_all_at(&stored.bytes, slot(index))?;
            write_table(&file, size, index, stored.bytes.len())
        };
        write().map_err(failed("write a chunk"))
    }

    fn read(&mut self, id: BlobId, size: u64, index: u32) -> Result<Option<Stored>, FileError> {
        let read = || -> io::Result<Option<Stored>> {
            let Some(file) = self.file(id, false)? else {
                return Ok(None);
            };
            let mut len = [0; 4];
            match file.read_exact_at(&mut len, table(size, index)) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
                read => read?,
            }
            let whole = chunk_len(size, index);
            let Some(len) = (u32::from_be_bytes(len) as usize).checked_sub(1) else {
                return Ok(None);
            };
            if len > whole {
                return Ok(None); // no table that we wrote
            }
            let Some(bytes) = read_at(&file, len, slot(index))? else {
                return Ok(None);
            };
            Ok(Some(Stored {
                packed: len < whole,
                bytes: bytes.into(),
            }))
        };
        read().map_err(|error| match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::IO) => {
                tracing::warn!(blob = %id, chunk = index, %error, "a chunk cannot be read; it counts as lost");
                FileError::Unreadable {
                    detail: error.to_string(),
                }
            }
            _ => failed("read a chunk")(error),
        })
    }

    fn sync(&mut self, id: BlobId) -> Result<(), FileError> {
        let sync = || -> io::Result<()> {
            let Some(file) = self.file(id, false)? else {
                return Ok(());
            };
            file.sync_data()?;
            if lock(&self.0.fresh).remove(&id) {
                self.sync_name(id)?;
            }
            Ok(())
        };
        sync().map_err(failed("sync"))
    }

    fn remove(&mut self, id: BlobId) -> Result<(), FileError> {
        lock(&self.0.open).retain(|(of, _)| *of != id);
        match fs::remove_file(self.path(id)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(failed("take a file away")),
        }
    }
}
