//! The commands that people give, against hubs that run: what is imported, edited on a device, walked from hub to hub,
//! and kept when no hub is there.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Device, HubProcess, block, checkout, converge, home, program, run, wait_for};

const SAMPLE: &str = "demo/sample-home";

fn import(dir: &Path, hub: &HubProcess, more: &[&str]) -> Value {
    let dir = dir.display().to_string();
    run(&[
        &["import", "home-assistant", &dir, "--hub", &hub.url, "--json"],
        more,
    ]
    .concat())
    .json()
}

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

#[test]
fn a_client_walks_from_hub_to_hub_and_takes_nothing_twice() {
    let hubs = home(2);
    let [kitchen, attic] = &hubs[..] else {
        panic!("two hubs")
    };
    import(&checkout(SAMPLE), kitchen, &[]);
    let me = Device::new("alice");
    let first = me.json(&["sync", "--hub", &kitchen.url]);
    assert_eq!(first["records_received"].as_u64(), Some(kitchen.status().records));
    let on_kitchen = me.json(&[
        "create",
        "--type",
        "note",
        "--name",
        "Bins",
        "--set",
        "day=Tuesday",
        "--hub",
        &kitchen.url,
    ]);
    assert_eq!(
        (on_kitchen["pending"].as_bool(), on_kitchen["records"].as_u64()),
        (Some(false), Some(1))
    );
    me.run(&[
        "link",
        "Bins",
        "located_in",
        "Kitchen",
        "--offline",
        "--hub",
        &kitchen.url,
    ])
    .good();
    assert_eq!(me.json(&["status"])["pending"].as_array().unwrap().len(), 1);

    // The attic goes on where the kitchen stopped, though it may have to catch up first.
    let walked = me.json(&["sync", "--hub", &attic.url]);
    assert_eq!(walked["records_sent"], 1);
    assert_eq!(
        walked["records_received"], 1,
        "its own edit back, and nothing that it had: {walked}"
    );
    converge(&hubs);
    for hub in &hubs {
        let idle = me.json(&["sync", "--hub", &hub.url]);
        assert_eq!(
            (idle["records_received"].as_u64(), idle["records_sent"].as_u64()),
            (Some(0), Some(0))
        );
    }
    let (shown, ours) = (me.json(&["get", "Bins"]), on_kitchen["id"].as_str().unwrap());
    assert_eq!(shown["entity"]["id"], ours);
    assert_eq!(
        shown["relationships"][0]["relationship"]["relationship_type"],
        "located_in"
    );
    assert_eq!(shown["entity"]["content"], json!({"day": "Tuesday"}));

    // The same in words.
    let words = me.run(&["get", "bins"]).good();
    assert!(
        words.starts_with("Bins\n") && words.contains("→ located_in") && words.contains("Kitchen"),
        "{words}"
    );

    me.run(&[
        "edit",
        "Bins",
        "--set",
        "day=Monday",
        "--unset",
        "day",
        "--set",
        "/when/at=7",
        "--hub",
        &attic.url,
    ])
    .good();
    let nothing = me
        .run(&["edit", "Bins", "--name", "Bins", "--hub", &attic.url])
        .good();
    assert!(nothing.contains("nothing to change"), "{nothing}");
    me.run(&["link", "Bins", "located_in", "Hallway", "--hub", &attic.url])
        .good();
    let links = me.json(&["get", "Bins"]);
    assert_eq!(
        links["relationships"].as_array().unwrap().len(),
        1,
        "one place at a time: {links}"
    );
    let versions = me.json(&["history", "Bins"]);
    let states: Vec<&str> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["head", "superseded"]);

    let deleted = me.json(&["delete", "Bins", "--hub", &kitchen.url]);
    assert_eq!(deleted["records"], 2, "the thing and where it is");
    let id = deleted["id"].as_str().unwrap();
    converge(&hubs);
    for hub in &hubs {
        assert!(
            block(async { hub.api().entity(id).await })
                .unwrap()
                .unwrap()
                .is_deleted()
        );
    }
    assert!(me.run(&["get", "Bins"]).bad(1).contains("is deleted"));
    assert!(me.run(&["history", "Bins"]).good().contains("deleted"));
    let unlinked = me.run(&["unlink", "Bins", "located_in"]).bad(1);
    assert!(unlinked.contains("no located_in"), "{unlinked}");
}

