//! Sync, measured on real hubs side by side with what bounds it: `cargo bench --bench sync`.
//!
//! Timings are printed, never a verdict; what is asserted is that everything arrives.

mod support;

use std::time::Instant;

use inbetweenies_core::limits::Limits;
use inbetweenies_core::value::{Budget, decode_msgpack};
use inbetweenies_core::wire::SyncRequest;
use rocksdb::{DB, Options, WriteBatch, WriteOptions};
use serde_json::{Value, json};
use support::{Client, Hub, change, device, edge, nothing, spread, until, version};

const ROUNDS: usize = 5;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    println!(
        "load at start: {}",
        std::fs::read_to_string("/proc/loadavg")
            .unwrap_or_default()
            .trim()
    );
    pushes_against_raw_batches(folder.path());
    pushes_by_many_clients(folder.path());
    first_sync_and_delta(folder.path());
    println!(
        "load at end: {}",
        std::fs::read_to_string("/proc/loadavg")
            .unwrap_or_default()
            .trim()
    );
}

/// Digest and canonical bytes of each record.
type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// Sets of `per_set` devices, each a body that stands ready, and the same records' canonical bytes.
fn bodies(round: usize, sets: usize, per_set: usize) -> Vec<(Vec<u8>, Rows)> {
    let limits = Limits::default();
    (0..sets)
        .map(|set| {
            let first = (round * sets + set) * per_set;
            let changes: Vec<Value> = (first..first + per_set)
                .map(|n| change(0, device(n, 0, None), vec![]))
                .collect();
            let body = json!({
                "protocol_version": "inbetweenies-v2", "device_id": "bench", "limit": 1, "vector_clock": {},
                "changes": changes,
            });
            let body = rmp_serde::to_vec_named(&body).expect("a body");
            let value = decode_msgpack(&body, &Budget::new(32, 1_000_000)).expect("MessagePack");
            let request = SyncRequest::read(value, &limits).expect("a request");
            let records = request.sets[0].set.as_ref().expect("a good set").records.iter();
            let rows = records
                .map(|sealed| (sealed.digest.0.to_vec(), sealed.bytes.clone()))
                .collect();
            (body, rows)
        })
        .collect()
}

/// Through HTTP to disk, next to raw RocksDB batches of the same records with the same sync; A B A B in one run.
fn pushes_against_raw_batches(folder: &std::path::Path) {
    println!(
        "\n## Pushes through HTTP to disk, next to raw RocksDB batches of the same records, both synced\n"
    );
    println!("| records a set | ours, records/s | raw, records/s | ours / raw: median [min..max] |");
    println!("| ---: | ---: | ---: | --- |");
    for per_set in [1, 100, 1_000] {
        let hub = Hub::start(folder, &format!("push{per_set}"), true, &[]);
        let mut client = Client::new(&hub);
        let mut options = Options::default();
        options.create_if_missing(true);
        let raw = DB::open(&options, folder.join(format!("raw{per_set}"))).expect("a database");
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        let sets = if per_set == 1 { 300 } else { 10 };
        let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let bodies = bodies(round, sets, per_set);
            let start = Instant::now();
            for (body, _) in &bodies {
                client.sync_raw(body);
            }
            let us = start.elapsed().as_secs_f64();
            let start = Instant::now();
            for (_, rows) in &bodies {
                let mut batch = WriteBatch::default();
                rows.iter().for_each(|(key, value)| batch.put(key, value));
                raw.write_opt(batch, &synced).expect("a write");
            }
            let them = start.elapsed().as_secs_f64();
            if round > 0 {
                let records = (sets * per_set) as f64;
                ours.push(records / us);
                theirs.push(records / them);
                ratios.push(them / us);
            }
        }
        let (median, low, high) = spread(ratios);
        println!(
            "| {per_set} | {:.0} | {:.0} | {median:.3} [{low:.3}..{high:.3}] |",
            spread(ours).0,
            spread(theirs).0
        );
    }
}

/// Group commit: many clients, one record a set.
fn pushes_by_many_clients(folder: &std::path::Path) {
    let hub = Hub::start(folder, "many", true, &[]);
    let (clients, each) = (50, 100);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for client in 0..clients {
            let hub = &hub;
            scope.spawn(move || {
                let mut connection = Client::new(hub);
                for (body, _) in bodies(client, each, 1) {
                    connection.sync_raw(&body);
                }
            });
        }
    });
    let took = start.elapsed().as_secs_f64();
    let total = clients * each;
    assert_eq!(
        Client::new(&hub).status()["entities"],
        json!(total),
        "every set landed"
    );
    println!(
        "\n{clients} clients at once, one record a set: {:.0} durable sets/s",
        total as f64 / took
    );
}

