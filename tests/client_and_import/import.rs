//! Imports, again and again.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Device, HubProcess, block, checkout, run};
use crate::{SAMPLE, import};

fn counts(document: &Value, did: &str) -> (u64, u64) {
    let count = |key: &str| document[did][key].as_u64().expect("a count");
    (count("entities"), count("relationships"))
}

/// A copy of the sample home with registry rows changed.
fn changed(change: impl Fn(&str, &mut Value)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(".storage")).unwrap();
    for entry in std::fs::read_dir(checkout(SAMPLE).join(".storage")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&name, &mut document["data"]);
        std::fs::write(dir.path().join(".storage").join(name), document.to_string()).unwrap();
    }
    dir
}

#[test]
fn a_home_is_imported_once_and_then_only_what_changed() {
    let hub = HubProcess::found("kitchen");
    let sample = checkout(SAMPLE);
    let planned = import(&sample, &hub, &["--dry-run"]);
    assert_eq!(hub.status().relationships, 0, "a dry run does nothing");
    let first = import(&sample, &hub, &[]);
    assert_eq!(counts(&first, "created"), counts(&planned, "created"));
    let (entities, relationships) = counts(&first, "created");
    assert!(entities > 80 && relationships > 100, "{first}");
    let after_first = hub.status();
    assert_eq!(
        (after_first.entities, after_first.relationships),
        (entities, relationships)
    );

    let second = import(&sample, &hub, &[]);
    for did in ["created", "edited", "deleted"] {
        assert_eq!(counts(&second, did), (0, 0), "{second}");
    }
    assert_eq!(counts(&second, "unchanged"), (entities, relationships));
    assert_eq!(
        hub.status().records,
        after_first.records,
        "the second import wrote nothing"
    );
    let dir = sample.display().to_string();
    let said = run(&["import", "home-assistant", &dir, "--hub", &hub.url]).good();
    assert!(said.starts_with("nothing to change"), "{said}");

    // One area renamed, one device gone.
    let later = changed(|file, data| match file {
        "core.area_registry" => data["areas"][0]["name"] = json!("Somewhere else"),
        "core.device_registry" => {
            let devices = data["devices"].as_array_mut().unwrap();
            // One that no other device hangs on.
            let via: BTreeSet<String> = devices
                .iter()
                .filter_map(|it| it["via_device_id"].as_str().map(str::to_owned))
                .collect();
            let at = devices
                .iter()
                .position(|it| !via.contains(it["id"].as_str().unwrap()))
                .unwrap();
            devices.remove(at);
        }
        _ => {}
    });
    let third = import(later.path(), &hub, &[]);
    assert_eq!(counts(&third, "created"), (0, 0), "{third}");
    assert_eq!(counts(&third, "edited"), (1, 0), "{third}");
    let (gone, edges_gone) = counts(&third, "deleted");
    assert!(gone == 1 && edges_gone >= 1, "{third}");
    let again = import(later.path(), &hub, &[]);
    for did in ["created", "edited", "deleted"] {
        assert_eq!(counts(&again, did), (0, 0), "{again}");
    }
    // The device is back in the registry, and comes back on top of the import's own tombstone.
    let back = import(&sample, &hub, &[]);
    assert_eq!(counts(&back, "created"), (0, 0), "{back}");
    assert_eq!(counts(&back, "edited"), (2, edges_gone), "{back}");
    assert_eq!(hub.status().entities, entities);
}

#[test]
fn what_people_wrote_survives_an_import_and_what_they_deleted_stays_so() {
    let hub = HubProcess::found("kitchen");
    let sample = checkout(SAMPLE);
    import(&sample, &hub, &[]);
    let me = Device::synced("alice", &hub);
    let rooms = me.json(&["list", "--type", "room"]);
    let id = |at: usize| rooms["entities"][at]["entity"]["id"].as_str().unwrap().to_owned();
    let (kept, gone) = (id(0), id(1));
    me.run(&[
        "edit",
        &kept,
        "--name",
        "My own name",
        "--set",
        "paint=\"green\"",
        "--hub",
        &hub.url,
    ])
    .good();
    me.run(&["delete", &gone, "--hub", &hub.url]).good();
    let again = import(&sample, &hub, &[]);
    for did in ["created", "edited", "deleted"] {
        assert_eq!(counts(&again, did), (0, 0), "{again}");
    }
    assert!(
        !again["notes"].as_array().unwrap().is_empty(),
        "what was left so is told: {again}"
    );
    let shown = block(async { (hub.api().entity(&kept).await, hub.api().entity(&gone).await) });
    let (kept, gone) = (shown.0.unwrap().unwrap(), shown.1.unwrap().unwrap());
    assert_eq!(kept.text("name"), Some("My own name"));
    assert!(gone.is_deleted());
}

#[test]
fn an_import_that_would_delete_most_of_a_home_asks_first() {
    let hub = HubProcess::found("kitchen");
    import(&checkout(SAMPLE), &hub, &[]);
    let empty = changed(|file, data| {
        if file == "core.device_registry" {
            data["devices"] = json!([]);
        }
    });
    let records = hub.status().records;
    let dir = empty.path().display().to_string();
    let why = run(&["import", "home-assistant", &dir, "--hub", &hub.url]).bad(1);
    assert!(why.contains("--yes") && why.contains("would be"), "{why}");
    assert_eq!(hub.status().records, records);
    let done = import(empty.path(), &hub, &["--yes"]);
    assert!(counts(&done, "deleted").0 > 40, "{done}");
}

#[test]
fn an_import_says_what_is_wrong_with_folder_hub_and_usage() {
    let hub = HubProcess::found("kitchen");
    let nothing = tempfile::tempdir().unwrap();
    let dir = nothing.path().display().to_string();
    let why = run(&["import", "home-assistant", &dir, "--hub", &hub.url]).bad(1);
    assert!(why.contains("holds no Home Assistant registries"), "{why}");
    let sample = checkout(SAMPLE).display().to_string();
    let why = run(&["import", "home-assistant", &sample, "--hub", "http://127.0.0.1:9"]).bad(1);
    assert!(why.contains("is it running?"), "{why}");
    run(&[
        "import",
        "home-assistant",
        &sample,
        "--hub",
        "https://127.0.0.1:9",
    ])
    .bad(2);
    run(&["import", "home-assistant", &sample]).bad(2);
}
