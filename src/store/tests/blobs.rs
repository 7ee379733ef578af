//! Files of large blobs: how they lie, what a start takes away, what becomes of an upload.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use inbetweenies_core::blob::{
    BlobFiles, BlobId, CHUNK_BYTES, FileError, Hasher, Have, Manifest, Stored, pack, unpack,
};
use inbetweenies_core::store::{Family, HeldRow, OfBlob, blob_key, encode_row};
use inbetweenies_core::time::Micros;

use super::{commit, open, put};
use crate::store::uploads::{Upload, UploadInfo};
use crate::store::{BlobStore, RocksStore};

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut rng = inbetweenies_core::rng::Rng::new(seed, 0);
    let mut bytes: Vec<u8> = (0..len.div_ceil(8))
        .flat_map(|_| rng.draw().to_le_bytes())
        .collect();
    bytes.truncate(len);
    bytes
}

fn manifest(bytes: &[u8]) -> Manifest {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}

fn place(data: &Path, id: BlobId) -> PathBuf {
    let name = id.to_string();
    data.join("blobs").join(&name[..2]).join(name)
}

fn files(data: &Path, store: &RocksStore) -> BlobStore {
    BlobStore::open(data, &store.reader(), 0).unwrap_or_else(|error| panic!("{error}"))
}

fn upload(files: &BlobStore, bytes: &[u8]) -> Upload {
    let info = UploadInfo {
        length: bytes.len() as u64,
        sha256: None,
        metadata: String::new(),
        expires: u64::MAX,
        offset: 0,
        done: None,
    };
    let mut upload = Upload::begin(&files.uploads(), info).unwrap();
    bytes
        .chunks(300_000)
        .for_each(|piece| upload.append(piece).unwrap());
    upload.sync().unwrap();
    upload
}

/// 3 MiB of noise, 1 MiB of the same words again and again, a short rest.
fn mixed() -> Vec<u8> {
    let mut bytes = noise(3 * CHUNK_BYTES, 1);
    bytes.extend(b"again and again ".repeat(CHUNK_BYTES / 16));
    bytes.extend(noise(777, 2));
    bytes
}

#[test]
fn a_file_has_a_slot_for_each_chunk_and_holes_for_what_has_not_come() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut files = files(dir.path(), &store);
    let (bytes, size) = (mixed(), mixed().len() as u64);
    let id = BlobId::of(&bytes);
    assert_eq!(files.read(id, size, 0), Ok(None), "no file yet");
    assert_eq!(files.sync(id), Ok(()), "nor anything to sync");
    let written: Vec<Stored> = bytes
        .chunks(CHUNK_BYTES)
        .map(|chunk| pack(chunk.to_vec()))
        .collect();
    assert!(written[3].packed && !written[0].packed);
    for index in [4_u32, 3, 1] {
        files.write(id, size, index, &written[index as usize]).unwrap();
    }
    files.sync(id).unwrap();
    for (index, stored) in written.iter().enumerate() {
        let expected = (index != 0 && index != 2).then(|| stored.clone());
        assert_eq!(files.read(id, size, index as u32), Ok(expected), "chunk {index}");
    }
    let meta = fs::metadata(place(dir.path(), id)).unwrap();
    assert!(meta.blocks() * 512 < 2 << 20, "{} blocks", meta.blocks());
    assert_eq!(
        meta.len(),
        (5 * CHUNK_BYTES + 20) as u64,
        "five slots and a table"
    );
    files.remove(id).unwrap();
    assert_eq!(files.remove(id), Ok(()), "taking it away twice is no error");
    assert_eq!(files.read(id, size, 1), Ok(None));
}

