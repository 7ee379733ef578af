//! The file of frames: appended to, synced before anybody is told, and cut back to its last whole frame when opened.
//!
//! Why a log and not a snapshot that is written anew: a home of 20,000 records is some 10 MB, and an edit is 300 bytes.
//! Appending writes and syncs those 300 bytes; nothing that is on disk is ever written again, so no crash can harm it.
//! Only the last frame can be torn, and it is one that nobody was told of. Records are never replaced (old versions
//! are history), so the file hardly grows beyond what it holds and needs no compaction.
//!
//! A frame is a mark, the payload's length and CRC-32 (little-endian), and the payload. Bytes at the end that are no
//! whole frame are a torn append if no whole frame follows them; if one does, the disk has damaged the middle, and
//! the log is refused rather than cut.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::frame::Frame;

const MARK: [u8; 4] = *b"InFr";
const HEAD_BYTES: usize = 12;
/// A frame holds one page, which one change set may exceed.
const FRAME_BYTES_MAX: usize = 256 << 20;

/// Why a log could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk or its permissions. If it was a write, nothing of it counts: open the store again.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Damaged in the middle: what follows is whole, so this is no torn append. Nothing was changed.
    #[error(
        "{} is damaged at byte {at}: restore it from a backup, or set it aside, `init` a new store and sync (edits that \
         were not pushed are lost then)",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        at: usize,
    },
    /// Whole, and not what this software writes.
    #[error("{}: the frame at byte {at} does not read ({detail}): was it written by newer software?", .path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Where.
        at: usize,
        /// What was wrong.
        detail: String,
    },
    /// More than a frame may hold.
    #[error("a frame of {0} bytes is more than the log takes")]
    TooLarge(usize),
}

/// An open log, at its end.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    /// Set by the first write that fails: what is on disk then is unknown until the log is opened again.
    broken: bool,
}

impl Log {
    /// Makes a new log with its first frame, or leaves none behind: it gets its name when it is on disk.
    pub fn create(path: &Path, first: &Frame) -> Result<Log, LogError> {
        let io = |error| LogError::Io {
            path: path.to_owned(),
            error,
        };
        let fresh = path.with_extension("new");
        let bytes = encode(first)?;
        let mut file = File::create(&fresh).map_err(io)?;
        file.write_all(&bytes).map_err(io)?;
        file.sync_all().map_err(io)?;
        std::fs::rename(&fresh, path).map_err(io)?;
        sync_folder(path).map_err(io)?;
        Ok(Log {
            path: path.to_owned(),
            file,
            broken: false,
        })
    }

    /// Opens a log and hands over its frames in their order. A torn append at its end is cut off.
    pub fn open(path: &Path) -> Result<(Log, Vec<Frame>), LogError> {
        let io = |error| LogError::Io {
            path: path.to_owned(),
            error,
        };
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(io)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let (mut frames, mut at) = (Vec::new(), 0);
        while let Some(payload) = payload_at(&bytes, at) {
            let frame = rmp_serde::from_slice(payload).map_err(|error| LogError::Unknown {
                path: path.to_owned(),
                at,
                detail: error.to_string(),
            })?;
            frames.push(frame);
            at += HEAD_BYTES + payload.len();
        }
        if at < bytes.len() {
            let whole_follows = (at + 1..bytes.len()).any(|later| payload_at(&bytes, later).is_some());
            if whole_follows || frames.is_empty() {
                return Err(LogError::Damaged {
                    path: path.to_owned(),
                    at,
                });
            }
            file.set_len(at as u64).map_err(io)?;
            file.sync_all().map_err(io)?;
        }
        file.seek(SeekFrom::Start(at as u64)).map_err(io)?;
        Ok((
            Log {
                path: path.to_owned(),
                file,
                broken: false,
            },
            frames,
        ))
    }

    /// Appends a frame. When this returns, the frame is on disk.
    pub fn append(&mut self, frame: &Frame) -> Result<(), LogError> {
        let bytes = encode(frame)?;
        if self.broken {
            let error = io::Error::other("an earlier write failed: open the store again");
            return Err(LogError::Io {
                path: self.path.clone(),
                error,
            });
        }
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        self.broken = written.is_err();
        written.map_err(|error| LogError::Io {
            path: self.path.clone(),
            error,
        })
    }
}

