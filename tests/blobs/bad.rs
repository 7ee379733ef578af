//! What is no good gets a clear error, changes nothing, and gives its space back.

use data_encoding::BASE64;
use inbetweenies_core::blob::BlobId;
use inbetweenies_core::hash::Digest;

use crate::http::{TUS, call, patch, patch_with, send, upload};
use crate::support::{HubProcess, wait_for};
use crate::{answer_code, noise, refer, status};

fn offset(hub: &HubProcess, place: &str) -> String {
    call(hub, "HEAD", place, &TUS, b"").header("upload-offset")
}

#[test]
fn uploads_that_are_no_good_are_refused_and_change_nothing() {
    let hub = HubProcess::with_config("kitchen", "[mesh]\nfound = true\n[blobs]\nsize_max = \"1MiB\"\n");
    let bytes = noise(100_000, 5);
    let place = upload(&hub, bytes.len(), None);
    assert_eq!(patch(&hub, &place, 0, &bytes[..40_000]).status, 204);
    // Offsets that go back, or beyond.
    for wrong in [0, 39_999, 40_001, 1_000_000] {
        assert_eq!(
            answer_code(&patch(&hub, &place, wrong, b"x")),
            (409, "wrong_offset".to_owned())
        );
    }
    // More than was announced.
    let long = patch(&hub, &place, 40_000, &bytes[..60_001]);
    assert_eq!(answer_code(&long), (413, "too_long".to_owned()));
    // Another checksum than announced.
    let checksum = format!("sha256 {}", BASE64.encode(&Digest::of(b"other").0));
    let wrong = patch_with(
        &hub,
        &place,
        40_000,
        &bytes[40_000..],
        &[("Upload-Checksum", &checksum)],
    );
    assert_eq!(answer_code(&wrong), (460, "wrong_checksum".to_owned()));
    for odd in ["md5 eA==", "sha256", "sha256 %%%"] {
        let refused = patch_with(&hub, &place, 40_000, b"", &[("Upload-Checksum", odd)]);
        assert_eq!(answer_code(&refused), (400, "unknown_checksum".to_owned()));
    }
    assert_eq!(offset(&hub, &place), "40000", "none of it was taken");
    let checksum = format!("sha256 {}", BASE64.encode(&Digest::of(&bytes[40_000..]).0));
    let good = patch_with(
        &hub,
        &place,
        40_000,
        &bytes[40_000..],
        &[("Upload-Checksum", &checksum)],
    );
    assert_eq!(
        (good.status, good.header("blob-id")),
        (204, BlobId::of(&bytes).to_string())
    );
    // Lengths that are none, or too large; a version that nobody speaks; a type that is none of tus.
    let create = |headers: &[(&str, &str)]| answer_code(&call(&hub, "POST", "/api/v2/blobs", headers, b""));
    assert_eq!(create(&[TUS[0]]), (400, "no_length".to_owned()));
    assert_eq!(
        create(&[TUS[0], ("Upload-Length", "-1")]),
        (400, "malformed".to_owned())
    );
    assert_eq!(
        create(&[TUS[0], ("Upload-Length", "1048577")]),
        (413, "blob_too_large".to_owned())
    );
    assert_eq!(create(&[("Upload-Length", "1")]), (412, "tus_version".to_owned()));
    assert_eq!(
        create(&[TUS[0], ("Upload-Length", "1"), ("Upload-Metadata", "sha256 eA==")]),
        (400, "malformed".to_owned())
    );
    let place = upload(&hub, 3, None);
    let typed = [TUS[0], ("Upload-Offset", "0"), ("Content-Type", "text/plain")];
    assert_eq!(
        answer_code(&call(&hub, "PATCH", &place, &typed, b"abc")),
        (415, "unsupported_media_type".to_owned())
    );
    // What comes is another blob than the client promised: the upload is dropped.
    let promised = format!(
        "sha256 {}",
        BASE64.encode(BlobId::of(b"abd").to_string().as_bytes())
    );
    let place = upload(&hub, 3, Some(&promised));
    assert_eq!(
        answer_code(&patch(&hub, &place, 0, b"abc")),
        (460, "wrong_hash".to_owned())
    );
    assert_eq!(call(&hub, "HEAD", &place, &TUS, b"").status, 404);
    assert!(status(&hub, BlobId::of(b"abc")).is_null());
    // An empty blob is one, too.
    let created = call(
        &hub,
        "POST",
        "/api/v2/blobs",
        &[TUS[0], ("Upload-Length", "0")],
        b"",
    );
    assert_eq!(
        (created.status, created.header("blob-id")),
        (201, BlobId::of(b"").to_string())
    );
}

#[test]
fn ids_and_paths_that_are_tricks_name_nothing() {
    let hub = HubProcess::found("kitchen");
    let id = BlobId::of(b"nobody has this");
    let upper = id.to_string().to_uppercase();
    for odd in [
        "..%2f..%2fhub.toml",
        "%00",
        "abc",
        upper.as_str(),
        "..%2Fuploads",
        "uploads",
    ] {
        let answer = call(&hub, "GET", &format!("/api/v2/blobs/{odd}"), &[], b"");
        assert_eq!(answer_code(&answer), (400, "bad_id".to_owned()), "{odd}");
    }
    assert_eq!(
        answer_code(&call(&hub, "GET", &format!("/api/v2/blobs/{id}"), &[], b"")),
        (404, "not_found".to_owned())
    );
    for odd in ["..%2f..%2fdb", "x", "00000000000000000000000000000000", "%2e%2e"] {
        let place = format!("/api/v2/blobs/uploads/{odd}");
        assert_eq!(call(&hub, "HEAD", &place, &TUS, b"").status, 404, "{odd}");
        assert_eq!(call(&hub, "DELETE", &place, &TUS, b"").status, 404, "{odd}");
    }
}

