//! Blobs from hub to hub, side by side with a bare loop of the same bytes: `cargo bench --bench blobs`.
//!
//! Timings are printed, never a verdict; what is asserted is that everything arrives and is what it should be.
//! `BLOBS_BIG=1` also sends one blob of 4 GB, to see what memory does.

#[allow(dead_code, reason = "each bench takes the part it needs")]
mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use inbetweenies_core::blob::{BlobId, Hasher};
use inbetweenies_core::rng::Rng;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Client, Hub, spread};

const ROUNDS: usize = 3;
const MIB: usize = 1 << 20;
const LARGE: usize = 512_000_000;
const SMALL: (usize, usize) = (10_000, 20_000);

fn main() {
    let load = || std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load at start: {}", load().trim());
    large();
    small();
    sources();
    if std::env::var("BLOBS_BIG").is_ok() {
        big();
    }
    println!("load at end: {}", load().trim());
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed, 1);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&rng.draw().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// What bounds us: bytes come over loopback, are hashed on two threads in pieces of 1 MiB, written at their places, and synced
/// every 64 MiB and at the end. No names, no have-map, no second hub. MB/s.
fn floor(folder: &Path, bytes: &Arc<Vec<u8>>) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let path = folder.join("floor");
    let (begun, sender) = (Instant::now(), bytes.clone());
    let sending = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a receiver");
        sender
            .chunks(MIB)
            .for_each(|piece| stream.write_all(piece).expect("it goes out"));
    });
    let mut stream = TcpStream::connect(address).expect("a sender");
    let file = Arc::new(File::create(&path).expect("a file"));
    let (pieces, waiting) = sync_channel::<(usize, Vec<u8>)>(8);
    let waiting = Arc::new(Mutex::new(waiting));
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let (waiting, file) = (waiting.clone(), file.clone());
            std::thread::spawn(move || {
                let mut hashes = Vec::new();
                loop {
                    let next = waiting.lock().expect("whole").recv();
                    let Ok((at, piece)) = next else {
                        return hashes.len();
                    };
                    hashes.push(Sha256::digest(&piece));
                    file.write_all_at(&piece, (at * MIB) as u64)
                        .expect("it is written");
                    if at % 64 == 63 {
                        file.sync_data().expect("it is synced");
                    }
                }
            })
        })
        .collect();
    let (mut left, mut at) = (bytes.len(), 0);
    while left > 0 {
        let mut piece = vec![0; left.min(MIB)];
        stream.read_exact(&mut piece).expect("it comes");
        left -= piece.len();
        pieces.send((at, piece)).expect("a worker");
        at += 1;
    }
    drop(pieces);
    let hashed: usize = workers
        .into_iter()
        .map(|worker| worker.join().expect("its end"))
        .sum();
    file.sync_data().expect("it is synced");
    assert_eq!(hashed, bytes.len().div_ceil(MIB));
    sending.join().expect("its end");
    let speed = bytes.len() as f64 / 1e6 / begun.elapsed().as_secs_f64();
    std::fs::remove_file(path).expect("it goes");
    speed
}

/// Brings a blob to a hub in one request.
fn bring(hub: &Hub, bytes: &[u8]) -> BlobId {
    let mut stream = TcpStream::connect(&hub.address).expect("the hub answers");
    let head = format!(
        "POST /api/v2/blobs HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nTus-Resumable: 1.0.0\r\nUpload-Length: {1}\r\n\
         Content-Type: application/offset+octet-stream\r\nContent-Length: {1}\r\n\r\n",
        hub.address,
        bytes.len()
    );
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(bytes))
        .expect("it goes out");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let id = answer.lines().find_map(|line| line.strip_prefix("blob-id: "));
    id.and_then(BlobId::parse).unwrap_or_else(|| panic!("{answer}"))
}

/// A change that refers to a blob.
fn reference(n: usize, id: BlobId, size: usize) -> Value {
    json!({"entity": {
        "id": format!("blob-{n}"), "version": format!("2026-06-15T09:41:02.000001+00:00-{n:06}-bench"),
        "entity_type": "blob", "content": {"blob_id": id.to_string(), "size": size},
    }})
}