/// The payload of the whole frame at `at`, if there is one.
fn payload_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let head = bytes.get(at..at.checked_add(HEAD_BYTES)?)?;
    if head[..4] != MARK {
        return None;
    }
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (len, crc) = (number(4) as usize, number(8));
    let payload = bytes.get(at + HEAD_BYTES..at.checked_add(HEAD_BYTES)?.checked_add(len)?)?;
    // No frame is empty, and the CRC-32 of nothing is 0: a mark before zeros is a torn append.
    (len > 0 && crc32fast::hash(payload) == crc).then_some(payload)
}

fn encode(frame: &Frame) -> Result<Vec<u8>, LogError> {
    let mut bytes = vec![0; HEAD_BYTES];
    // Writing to memory fails only for what serde cannot say in MessagePack, which no frame holds.
    rmp_serde::encode::write_named(&mut bytes, frame)
        .unwrap_or_else(|error| panic!("a frame cannot be written: {error}"));
    let len = bytes.len() - HEAD_BYTES;
    if len > FRAME_BYTES_MAX {
        return Err(LogError::TooLarge(len));
    }
    let crc = crc32fast::hash(&bytes[HEAD_BYTES..]);
    bytes[..4].copy_from_slice(&MARK);
    bytes[4..8].copy_from_slice(&(len as u32).to_le_bytes());
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    Ok(bytes)
}

/// Makes a new name in a folder last.
fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::frame::{Edited, FORMAT, LocalRecord, Opened};
    use inbetweenies_core::time::Micros;
    use serde_bytes::ByteBuf;

    fn opened() -> Frame {
        Frame::Opened(Opened {
            format: FORMAT,
            device_id: "device".to_owned(),
            user_id: "alice".to_owned(),
            counter: 7,
        })
    }

    fn edited(set: u64) -> Frame {
        let bytes = ByteBuf::from(vec![set as u8; 40]);
        Frame::Edited(Edited {
            set,
            counter: set,
            records: vec![LocalRecord {
                bytes,
                order_time: Micros(set),
            }],
        })
    }

    /// A log with four frames, and where each of them ends.
    fn written(path: &Path) -> Vec<usize> {
        let mut log = Log::create(path, &opened()).unwrap();
        let mut ends = vec![fs::metadata(path).unwrap().len() as usize];
        for set in 1..4 {
            log.append(&edited(set)).unwrap();
            ends.push(fs::metadata(path).unwrap().len() as usize);
        }
        ends
    }

    #[test]
    fn a_log_cut_at_any_byte_keeps_every_whole_frame_and_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let ends = written(&path);
        let bytes = fs::read(&path).unwrap();
        for cut in ends[0]..=bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let (mut log, frames) = Log::open(&path).unwrap();
            let whole = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(frames.len(), whole, "cut at {cut}");
            log.append(&edited(9)).unwrap();
            drop(log);
            let (_, frames) = Log::open(&path).unwrap();
            assert_eq!(
                frames.len(),
                whole + 1,
                "what is written after a cut at {cut} is read"
            );
            assert_eq!(frames.last(), Some(&edited(9)));
        }
    }

    #[test]
    fn an_append_torn_into_noise_is_cut_off_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let ends = written(&path);
        let bytes = fs::read(&path).unwrap();
        for from in ends[2]..bytes.len() {
            let mut torn = bytes.clone();
            torn[from..].fill(0);
            fs::write(&path, &torn).unwrap();
            assert_eq!(Log::open(&path).unwrap().1.len(), 3, "zeros from {from}");
        }
    }

    #[test]
    fn damage_in_the_middle_is_refused_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let ends = written(&path);
        let bytes = fs::read(&path).unwrap();
        for at in 0..ends[2] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            let error = Log::open(&path).unwrap_err();
            assert!(matches!(error, LogError::Damaged { .. }), "byte {at}: {error}");
            assert_eq!(fs::read(&path).unwrap(), damaged);
        }
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for bytes in [&b"hello"[..], &[0; 100], &[0xff; 64]] {
            fs::write(&path, bytes).unwrap();
            assert!(Log::open(&path).is_err());
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }
}
