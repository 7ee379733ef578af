//! Wires that fray in the middle of a page, and wires that carry nothing and say nothing.

use std::collections::BTreeSet;
use std::time::Instant;

use inbetweenies_core::rng::Rng;
use serde_json::{Value, json};

use crate::home::{Home, LINKED, at, edit, push};
use crate::process::relay::Relay;
use crate::process::{exchange, mesh, wait};

/// Records that the island lacks.
const MISSED: usize = 4_000;
const IN_A_SET: usize = 40;
/// The noise in each of them.
const RECORD_BYTES: usize = 320;
/// How often the wire breaks while they are fetched, and after how many bytes.
const BREAKS: usize = 6;
const BYTES_BETWEEN: usize = 150_000;

/// The wire breaks again and again while the island catches up: it goes on from where it was, and nothing is lost.
#[test]
fn a_catch_up_that_is_cut_goes_on_where_it_was() {
    let home = Home::new(|setup| setup.key("sync.page_bytes_max", "64KiB"));
    home.cut();
    let mut rng = Rng::new(7, 7);
    let mut ids = BTreeSet::new();
    for set in 0..MISSED / IN_A_SET {
        let changes = (0..IN_A_SET).map(|n| {
            let id = format!("missed-{set}-{n}");
            let noise: String = (0..RECORD_BYTES / 16)
                .map(|_| format!("{:016x}", rng.draw()))
                .collect(); // does not pack well
            ids.insert(id.clone());
            edit(&id, "note", &at(1, "anna"), &[], json!({"text": noise}))
        });
        let mut body = exchange::request(changes.collect());
        body["limit"] = json!(1);
        let answer = exchange::post(home.mainland(), &body).expect("an answer").json();
        assert_eq!(
            answer["applied"].as_array().map(Vec::len),
            Some(IN_A_SET),
            "{answer}"
        );
    }
    let before = carried(&home);
    home.relays
        .iter()
        .for_each(|relay| relay.fray_after(BYTES_BETWEEN));
    let started = Instant::now();
    home.relays.iter().for_each(Relay::heal);
    let mut held = 0;
    let mut steps = Vec::new();
    for breaks in 1..=BREAKS {
        wait::until("the wire to break", LINKED, || match frayed(&home) {
            now if now >= breaks => Ok(()),
            now => Err(format!(
                "{now} of {breaks} breaks, {} of {MISSED} records",
                notes(&home)
            )),
        });
        let now = notes(&home);
        assert!(now >= held, "the island went back from {held} to {now} records");
        held = now;
        steps.push(now);
        home.relays
            .iter()
            .for_each(|relay| relay.fray_after(BYTES_BETWEEN));
    }
    home.relays.iter().for_each(Relay::never_fray);
    home.heal();
    let carried = carried(&home) - before;
    println!(
        "{MISSED} records in {:?} over {} breaks, after each: {steps:?}; {carried} bytes",
        started.elapsed(),
        frayed(&home)
    );
    let found: BTreeSet<String> = exchange::everything(home.island())
        .records
        .iter()
        .filter(|record| record["entity_type"] == "note")
        .filter_map(|record| record["id"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(found.len(), ids.len());
    assert_eq!(found, ids);
    // No stretch between two breaks can have brought as many.
    assert!(
        held > 2 * BYTES_BETWEEN / RECORD_BYTES,
        "it began again at every break: {steps:?}"
    );
}

fn frayed(home: &Home) -> usize {
    home.relays.iter().map(Relay::frayed).sum()
}

fn carried(home: &Home) -> usize {
    home.relays.iter().map(Relay::carried).sum()
}

fn notes(home: &Home) -> usize {
    home.hubs[2].status()["entities"].as_u64().unwrap_or_default() as usize
}

/// A cable pulled out: no end is told, nothing comes. Both sides notice by silence, and find each other again.
#[test]
fn a_wire_that_goes_silent_is_given_up() {
    let home = Home::new(|setup| setup.key("gossip.keepalive", "300ms"));
    home.relays.iter().for_each(Relay::silence);
    let started = Instant::now();
    home.parted();
    println!("a silent wire was given up after {:?}", started.elapsed());
    push(
        home.mainland(),
        edit("lamp", "device", &at(1, "anna"), &[], json!({"level": 1})),
    );
    push(
        home.island(),
        edit("plug", "device", &at(1, "bob"), &[], json!({"level": 2})),
    );
    home.heal();
    for id in ["lamp", "plug"] {
        assert_eq!(home.shown(id).0, 200);
    }
}

/// Links that end before they have begun leave nothing behind that keeps later ones from standing.
#[test]
fn a_link_that_breaks_at_every_hello_heals_when_it_may() {
    let home = Home::new(|setup| setup);
    home.cut();
    push(
        home.mainland(),
        edit("lamp", "device", &at(1, "anna"), &[], json!({"level": 1})),
    );
    // Each try is cut in its first bytes, in the middle of the upgrade or of a hello.
    for bytes in [1, 100, 300, 500, 700, 1_000] {
        let before = frayed(&home);
        home.relays.iter().for_each(|relay| relay.fray_after(bytes));
        home.relays.iter().for_each(Relay::heal);
        wait::until("a try that is cut", LINKED, || match frayed(&home) {
            now if now > before => Ok(()),
            now => Err(format!("{now} tries were cut at byte {bytes}")),
        });
    }
    home.relays.iter().for_each(Relay::never_fray);
    home.heal();
    assert_eq!(home.shown("lamp").0, 200);
    let status: Value = home.hubs[2].status();
    assert_eq!(status["events"], json!([]), "{status}");
    mesh::linked(&home.hubs[2], 2, LINKED);
}
