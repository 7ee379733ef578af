//! Blobs from hub to hub, side by side with a bare loop of the same bytes and with others that do the same job:
//! `make bench-blobs`, or `cargo bench --bench blobs -- PART…` for some of `large`, `small`, `sources`, `rows` and `big`.
//!
//! Timings are printed, never a verdict; what is asserted is that everything arrives and is what it should be.
//! Syncthing and iroh-blobs are measured where `SYNCTHING` and `IROH_PAIR` name their programs.

#[path = "support/rivals.rs"]
mod rivals;
mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use inbetweenies::store::{RocksStore, StoreOptions};
use inbetweenies_core::blob::{BlobId, Hasher};
use inbetweenies_core::rng::Rng;
use inbetweenies_core::store::{Commit, Family, Store};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Client, Hub, spread, warm};

const ROUNDS: usize = 3;
const MIB: usize = 1 << 20;
const LARGE: usize = 512_000_000;
const SMALL: (usize, usize) = (10_000, 20_000);

fn main() {
    let load = || std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let parts: [(&str, fn()); 5] = [
        ("large", large),
        ("small", small),
        ("sources", sources),
        ("rows", rows),
        ("big", big),
    ];
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    if let Some(unknown) = asked
        .iter()
        .find(|name| parts.iter().all(|(part, _)| part != name))
    {
        eprintln!("No part is called {unknown}; there are large, small, sources, rows and big.");
        std::process::exit(2);
    }
    println!("load at start: {}", load().trim());
    for (name, part) in parts {
        if asked.is_empty() || asked.iter().any(|asked| asked == name) {
            part();
        }
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

/// Ours, the bare loop and the others, by turns; MB/s.
#[derive(Default)]
struct Figures {
    ours: Vec<f64>,
    bare: Vec<f64>,
    syncthing: Vec<f64>,
    iroh: Vec<f64>,
}

impl Figures {
    /// A round: `ours` answers MB/s; the others carry the same bytes as files of `len` bytes.
    fn round(&mut self, bytes: &Arc<Vec<u8>>, len: usize, ours: impl Fn(&Path) -> f64) {
        let folder = tempfile::tempdir().expect("a folder");
        let (folder, files) = (folder.path(), bytes.len().div_ceil(len));
        warm(folder, bytes.len());
        self.bare.push(floor(folder, bytes));
        self.ours.push(ours(folder));
        let speed = |seconds: f64| bytes.len() as f64 / 1e6 / seconds;
        let source = |name: &str| -> PathBuf {
            let source = folder.join(name);
            std::fs::create_dir(&source).expect("a folder");
            for (n, piece) in bytes.chunks(len).enumerate() {
                std::fs::write(source.join(format!("{n:05}.jpg")), piece).expect("a file");
            }
            source
        };
        if let Some(program) = rivals::find("SYNCTHING") {
            let seconds = rivals::syncthing(&program, folder, &source("for-syncthing"), files, bytes.len());
            self.syncthing.push(speed(seconds));
        }
        if let Some(program) = rivals::find("IROH_PAIR") {
            let seconds = rivals::iroh(&program, folder, &source("for-iroh"), files, bytes.len());
            self.iroh.push(speed(seconds));
        }
    }

    fn tell(self, name: &str) {
        let (ours, ..) = spread(self.ours.clone());
        println!("{name}: ours {ours:.1} MB/s");
        for (rival, speeds) in [
            ("the bare loop", self.bare),
            ("Syncthing", self.syncthing),
            ("iroh-blobs", self.iroh),
        ] {
            if speeds.is_empty() {
                println!(
                    "  {rival}: skipped: its program is not here; `make bench-blobs` gets it where it can be had"
                );
                continue;
            }
            let ratios = self
                .ours
                .iter()
                .zip(&speeds)
                .map(|(ours, its)| ours / its)
                .collect();
            let ((its, low, high), ratio) = (spread(speeds), spread(ratios));
            println!(
                "  {rival}: {its:.1} MB/s [{low:.1}..{high:.1}]; ours / it {:.2} [{:.2}..{:.2}]",
                ratio.0, ratio.1, ratio.2
            );
        }
    }
}

/// From the moment when the record is there to the moment when the other hub holds all.
fn large() {
    let bytes = Arc::new(noise(LARGE, 1));
    let mut figures = Figures::default();
    for _ in 0..ROUNDS {
        figures.round(&bytes, LARGE, |folder| {
            let a = Hub::start(folder, "a", true, &[]);
            let b = Hub::start(folder, "b", false, &[&a.address]);
            let id = bring(&a, &bytes);
            warm(folder, bytes.len());
            let begun = Instant::now();
            Client::new(&a).sync(&support::nothing(), &[reference(0, id, bytes.len())]);
            holds(&b, 1);
            bytes.len() as f64 / 1e6 / begun.elapsed().as_secs_f64()
        });
    }
    figures.tell("1 x 512 MB");
}

/// Ten thousand small ones: the records that name them travel in the same time.
fn small() {
    let (count, len) = SMALL;
    let bytes = Arc::new(noise(count * len, 2));
    let mut figures = Figures::default();
    for _ in 0..ROUNDS {
        figures.round(&bytes, len, |folder| {
            let a = Hub::start(folder, "a", true, &[]);
            let b = Hub::start(folder, "b", false, &[&a.address]);
            let changes = bring_many(&a, &bytes, len);
            warm(folder, bytes.len());
            let begun = Instant::now();
            let mut client = Client::new(&a);
            for changes in changes.chunks(1_000) {
                client.sync(&support::nothing(), changes);
            }
            holds(&b, count);
            bytes.len() as f64 / 1e6 / begun.elapsed().as_secs_f64()
        });
    }
    figures.tell("10,000 x 20 KB");
}

/// Eight clients bring blobs of `len` bytes; answers the changes that refer to them.
fn bring_many(hub: &Hub, bytes: &[u8], len: usize) -> Vec<Value> {
    let blobs: Vec<(usize, &[u8])> = bytes.chunks(len).enumerate().collect();
    let some = |some: &[(usize, &[u8])]| -> Vec<Value> {
        let one = |(n, blob): &(usize, &[u8])| reference(*n, bring(hub, blob), blob.len());
        some.iter().map(one).collect()
    };
    std::thread::scope(|scope| {
        let some = &some;
        let parts = blobs.chunks(blobs.len().div_ceil(8));
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || some(part))).collect();
        let changes = threads.into_iter().map(|thread| thread.join().expect("its end"));
        changes.flatten().collect()
    })
}