#[test]
fn a_start_takes_away_files_of_which_no_row_tells() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let mut before = files(dir.path(), &store);
    let ids = [BlobId::of(b"held"), BlobId::of(b"begun"), BlobId::of(b"orphan")];
    for id in ids {
        before
            .write(id, 2 << 20, 0, &Stored::raw(noise(CHUNK_BYTES, 3)))
            .unwrap();
        before.sync(id).unwrap();
    }
    let part = place(dir.path(), ids[0]).with_extension("part");
    fs::write(&part, b"half of an upload").unwrap();
    for (id, whole) in [(ids[0], true), (ids[1], false)] {
        let row = HeldRow {
            size: 2 << 20,
            whole,
            have: Have::default(),
            touched: Micros(1),
        };
        let key = blob_key(OfBlob::Held, &id);
        commit(&mut store, vec![put(Family::Blobs, &key, &encode_row(&row))]);
    }
    drop(before);
    let looking = BlobStore::look(dir.path(), &store.reader());
    drop(looking);
    assert!(place(dir.path(), ids[2]).exists(), "to look changes nothing");
    drop(files(dir.path(), &store));
    assert!(place(dir.path(), ids[0]).exists() && place(dir.path(), ids[1]).exists());
    assert!(!place(dir.path(), ids[2]).exists() && !part.exists());
}

#[test]
fn an_upload_becomes_a_blob_whose_chunks_are_packed_where_it_pays() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut files = files(dir.path(), &store);
    let bytes = mixed();
    let (manifest, upload) = (manifest(&bytes), upload(&files, &bytes));
    // Some of it was on its way from another hub already.
    files
        .write(
            manifest.id,
            manifest.size,
            0,
            &Stored::raw(bytes[..CHUNK_BYTES].to_vec()),
        )
        .unwrap();
    files.adopt(&upload.path(), &manifest).unwrap();
    for (index, chunk) in bytes.chunks(CHUNK_BYTES).enumerate() {
        let stored = files
            .read(manifest.id, manifest.size, index as u32)
            .unwrap()
            .unwrap();
        assert_eq!(stored.packed, index == 3);
        assert_eq!(
            unpack(stored, chunk.len()).as_deref(),
            Some(chunk),
            "chunk {index}"
        );
    }
    assert!(!upload.path().exists());
    let left = fs::read_dir(place(dir.path(), manifest.id).parent().unwrap()).unwrap();
    assert_eq!(left.count(), 1, "nothing but the blob");
}

/// The bug: bytes were packed where the upload lay, so that a crash left an upload of which all bytes had come, and not
/// those that the client had sent.
#[test]
fn an_upload_that_is_taken_over_is_gone_before_its_bytes_are_packed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let files = files(dir.path(), &store);
    let bytes = mixed();
    let upload = upload(&files, &bytes);
    let manifest = manifest(&bytes);
    // Something that is no file stands in its place: what was begun cannot be ended.
    fs::create_dir_all(place(dir.path(), manifest.id)).unwrap();
    assert!(files.adopt(&upload.path(), &manifest).is_err());
    assert!(Upload::open(&files.uploads(), upload.name()).unwrap().is_none());
    let left = fs::read_dir(place(dir.path(), manifest.id).parent().unwrap()).unwrap();
    assert_eq!(left.count(), 1, "nothing half done stays");
}

#[test]
fn an_upload_goes_on_where_it_was_synced() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let files = files(dir.path(), &store);
    let bytes = mixed();
    let mut first = upload(&files, &bytes[..2_000_001]);
    first.append(&bytes[2_000_001..3_000_000]).unwrap(); // not synced
    let name = first.name().to_owned();
    drop(first);
    let mut second = Upload::open(&files.uploads(), &name).unwrap().unwrap();
    assert_eq!(second.offset(), 2_000_001);
    second.append(&bytes[2_000_001..]).unwrap();
    assert_eq!(second.hasher().clone().finish(), manifest(&bytes));
}

/// A read that the system answers with EIO (here that of memory that is not there) is a chunk that is lost, and no reason to
/// stop the hub.
#[test]
fn a_chunk_that_the_system_cannot_read_counts_as_unreadable() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut files = files(dir.path(), &store);
    let id = BlobId::of(b"a photo");
    let place = place(dir.path(), id);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", &place).unwrap();
    let read = files.read(id, CHUNK_BYTES as u64, 0);
    assert!(matches!(read, Err(FileError::Unreadable { .. })), "{read:?}");
}
