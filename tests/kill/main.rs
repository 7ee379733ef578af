//! Hubs that are killed while clients write through all of them: what was acknowledged is everywhere, nothing twice.

#[path = "../support/process.rs"]
mod process;

mod writer;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use inbetweenies_core::rng::Rng;
use process::exchange::{change, entity};
use process::{Hub, Setup, exchange, mesh, wait};
use serde_json::{Value, json};
use writer::{Acknowledged, Shared, Writer};

const WRITERS: usize = 10;
const KILLS: usize = 8;
/// Sets that are acknowledged between one kill and the next.
const SETS_BETWEEN: usize = 80;
/// Which hub is killed when; another number tells another story.
const SEED: u64 = 20_261_123;
/// Until when the hubs that live must have acknowledged so many more.
const PROGRESS: Duration = Duration::from_secs(30);
/// Until when all hubs hold the same after the last kill.
const CONVERGED: Duration = Duration::from_secs(30);
/// A restart may take two seconds; a debug build on a busy machine more.
const RESTART: Duration = Duration::from_secs(10);

#[test]
fn every_acknowledged_edit_outlives_the_hubs_that_took_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut hubs: Vec<Option<Hub>> = mesh::three(folder.path(), |_, setup| setup).map(Some).into();
    let addresses: Vec<SocketAddr> = hubs.iter().flatten().map(|hub| hub.address).collect();
    let lives: Vec<Value> = hubs.iter().flatten().map(life).collect();
    let (over, sets) = (AtomicBool::new(false), AtomicUsize::new(0));
    let shared = Shared {
        addresses: &addresses,
        over: &over,
        sets: &sets,
    };
    let mut restarts = Vec::new();
    let (acknowledged, retries) = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| scope.spawn(move || Writer::new(number, SEED).write(shared)))
            .collect();
        let killing = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut rng = Rng::new(SEED, 0);
            for kill in 0..KILLS {
                restarts.push(kill_one(&mut hubs, &mut rng, kill, &sets));
            }
            progress(&sets);
        }));
        over.store(true, Ordering::SeqCst);
        let mut acknowledged = Vec::new();
        let mut retries = 0;
        for writer in writers {
            let done = writer
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            acknowledged.extend(done.acknowledged);
            retries += done.retries;
        }
        if let Err(panic) = killing {
            std::panic::resume_unwind(panic);
        }
        (acknowledged, retries)
    });
    let (healing, slowest) = (Instant::now(), restarts.iter().max().copied().unwrap_or_default());
    mesh::equal_clocks(&addresses, CONVERGED);
    println!(
        "{} records in {} sets acknowledged to {WRITERS} writers, {retries} retries, {KILLS} kills, slowest restart \
         {slowest:?}, equal clocks after {:?}",
        acknowledged.len(),
        sets.load(Ordering::SeqCst),
        healing.elapsed()
    );
    assert!(slowest < RESTART, "a restart took {slowest:?}");
    let now: Vec<Value> = hubs.iter().flatten().map(life).collect();
    assert_eq!(
        now, lives,
        "a hub that was killed goes on in the life that it had"
    );
    everywhere_and_once(&addresses, &acknowledged);
}

/// Kills one hub in the midst of its work and starts it again with the same command; in between the others go on. Every
/// other time it is killed once more while it recovers.
fn kill_one(hubs: &mut [Option<Hub>], rng: &mut Rng, kill: usize, sets: &AtomicUsize) -> Duration {
    progress(sets);
    let victim = rng.below(hubs.len());
    let Some(hub) = hubs[victim].take() else {
        panic!("hub {victim} is not there")
    };
    let setup = hub.kill();
    if kill % 2 == 1 {
        setup.start_and_kill(Duration::from_millis(rng.below(150) as u64));
    }
    if kill % 3 == 1 {
        progress(sets); // away for longer than a moment
    }
    let hub = setup.start();
    let ready_after = hub.ready_after;
    hubs[victim] = Some(hub);
    ready_after
}

/// Waits until so many more sets are acknowledged, by whichever hubs live.
fn progress(sets: &AtomicUsize) {
    let before = sets.load(Ordering::SeqCst);
    wait::until("more acknowledged sets", PROGRESS, || {
        match sets.load(Ordering::SeqCst) {
            now if now >= before + SETS_BETWEEN => Ok(()),
            now => Err(format!("{} of {SETS_BETWEEN}", now - before)),
        }
    });
}

fn life(hub: &Hub) -> Value {
    let status = hub.status();
    assert_eq!(status["life"], 1, "{status}");
    json!([status["hub_id"], status["replica"], status["life"]])
}

fn everywhere_and_once(addresses: &[SocketAddr], acknowledged: &[Acknowledged]) {
    let mut counts = Vec::new();
    for address in addresses {
        let all = exchange::everything(*address);
        let mut held: BTreeMap<(String, String), Value> = BTreeMap::new();
        for record in all.records {
            let key = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
            let key = (key("id"), key("version"));
            // A record that two hubs accepted comes with the entries of both, and is one record.
            if let Some(other) = held.get(&key) {
                assert_eq!(*other, record, "two records under one name at {address}");
            }
            held.insert(key, record);
        }
        let lost: Vec<&Acknowledged> = acknowledged
            .iter()
            .filter(|(id, version)| !held.contains_key(&(id.clone(), version.clone())))
            .collect();
        assert!(
            lost.is_empty(),
            "{} acknowledged records are not at {address}: {lost:?}",
            lost.len()
        );
        let written = held
            .values()
            .filter(|record| record["user_id"].as_str().is_some_and(writer::is_writer));
        assert_eq!(
            written.count(),
            acknowledged.len(),
            "records that nobody was told of at {address}"
        );
        let status = exchange_status(*address);
        assert_eq!(
            status["records"],
            held.len(),
            "records held twice at {address}: {status}"
        );
        counts.push(["records", "entities", "relationships", "conflicts"].map(|key| status[key].clone()));
    }
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

fn exchange_status(address: SocketAddr) -> Value {
    process::http::get(address, "/api/v2/status").json()
}

/// A hub may come back at another address than its neighbours know it by, even the one that is everybody's seed.
#[test]
fn a_hub_that_comes_back_elsewhere_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let quick = |_: usize, setup: Setup| setup.key("mesh.dial_backoff_max", "500ms");
    let [kitchen, attic, garage] = mesh::three(folder.path(), quick);
    mesh::equal_clocks(&[kitchen.address, attic.address, garage.address], CONVERGED);
    let (id, before) = (kitchen.id.clone(), kitchen.address);
    let kitchen = kitchen.kill().listen("127.0.0.1:0").start();
    assert_eq!(kitchen.id, id);
    exchange::push(
        garage.address,
        json!([change(entity("later", "v1", "note", json!({})))]),
    );
    mesh::equal_clocks(&[kitchen.address, attic.address, garage.address], CONVERGED);
    assert_eq!(kitchen.get("/api/v2/entities/later").0, 200);
    for hub in [&attic, &garage] {
        let status = hub.status();
        let peer = status["peers"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|peer| peer["hub_id"] == *id);
        let address = peer.map(|peer| peer["address"].clone());
        assert_eq!(
            address,
            Some(json!(kitchen.address.to_string())),
            "was at {before}: {status}"
        );
    }
}