/// Rows of the store, many in one synced commit, or a synced and renamed file each: which is right for which size.
fn rows() {
    println!(
        "blobs kept in rows and in files, synced; and bytes that went to the disk for each byte of a blob:"
    );
    for (len, count) in [(4 << 10, 4_096), (64 << 10, 1_024), (256 << 10, 256), (MIB, 128)] {
        let (mut ratios, mut row, mut file) = (Vec::new(), Vec::new(), Vec::new());
        let (mut row_bytes, mut file_bytes) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let bytes = noise(len * count, round as u64 + 10);
            let (in_rows, amplified) = timed(bytes.len(), |folder| in_rows(folder, &bytes, len));
            row_bytes.push(amplified);
            let (in_files, amplified) = timed(bytes.len(), |folder| in_files(folder, &bytes, len));
            file_bytes.push(amplified);
            ratios.push(in_rows / in_files);
            row.push(in_rows);
            file.push(in_files);
        }
        let (ratio, low, high) = spread(ratios);
        println!(
            "  {:>4} KiB: rows {:.0} MB/s (x {:.2}), files {:.0} MB/s (x {:.2}); rows / files {ratio:.2} [{low:.2}..{high:.2}]",
            len >> 10,
            spread(row).0,
            spread(row_bytes).0,
            spread(file).0,
            spread(file_bytes).0,
        );
    }
}

/// MB/s, and bytes written to disk per byte (compaction that is due at once included).
fn timed(len: usize, run: impl FnOnce(&Path)) -> (f64, f64) {
    let folder = tempfile::tempdir().expect("a folder");
    warm(folder.path(), 2 * len);
    let (before, begun) = (written(), Instant::now());
    run(folder.path());
    let speed = len as f64 / 1e6 / begun.elapsed().as_secs_f64();
    (speed, (written() - before) as f64 / len as f64)
}

/// What this process has had written to disks.
fn written() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn in_rows(folder: &Path, bytes: &[u8], len: usize) {
    let options = StoreOptions {
        init: true,
        cache_bytes: 16 * MIB,
        write_buffer_bytes: 32 * MIB,
        headroom_bytes: 64 * MIB as u64,
    };
    let mut store = RocksStore::open(folder, &options).expect("a store");
    for (group, piece) in bytes.chunks(MIB).enumerate() {
        let row = |(n, blob): (usize, &[u8])| {
            let key = [group as u32, n as u32].map(u32::to_be_bytes).concat();
            (Family::Blobs, key, Some(blob.to_vec()))
        };
        let commit = Commit {
            writes: piece.chunks(len).enumerate().map(row).collect(),
            ..Commit::default()
        };
        store.commit(&commit).expect("a commit");
    }
}

fn in_files(folder: &Path, bytes: &[u8], len: usize) {
    let whole = File::open(folder).expect("the folder");
    for (group, piece) in bytes.chunks(MIB).enumerate() {
        for (n, blob) in piece.chunks(len).enumerate() {
            let (part, last) = (folder.join("part"), folder.join(format!("{group}-{n}")));
            let mut file = File::create(&part).expect("a file");
            file.write_all(blob)
                .and_then(|()| file.sync_data())
                .expect("it is synced");
            std::fs::rename(part, last).expect("it is renamed");
        }
        whole.sync_all().expect("the folder is synced");
    }
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
    warm(folder.path(), bytes.len());
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
