//! What the Merkle tree and its sketch cost: `cargo bench --bench tree`.
//!
//! Writes: the commits of a hub's storage, put into fresh stores on disk by turns with and without what the tree needs. A
//! restart of a store of a million records. A round in which nothing has changed. Timings are printed, never a verdict.
//! `TREE_RECORDS_MAX=100000` makes the large store smaller.

#[path = "support/home.rs"]
mod home;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use home::{Home, device, id, load};
use inbetweenies::store::{RocksStore, StoreOptions};
use inbetweenies_core::entry::Sealed;
use inbetweenies_core::id::HubId;
use inbetweenies_core::machine::{Link, Machine};
use inbetweenies_core::merkle::{Input, Merkle, Output, Settings};
use inbetweenies_core::storage::Storage;
use inbetweenies_core::store::{Commit, Family, Snapshot, Store};
use inbetweenies_core::time::{Micros, Now};
use inbetweenies_core::wire::{Message, TreeMessage};

/// Records of the comparison of writes.
const WRITTEN: usize = 100_000;
const TURNS: usize = 5;

fn main() {
    load("start");
    writes();
    let most = std::env::var("TREE_RECORDS_MAX")
        .ok()
        .and_then(|text| text.parse().ok());
    let most: usize = most.unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a folder");
    println!(
        "\n| records | kept tree | store open | storage | tree read | journal replayed | root after | MiB of tree |"
    );
    println!("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut home = Home::open(folder.path());
    let mut merkle = Merkle::open(Settings::default(), &home.store.snapshot()).expect("a tree");
    let mut made = 0;
    for records in [10_000, 100_000, 1_000_000]
        .into_iter()
        .filter(|records| *records <= most)
    {
        while made < records {
            made += batch(&mut home, made);
            take(&mut merkle, &mut home);
        }
        home = restart(home, folder.path(), made);
    }
    nothing_changed(&home, made);
    load("end");
}

/// A thousand new things in ten change sets, in one commit.
fn batch(home: &mut Home, made: usize) -> usize {
    let mut waiting: Vec<Arc<Sealed>> = (made..made + 1_000)
        .map(|of| {
            home.now.wall = Micros(home.now.wall.0 + 1_000);
            Arc::new(device(&id(of), 0, "alice", &[], home.now.wall.0))
        })
        .collect();
    home.push(&mut waiting)
}

/// The tree takes over what was committed, and is kept when it wants to be.
fn take(merkle: &mut Merkle, home: &mut Home) {
    let (mut out, snapshot) = (Vec::new(), home.store.snapshot());
    let now = Now {
        mono: Duration::ZERO,
        ..home.now
    };
    merkle
        .step(now, &snapshot, vec![Input::Durable], &mut out)
        .expect("a step");
    drop(snapshot);
    for output in out {
        if let Output::Keep { rows, above, upto } = output {
            home.step(vec![inbetweenies_core::storage::Input::KeepTree {
                rows,
                above,
                upto,
            }]);
        }
    }
}

fn options() -> StoreOptions {
    StoreOptions {
        init: true,
        cache_bytes: 16 << 20,
        write_buffer_bytes: 32 << 20,
        headroom_bytes: 64 << 20,
    }
}

fn median(mut of: Vec<f64>) -> (f64, f64, f64) {
    of.sort_by(f64::total_cmp);
    (of[of.len() / 2], of[0], of[of.len() - 1])
}

/// The same commits with what the tree needs, and without.
fn writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut home = Home::open(folder.path());
    home.commits = Some(Vec::new());
    let mut made = 0;
    while made < WRITTEN {
        made += batch(&mut home, made);
    }
    let commits = home.commits.take().unwrap_or_default();
    drop(home);
    let bare: Vec<Commit> = commits
        .iter()
        .map(|commit| {
            let mut commit = commit.clone();
            commit.writes.retain(|(family, _, _)| *family != Family::Merkle);
            commit
        })
        .collect();
    let (mut rows, mut whole) = (Vec::new(), Vec::new());
    let mut speed = 0.0;
    for _ in 0..TURNS {
        let without = put(&bare, false);
        rows.push(without / put(&commits, false));
        let with = put(&commits, true);
        whole.push(without / with);
        speed = WRITTEN as f64 / with;
    }
    let (rows, rows_min, rows_max) = median(rows);
    let (whole, whole_min, whole_max) = median(whole);
    println!(
        "\n{WRITTEN} records in commits of 1,000, synced; against the same rows without journal, tree and sketch:"
    );
    println!("  rows and journal (the tree on another core): {rows:.2} [{rows_min:.2}..{rows_max:.2}]");
    println!(
        "  and tree, sketch, checkpoints on the same core: {whole:.2} [{whole_min:.2}..{whole_max:.2}], {speed:.0} records/s"
    );
}

