//! The folder of a store: its marker, its lock, and names that outlive a power cut.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

use super::errors::OpenError;
use super::marks;

/// Marks a folder as a hub's, so that an empty mount point is not taken for an empty hub.
pub(super) const MARKER: &str = "INBETWEENIES";
/// RocksDB's own folder: it deletes files that it does not know, and must not meet ours.
pub(super) const DATABASE: &str = "db";
/// Locked for as long as the store is open.
const LOCK: &str = "IN_USE";
/// The format of the folder: what stands where. The rows have a format of their own.
const FORMAT: u32 = 1;
/// Files beside the database are a few dozen bytes; what is longer is none of ours.
const SIDE_FILE_BYTES_MAX: u64 = 4096;

/// Takes the folder for this process, for as long as the file lives; with `init` makes it where there is none.
pub(super) fn claim(path: &Path, init: bool) -> Result<File, OpenError> {
    if !has_marker(path)? {
        if let Some(found) = remnant(path)? {
            return Err(OpenError::Unmarked {
                path: path.to_owned(),
                found,
            });
        }
        if !init {
            return Err(OpenError::NoMarker {
                path: path.to_owned(),
            });
        }
        create_synced(path).map_err(|error| OpenError::io(path, "create the folder", &error))?;
    }
    let lock = lock(path)?;
    if !has_marker(path)? {
        File::open(path)
            .and_then(|dir| replace(path, &dir, MARKER, format!("format {FORMAT}\n").as_bytes()))
            .map_err(|error| OpenError::io(path, "write its marker", &error))?;
    }
    check_rows(path, init)?;
    Ok(lock)
}

/// Whether the folder is marked, and in a format that we know.
fn has_marker(path: &Path) -> Result<bool, OpenError> {
    let marker = read(&path.join(MARKER)).map_err(|error| OpenError::io(path, "read its marker", &error))?;
    let Some(marker) = marker else {
        return Ok(false);
    };
    let text = String::from_utf8_lossy(&marker);
    match text.trim_end().strip_prefix("format ").map(str::parse::<u32>) {
        Some(Ok(FORMAT)) => Ok(true),
        Some(Ok(format)) if format > FORMAT => Err(OpenError::Later {
            path: path.to_owned(),
            detail: format!("its format is {format}, this version knows {FORMAT}"),
        }),
        _ => Err(OpenError::Damaged {
            path: path.to_owned(),
            detail: format!("its marker reads {:?}", text.chars().take(40).collect::<String>()),
        }),
    }
}

/// A file that only a store leaves, if there is one.
fn remnant(path: &Path) -> Result<Option<String>, OpenError> {
    let names = [
        DATABASE,
        "CURRENT",
        marks::HIGH_WATER,
        marks::HIGH_WATER_OLD,
        marks::NOTE,
    ];
    for name in names {
        let there = path.join(name).try_exists();
        if there.map_err(|error| OpenError::io(path, "look into it", &error))? {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let io = |error| OpenError::io(path, "lock it", &error);
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join(LOCK))
        .map_err(io)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// RocksDB makes an empty database where `CURRENT` is missing and then deletes the files of the old one, so whether
/// it may is decided here.
fn check_rows(path: &Path, init: bool) -> Result<(), OpenError> {
    let database = path.join(DATABASE);
    let io = |error| OpenError::io(path, "look for its rows", &error);
    if database.join("CURRENT").try_exists().map_err(io)? {
        return Ok(());
    }
    if database.try_exists().map_err(io)? {
        for file in fs::read_dir(&database).map_err(io)? {
            let name = file.map_err(io)?.file_name();
            // A creation that was cut short leaves neither of these.
            if matches!(Path::new(&name).extension(), Some(kind) if kind == "sst" || kind == "log") {
                return Err(OpenError::Damaged {
                    path: path.to_owned(),
                    detail: format!("{} is there, CURRENT is not", name.display()),
                });
            }
        }
    }
    if !init {
        return Err(OpenError::NoRows {
            path: path.to_owned(),
        });
    }
    // RocksDB would create it too, and not sync the folder that names it.
    create_synced(&database).map_err(|error| OpenError::io(path, "create the folder of its rows", &error))
}

/// Creates a folder and those above it, each synced into the one that names it.
fn create_synced(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return fs::create_dir(path),
    };
    create_synced(parent)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        done => done?,
    }
    File::open(parent)?.sync_all()
}

/// What a small file holds; None if it is not there.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(SIDE_FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Writes and syncs `bytes` under another name, which is returned: renamed into place it is there whole or not at all.
pub(super) fn write_beside(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<std::path::PathBuf> {
    let temporary = folder.join(format!("{name}.tmp"));
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(temporary)
}

/// Puts a file in the place of another, durably and at once; `dir` is the open folder.
fn replace(folder: &Path, dir: &File, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::rename(write_beside(folder, name, bytes)?, folder.join(name))?;
    dir.sync_all()
}
