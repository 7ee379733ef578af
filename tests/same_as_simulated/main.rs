//! One workload, in real hubs and in simulated ones: what is held and shown in the end is the same.
//!
//! The simulator runs the hub's machines and not the hub's shell: no actix, no RocksDB, no sockets, no process that is
//! killed. That its world is like the real one is what this test says: the same bytes are pushed at the same hubs, cut
//! from each other and killed at the same points of the story, under the same domain, and every answer and every
//! reader's view is compared.

#[path = "../support/process.rs"]
mod process;

mod held;
mod real;
mod simulated;
mod tales;
mod workload;

use held::Held;

/// What the workload is about; where one of these is not met, it compares less than it should.
const MET: [&str; 17] = [
    "endpoint_type",
    "reserved_type",
    "set_refused",
    "single_id",
    "type_changed",
    "unknown_entity_type",
    "durable",
    "known",
    "\"head\"",
    "\"lost\"",
    "\"superseded\"",
    "\"manual\"",
    "\"last_write_wins\"",
    "\"provisional\":true",
    "\"missing_parents\":[\"",
    "\"status\":410",
    "-000000-merge.POLICY",
];

/// The watts that somebody says a plug has.
const WATTS: i64 = 20;

#[test]
fn real_hubs_end_as_simulated_ones_do() {
    let simulated = simulated::run(&workload::steps(WATTS), 1);
    let real = real::run(&workload::steps(WATTS));
    println!("{} answers and views are compared", real.len());
    let differences = differences(&real, &simulated);
    assert!(
        differences.is_empty(),
        "{} of {} differ:\n{}",
        differences.len(),
        real.len(),
        differences.join("\n")
    );
    let text = serde_json::to_string(&real).expect("text");
    let missing: Vec<&str> = MET.into_iter().filter(|word| !text.contains(word)).collect();
    assert!(missing.is_empty(), "the workload never meets {missing:?}");
}

/// How long messages and disks take is no part of the answer: another seed ends in the same state.
#[test]
fn chance_changes_nothing() {
    let steps = workload::steps(WATTS);
    assert_eq!(
        differences(&simulated::run(&steps, 2), &simulated::run(&steps, 3)),
        [""; 0]
    );
}

/// The comparison compares: one other value in one edit is seen at every hub.
#[test]
fn one_other_value_is_seen() {
    let told = simulated::run(&workload::steps(WATTS), 1);
    let other = simulated::run(&workload::steps(WATTS + 1), 1);
    let differences = differences(&told, &other);
    for hub in held::HUBS {
        let shown = format!("{hub}: GET /api/v2/entities/plug\n");
        assert!(
            differences.iter().any(|seen| seen.starts_with(&shown)),
            "{differences:?}"
        );
    }
}

/// Everything that is not the same in both, in words.
fn differences(one: &Held, other: &Held) -> Vec<String> {
    let keys: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let text = |held: &Held, key| held.get(key).map_or("nothing".to_owned(), ToString::to_string);
    let keys = keys.into_iter().filter(|key| one.get(*key) != other.get(*key));
    keys.map(|key| format!("{key}\n  {}\n  {}", text(one, key), text(other, key)))
        .collect()
}