/// Seconds to write it all.
fn put(commits: &[Commit], tree: bool) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = RocksStore::open(&folder.path().join("data"), &options()).expect("a store");
    let settings = Settings {
        keep_changes: 50_000,
        ..Settings::default()
    };
    let mut merkle = Merkle::open(settings, &store.snapshot()).expect("a tree");
    let now = Now {
        wall: Micros(home::START),
        mono: Duration::ZERO,
    };
    let began = Instant::now();
    for commit in commits {
        store.commit(commit).expect("a commit");
        if tree {
            let (mut out, snapshot) = (Vec::new(), store.snapshot());
            merkle
                .step(now, &snapshot, vec![Input::Durable], &mut out)
                .expect("a step");
            drop(snapshot);
            for output in out {
                if let Output::Keep { rows, .. } = output {
                    let writes = rows
                        .into_iter()
                        .map(|(key, row)| (Family::Merkle, key, Some(row)))
                        .collect();
                    store
                        .commit(&Commit {
                            writes,
                            ..Commit::default()
                        })
                        .expect("a commit");
                }
            }
        }
    }
    began.elapsed().as_secs_f64()
}

/// Closes the store as a kill does, and opens it again.
fn restart(home: Home, folder: &Path, records: usize) -> Home {
    let (commits, now, chance) = (home.commits, home.now, home.chance);
    drop((home.storage, home.store));
    let began = Instant::now();
    let store = RocksStore::open(&folder.join("data"), &options()).expect("a store");
    let opened = began.elapsed();
    let snapshot = store.snapshot();
    let storage = Storage::open(home::settings(), &snapshot, &store.marks()).expect("storage");
    let ready = began.elapsed();
    let merkle = Merkle::open(Settings::default(), &snapshot).expect("a tree");
    let root = merkle.mirror().root();
    let told = began.elapsed();
    let mut rows = 0;
    let from = inbetweenies_core::store::journal_key(0);
    snapshot
        .scan(Family::Merkle, &from, Some(b"k"), &mut |_, value| {
            rows += value.len() / 36;
            true
        })
        .expect("a scan");
    drop(snapshot);
    let millis = |span: Duration| format!("{:.1} ms", span.as_secs_f64() * 1e3);
    println!(
        "| {records} | {} | {} | {} | {} | {rows} changes | {} | {:.2} |",
        if merkle.mirror().is_rebuilding() {
            "none"
        } else {
            "yes"
        },
        millis(opened),
        millis(ready - opened),
        millis(told - ready),
        root.map_or_else(|| "none".to_owned(), |_| millis(told)),
        merkle.mirror().bytes() as f64 / f64::from(1 << 20),
    );
    let mut home = Home {
        store,
        storage,
        now,
        chance,
        commits,
    };
    home.step(Vec::new());
    home
}

/// Two hubs of the same store ask each other whether they hold the same: processor time of both, payload both ways.
fn nothing_changed(home: &Home, records: usize) {
    let snapshot = home.store.snapshot();
    let open = || Merkle::open(Settings::default(), &snapshot).expect("a tree");
    let mut hubs = [open(), open()];
    let link = Link(1);
    let (mut spent, mut payload, mut rounds) = ([Vec::new(), Vec::new()], [0, 0], 0);
    let mut mail: VecDeque<(usize, Vec<Input>)> = VecDeque::new();
    for (at, hub_id) in [(0, 1), (1, 2)] {
        let hub_id = HubId(uuid::Uuid::from_u128(hub_id));
        mail.push_back((at, vec![Input::LinkUp { link, hub_id }]));
    }
    let mut mono = Duration::from_secs(1);
    while rounds < 200 {
        let (at, inputs) = mail.pop_front().unwrap_or_else(|| {
            mono += Duration::from_secs(400);
            (0, Vec::new())
        });
        let now = Now {
            wall: Micros(home::START),
            mono,
        };
        let mut out = Vec::new();
        let began = Instant::now();
        hubs[at].step(now, &snapshot, inputs, &mut out).expect("a step");
        let took = began.elapsed().as_secs_f64() * 1e6;
        for output in out {
            let Output::Send { message, .. } = output else {
                continue;
            };
            let round = matches!(message, TreeMessage::Roots { .. } | TreeMessage::Equal { .. });
            if round {
                spent[at].push(took);
                rounds += at;
                let bytes = rmp_serde::to_vec_named(&Message::Tree(message.clone())).expect("a message");
                payload[at] = bytes.len();
            }
            mail.push_back((1 - at, vec![Input::Message { link, message }]));
        }
    }
    let [asked, answered] = spent.map(median);
    println!(
        "\nNothing changed, {records} records: one exchange, {} and {} bytes of payload; {:.0} us [{:.0}..{:.0}] to ask, {:.0} us \
         [{:.0}..{:.0}] to answer, from the store on disk.",
        payload[0], payload[1], asked.0, asked.1, asked.2, answered.0, answered.1, answered.2
    );
}