#[test]
fn a_hundred_half_open_uploads_are_bounded_and_give_their_space_back() {
    let config = "[mesh]\nfound = true\n[blobs]\nuploads_max = 20\nupload_expiry = \"2s\"\n";
    let hub = HubProcess::with_config("kitchen", config);
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..100 {
        let headers = [TUS[0], ("Upload-Length", "1000000")];
        let answer = call(&hub, "POST", "/api/v2/blobs", &headers, b"");
        if answer.status == 201 {
            let place = answer.header("location");
            let headers = [
                TUS[0],
                ("Upload-Offset", "0"),
                ("Content-Type", "application/offset+octet-stream"),
            ];
            open.push(send(&hub, "PATCH", &place, &headers, &noise(1_000, 1), 1_000_000));
        } else {
            assert_eq!(answer_code(&answer), (503, "too_many_uploads".to_owned()));
            refused += 1;
        }
    }
    assert_eq!((open.len(), refused), (20, 80));
    drop(open);
    // They expire, and the next upload takes their place.
    let place = wait_for("uploads to expire", || {
        let headers = [TUS[0], ("Upload-Length", "3")];
        let answer = call(&hub, "POST", "/api/v2/blobs", &headers, b"");
        (answer.status == 201).then(|| answer.header("location"))
    });
    let files = std::fs::read_dir(hub.data().join("blobs/uploads"))
        .unwrap()
        .count();
    assert!(files <= 2 * 20, "{files} files");
    assert_eq!(call(&hub, "DELETE", &place, &TUS, b"").status, 204);
    assert_eq!(call(&hub, "HEAD", &place, &TUS, b"").status, 404);
}

#[test]
fn a_disk_that_fills_up_keeps_what_it_has_takes_records_and_gives_space_back() {
    const MIB: usize = 1 << 20;
    let config = "[storage]\nheadroom_min = \"8MiB\"\n[blobs]\nreserve_min = \"24MiB\"\n";
    let Some(small) = HubProcess::on_disk("kitchen", &format!("[mesh]\nfound = true\n{config}"), 160) else {
        return;
    };
    let free = || {
        let disk = rustix::fs::statvfs(small.data()).unwrap();
        (disk.f_bavail * disk.f_frsize) as usize
    };
    let before = free();
    let bytes = noise(140 * MIB, 31);
    // What cannot fit is refused before a byte of it comes.
    let length = bytes.len().to_string();
    let headers = [TUS[0], ("Upload-Length", length.as_str())];
    let refused = call(&small, "POST", "/api/v2/blobs", &headers, b"");
    assert_eq!(answer_code(&refused), (507, "disk_full".to_owned()));
    // Two that fit alone, and not together: what has come is kept, and is given back when the client gives up.
    let half = &bytes[..60 * MIB];
    let places = [1, 2].map(|_| upload(&small, half.len(), None));
    assert_eq!(patch(&small, &places[0], 0, &half[..56 * MIB]).status, 204);
    let full = patch(&small, &places[1], 0, half);
    assert_eq!(answer_code(&full), (507, "disk_full".to_owned()));
    assert!(!full.header("retry-after").is_empty());
    let kept: usize = offset(&small, &places[1]).parse().unwrap();
    assert!(kept >= 8 * MIB && before - free() >= 56 * MIB + kept, "{kept}");
    assert!(free() >= 28 * MIB, "blobs leave room for records: {}", free());
    refer(&small, "a-note", BlobId::of(&bytes), bytes.len(), "image/jpeg");
    assert_eq!(call(&small, "DELETE", &places[0], &TUS, b"").status, 204);
    let id = wait_for("room again", || {
        let kept: usize = offset(&small, &places[1]).parse().unwrap();
        let rest = patch(&small, &places[1], kept, &half[kept..]);
        (rest.status == 204).then(|| rest.header("blob-id"))
    });
    assert_eq!(id, BlobId::of(half).to_string());
    assert!(free() + 64 * MIB >= before, "{} of {before}", free());
    // Another hub has it all: what fits comes from there, and nothing else suffers.
    let large = HubProcess::join("attic", &[&small]);
    let place = upload(&large, bytes.len(), None);
    assert_eq!(patch(&large, &place, 0, &bytes).status, 204);
    wait_for("the small disk to be full of it", || {
        (free() < 34 * MIB).then_some(())
    });
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(free() >= 28 * MIB, "blobs leave room for records: {}", free());
    assert_ne!(status(&small, BlobId::of(&bytes))["held"], "whole");
    refer(&small, "another-note", BlobId::of(b"else"), 4, "image/jpeg");
    let whole = call(
        &small,
        "GET",
        &format!("/api/v2/blobs/{}", BlobId::of(half)),
        &[],
        b"",
    );
    assert!(
        whole.status == 200 && whole.body == half,
        "what came before is whole"
    );
}
