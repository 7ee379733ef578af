//! What clients are bringing: a file with the bytes so far, and one that says what it is to become.
//!
//! Invariant: an offset that was told is synced; what lies beyond the offset in the second file is forgotten at a start.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use inbetweenies_core::blob::{BlobId, Hasher};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Bytes after which what has come is synced, so that a crash costs no more.
const SYNC_EVERY: u64 = 16 << 20;

/// What an upload is to become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadInfo {
    /// Bytes of the whole.
    pub length: u64,
    /// What the whole must be, if the client says.
    pub sha256: Option<BlobId>,
    /// `Upload-Metadata` as it came.
    pub metadata: String,
    /// Seconds since 1970 after which it may be dropped.
    pub expires: u64,
    /// Bytes that are synced.
    pub offset: u64,
    /// What it has become.
    pub done: Option<BlobId>,
}

/// One upload.
pub struct Upload {
    folder: PathBuf,
    name: String,
    /// What it is to become, as it stands on disk.
    pub info: UploadInfo,
    file: File,
    /// Of what has come.
    hasher: Hasher,
    /// Bytes that have come since the last sync.
    unsynced: u64,
    /// From here on nothing is told on disk as having come: a checksum of it is still to be checked.
    doubted: Option<u64>,
}

/// Seconds since 1970.
pub fn unix_seconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

fn info_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.info"))
}

impl Upload {
    /// Begins one. The name is drawn, never the client's.
    pub fn begin(folder: &Path, info: UploadInfo) -> io::Result<Upload> {
        let name = Uuid::new_v4().simple().to_string();
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create_new(true)
            .open(folder.join(&name))?;
        let upload = Upload {
            folder: folder.to_owned(),
            name,
            info,
            file,
            hasher: Hasher::default(),
            unsynced: 0,
            doubted: None,
        };
        upload.keep_info()?;
        File::open(folder)?.sync_all()?;
        Ok(upload)
    }

    /// Opens one that a start has left. None if there is none of this name, or it does not read.
    pub fn open(folder: &Path, name: &str) -> io::Result<Option<Upload>> {
        let Ok(text) = fs::read(info_path(folder, name)) else {
            return Ok(None);
        };
        let Ok(info) = serde_json::from_slice::<UploadInfo>(&text) else {
            return Ok(None);
        };
        let file = OpenOptions::new().read(true).write(true).open(folder.join(name));
        let Ok(mut file) = file else { return Ok(None) };
        let mut hasher = Hasher::default();
        file.set_len(info.offset)?;
        let (mut piece, mut left) = (vec![0; 1 << 20], info.offset);
        while left > 0 {
            let len = left.min(piece.len() as u64) as usize;
            file.read_exact(&mut piece[..len])?;
            hasher.update(&piece[..len]);
            left -= len as u64;
        }
        Ok(Some(Upload {
            folder: folder.to_owned(),
            name: name.to_owned(),
            info,
            file,
            hasher,
            unsynced: 0,
            doubted: None,
        }))
    }

    /// Names of all that lie there.
    pub fn names(folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name().into_string().unwrap_or_default();
            let of = name.strip_suffix(".info").or(name.strip_suffix(".part"));
            names.push(of.unwrap_or(&name).to_owned());
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Its name in its address.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its bytes lie.
    pub fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// Bytes that have come, synced or not.
    pub fn offset(&self) -> u64 {
        self.hasher.bytes()
    }

    /// What of it is hashed.
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Takes the next bytes.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.offset())?;
        self.hasher.update(bytes);
        self.unsynced += bytes.len() as u64;
        if self.unsynced >= SYNC_EVERY {
            self.sync()?;
        }
        Ok(())
    }

    /// What comes now counts, across a crash too, only after [`Upload::trust`].
    pub fn doubt(&mut self) {
        self.doubted = Some(self.offset());
    }

    /// Whether some of what has come is not checked yet.
    pub fn is_doubted(&self) -> bool {
        self.doubted.is_some()
    }

    /// What has come is what the client meant.
    pub fn trust(&mut self) -> io::Result<()> {
        self.doubted = None;
        self.sync()
    }

    /// Goes back to where it was: the bytes since were not what the client meant.
    pub fn rewind(&mut self, hasher: Hasher) -> io::Result<()> {
        (self.hasher, self.doubted) = (hasher, None);
        self.file.set_len(self.offset())?;
        self.sync()
    }

    /// After this its offset may be told.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        (self.unsynced, self.info.offset) = (0, self.doubted.unwrap_or(self.offset()));
        self.keep_info()
    }

    /// Puts off when it may be dropped.
    pub fn expire_in(&mut self, span: Duration) {
        self.info.expires = unix_seconds() + span.as_secs();
    }

    /// The whole of a small one.
    pub fn read_all(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.offset() as usize];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// It has become a blob: its bytes lie elsewhere, and what it has become is told until it expires.
    pub fn finish(&mut self, id: BlobId) -> io::Result<()> {
        self.info.done = Some(id);
        self.info.offset = self.info.length;
        self.keep_info()?;
        match fs::remove_file(self.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn keep_info(&self) -> io::Result<()> {
        let text = serde_json::to_vec(&self.info)?;
        let part = self.folder.join(format!("{}.part", self.name));
        fs::write(&part, text)?;
        File::open(&part)?.sync_data()?;
        fs::rename(&part, info_path(&self.folder, &self.name))
    }
}

/// What one has become, or where it stands, without opening it.
pub fn read_info(folder: &Path, name: &str) -> Option<UploadInfo> {
    let text = fs::read(info_path(folder, name)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Gives its space back.
pub fn drop_upload(folder: &Path, name: &str) {
    for path in [
        folder.join(name),
        info_path(folder, name),
        folder.join(format!("{name}.part")),
    ] {
        drop(fs::remove_file(path));
    }
}