/// Waits until a hub holds so many blobs.
fn holds(hub: &Hub, blobs: usize) {
    let begun = Instant::now();
    let mut client = Client::new(hub);
    while client.status()["blobs"] != json!(blobs) {
        assert!(begun.elapsed() < Duration::from_secs(600), "they do not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// From the moment when the record is there to the moment when the other hub holds all, in MB/s.
fn ours(folder: &Path, bytes: &[u8]) -> f64 {
    let a = Hub::start(folder, "a", true, &[]);
    let b = Hub::start(folder, "b", false, &[&a.address]);
    let id = bring(&a, bytes);
    let begun = Instant::now();
    Client::new(&a).sync(&support::nothing(), &[reference(0, id, bytes.len())]);
    holds(&b, 1);
    bytes.len() as f64 / 1e6 / begun.elapsed().as_secs_f64()
}

fn told(name: &str, ours: Vec<f64>, floor: Vec<f64>) {
    let ratios = ours
        .iter()
        .zip(&floor)
        .map(|(ours, floor)| ours / floor)
        .collect();
    let ((ours, ..), (floor, low, high), ratio) = (spread(ours), spread(floor), spread(ratios));
    println!(
        "{name}: ours {ours:.0} MB/s, the bare loop {floor:.0} [{low:.0}..{high:.0}]; ours / bare {:.2} [{:.2}..{:.2}]",
        ratio.0, ratio.1, ratio.2
    );
}

fn large() {
    let bytes = Arc::new(noise(LARGE, 1));
    let (mut all, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir().expect("a folder");
        bare.push(floor(folder.path(), &bytes));
        all.push(ours(folder.path(), &bytes));
    }
    told("1 x 512 MB", all, bare);
}

fn small() {
    let (count, len) = SMALL;
    let bytes = Arc::new(noise(count * len, 2));
    let (mut all, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir().expect("a folder");
        bare.push(floor(folder.path(), &bytes));
        let a = Hub::start(folder.path(), "a", true, &[]);
        let b = Hub::start(folder.path(), "b", false, &[&a.address]);
        let blobs: Vec<(usize, &[u8])> = bytes.chunks(len).enumerate().collect();
        let some = |some: &[(usize, &[u8])]| -> Vec<Value> {
            let one = |(n, blob): &(usize, &[u8])| reference(*n, bring(&a, blob), len);
            some.iter().map(one).collect()
        };
        let changes: Vec<Value> = std::thread::scope(|scope| {
            let some = &some;
            let threads = blobs
                .chunks(count / 8)
                .map(|part| scope.spawn(move || some(part)));
            let threads: Vec<_> = threads.collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().expect("its end"))
                .collect()
        });
        let begun = Instant::now();
        let mut client = Client::new(&a);
        for changes in changes.chunks(1_000) {
            client.sync(&support::nothing(), changes);
        }
        holds(&b, count);
        all.push(bytes.len() as f64 / 1e6 / begun.elapsed().as_secs_f64());
    }
    told("10,000 x 20 KB, with their records", all, bare);
}

/// A fresh hub fetches from one hub, or from three at once; its start and its join are in the time.
fn sources() {
    let bytes = noise(LARGE / 2, 3);
    let (mut one, mut three) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        one.push(from(1, &bytes));
        three.push(from(3, &bytes));
    }
    let ratios = three.iter().zip(&one).map(|(three, one)| three / one).collect();
    let ((one, ..), (three, ..), ratio) = (spread(one), spread(three), spread(ratios));
    println!(
        "256 MB to a fresh hub: from one hub {one:.0} MB/s, from three at once {three:.0}; three / one {:.2} [{:.2}..{:.2}]",
        ratio.0, ratio.1, ratio.2
    );
}

fn from(many: usize, bytes: &[u8]) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let a = Hub::start(folder.path(), "a", true, &[]);
    let start = |n: usize| Hub::start(folder.path(), &format!("h{n}"), false, &[&a.address]);
    let others: Vec<Hub> = (1..many).map(start).collect();
    let id = bring(&a, bytes);
    Client::new(&a).sync(&support::nothing(), &[reference(0, id, bytes.len())]);
    others.iter().for_each(|hub| holds(hub, 1));
    let seeds: Vec<&str> = std::iter::once(&a)
        .chain(&others)
        .map(|hub| hub.address.as_str())
        .collect();
    let begun = Instant::now();
    let fresh = Hub::start(folder.path(), "fresh", false, &seeds);
    holds(&fresh, 1);
    bytes.len() as f64 / 1e6 / begun.elapsed().as_secs_f64()
}

/// The largest that a process has been, in MiB.
fn peak(hub: &Hub) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hub.pid())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) / 1_024
}

/// Memory while 4 GB go through.
fn big() {
    let folder = tempfile::tempdir().expect("a folder");
    let a = Hub::start(folder.path(), "a", true, &[]);
    let b = Hub::start(folder.path(), "b", false, &[&a.address]);
    let idle = (peak(&a), peak(&b));
    let (piece, pieces) = (noise(64 * MIB, 4), 64);
    let mut stream = TcpStream::connect(&a.address).expect("the hub answers");
    let head = format!(
        "POST /api/v2/blobs HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nTus-Resumable: 1.0.0\r\nUpload-Length: {1}\r\n\
         Content-Type: application/offset+octet-stream\r\nContent-Length: {1}\r\n\r\n",
        a.address,
        pieces * piece.len()
    );
    stream.write_all(head.as_bytes()).expect("it goes out");
    let mut hasher = Hasher::default();
    for _ in 0..pieces {
        hasher.update(&piece);
        stream.write_all(&piece).expect("it goes out");
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let id = hasher.finish().id;
    assert!(answer.contains(&id.to_string()), "{answer}");
    let begun = Instant::now();
    Client::new(&a).sync(&support::nothing(), &[reference(0, id, pieces * piece.len())]);
    holds(&b, 1);
    let speed = (pieces * piece.len()) as f64 / 1e6 / begun.elapsed().as_secs_f64();
    println!(
        "4 GB: {speed:.0} MB/s; memory at most {} and {} MiB (sender, receiver), idle {} and {}",
        peak(&a),
        peak(&b),
        idle.0,
        idle.1
    );
}
