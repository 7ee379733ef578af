//! What a disk loses behind a hub's back: noticed, found by comparing with its peers, mended, and proven equal.

#[path = "../support/process.rs"]
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use inbetweenies::store::{RocksStore, StoreOptions};
use inbetweenies_core::rng::Rng;
use inbetweenies_core::store::{Commit, Family, Snapshot, Store, Write};
use process::exchange::{change, entity};
use process::{Ended, Hub, Setup, exchange, inbetweenies, mesh, run, wait};
use serde_json::{Value, json};

const RECORDS: usize = 4_000;
const LOST: usize = 1_000;
const SOON: Duration = Duration::from_secs(30);
/// A debug build on a busy machine, with all it has lost to take again.
const MENDED: Duration = Duration::from_secs(120);

fn fill(address: SocketAddr) {
    for page in 0..RECORDS / 500 {
        let changes: Vec<Value> = (0..500)
            .map(|n| {
                let id = format!("note-{page}-{n}");
                let mut one = change(entity(
                    &id,
                    "2026-06-15T09:41:02.000001+00:00-000001-alice",
                    "note",
                    json!({"n": n}),
                ));
                one["set"] = json!(n / 5);
                one
            })
            .collect();
        exchange::push(address, json!(changes));
    }
}

/// Opens a hub's store while it does not run, which nothing in the product does, and changes it.
fn behind_its_back(data: &Path, family: Family, meddle: impl FnOnce(Vec<(Vec<u8>, Vec<u8>)>) -> Vec<Write>) {
    let options = StoreOptions {
        init: false,
        cache_bytes: 8 << 20,
        write_buffer_bytes: 8 << 20,
        headroom_bytes: 0,
    };
    let mut store = RocksStore::open(data, &options).unwrap();
    let mut rows = Vec::new();
    let mut note = |key: &[u8], value: &[u8]| {
        rows.push((key.to_vec(), value.to_vec()));
        true
    };
    store.snapshot().scan(family, &[], None, &mut note).unwrap();
    let commit = Commit {
        writes: meddle(rows),
        ..Commit::default()
    };
    store.commit(&commit).unwrap();
}

/// Some of the rows, drawn, are gone.
fn without(rows: Vec<(Vec<u8>, Vec<u8>)>, family: Family, count: usize, seed: u64) -> Vec<Write> {
    let mut rng = Rng::new(seed, 0);
    let mut drawn = BTreeSet::new();
    while drawn.len() < count.min(rows.len()) {
        drawn.insert(rng.below(rows.len()));
    }
    drawn
        .into_iter()
        .map(|at| (family, rows[at].0.clone(), None))
        .collect()
}

fn command(args: &[&str]) -> Ended {
    let mut command = inbetweenies();
    command.args(args);
    run(command)
}

fn url(hub: &Hub) -> String {
    format!("http://{}", hub.address)
}

/// Of the last comparisons with all peers.
fn sum(status: &Value, key: &str) -> u64 {
    let peers = status["peers"].as_array().unwrap();
    peers
        .iter()
        .filter_map(|peer| peer["compared"][key].as_u64())
        .sum()
}

