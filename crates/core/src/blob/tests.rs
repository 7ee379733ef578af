use sha2::{Digest as _, Sha256};

use super::*;
use crate::rng::Rng;

fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed, 0);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&rng.draw().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn manifest(bytes: &[u8]) -> Manifest {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}

#[test]
fn a_manifest_names_what_the_standard_hash_names_however_the_bytes_come() {
    const MIB: usize = CHUNK_BYTES;
    for len in [
        0,
        1,
        55,
        56,
        63,
        64,
        65,
        1_000,
        MIB - 1,
        MIB,
        MIB + 1,
        2 * MIB,
        3 * MIB + 77,
    ] {
        let all = bytes(len, len as u64);
        let whole = manifest(&all);
        let standard: [u8; 32] = Sha256::digest(&all).into();
        assert_eq!(whole.id.0.0, standard, "{len} bytes");
        assert_eq!(whole.chunks(), chunks_of(len as u64));
        let (mut pieces, mut rng, mut rest) = (Hasher::default(), Rng::new(9, 0), all.as_slice());
        while !rest.is_empty() {
            let (now, later) = rest.split_at((1 + rng.below(700_000)).min(rest.len()));
            pieces.update(now);
            rest = later;
        }
        assert_eq!(pieces.finish(), whole, "{len} bytes in pieces");
        for (index, chunk) in all.chunks(MIB).enumerate() {
            assert!(whole.verifies(index as u32, chunk), "{len} bytes, chunk {index}");
            let mut other = chunk.to_vec();
            other[chunk.len() / 2] ^= 1;
            assert!(!whole.verifies(index as u32, &other));
            assert!(!whole.verifies(index as u32, &chunk[1..]));
        }
        assert!(!whole.verifies(whole.chunks(), b""));
    }
}

#[test]
fn hashing_goes_on_after_whole_chunks() {
    let all = bytes(3 * CHUNK_BYTES + 5, 1);
    let mut first = Hasher::default();
    first.update(&all[..2 * CHUNK_BYTES + 9]);
    let mut second = Hasher::resume(first.states().to_vec()).unwrap();
    assert_eq!(second.bytes(), 2 * CHUNK_BYTES as u64);
    second.update(&all[2 * CHUNK_BYTES..]);
    assert_eq!(second.finish(), manifest(&all));
    assert!(Hasher::resume(vec![0; 31]).is_none());
}

/// From its end on, a blob proves itself: whoever invents a manifest has no last chunk for it, and whoever has the last
/// chunk cannot invent the value before it.
#[test]
fn a_false_manifest_fails_at_its_last_chunk() {
    let all = bytes(3 * CHUNK_BYTES, 2);
    let good = manifest(&all);
    let other = manifest(&bytes(3 * CHUNK_BYTES, 3));
    let lie = Manifest::new(good.id, good.size, other.states().to_vec()).unwrap();
    let last = &all[2 * CHUNK_BYTES..];
    assert!(good.verifies(2, last));
    assert!(!lie.verifies(2, last));
    assert!(
        lie.verifies(0, &bytes(3 * CHUNK_BYTES, 3)[..CHUNK_BYTES]),
        "a lie may begin well"
    );
    assert!(!lie.agrees(&good, 0) && good.agrees(&good, 1));
}

#[test]
fn a_manifest_that_lies_about_its_count_is_refused() {
    let id = BlobId::of(b"x");
    assert!(Manifest::new(id, 3 << 20, vec![0; 64]).is_ok());
    for (size, states) in [(3 << 20, 63), (3 << 20, 96), (1, 32), (0, 32), (u64::MAX, 0)] {
        assert!(
            Manifest::new(id, size, vec![0; states]).is_err(),
            "{size} {states}"
        );
    }
}

#[test]
fn chunks_are_packed_where_it_pays_and_never_unpack_to_more() {
    let text = b"the same words again and again, ".repeat(CHUNK_BYTES / 32);
    let packed = pack(text.clone());
    assert!(packed.packed && packed.bytes.len() < text.len() / 10);
    assert_eq!(unpack(packed.clone(), text.len()), Some(text.clone().into()));
    assert_eq!(
        unpack(packed.clone(), text.len() - 1),
        None,
        "more than was named"
    );
    assert_eq!(unpack(packed.clone(), CHUNK_BYTES + 1), None);
    let noise = bytes(CHUNK_BYTES, 4);
    assert_eq!(pack(noise.clone()), Stored::raw(noise));
    let bomb = lz4_flex::block::compress(&vec![0; 64 << 20]);
    let bomb = Stored {
        packed: true,
        bytes: bomb.into(),
    };
    assert_eq!(unpack(bomb, CHUNK_BYTES), None);
    for len in [0, 1, 127, 128] {
        let few = vec![7; len];
        assert_eq!(unpack(pack(few.clone()), len), Some(few.into()));
    }
}

#[test]
fn have_maps_hold_what_was_set_and_say_when_they_do_not_fit() {
    let mut have = Have::default();
    [0, 7, 8, 20].into_iter().for_each(|chunk| have.set(chunk));
    assert_eq!(have.count(), 4);
    assert!(have.has(8) && !have.has(9) && !have.has(1_000));
    assert!(have.fits(21) && !have.fits(20) && !have.fits(8));
    have.unset(8);
    assert_eq!(have.missing(9).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 8]);
    assert_eq!(Have::all(9).count(), 9);
}
