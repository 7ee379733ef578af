//! Why a store was not opened, or takes no more, in words that say what to do.

use std::path::{Path, PathBuf};

/// Why a store was not opened. No row and no mark in the folder was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No hub has written here. An empty folder is also what a disk leaves that was not mounted.
    #[error(
        "{} is not a hub's data folder: start with --init if this is a new hub; if a disk should be mounted \
         here, mount it",
        path.display()
    )]
    NoMarker {
        /// The folder.
        path: PathBuf,
    },
    /// Files of a store without the marker: perhaps half of a copy.
    #[error(
        "{} holds files of a store ({found}) but not its marker `INBETWEENIES`: copy the folder again and \
         whole, or give another folder; nothing was written here",
        path.display()
    )]
    Unmarked {
        /// The folder.
        path: PathBuf,
        /// One of the files.
        found: String,
    },
    /// The marker is there and the rows are gone.
    #[error(
        "{} is a hub's data folder, but the rows in it are gone: restore the folder from a backup, or start with \
         --init to begin with none and fetch them from the other hubs",
        path.display()
    )]
    NoRows {
        /// The folder.
        path: PathBuf,
    },
    /// A later version of this program wrote here.
    #[error(
        "{} was written by a later version of this program ({detail}): start that version, or a newer one",
        path.display()
    )]
    Later {
        /// The folder.
        path: PathBuf,
        /// What this version does not know.
        detail: String,
    },
    /// Another process has the folder open.
    #[error(
        "{} is in use by another process: one hub writes to a folder; stop the other one, or give this one a \
         folder of its own",
        path.display()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// What is on disk does not fit together.
    #[error(
        "{} is damaged: {detail}; check the disk, move the folder aside and keep it, then start with --init on a \
         new one: the other hubs send it what they have",
        path.display()
    )]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The disk or the file system failed or refused.
    #[error("{} cannot be opened: failed to {doing}: {detail}; mend that and start again", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What was attempted.
        doing: &'static str,
        /// What the system said.
        detail: String,
    },
}

impl OpenError {
    /// Makes an error of the file system one of these.
    pub(super) fn io(path: &Path, doing: &'static str, error: &std::io::Error) -> OpenError {
        OpenError::Io {
            path: path.to_owned(),
            doing,
            detail: error.to_string(),
        }
    }
}

/// The disk is too full to take writes. Nothing was written; reading goes on, and writes do once space is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the disk of the data folder is too full: {free} bytes are free and {headroom} are kept back: free some space"
)]
pub struct NoRoom {
    /// Bytes that are free.
    pub free: u64,
    /// Bytes that are kept back, so that the database can still tidy up and deletions still be written.
    pub headroom: u64,
}
