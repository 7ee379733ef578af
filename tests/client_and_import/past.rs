//! The past, told alike by a device that has no hub in reach and by the hubs themselves.

use serde_json::{Value, json};

use crate::http::{self, Request};
use crate::support::{Device, HubProcess, converge, home};

/// What a hub says to a `GET`.
fn hub_says(hub: &HubProcess, path: &str) -> (u16, Value) {
    let response = http::get(hub.address().parse().unwrap(), path);
    (response.status, response.json())
}

/// The same document as the hub's, apart from what devices alone know.
fn same_as(device: Value, hub: &HubProcess, path: &str) -> Value {
    let (status, said) = hub_says(hub, path);
    assert_eq!(status, 200, "{path}: {said}");
    assert_eq!(without_own(device), said, "{path}");
    said
}

/// What devices alone know: what is pending, in which log and where, and the edges that `get` shows along.
fn without_own(mut document: Value) -> Value {
    match &mut document {
        Value::Object(map) => {
            for own in ["pending", "replica", "sequence", "relationships"] {
                map.remove(own);
            }
            map.values_mut()
                .for_each(|value| *value = without_own(value.take()));
        }
        Value::Array(list) => list
            .iter_mut()
            .for_each(|value| *value = without_own(value.take())),
        _ => {}
    }
    document
}

/// The order times of an id's versions, the oldest first: what a person may give to `--at`.
fn times(device: &Device, what: &str) -> Vec<String> {
    let tree = device.json(&["tree", what]);
    let times = tree["nodes"].as_array().unwrap().iter().rev();
    times
        .map(|node| node["order_time"].as_str().unwrap().to_owned())
        .collect()
}

fn escaped(instant: &str) -> String {
    instant.replace('+', "%2B")
}

#[test]
fn a_device_without_a_hub_tells_the_past_as_hubs_do() {
    let hub = HubProcess::found("kitchen");
    let me = Device::synced("alice", &hub);
    let to = ["--hub", &hub.url];
    let run = |args: &[&str]| me.json(&[args, &to].concat());
    run(&["create", "--type", "room", "--name", "Loft"]);
    let lamp = run(&["create", "--type", "device", "--name", "Lamp", "--set", "watts=5"]);
    let id = lamp["id"].as_str().unwrap();
    run(&["link", "Lamp", "located_in", "Loft"]);
    run(&["edit", id, "--set", "watts=7", "--name", "Desk lamp"]);
    run(&["edit", id, "--unset", "watts", "--set", "color=red"]);
    run(&["delete", id]);
    // So that the clock of the device is the hub's.
    run(&["sync"]);

    let times = times(&me, id);
    assert_eq!(times.len(), 4);
    for at in &times {
        let (get, query) = (me.json(&["get", id, "--at", at]), escaped(at));
        same_as(get, &hub, &format!("/api/v2/entities/{id}?at={query}"));
        for part in ["history", "tree", "why"] {
            let said = me.json(&[part, id, "--at", at]);
            same_as(said, &hub, &format!("/api/v2/entities/{id}/{part}?at={query}"));
        }
        let list = me.json(&["list", "--type", "device", "--at", at]);
        let list = same_as(list, &hub, &format!("/api/v2/entities?type=device&at={query}"));
        let there = usize::from(*at != times[3]);
        assert_eq!(list["entities"].as_array().unwrap().len(), there, "{list}");
        // Of several types: a hub goes by its keys, in which short types stand first.
        let all = [
            me.json(&["list", "--at", at]),
            hub_says(&hub, &format!("/api/v2/entities?at={query}")).1,
        ];
        let [mine, said] = all.map(|list| {
            let mut rows = without_own(list)["entities"].as_array().unwrap().clone();
            rows.sort_by_key(|row| row["entity"]["id"].as_str().map(str::to_owned));
            rows
        });
        assert_eq!((mine.len(), &mine), (there + 1, &said));
        for other in &times {
            let diff = me.json(&["diff", "--from", at, "--to", other]);
            same_as(
                diff,
                &hub,
                &format!("/api/v2/diff?from={query}&to={}", escaped(other)),
            );
        }
        same_as(
            me.json(&["diff", "--from", at]),
            &hub,
            &format!("/api/v2/diff?from={query}"),
        );
    }
    for part in ["history", "tree", "why"] {
        same_as(
            me.json(&[part, id]),
            &hub,
            &format!("/api/v2/entities/{id}/{part}"),
        );
    }
    // An edge has a past too.
    let shown = me.json(&["get", id, "--at", &times[2]]);
    let edge = shown["relationships"][0]["relationship"]["id"].as_str().unwrap();
    let query = escaped(&times[2]);
    same_as(
        me.json(&["get", edge, "--at", &times[2]]),
        &hub,
        &format!("/api/v2/relationships/{edge}?at={query}"),
    );
    same_as(
        me.json(&["why", edge, "--at", &times[2]]),
        &hub,
        &format!("/api/v2/relationships/{edge}/why?at={query}"),
    );

    // In words: by the name that it bore then, with the field as it was.
    let words = me.run(&["get", "Lamp", "--at", &times[0]]).good();
    assert!(
        words.starts_with("Lamp\n") && words.contains("watts    5"),
        "{words}"
    );
    let words = me.run(&["why", "desk lamp", "--at", &times[1]]).good();
    assert!(
        words.contains("watts: 7\n  by alice at ") && words.contains("accepted by kitchen"),
        "{words}"
    );
    let words = me.run(&["diff", "--from", &times[0], "--to", &times[2]]).good();
    assert!(
        words.contains(&format!("updated device \"Desk lamp\" ({id})\n"))
            && words.contains("  color: \"red\"\n")
            && words.contains("  name: \"Lamp\" → \"Desk lamp\"\n")
            && words.contains("  watts: gone\n"),
        "{words}"
    );
    let words = me.run(&["list", "--at", "-1h"]).good();
    assert!(words.starts_with("0 entities as of "), "{words}");
    let words = me.run(&["get", id, "--at", "now"]).good();
    assert!(words.contains("  deleted "), "{words}");
}