#[test]
fn with_no_hub_in_reach_edits_are_kept_and_sent_later() {
    let me = Device::new("alice");
    let nobody = "http://127.0.0.1:9";
    let said = me
        .run(&["create", "--type", "room", "--name", "Loft", "--hub", nobody])
        .good();
    assert!(
        said.contains("kept here") && said.contains("no hub answers"),
        "{said}"
    );
    me.run(&["create", "--type", "device", "--name", "Lamp"]).good();
    me.run(&["link", "Lamp", "located_in", "Loft"]).good();
    me.run(&["edit", "Lamp", "--set", "watts=7"]).good();
    assert_eq!(me.json(&["list"])["entities"].as_array().unwrap().len(), 2);
    let why = me.run(&["sync", "--hub", nobody]).bad(1);
    assert!(why.contains("no hub answers at http://127.0.0.1:9"), "{why}");
    me.run(&["sync"]).bad(2);

    let hub = HubProcess::found("kitchen");
    let sent = me.json(&["sync", "--hub", &hub.url]);
    assert_eq!(
        (sent["records_sent"].as_u64(), sent["pending"].as_u64()),
        (Some(4), Some(0))
    );
    let status = hub.status();
    assert_eq!((status.entities, status.relationships), (2, 1));
}

#[test]
fn what_a_hub_refuses_is_kept_aside_and_shown() {
    let hub = HubProcess::found("kitchen");
    let me = Device::new("alice");
    // A store that has not met its home takes what it cannot judge.
    me.run(&["create", "--type", "spaceship", "--name", "Rocket"])
        .good();
    me.run(&["create", "--type", "room", "--name", "Loft"]).good();
    let ran = me.run(&["sync", "--hub", &hub.url, "--json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let synced: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(synced["refused"][0]["code"], "unknown_entity_type");
    assert_eq!(
        (synced["records_sent"].as_u64(), synced["pending"].as_u64()),
        (Some(1), Some(0))
    );
    let status = me.json(&["status"]);
    assert_eq!(
        status["refused"][0]["records"][0]["name"], "Rocket",
        "its content is still here"
    );
    assert!(me.run(&["status"]).good().contains("unknown entity type"));
    assert_eq!(me.json(&["list"])["entities"].as_array().unwrap().len(), 1);
    // It has now, and says so before anything is written.
    let why = me
        .run(&["create", "--type", "spaceship", "--name", "Rocket"])
        .bad(1);
    assert!(why.contains("unknown entity type"), "{why}");
    assert_eq!(me.json(&["status"])["pending"], json!([]));
}

#[test]
fn two_devices_that_edit_one_thing_see_what_every_hub_shows() {
    let hubs = home(2);
    let (alice, bob) = (Device::synced("alice", &hubs[0]), Device::synced("bob", &hubs[1]));
    let made = alice.json(&[
        "create",
        "--type",
        "device",
        "--name",
        "Lamp",
        "--set",
        "watts=5",
        "--hub",
        &hubs[0].url,
    ]);
    let id = made["id"].as_str().unwrap();
    converge(&hubs);
    bob.run(&["sync", "--hub", &hubs[1].url]).good();
    // Different fields and one that is the same, each without having seen the other.
    alice
        .run(&["edit", id, "--set", "watts=7", "--set", "color=red"])
        .good();
    bob.run(&[
        "edit",
        id,
        "--set",
        "watts=7",
        "--set",
        "color=blue",
        "--name",
        "Desk lamp",
    ])
    .good();
    alice.run(&["sync", "--hub", &hubs[0].url]).good();
    converge(&hubs);
    let met = bob.json(&["sync", "--hub", &hubs[1].url]);
    converge(&hubs);
    alice.run(&["sync", "--hub", &hubs[0].url]).good();

    let shown = |hub: &HubProcess| block(async { hub.api().entity(id).await }).unwrap().unwrap();
    let on_hub = shown(&hubs[0]);
    assert_eq!(on_hub.record, shown(&hubs[1]).record);
    let views: Vec<Value> = [&alice, &bob].map(|device| device.json(&["get", id])).to_vec();
    for view in &views {
        assert_eq!(
            view["entity"],
            json!(on_hub.record),
            "devices compute the views that hubs do"
        );
        assert_eq!(view["conflict"], true);
    }
    assert_eq!(views[0]["entity"]["name"], "Desk lamp");
    assert_eq!(views[0]["entity"]["content"]["watts"], 7);
    // Bob was later, so red lost, is kept, and is told.
    assert_eq!(views[0]["entity"]["content"]["color"], "blue");
    assert_eq!(met["conflicts"][0]["entity_id"], id, "{met}");
    let history = alice.json(&["history", id]);
    let states: BTreeSet<&str> = history["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, BTreeSet::from(["head", "lost", "superseded"]));
    // An edit on top of both settles it.
    alice
        .run(&["edit", id, "--set", "color=green", "--hub", &hubs[0].url])
        .good();
    assert_eq!(alice.json(&["get", id])["conflict"], false);
}

#[test]
fn nothing_is_pushed_into_another_home() {
    let (mine, theirs) = (HubProcess::found("kitchen"), HubProcess::found("office"));
    let me = Device::synced("alice", &mine);
    let before = theirs.status().records;
    let why = me
        .run(&[
            "create",
            "--type",
            "note",
            "--name",
            "Private",
            "--hub",
            &theirs.url,
        ])
        .bad(1);
    assert!(why.contains("belongs to the home"), "{why}");
    assert_eq!(theirs.status().records, before);
    assert_eq!(
        me.json(&["status"])["pending"].as_array().unwrap().len(),
        1,
        "and it is not lost"
    );
}

#[test]
fn a_hub_that_is_behind_is_waited_for() {
    let mut hubs = home(2);
    let me = Device::synced("alice", &hubs[0]);
    hubs[1].kill();
    me.run(&[
        "create",
        "--type",
        "note",
        "--name",
        "While the attic was away",
        "--hub",
        &hubs[0].url,
    ])
    .good();
    hubs[1].restart();
    // It says not_yet until it has caught up; either way the walk ends well.
    let walked = me.json(&["sync", "--hub", &hubs[1].url]);
    assert_eq!(walked["records_received"], 0);
    // With the other hub gone for good it cannot catch up, and says so; what is new is taken all the same.
    hubs[1].kill();
    me.run(&[
        "create",
        "--type",
        "note",
        "--name",
        "Seen by one",
        "--hub",
        &hubs[0].url,
    ])
    .good();
    hubs[0].kill();
    hubs[1].restart();
    let said = me
        .run(&[
            "create",
            "--type",
            "note",
            "--name",
            "Seen by the other",
            "--hub",
            &hubs[1].url,
        ])
        .good();
    assert!(said.contains("on disk at attic"), "{said}");
    let why = me.run(&["sync", "--hub", &hubs[1].url]).bad(1);
    assert!(why.contains("has not caught up"), "{why}");
}

#[test]
fn an_edit_that_was_reported_survives_a_kill_at_any_instant() {
    let me = Device::new("alice");
    let mut reported = 0;
    for round in 0..40u64 {
        let args = [
            "create",
            "--type",
            "note",
            "--name",
            &format!("note {round}"),
            "--json",
        ];
        let mut child = me
            .command(&args)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(round / 2));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        if let Ok(document) = serde_json::from_slice::<Value>(&output.stdout) {
            reported += 1;
            let id = document["id"].as_str().unwrap();
            assert_eq!(me.json(&["get", id])["entity"]["name"], format!("note {round}"));
        }
    }
    me.run(&["create", "--type", "note", "--name", "last"]).good();
    let kept = me.json(&["list"])["entities"].as_array().unwrap().len();
    assert!(kept > reported, "{kept} kept, {reported} reported");
}

#[test]
fn commands_on_one_store_take_turns() {
    let me = Device::new("alice");
    let start = |at: usize| {
        me.command(&["create", "--type", "note", "--name", &format!("note {at}")])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..8).map(start).collect();
    for mut child in children {
        let status = wait_for("a command", || child.try_wait().unwrap());
        assert!(status.success());
    }
    let listed = me.json(&["list"]);
    let versions: BTreeSet<&str> = listed["entities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["entity"]["version"].as_str().unwrap())
        .collect();
    assert_eq!(versions.len(), 8);
}

#[test]
fn status_tells_a_hub_in_words_and_as_it_says_it() {
    let hub = HubProcess::found("kitchen");
    let words = run(&["status", "--hub", &hub.url]).good();
    assert!(
        words.starts_with("kitchen at http://") && words.contains(&hub.id),
        "{words}"
    );
    let document = run(&["status", "--hub", hub.address(), "--json"]).json();
    assert_eq!(document["hub_id"], hub.id);
    assert!(
        run(&["status", "--hub", "http://127.0.0.1:9"])
            .bad(1)
            .contains("is it running?")
    );
    run(&["status", "--hub", "nonsense"]).bad(2);
}

#[test]
fn a_mesh_converges_and_ends_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mesh = dir.path().join("mesh");
    let mut command = program();
    command.args([
        "mesh",
        "--until-converged",
        "--base-port",
        &three_free_ports().to_string(),
        "--dir",
    ]);
    let output = command
        .arg(&mesh)
        .arg("--home")
        .arg(checkout(SAMPLE))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        said.contains("Hello from the kitchen") && said.contains("read at garage after"),
        "{said}"
    );
    let clocks: BTreeSet<&str> = said
        .lines()
        .filter(|line| line.contains("127.0.0.1:") && line.ends_with("none"))
        .filter_map(|line| line.split_whitespace().rev().nth(1))
        .collect();
    assert_eq!(clocks.len(), 1, "three equal clocks: {said}");
    for name in ["kitchen", "attic", "garage"] {
        let out = std::fs::read_to_string(mesh.join(format!("{name}.out"))).unwrap();
        let url = out.split_whitespace().nth(1).unwrap().to_owned();
        run(&["status", "--hub", &url]).bad(1);
    }
}

/// Three neighbouring ports that are free as far as anybody can tell; from a place of this process's own, since tests
/// run beside each other.
fn three_free_ports() -> u16 {
    let free =
        |port: u16| (port..port + 3).all(|port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok());
    let start = 20_000 + (std::process::id() % 10_000) as u16;
    (start..32_000).step_by(3).find(|port| free(*port)).unwrap()
}