#[test]
fn a_thousand_lost_records_come_back_and_all_hubs_prove_that_they_are_equal() {
    let folder = tempfile::tempdir().unwrap();
    let [kitchen, attic, garage] = mesh::three(folder.path(), |_, setup| setup);
    fill(kitchen.address);
    let addresses = [kitchen.address, attic.address, garage.address];
    mesh::equal_clocks(&addresses, SOON);
    let proven = command(&["mesh", "prove", "--hub", &url(&garage)]);
    assert_eq!(proven.code, Some(0), "{proven:?}");
    assert!(proven.stdout.contains("all 3 hubs equal"), "{}", proven.stdout);

    let (setup, _) = attic.stop();
    let sound = command(&["verify", "--data", setup.data.to_str().unwrap()]);
    assert_eq!(sound.code, Some(0), "{sound:?}");
    behind_its_back(&setup.data, Family::Records, |rows| {
        without(rows, Family::Records, LOST, 7)
    });
    let damaged = command(&["verify", "--data", setup.data.to_str().unwrap()]);
    assert_eq!(damaged.code, Some(1), "{damaged:?}");
    assert!(damaged.stderr.contains("damaged place"), "{}", damaged.stderr);

    let attic = setup.again().start();
    mesh::linked(&attic, 2, SOON);
    let began = Instant::now();
    let verified = command(&["verify", "--hub", &url(&attic), "--json"]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let took = began.elapsed();
    let status = attic.status();
    let (mended, bytes) = (sum(&status, "mended_here"), sum(&status, "bytes"));
    // The check of the log finds some of them too, and asks for their entries at once.
    assert!(mended > 0 && mended <= LOST as u64, "{status}");
    assert_eq!(sum(&status, "mended_there"), 0, "{status}");
    println!(
        "{LOST} of {} records lost: noticed, found and mended in {:.2} s; {bytes} bytes of comparing, {:.1} a record",
        status["records"],
        took.as_secs_f64(),
        bytes as f64 / LOST as f64
    );

    let proven = command(&["mesh", "prove", "--hub", &url(&attic), "--json"]);
    assert_eq!(proven.code, Some(0), "{proven:?}");
    let proof: Value = serde_json::from_str(&proven.stdout).unwrap();
    assert_eq!(proof["merkle_root"], kitchen.status()["merkle_root"]);
    assert_eq!(
        exchange::everything(attic.address).records,
        sorted_as(&kitchen, &attic)
    );
    let (setup, _) = attic.stop();
    let sound = command(&["verify", "--data", setup.data.to_str().unwrap()]);
    assert_eq!(sound.code, Some(0), "{sound:?}");
}

/// What one hub holds, in the order in which another tells it.
fn sorted_as(hub: &Hub, other: &Hub) -> Vec<Value> {
    let name = |record: &Value| (record["id"].to_string(), record["version"].to_string());
    let others = exchange::everything(other.address).records;
    let order: BTreeMap<_, usize> = others.iter().map(name).zip(0..).collect();
    let mut records = exchange::everything(hub.address).records;
    records.sort_by_key(|record| order.get(&name(record)).copied());
    records
}

/// Stands before a hub and lets everybody in, but other hubs only while they may.
struct Doorman {
    address: SocketAddr,
    leads_to: Arc<Mutex<Option<SocketAddr>>>,
    hubs: Arc<AtomicBool>,
}

impl Doorman {
    fn new() -> Doorman {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let doorman = Doorman {
            address: listener.local_addr().unwrap(),
            leads_to: Arc::default(),
            hubs: Arc::new(AtomicBool::new(true)),
        };
        let (leads_to, hubs) = (doorman.leads_to.clone(), doorman.hubs.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Some(to) = *leads_to.lock().unwrap() else {
                    continue;
                };
                let hubs = hubs.load(Ordering::SeqCst);
                std::thread::spawn(move || show_in(client, to, hubs));
            }
        });
        doorman
    }
}

fn show_in(mut client: TcpStream, to: SocketAddr, hubs: bool) -> std::io::Result<()> {
    let mut head = [0; 4_096];
    let len = client.read(&mut head)?;
    if !hubs && String::from_utf8_lossy(&head[..len]).contains("/api/v2/peer") {
        return Ok(());
    }
    let mut server = TcpStream::connect(to)?;
    server.write_all(&head[..len])?;
    let (mut back, mut here) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || std::io::copy(&mut back, &mut here));
    std::io::copy(&mut client, &mut server).map(drop)
}

#[test]
fn what_differs_is_named_with_who_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let doors = [Doorman::new(), Doorman::new()];
    let lead = |at: usize, hub: &Hub| *doors[at].leads_to.lock().unwrap() = Some(hub.address);
    let setup = Setup::new("kitchen", folder.path()).founder();
    let kitchen = setup.key("listen.advertise", doors[0].address).start();
    lead(0, &kitchen);
    let setup = Setup::new("attic", folder.path()).seeds(&[doors[0].address]);
    let attic = setup.key("listen.advertise", doors[1].address).start();
    lead(1, &attic);
    for id in ["one", "two", "three"] {
        let version = "2026-06-15T09:41:02.000001+00:00-000001-alice";
        exchange::push(
            kitchen.address,
            json!([change(entity(id, version, "note", json!({"n": 1})))]),
        );
    }
    mesh::equal_clocks(&[kitchen.address, attic.address], SOON);
    let proven = command(&["mesh", "prove", "--hub", &url(&attic)]);
    assert_eq!(proven.code, Some(0), "{proven:?}");

    let (setup, _) = attic.stop();
    doors
        .iter()
        .for_each(|door| door.hubs.store(false, Ordering::SeqCst));
    behind_its_back(&setup.data, Family::Records, |rows| {
        let two = rows.into_iter().find(|(key, _)| key[3..].starts_with(b"\x03two"));
        vec![(Family::Records, two.unwrap().0, None)]
    });
    let attic = setup.again().start();
    // Alone it has nobody to take it from; its check tells it that its tree is wrong.
    let check = process::http::Request::post("/api/v2/verify", process::http::JSON, Vec::new());
    assert_eq!(check.send(attic.address).unwrap().status, 202);
    wait::until("a check", SOON, || match attic.status()["checked"].take() {
        checked if checked["rebuilt"] == true => Ok(()),
        checked => Err(checked.to_string()),
    });
    let differing = command(&["mesh", "prove", "--hub", &url(&attic), "--json"]);
    assert_eq!(differing.code, Some(1), "{differing:?}");
    let told: Value = serde_json::from_str(&differing.stdout).unwrap();
    assert_eq!(
        (&told["equal"], &told["differing"]),
        (&json!(false), &json!(1)),
        "{told}"
    );
    assert_eq!(told["records"][0]["id"], "two");
    assert_eq!(told["records"][0]["held_by"], json!(["kitchen"]));

    doors
        .iter()
        .for_each(|door| door.hubs.store(true, Ordering::SeqCst));
    let proven = wait::until("equality", MENDED, || {
        let proven = command(&["mesh", "prove", "--hub", &url(&kitchen)]);
        if proven.code == Some(0) {
            Ok(proven)
        } else {
            Err(proven.stderr)
        }
    });
    assert!(proven.stdout.contains("all 2 hubs equal"), "{}", proven.stdout);
    drop(attic.stop());
    let alone = command(&["mesh", "prove", "--hub", &url(&kitchen)]);
    assert_eq!(alone.code, Some(1), "{alone:?}");
    assert!(alone.stderr.contains("attic does not answer"), "{}", alone.stderr);
}

