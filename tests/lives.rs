//! Folders that vanish, come back older or come twice: a hub that lost its past begins a new life, and what the others
//! hold is never taken for less.

#[path = "support/process.rs"]
mod process;

use std::fs;
use std::path::Path;
use std::time::Duration;

use process::exchange::{self, change, entity};
use process::{Hub, Setup, http, mesh, wait};
use serde_json::{Value, json};

const CONVERGED: Duration = Duration::from_secs(30);

fn note(hub: &Hub, id: &str) {
    exchange::push(
        hub.address,
        json!([change(entity(id, "v1", "note", json!({"text": id})))]),
    );
}

fn everywhere(hubs: &[&Hub], ids: &[&str]) {
    let addresses: Vec<_> = hubs.iter().map(|hub| hub.address).collect();
    mesh::equal_clocks(&addresses, CONVERGED);
    for id in ids {
        let path = format!("/api/v2/entities/{id}");
        let shown: Vec<_> = addresses
            .iter()
            .map(|address| http::get(*address, &path))
            .collect();
        for one in &shown {
            assert_eq!((one.status, &one.body), (200, &shown[0].body), "{id}: {shown:?}");
        }
    }
    for hub in hubs {
        let status = hub.status();
        assert_eq!(
            (&status["entities"], &status["conflicts"]),
            (&json!(ids.len()), &json!(0)),
            "{status}"
        );
    }
}

fn quick(_: usize, setup: Setup) -> Setup {
    setup.key("mesh.dial_backoff_max", "500ms")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder to copy") {
        let entry = entry.expect("a file to copy");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

fn events(hub: &Hub) -> Vec<Value> {
    let events = hub.status()["events"].take();
    events
        .as_array()
        .into_iter()
        .flatten()
        .map(|event| event["code"].clone())
        .collect()
}

/// The disk was not mounted, or somebody threw the folder away. It is never read as "everything was deleted".
#[test]
fn a_folder_that_is_gone_deletes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let [kitchen, attic, garage] = mesh::three(folder.path(), quick);
    note(&garage, "before");
    everywhere(&[&kitchen, &attic, &garage], &["before"]);
    let (id, setup) = (garage.id.clone(), garage.kill());
    fs::remove_dir_all(&setup.data).expect("the folder goes");
    let ended = setup.clone().again().run();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    note(&kitchen, "meanwhile");
    let garage = setup.start();
    assert_ne!(garage.id, id, "a new store is a new hub");
    note(&garage, "after");
    everywhere(&[&kitchen, &attic, &garage], &["before", "meanwhile", "after"]);
}

/// A home whose third hub has come back with a folder that lacks what it has written since.
fn with_an_older_folder(folder: &Path) -> [Hub; 3] {
    let [kitchen, attic, garage] = mesh::three(folder, quick);
    note(&garage, "before");
    everywhere(&[&kitchen, &attic, &garage], &["before"]);
    let (setup, stopped) = garage.stop();
    assert!(stopped.success(), "{stopped}");
    let old = setup.data.with_extension("old");
    copy(&setup.data, &old);
    let garage = setup.start();
    note(&garage, "since");
    everywhere(&[&kitchen, &attic, &garage], &["before", "since"]);
    let (id, setup) = (garage.id.clone(), garage.kill());
    fs::remove_dir_all(&setup.data)
        .and_then(|()| fs::rename(&old, &setup.data))
        .expect("the old folder");
    let garage = setup.start();
    assert_eq!(garage.id, id, "it is the same hub");
    [kitchen, attic, garage]
}

/// A folder from last week in the place of today's. Nothing in it says so; the others do, and hand back what was written
/// since. The hub goes on in a new life, so that no place in its log is given out twice.
#[test]
fn a_folder_that_comes_back_older_begins_a_new_life() {
    let folder = tempfile::tempdir().expect("a folder");
    let [kitchen, attic, garage] = with_an_older_folder(folder.path());
    let status = wait::until("a new life", CONVERGED, || match garage.status() {
        status if status["life"] == 2 => Ok(status),
        status => Err(status.to_string()),
    });
    assert!(events(&garage).contains(&json!("ROLLED_BACK")), "{status}");
    note(&garage, "after");
    everywhere(&[&kitchen, &attic, &garage], &["before", "since", "after"]);
}

/// The same, but somebody writes before it has met anyone: one place in its log was given out twice, a fork. One branch
/// gives way, and what stood in it stands elsewhere.
#[test]
fn a_folder_that_comes_back_older_and_is_written_at_once_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let [kitchen, attic, garage] = with_an_older_folder(folder.path());
    let hubs = [&kitchen, &attic, &garage];
    note(&garage, "at-once");
    everywhere(&hubs, &["before", "since", "at-once"]);
    hubs.iter()
        .for_each(|hub| note(hub, &format!("{}-later", hub.setup.name)));
    let later = [
        "before",
        "since",
        "at-once",
        "kitchen-later",
        "attic-later",
        "garage-later",
    ];
    everywhere(&hubs, &later);
}

/// One card, copied, in two machines: both answer, so one of them takes a name of its own, and nothing is lost.
#[test]
fn a_copied_folder_becomes_a_hub_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let [kitchen, attic, garage] = mesh::three(folder.path(), quick);
    note(&garage, "before");
    everywhere(&[&kitchen, &attic, &garage], &["before"]);
    let (setup, stopped) = garage.stop();
    assert!(stopped.success(), "{stopped}");
    let twin = Setup {
        name: "twin".to_owned(),
        data: setup.data.with_file_name("twin"),
        ..setup.clone()
    };
    copy(&setup.data, &twin.data);
    let garage = setup.start();
    let twin = twin.listen("127.0.0.1:0").start();
    note(&garage, "of-one");
    note(&twin, "of-the-other");
    let ids = wait::until("two hubs of different names", CONVERGED, || {
        let ids = [&garage, &twin].map(|hub| hub.status()["hub_id"].clone());
        if ids[0] == ids[1] {
            Err(format!("{ids:?}"))
        } else {
            Ok(ids)
        }
    });
    note(&garage, "of-one-later");
    note(&twin, "of-the-other-later");
    let hubs = [&kitchen, &attic, &garage, &twin];
    hubs.iter().for_each(|hub| mesh::linked(hub, 3, CONVERGED));
    everywhere(
        &hubs,
        &[
            "before",
            "of-one",
            "of-the-other",
            "of-one-later",
            "of-the-other-later",
        ],
    );
    assert_eq!(
        [&garage, &twin].map(|hub| hub.status()["hub_id"].clone()),
        ids,
        "names were settled once"
    );
}