#[test]
fn what_is_no_instant_is_wrong_usage_and_what_was_not_there_yet_is_not_found() {
    let me = Device::new("alice");
    me.run(&["create", "--type", "note", "--name", "Bins"]).good();
    for args in [
        &["get", "Bins", "--at", "tuesday"][..],
        &["list", "--at", "-2 hours"],
        &["history", "Bins", "--at", "2026-13-01"],
        &["tree", "Bins", "--at", ""],
        &["why", "Bins", "--at", "2h"],
        &["diff", "--from", "noon"],
        &["diff", "--from", "-2h", "--to", "noon"],
    ] {
        let why = me.run(args).bad(2);
        assert!(why.contains("write 2026-06-15T09:41:02Z, a date, -2h"), "{why}");
    }
    for args in [&["get"][..], &["history"], &["tree"], &["why"]] {
        let why = me.run(&[args, &["Bins", "--at", "-1d"]].concat()).bad(1);
        assert!(
            why.contains("nothing is known of note \"Bins\"") && why.contains(" or before"),
            "{why}"
        );
    }
    // What no hub has stamped yet counts by this device's own clock.
    assert_eq!(me.json(&["get", "Bins", "--at", "now"])["pending"], true);
    let words = me.run(&["why", "Bins"]).good();
    assert!(words.contains("in no hub's log yet"), "{words}");
}

