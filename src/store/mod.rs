//! The store on disk: RocksDB behind the core's storage port, and the few files that stand beside it.
//!
//! Invariant: a commit is durable, in the order that the port gives, or the store takes no further one; a folder is
//! opened by one process at a time, and never made anew by accident.
//!
//! A data folder holds `INBETWEENIES` (the marker: this is a hub's folder, and its format), `IN_USE` (the lock),
//! `HIGH_WATER` with its predecessor `HIGH_WATER.old`, `NOTE`, `db`, which is RocksDB's, and `blobs`: a file for each large
//! blob, and what clients are uploading.
//!
//! Deliberately absent: what the marks mean for a replica's life, and the rows' own format; both are the core's.

mod blobs;
mod errors;
mod folder;
mod marks;
mod rocks;
mod room;
mod scrub;
mod snapshot;
mod tuning;
pub mod uploads;

#[cfg(test)]
mod tests;

pub use blobs::BlobStore;
pub use errors::{NoRoom, OpenError};
pub use rocks::RocksStore;
pub use scrub::{ScrubReport, verify};
pub use snapshot::{Snap, StoreReader};
pub use tuning::StoreOptions;
