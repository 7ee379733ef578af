//! Scrubbing: every row is read, so that damage is found while another hub still has what was damaged.

use inbetweenies_core::store::{Family, StoreError};
use rocksdb::ReadOptions;

use super::snapshot::StoreReader;

/// What a scrub read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScrubReport {
    /// Rows, of all families.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// Reads all rows and checks the checksum of every block that comes from disk; ends at the first damage. Blocks in
/// memory were checked when they came, so a store just opened is checked whole. Linear in the store's size.
pub fn verify(reader: &StoreReader) -> Result<ScrubReport, StoreError> {
    let snapshot = reader.snapshot();
    let mut report = ScrubReport::default();
    for family in Family::ALL {
        let mut options = ReadOptions::default();
        options.set_verify_checksums(true);
        // What people read stays in the cache.
        options.fill_cache(false);
        snapshot.scan_with(options, family, b"", None, &mut |key, value| {
            report.rows += 1;
            report.bytes += (key.len() + value.len()) as u64;
            true
        })?;
    }
    Ok(report)
}