#[test]
fn a_conflict_of_two_devices_is_told_alike_drawn_and_explained() {
    let hubs = home(2);
    let [kitchen, attic] = &hubs[..] else {
        panic!("two hubs")
    };
    let (alice, bob) = (Device::synced("alice", kitchen), Device::synced("bob", attic));
    let made = alice.json(&[
        "create",
        "--type",
        "device",
        "--name",
        "Lamp",
        "--set",
        "watts=5",
        "--hub",
        &kitchen.url,
    ]);
    let id = made["id"].as_str().unwrap();
    let note = alice.json(&[
        "create",
        "--type",
        "note",
        "--name",
        "Bins",
        "--hub",
        &kitchen.url,
    ]);
    let note = note["id"].as_str().unwrap();
    converge(&hubs);
    bob.run(&["sync", "--hub", &attic.url]).good();
    // Each without having seen the other: two values of one field, and a deletion against an edit.
    alice
        .run(&["edit", id, "--set", "color=red", "--set", "watts=7"])
        .good();
    alice.run(&["delete", note]).good();
    bob.run(&["edit", id, "--set", "color=blue"]).good();
    bob.run(&["edit", note, "--set", "day=Monday"]).good();
    alice.run(&["sync", "--hub", &kitchen.url]).good();
    bob.run(&["sync", "--hub", &attic.url]).good();
    converge(&hubs);
    alice.run(&["sync", "--hub", &kitchen.url]).good();

    for hub in &hubs {
        for what in [id, note] {
            for part in ["history", "tree", "why"] {
                same_as(
                    alice.json(&[part, what]),
                    hub,
                    &format!("/api/v2/entities/{what}/{part}"),
                );
            }
        }
        same_as(alice.json(&["conflicts"]), hub, "/api/v2/conflicts");
        for at in times(&alice, id) {
            let query = escaped(&at);
            let why = alice.json(&["why", id, "--at", &at]);
            same_as(why, hub, &format!("/api/v2/entities/{id}/why?at={query}"));
            let diff = alice.json(&["diff", "--from", &at]);
            same_as(diff, hub, &format!("/api/v2/diff?from={query}"));
        }
    }

    let why = alice.run(&["why", id]).good();
    assert!(
        why.contains("2 heads, shown by merge; policy ")
            && why.contains("color: \"blue\"\n  by bob at ")
            && why.contains("  against \"red\", by alice at ")
            && why.contains("accepted by attic\n")
            && why.contains("  the newest wins\n")
            && !why.contains("  and the same"),
        "{why}"
    );
    let conflicts = alice.run(&["conflicts"]).good();
    assert!(
        conflicts.contains(&format!(
            "note \"Bins\" ({note}): 2 heads, a deletion against an edit"
        )) && conflicts.contains("    deleted\n")
            && conflicts.contains("    day: \"Monday\"\n")
            && conflicts.ends_with("1 conflict waits for a person\n"),
        "{conflicts}"
    );
    assert!(bob.run(&["sync", "--hub", &attic.url]).good().contains("synced"));
    assert_eq!(bob.json(&["conflicts"]), alice.json(&["conflicts"]));

    // Drawn: what won, what lost, and what both replace.
    let tree = alice.run(&["tree", id]).good();
    let lanes: Vec<String> = tree
        .lines()
        .skip(2)
        .take(3)
        .map(|line| line.chars().take(3).collect())
        .collect();
    assert_eq!(lanes, ["●  ", "├─✗", "○  "], "{tree}");

    // An edit on top of both closes the fork. The picture is the same here and there.
    alice
        .run(&["edit", id, "--set", "color=green", "--hub", &kitchen.url])
        .good();
    let file = alice.store().with_file_name("lamp.svg");
    let path = file.display().to_string();
    let drew = alice.run(&["tree", id, "--svg", &path]).good();
    assert_eq!(drew, format!("drew 4 versions in {path}\n"));
    let picture = std::fs::read_to_string(&file).unwrap();
    let asked = Request::get(&format!("/api/v2/entities/{id}/tree")).header("Accept", "image/svg+xml");
    let response = asked.send(kitchen.address().parse().unwrap()).unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(
        response.header("content-type"),
        Some("image/svg+xml; charset=utf-8")
    );
    assert_eq!(
        response.header("content-security-policy"),
        Some("default-src 'none'; style-src 'unsafe-inline'")
    );
    assert_eq!(String::from_utf8(response.body).unwrap(), picture);
    assert!(
        picture.contains("merge of 2") && picture.contains("4 versions"),
        "{picture}"
    );
    // Who names a format of data is given data, and an error is a problem in any case.
    let both = Request::get(&format!("/api/v2/entities/{id}/tree"))
        .header("Accept", "image/svg+xml, application/json");
    let response = both.send(kitchen.address().parse().unwrap()).unwrap();
    assert_eq!(response.json()["id"], json!(id));
    let none = Request::get("/api/v2/relationships/nothing/tree").header("Accept", "image/svg+xml");
    let response = none.send(kitchen.address().parse().unwrap()).unwrap();
    assert_eq!(
        (response.status, response.header("content-type")),
        (404, Some(http::PROBLEM))
    );
    let why = alice.run(&["tree", id, "--svg", "/nowhere/at/all.svg"]).bad(1);
    assert!(why.contains("cannot be written"), "{why}");
}

#[test]
fn a_claim_of_another_year_is_flagged_alike_on_devices_and_hubs() {
    let hub = HubProcess::found("kitchen");
    let version = "2200-01-01T00:00:00.000000+00:00-000001-prophet";
    let body = json!({
        "protocol_version": "inbetweenies-v2", "device_id": "a-test",
        "changes": [{"entity": {"id": "diary", "version": version, "entity_type": "note", "name": "Diary", "content": {}}}],
    });
    let pushed = Request::post("/api/v2/sync", http::JSON, body.to_string().into_bytes());
    assert_eq!(pushed.send(hub.address().parse().unwrap()).unwrap().status, 200);
    let me = Device::synced("alice", &hub);
    me.run(&["edit", "diary", "--set", "page=1", "--hub", &hub.url])
        .good();
    let said = same_as(
        me.json(&["history", "diary"]),
        &hub,
        "/api/v2/entities/diary/history",
    );
    let flags = [0, 1].map(|at| said["versions"][at].get("suspect_time").cloned());
    assert_eq!(
        flags,
        [None, Some(json!("future"))],
        "the edit on top came within five minutes of it"
    );
    let words = me.run(&["history", "diary"]).good();
    assert!(
        words.contains(
            "2200-01-01T00:00:00.000000+00:00 by somebody  superseded  (its clock was in the future)\n"
        ),
        "{words}"
    );
}
