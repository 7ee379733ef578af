//! What this device keeps of attachments: the bytes, by their names, until a hub has said that it holds them and knows what
//! for.
//!
//! Invariant: bytes are here, synced, before the edit that refers to them is.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use inbetweenies_core::blob::{BlobId, Hasher};
use serde::{Deserialize, Serialize};

use crate::commands::say::Failure;

/// Bytes read at a time.
const PIECE: usize = 1 << 20;

/// What is told of an attachment beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The blob, as text.
    pub blob_id: String,
    /// Its bytes.
    pub size: u64,
    /// What it looked like.
    pub content_type: String,
    /// As the file was called.
    pub file_name: String,
    /// Uploads that were begun: hub → path.
    #[serde(default)]
    pub uploads: BTreeMap<String, String>,
}

/// The folder.
pub struct Shelf {
    dir: PathBuf,
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::io(format!("{}: {error}", path.display()))
}

impl Shelf {
    /// Of a store.
    pub fn of(store: &Path) -> Shelf {
        Shelf {
            dir: store.join("blobs"),
        }
    }

    /// Where the bytes of a blob lie.
    pub fn path(&self, id: BlobId) -> PathBuf {
        self.dir.join(id.to_string())
    }

    fn note(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }

    /// Copies a file's bytes here. O(bytes); memory of one piece.
    pub fn take(&self, file: &Path) -> Result<(BlobId, u64, Vec<u8>), Failure> {
        fs::create_dir_all(&self.dir).map_err(|error| failed(&self.dir, &error))?;
        // One process at a time has the store: a copy in the making is what is left of one that ended.
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|end| end == "part") {
                drop(fs::remove_file(entry.path()));
            }
        }
        let part = self.dir.join(format!("{}.part", std::process::id()));
        let copy = || -> io::Result<(BlobId, u64, Vec<u8>)> {
            let (mut from, mut to) = (File::open(file)?, File::create(&part)?);
            let (mut hasher, mut piece, mut first) = (Hasher::default(), vec![0; PIECE], Vec::new());
            loop {
                let len = from.read(&mut piece)?;
                if len == 0 {
                    break;
                }
                if first.is_empty() {
                    first.extend_from_slice(&piece[..len.min(512)]);
                }
                hasher.update(&piece[..len]);
                to.write_all(&piece[..len])?;
            }
            to.sync_all()?;
            let manifest = hasher.finish();
            fs::rename(&part, self.path(manifest.id))?;
            File::open(&self.dir)?.sync_all()?;
            Ok((manifest.id, manifest.size, first))
        };
        copy().map_err(|error| failed(file, &error))
    }

    /// Notes what an attachment is.
    pub fn keep(&self, kept: &Kept) -> Result<(), Failure> {
        let (path, part) = (
            self.note(&kept.blob_id),
            self.dir.join(format!("{}.json.part", kept.blob_id)),
        );
        let write = || -> io::Result<()> {
            fs::write(&part, serde_json::to_vec(kept)?)?;
            File::open(&part)?.sync_all()?;
            fs::rename(&part, &path)?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(|error| failed(&path, &error))
    }

    /// All that is kept, by name.
    pub fn all(&self) -> Vec<(BlobId, Kept)> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let read = fs::read(entry.path())
                .ok()
                .filter(|_| entry.file_name().to_string_lossy().ends_with(".json"));
            let kept = read.and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
            all.extend(kept.and_then(|kept| Some((BlobId::parse(&kept.blob_id)?, kept))));
        }
        all.sort_by_key(|(id, _)| *id);
        all
    }

    /// A hub has it and knows what for: it need not be kept here.
    pub fn release(&self, id: BlobId) {
        // The note goes first: bytes without a note are harmless.
        drop(fs::remove_file(self.note(&id.to_string())));
        drop(fs::remove_file(self.path(id)));
    }
}
