//! Which records refer to which blobs, and the rows that the transfer room keeps.

use super::Output;
use super::group::Group;
use crate::blob::{BlobId, refs};
use crate::hash::Digest;
use crate::record::{Kind, Record};
use crate::store::{
    Family, OfBlob, RecordRow, RefRow, Snapshot, StoreError, blob_key, decode_row, encode_row, read_ref,
    record_of, ref_key,
};

impl Group<'_> {
    /// A record with its content has come.
    pub fn refer(&mut self, record: &Record, digest: &Digest) {
        for blob in refs(record) {
            let row = RefRow {
                of_type: match &record.kind {
                    Kind::Entity { entity_type, .. } => entity_type.clone(),
                    Kind::Relationship {
                        relationship_type, ..
                    } => relationship_type.clone(),
                },
                size: blob.size,
                content_type: blob.content_type,
                file_name: blob.file_name,
            };
            let key = ref_key(&blob.id, &record.id, digest);
            self.overlay.put(Family::Blobs, key, encode_row(&row));
            self.referred.insert(blob.id);
        }
    }

    /// A record, or its content, is gone.
    pub fn refer_no_more(&mut self, record: &Record, digest: &Digest) {
        for blob in refs(record) {
            self.overlay
                .delete(Family::Blobs, ref_key(&blob.id, &record.id, digest));
            self.referred.insert(blob.id);
        }
    }

    /// A store of a format that knew no blobs. O(records), once.
    pub fn refer_all(&mut self) -> Result<(), StoreError> {
        let (mut found, mut failed) = (Vec::new(), None);
        self.overlay.scan(Family::Records, &[], None, &mut |key, value| {
            match decode_row::<RecordRow>(Family::Records, value) {
                Ok(row) if !row.forgotten => {
                    let record = Record::from_stored(&row.record).ok();
                    let record = record.filter(|record| !refs(record).is_empty());
                    found.extend(record.zip(record_of(key)));
                }
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
            failed.is_none()
        })?;
        for (record, (_, digest)) in found {
            self.refer(&record, &digest);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Keeps what the transfer room says, and drops what nothing refers to: that is decided here, where references are
    /// written, so that none can come between.
    pub fn keep_blobs(
        &mut self,
        number: u64,
        rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
        drop: Vec<BlobId>,
    ) -> Result<(), StoreError> {
        for (key, row) in rows {
            match row {
                Some(row) => self.overlay.put(Family::Blobs, key, row),
                None => self.overlay.delete(Family::Blobs, key),
            }
        }
        let mut dropped = Vec::new();
        for id in drop {
            if read_ref(&self.overlay, &id)?.is_none() {
                for kind in [OfBlob::Held, OfBlob::Manifest, OfBlob::Bytes] {
                    self.overlay.delete(Family::Blobs, blob_key(kind, &id));
                }
                dropped.push(id);
            }
        }
        self.follow.push(Output::BlobsKept { number, dropped });
        Ok(())
    }
}