/// Two clients fill a mesh through different hubs; a third syncs; 1 % changes; then a hundred at once.
fn first_sync_and_delta(folder: &std::path::Path) {
    let count: usize = std::env::var("BENCH_ENTITIES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(10_000);
    let kitchen = Hub::start(folder, "kitchen", true, &[]);
    let attic = Hub::start(folder, "attic", false, &[&kitchen.address]);
    let garage = Hub::start(folder, "garage", false, &[&kitchen.address, &attic.address]);
    let hubs = [&kitchen, &attic, &garage];
    until("every hub has a home", || {
        hubs.iter()
            .all(|hub| !Client::new(hub).status()["home_id"].is_null())
    });
    let start = Instant::now();
    std::thread::scope(|scope| {
        for (half, hub) in hubs.into_iter().take(2).enumerate() {
            scope.spawn(move || {
                let mut client = Client::new(hub);
                let range: Vec<usize> = (half * count / 2..(half + 1) * count / 2).collect();
                for part in range.chunks(500) {
                    let changes: Vec<Value> = part
                        .iter()
                        .map(|n| change(0, device(*n, 0, None), vec![edge(*n)]))
                        .collect();
                    client.sync(&nothing(), &changes);
                }
            });
        }
    });
    let filled = start.elapsed();
    let mut clients: Vec<Client> = hubs.iter().map(|hub| Client::new(hub)).collect();
    let equal = |clients: &mut [Client]| {
        let pages: Vec<Value> = clients.iter_mut().map(Client::status).collect();
        pages
            .iter()
            .all(|p| p["vector_clock"] == pages[0]["vector_clock"] && p["entities"] == json!(count))
    };
    let spread_in = until("every hub holds everything", || equal(&mut clients));
    println!("\n## {count} entities and {count} relationships, two clients at two of three hubs\n");
    println!(
        "pushed in {:.2} s; equal on all three hubs {:.2} s later\n",
        filled.as_secs_f64(),
        spread_in.as_secs_f64()
    );

    let sync = |hub: &Hub, from: &Value| {
        let mut client = Client::new(hub);
        let start = Instant::now();
        let (records, clock) = client.fetch(from);
        (
            records,
            clock,
            client.sent + client.received,
            start.elapsed().as_secs_f64() * 1_000.0,
        )
    };
    println!("| what the third client asks | records | bytes | of the first sync | ms: median [min..max] |");
    println!("| --- | ---: | ---: | ---: | --- |");
    let mut times = Vec::new();
    let (mut full, mut clock, mut records) = (0, Value::Null, 0);
    for _ in 0..ROUNDS {
        let (got, at, bytes, ms) = sync(&garage, &nothing());
        (records, clock, full) = (got, at, bytes);
        times.push(ms);
    }
    let row = |what: &str, records: usize, bytes: usize, times: Vec<f64>| {
        let (median, low, high) = spread(times);
        let share = 100.0 * bytes as f64 / full as f64;
        println!("| {what} | {records} | {bytes} | {share:.2} % | {median:.1} [{low:.1}..{high:.1}] |");
    };
    row("first sync", records, full, times);
    assert!(records >= 2 * count, "everything came");

    let mut editor = Client::new(&kitchen);
    for n in (0..count).step_by(100) {
        editor.sync(&clock, &[change(0, device(n, 1, Some(&version(n, 0))), vec![])]);
    }
    let changed = count.div_ceil(100);
    let mut delta = (0, Value::Null, 0);
    until("the edits have spread", || {
        delta = {
            let (records, clock, bytes, _) = sync(&garage, &clock);
            (records, clock, bytes)
        };
        delta.0 >= changed
    });
    let times = (0..ROUNDS).map(|_| sync(&garage, &clock).3).collect();
    row("delta after 1 % changed", delta.0, delta.2, times);
    assert!(
        delta.2 * 20 < full,
        "a delta of 1 % costs under 5 % of the first sync: {} of {full}",
        delta.2
    );
    let none: Vec<_> = (0..ROUNDS).map(|_| sync(&garage, &delta.1)).collect();
    row(
        "nothing changed",
        none[0].0,
        none[0].2,
        none.iter().map(|run| run.3).collect(),
    );

    let start = Instant::now();
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..100)
            .map(|n| {
                let hub = hubs[n % 3];
                let clock = &clock;
                scope.spawn(move || Client::new(hub).fetch(clock).0)
            })
            .collect();
        for client in asked {
            assert!(client.join().expect("a client") >= changed, "each gets the delta");
        }
    });
    println!(
        "\n100 clients at once, a delta each, at three hubs: all succeed, in {:.0} ms",
        start.elapsed().as_secs_f64() * 1_000.0
    );
}
