//! A device and its hubs: edits, walks, refusals, kills.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Device, HubProcess, block, checkout, converge, home, wait_for};
use crate::{SAMPLE, import};

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
fn what_was_only_on_a_disk_that_is_lost_comes_back_from_a_device_that_has_seen_it() {
    let mut hubs = home(2);
    let (me, other) = (Device::synced("alice", &hubs[0]), Device::synced("bob", &hubs[0]));
    let create = |device: &Device, name: &str, hub: &HubProcess| {
        let made = device.json(&["create", "--type", "note", "--name", name, "--hub", &hub.url]);
        assert_eq!(made["pending"], false, "{made}");
        made["id"].as_str().unwrap().to_owned()
    };
    create(&me, "At both", &hubs[0]);
    converge(&hubs);
    hubs[1].stop();
    let mine = create(&me, "Mine, at the kitchen only", &hubs[0]);
    let theirs = create(&other, "Bob's, at the kitchen only", &hubs[0]);
    me.run(&["sync", "--hub", &hubs[0].url]).good();
    hubs[0].kill();
    std::fs::remove_dir_all(hubs[0].data()).unwrap();
    hubs[1].restart();
    let attic = &hubs[1];

    me.run(&["create", "--type", "note", "--name", "Not yet sent"])
        .good();
    let why = me.run(&["sync", "--hub", &attic.url]).bad(1);
    assert!(
        why.contains("has not caught up") && why.contains("sync --accept-behind"),
        "{why}"
    );
    let shown = |id: &str| block(async { attic.api().entity(id).await }).unwrap();
    assert!(
        shown(&mine).is_none(),
        "without being told to, it gives nothing up"
    );

    create(&me, "Since then", attic);
    let synced = me.json(&["sync", "--hub", &attic.url, "--accept-behind"]);
    assert_eq!(
        (&synced["records_sent_again"], &synced["pending"]),
        (&json!(2), &json!(0)),
        "{synced}"
    );
    assert_eq!(
        synced["behind"].as_object().unwrap().len(),
        1,
        "one log: {synced}"
    );
    for id in [&mine, &theirs] {
        let record = shown(id).unwrap().record;
        assert_eq!(json!(record), me.json(&["get", id])["entity"]);
    }
    // From here on it is a sync like any other, with the flag or without; and Bob, who had seen less, is helped too.
    for args in [&["sync"][..], &["sync", "--accept-behind"]] {
        let idle = me.json(&[args, &["--hub", &attic.url]].concat());
        assert_eq!(
            (&idle["records_received"], &idle["records_sent"], &idle["behind"]),
            (&json!(0), &json!(0), &json!({}))
        );
    }
    let words = other
        .run(&["sync", "--hub", &attic.url, "--accept-behind"])
        .good();
    assert!(words.contains("went on from what it has"), "{words}");
    let names = |device: &Device| {
        let listed = device.json(&["list", "--type", "note"]);
        let rows = listed["entities"].as_array().unwrap().iter();
        rows.map(|it| it["entity"]["name"].as_str().unwrap().to_owned())
            .collect::<BTreeSet<String>>()
    };
    assert_eq!(names(&other), names(&me));
    assert_eq!(names(&me).len(), 5);
}

#[test]
fn an_edit_that_was_reported_survives_a_kill_at_any_instant() {
    let me = Device::new("alice");
    let (mut reported, mut cut) = (0, 0);
    // Killed later and later, until enough were killed before they had spoken and enough after.
    for round in 0..300u64 {
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
        std::thread::sleep(Duration::from_millis(round));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let Ok(document) = serde_json::from_slice::<Value>(&output.stdout) else {
            cut += 1;
            continue;
        };
        reported += 1;
        let id = document["id"].as_str().unwrap();
        assert_eq!(me.json(&["get", id])["entity"]["name"], format!("note {round}"));
        if reported >= 10 && cut >= 5 {
            break;
        }
    }
    assert!(reported >= 10, "{reported} reported, {cut} cut off");
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