#[test]
fn entries_that_a_log_has_lost_come_back_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let [kitchen, attic, garage] = mesh::three(folder.path(), |_, setup| setup);
    for n in 0..40 {
        let version = "2026-06-15T09:41:02.000001+00:00-000001-alice";
        let one = change(entity(&format!("note-{n}"), version, "note", json!({"n": n})));
        exchange::push(kitchen.address, json!([one]));
    }
    mesh::equal_clocks(&[kitchen.address, attic.address, garage.address], SOON);
    let (setup, _) = kitchen.stop();
    behind_its_back(&setup.data, Family::Log, |rows| without(rows, Family::Log, 9, 3));
    let kitchen = setup.again().start();
    mesh::linked(&kitchen, 2, SOON);
    // Whoever asks for what is not there gets what lies below it, and the hub takes the rest again from others.
    wait::until("all records again", MENDED, || {
        let held = exchange::everything(kitchen.address).records.len();
        let whole = exchange::everything(attic.address).records.len();
        if held == whole {
            Ok(())
        } else {
            Err(format!("{held} of {whole}"))
        }
    });
    let verified = command(&["verify", "--hub", &url(&kitchen)]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let (setup, _) = kitchen.stop();
    let sound = command(&["verify", "--data", setup.data.to_str().unwrap()]);
    assert_eq!(sound.code, Some(0), "{sound:?}");
}

#[test]
fn a_device_checks_its_replica_against_any_hub_and_any_filter() {
    let folder = tempfile::tempdir().unwrap();
    let [kitchen, attic, garage] = mesh::three(folder.path(), |_, setup| setup);
    for (n, kind) in ["note", "device", "note", "room"].into_iter().enumerate() {
        let version = "2026-06-15T09:41:02.000001+00:00-000001-alice";
        let one = change(entity(&format!("{kind}-{n}"), version, kind, json!({"n": n})));
        exchange::push(kitchen.address, json!([one]));
    }
    mesh::equal_clocks(&[kitchen.address, attic.address, garage.address], SOON);
    let store = folder.path().join("device");
    let store = store.to_str().unwrap();
    let made = command(&[
        "client",
        "--store",
        store,
        "--hub",
        &url(&garage),
        "init",
        "--user",
        "alice",
    ]);
    assert_eq!(made.code, Some(0), "{made:?}");
    for hub in [&kitchen, &attic, &garage] {
        let checked = command(&["client", "--store", store, "--hub", &url(hub), "check", "--json"]);
        assert_eq!(checked.code, Some(0), "{checked:?}");
        let told: Value = serde_json::from_str(&checked.stdout).unwrap();
        assert_eq!(told["state_digest"], hub.status()["state_digest"]);
    }
    let digest = |hub: &Hub, query: &str| hub.get(&format!("/api/v2/digest{query}"));
    for (query, records) in [
        ("?entity_types=note", 2),
        ("?entity_types=note,room", 3),
        ("?sync_type=relationships", 0),
    ] {
        let (status, told) = digest(&kitchen, query);
        assert_eq!(
            (status, &told["records"]),
            (200, &json!(records)),
            "{query}: {told}"
        );
        assert_eq!(told["state_digest"], digest(&attic, query).1["state_digest"]);
    }
    for query in [
        "?entity_types=",
        "?sync_type=some",
        "?types=note",
        "?entity_types=a,,b",
    ] {
        let (status, problem) = digest(&kitchen, query);
        assert_eq!(
            (status, &problem["code"]),
            (400, &json!("bad_query")),
            "{query}: {problem}"
        );
    }
    for prefix in ["0123456", "g", "A"] {
        let (status, problem) = kitchen.get(&format!("/api/v2/leaves?prefix={prefix}"));
        assert_eq!(
            (status, &problem["code"]),
            (400, &json!("bad_query")),
            "{prefix}: {problem}"
        );
    }
}
