//! `client attach` and `client fetch`: offline, resumed, and safe before anything is let go.

use std::fs;

use inbetweenies_core::blob::BlobId;

use crate::noise;
use crate::support::{Device, home};

#[test]
fn what_is_attached_without_a_hub_is_fetched_by_another_device_at_another_hub() {
    let hubs = home(2);
    let anna = Device::synced("anna", &hubs[0]);
    let folder = tempfile::tempdir().unwrap();
    let (photo, manual, empty) = (
        folder.path().join("boiler.jpeg"),
        folder.path().join("manual.pdf"),
        folder.path().join("empty"),
    );
    let mut picture = b"\xff\xd8\xff".to_vec();
    picture.extend(noise(3_000_000, 21));
    let pages = [b"%PDF-1.7\n".as_slice(), &noise(40_000, 22)].concat();
    fs::write(&photo, &picture).unwrap();
    fs::write(&manual, &pages).unwrap();
    fs::write(&empty, b"").unwrap();
    anna.run(&["create", "--type", "device", "--name", "Boiler", "--id", "boiler"])
        .good();
    let names = [&photo, &manual, &empty].map(|path| path.to_str().unwrap());
    let said = anna.json(&["attach", "boiler", names[0], names[1], names[2]]);
    let kinds: Vec<&str> = said["attached"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["photo", "manual", "blob"]);
    assert_eq!(anna.json(&["status"])["attachments"]["count"], 3);
    // The files may go: this device has their bytes.
    fs::remove_file(&photo).unwrap();
    let back = folder.path().join("back/");
    let out = back.to_str().unwrap();
    anna.run(&["fetch", "Boiler", "--out", out]).good();
    assert!(fs::read(back.join("boiler.jpeg")).unwrap() == picture);
    // The first sync brings the record and then the bytes; then nothing is kept here.
    let synced = anna.json(&["sync", "--hub", &hubs[0].url]);
    assert_eq!(synced["attachments"]["safe"], 3, "{synced}");
    assert_eq!(anna.json(&["status"])["attachments"]["count"], 0);
    // Another device, at another hub.
    let bert = Device::synced("bert", &hubs[1]);
    let there = folder.path().join("there/");
    fs::create_dir(&there).unwrap();
    let out = there.to_str().unwrap();
    let one = folder.path().join("one-file");
    let answer = bert
        .run(&[
            "fetch",
            "Boiler",
            "--out",
            one.to_str().unwrap(),
            "--hub",
            &hubs[1].url,
        ])
        .bad(2);
    assert!(answer.contains("folder"), "{answer}");
    let answer = bert.run(&["fetch", "Boiler", "--out", out]).bad(1);
    assert!(answer.contains("--hub"), "{answer}");
    // An earlier attempt has left a part.
    fs::write(there.join("boiler.jpeg.part"), &picture[..1_200_000]).unwrap();
    let fetched = bert.json(&["fetch", "Boiler", "--out", out, "--hub", &hubs[1].url]);
    let resumed: u64 = fetched["fetched"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["bytes_resumed"].as_u64().unwrap())
        .sum();
    assert_eq!(resumed, 1_200_000);
    assert!(fs::read(there.join("boiler.jpeg")).unwrap() == picture);
    assert!(fs::read(there.join("manual.pdf")).unwrap() == pages);
    assert!(fs::read(there.join("empty")).unwrap().is_empty());
    // A part of something else is noticed; a file of something else is not replaced.
    let id = BlobId::of(&picture).to_string();
    let other = folder.path().join("other");
    fs::write(folder.path().join("other.part"), noise(1_000_000, 23)).unwrap();
    let name = other.to_str().unwrap();
    let answer = bert
        .run(&["fetch", &id, "--out", name, "--hub", &hubs[1].url])
        .bad(1);
    assert!(answer.contains("thrown away"), "{answer}");
    bert.run(&["fetch", &id, "--out", name, "--hub", &hubs[1].url])
        .good();
    assert!(fs::read(&other).unwrap() == picture);
    fs::write(&other, b"mine").unwrap();
    let answer = bert
        .run(&["fetch", &id, "--out", name, "--hub", &hubs[1].url])
        .bad(1);
    assert!(answer.contains("--force"), "{answer}");
    let missing = bert.run(&["attach", "boiler", "/nowhere/at/all"]).bad(74);
    assert!(missing.contains("/nowhere/at/all"), "{missing}");
}
