//! What people decide: conflicts answered, things put back, rules changed, a lost hub fenced.

use std::fs;

use serde_json::{Value, json};

use crate::http::{self, Request};
use crate::support::{Device, HubProcess, converge, home, run, wait_for};

fn says(hub: &HubProcess, path: &str) -> (u16, Value) {
    let response = http::get(hub.address().parse().unwrap(), path);
    (response.status, response.json())
}

fn posts(hub: &HubProcess, method: &'static str, path: &str, body: &Value) -> (u16, Value) {
    let mut request = Request::post(path, "application/json", serde_json::to_vec(body).unwrap());
    request.method = method;
    let response = request.send(hub.address().parse().unwrap()).unwrap();
    (response.status, response.json())
}

fn history(hub: &HubProcess, id: &str) -> Vec<Value> {
    let (status, body) = says(hub, &format!("/api/v2/entities/{id}/history?limit=1000"));
    assert_eq!(status, 200, "{body}");
    body["versions"].as_array().unwrap().clone()
}

/// Two devices that edit one thing with no hub in reach, and push to two hubs.
fn two_edits(hubs: &[HubProcess], create: &[&str], one: &[&str], other: &[&str]) -> (Device, Device, String) {
    let (alice, bob) = (Device::synced("alice", &hubs[0]), Device::synced("bob", &hubs[1]));
    let made = alice.json(&[create, &["--hub", &hubs[0].url]].concat());
    let id = made["id"].as_str().unwrap().to_owned();
    converge(hubs);
    bob.json(&["sync", "--hub", &hubs[1].url]);
    let with_id = |args: &[&str]| {
        args.iter()
            .map(|arg| {
                if *arg == "ID" {
                    id.clone()
                } else {
                    (*arg).to_owned()
                }
            })
            .collect::<Vec<_>>()
    };
    for (device, edit) in [(&alice, one), (&bob, other)] {
        let edit = with_id(edit);
        device.json(&edit.iter().map(String::as_str).collect::<Vec<_>>());
    }
    alice.json(&["sync", "--hub", &hubs[0].url]);
    bob.json(&["sync", "--hub", &hubs[1].url]);
    converge(hubs);
    alice.json(&["sync", "--hub", &hubs[0].url]);
    bob.json(&["sync", "--hub", &hubs[1].url]);
    (alice, bob, id)
}

#[test]
fn a_deletion_against_an_edit_waits_until_a_person_answers() {
    let hubs = home(2);
    let create = ["create", "--type", "device", "--name", "Lamp", "--set", "watts=5"];
    let (alice, bob, id) = two_edits(
        &hubs,
        &create,
        &["delete", "ID"],
        &["edit", "ID", "--set", "watts=9"],
    );
    let queue = alice.json(&["conflicts"]);
    assert_eq!(queue["conflicts"].as_array().unwrap().len(), 1, "{queue}");
    assert_eq!(
        says(&hubs[1], &format!("/api/v2/entities/{id}")).0,
        410,
        "it stays deleted"
    );
    // An answer to other heads than there are changes nothing.
    let before = hubs[0].status().records;
    let stale = alice.run(&[
        "resolve",
        &id,
        "--delete",
        "--head",
        "2020-01-01T00:00:00+00:00-000001-nobody",
    ]);
    assert!(stale.bad(1).contains("look again"));
    let heads: Vec<Value> = history(&hubs[0], &id)
        .iter()
        .filter(|row| row["children"] == json!([]))
        .cloned()
        .collect();
    assert_eq!(heads.len(), 2);
    let kept = heads
        .iter()
        .find(|row| row["entity"]["deleted"] == false)
        .unwrap();
    let keep = kept["digest"].as_str().unwrap();
    bob.json(&["resolve", &id, "--keep", &keep[..8], "--hub", &hubs[1].url]);
    converge(&hubs);
    for hub in &hubs {
        let (status, shown) = says(hub, &format!("/api/v2/entities/{id}"));
        assert_eq!(
            (status, &shown["entity"]["content"]["watts"]),
            (200, &json!(9)),
            "{shown}"
        );
        assert_eq!(says(hub, "/api/v2/conflicts").1, json!({"conflicts": []}));
    }
    assert_eq!(hubs[0].status().records, before + 1, "an answer is one record");
    alice.json(&["sync", "--hub", &hubs[0].url]);
    assert_eq!(alice.json(&["conflicts"])["conflicts"], json!([]));
    // There is nothing more to settle.
    let body =
        json!({"heads": [heads[0]["entity"]["version"], heads[1]["entity"]["version"]], "deleted": true});
    let (status, problem) = posts(&hubs[0], "POST", &format!("/api/v2/conflicts/{id}"), &body);
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("conflict_changed")),
        "{problem}"
    );
}

#[test]
fn two_different_answers_are_themselves_a_conflict() {
    let hubs = home(2);
    let policy = hubs_policy(
        &hubs,
        "[entity.note]\nstrategy = \"merge\"",
        "[entity.note]\nstrategy = \"manual\"",
    );
    assert_eq!(
        policy["entity"]["content"]["entity"]["note"]["strategy"],
        "manual"
    );
    let create = [
        "create",
        "--type",
        "note",
        "--name",
        "Bins",
        "--set",
        "day=monday",
    ];
    let edits = [
        ["edit", "ID", "--set", "day=tuesday"],
        ["edit", "ID", "--set", "day=friday"],
    ];
    let (alice, bob, id) = two_edits(&hubs, &create, &edits[0], &edits[1]);
    let (_, shown) = says(&hubs[0], &format!("/api/v2/entities/{id}"));
    assert_eq!(
        (&shown["provisional"], &shown["strategy"]),
        (&json!(true), &json!("manual")),
        "{shown}"
    );
    alice.json(&["resolve", &id, "--set", "day=wednesday"]);
    bob.json(&["resolve", &id, "--strategy", "merge"]);
    alice.json(&["sync", "--hub", &hubs[0].url]);
    bob.json(&["sync", "--hub", &hubs[1].url]);
    converge(&hubs);
    for hub in &hubs {
        assert_eq!(
            says(hub, "/api/v2/conflicts").1["conflicts"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
    let (_, queue) = says(&hubs[1], "/api/v2/conflicts");
    let heads = &queue["conflicts"][0]["heads"];
    let answer = json!({"heads": heads, "content": {"day": "thursday"}, "user_id": "carol"});
    let (status, shown) = posts(&hubs[1], "POST", &format!("/api/v2/conflicts/{id}"), &answer);
    assert_eq!(
        (status, &shown["entity"]["content"]["day"]),
        (200, &json!("thursday")),
        "{shown}"
    );
    assert_eq!(shown["entity"]["user_id"], "carol");
    converge(&hubs);
    assert_eq!(says(&hubs[0], "/api/v2/conflicts").1, json!({"conflicts": []}));
    assert_eq!(
        history(&hubs[0], &id).len(),
        6,
        "a base, two edits, three answers"
    );
}

/// Changes the home's rules: in the shipped domain one text for another.
fn hubs_policy(hubs: &[HubProcess], from: &str, to: &str) -> Value {
    let house = fs::read_to_string(crate::support::checkout("config/domains/house.toml")).unwrap();
    assert!(house.contains(from));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("house.toml");
    fs::write(&file, house.replace(from, to)).unwrap();
    let shown = run(&[
        "policy",
        "set",
        file.to_str().unwrap(),
        "--user",
        "owner",
        "--hub",
        &hubs[0].url,
        "--json",
    ])
    .json();
    converge(hubs);
    shown
}

const RULES: &str = r#"[entity.device]
strategy = "custom"
[[entity.device.rules]]
field = ["content", "kwh"]
rule = "max"
[[entity.device.rules]]
field = ["content", "tags"]
rule = "union"
"#;

#[test]
fn a_merge_storm_makes_as_many_records_as_people_wrote() {
    let hubs = home(3);
    hubs_policy(&hubs, "[entity.device]\nstrategy = \"merge\"", RULES);
    let names = ["alice", "bob", "carol"];
    let devices: Vec<Device> = names
        .iter()
        .zip(&hubs)
        .map(|(name, hub)| Device::synced(name, hub))
        .collect();
    let made = devices[0].json(&[
        "create",
        "--type",
        "device",
        "--name",
        "Meter",
        "--set",
        "kwh=1",
        "--hub",
        &hubs[0].url,
    ]);
    let id = made["id"].as_str().unwrap().to_owned();
    converge(&hubs);
    let sync = |at: usize| drop(devices[at].json(&["sync", "--hub", &hubs[at].url]));
    (0..3).for_each(sync);
    for (at, kwh) in ["kwh=5", "kwh=9", "kwh=7"].into_iter().enumerate() {
        devices[at].json(&["edit", &id, "--set", kwh]);
    }
    (0..3).for_each(sync);
    converge(&hubs);
    (0..3).for_each(sync);
    let (_, shown) = says(&hubs[2], &format!("/api/v2/entities/{id}"));
    assert_eq!(shown["entity"]["content"]["kwh"], 9, "the rule decides: {shown}");
    let (_, why) = says(&hubs[2], &format!("/api/v2/entities/{id}/why"));
    let kwh = why["fields"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["field"] == json!(["content", "kwh"]))
        .unwrap();
    assert_eq!(
        (&kwh["rule"], kwh["beaten"].as_array().unwrap().len()),
        (&json!("max"), 2),
        "{why}"
    );
    // All three settle it, at three hubs, none having seen the others.
    for device in &devices {
        device.json(&["resolve", &id, "--strategy", "custom"]);
    }
    (0..3).for_each(sync);
    converge(&hubs);
    for hub in &hubs {
        let versions = history(hub, &id);
        assert_eq!(versions.len(), 1 + 3 + 3);
        let writers = versions
            .iter()
            .map(|row| row["entity"]["user_id"].as_str().unwrap());
        assert!(
            writers.clone().all(|writer| names.contains(&writer)),
            "no hub wrote one"
        );
        let (_, shown) = says(hub, &format!("/api/v2/entities/{id}"));
        assert_eq!(
            (&shown["conflict"], &shown["entity"]["content"]["kwh"]),
            (&json!(false), &json!(9))
        );
    }
}

#[test]
fn what_is_put_back_is_as_it_was_and_can_be_undone() {
    let hubs = home(2);
    let me = Device::synced("alice", &hubs[0]);
    let to = ["--hub", &hubs[0].url];
    let act = |args: &[&str]| me.json(&[args, &to].concat());
    act(&["create", "--type", "room", "--name", "Loft"]);
    act(&["create", "--type", "room", "--name", "Cellar"]);
    for name in ["Lamp", "Heater"] {
        act(&["create", "--type", "device", "--name", name, "--set", "watts=5"]);
        act(&["link", name, "located_in", "Loft"]);
    }
    let then = newest(&me);
    act(&["link", "Lamp", "located_in", "Cellar"]);
    act(&["edit", "Lamp", "--set", "watts=60"]);
    act(&["delete", "Heater"]);
    act(&["create", "--type", "device", "--name", "Fan"]);
    act(&["link", "Fan", "located_in", "Loft"]);
    act(&["edit", "Loft", "--name", "Attic room"]);
    let (before, records) = (listed(&hubs[0], None), hubs[0].status().records);
    let would = act(&["restore", "Attic room", "--to", &then, "--dry-run"]);
    assert_eq!(would["done"], false);
    assert_eq!(hubs[0].status().records, records, "a dry run changes nothing");
    let done = act(&["restore", "Attic room", "--to", &then]);
    assert_eq!(done["sets"], 1, "{done}");
    converge(&hubs);
    // The room and all that was in it is as it was; what came since is gone.
    for hub in &hubs {
        assert_eq!(listed(hub, None), listed(hub, Some(&then)));
    }
    let loft = says(&hubs[1], "/api/v2/entities?type=room").1;
    assert!(loft.to_string().contains("\"Loft\""), "{loft}");
    act(&["restore", "--home", "--to", done["undo"].as_str().unwrap()]);
    converge(&hubs);
    assert_eq!(listed(&hubs[1], None), before, "undone");
    // Before anything was there: all of it goes.
    act(&["restore", "--home", "--to", "2020-01-01"]);
    converge(&hubs);
    assert!(listed(&hubs[1], None).is_empty());
    let ahead = me.run(&["restore", "--home", "--to", "2199-01-01"]);
    assert!(ahead.bad(1).contains("lies ahead"));
}

/// The newest instant that a device knows of.
fn newest(device: &Device) -> String {
    let list = device.json(&["list"]);
    let ids = list["entities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["entity"]["id"].as_str().unwrap().to_owned());
    let times = ids.flat_map(|id| {
        let tree = device.json(&["tree", &id]);
        let edges = device.json(&["get", &id])["relationships"]
            .as_array()
            .unwrap()
            .clone();
        let edges = edges
            .iter()
            .map(|row| row["relationship"]["id"].as_str().unwrap().to_owned());
        let mut times = vec![tree["nodes"][0]["order_time"].as_str().unwrap().to_owned()];
        times.extend(edges.map(|id| {
            device.json(&["tree", &id])["nodes"][0]["order_time"]
                .as_str()
                .unwrap()
                .to_owned()
        }));
        times
    });
    times.max().unwrap()
}

/// What is there: names, contents and edges, without versions.
fn listed(hub: &HubProcess, at: Option<&str>) -> Vec<String> {
    let at = at.map_or_else(String::new, |at| format!("&at={}", at.replace('+', "%2B")));
    let mut rows = Vec::new();
    for (list, part) in [("entities", "entity"), ("relationships", "relationship")] {
        let (status, body) = says(hub, &format!("/api/v2/{list}?limit=1000{at}"));
        assert_eq!(status, 200, "{body}");
        for row in body[list].as_array().unwrap() {
            let said = &row[part];
            rows.push(format!(
                "{} {} {} {} {}",
                said["id"], said["name"], said["content"], said["properties"], said["to_entity_id"]
            ));
        }
    }
    rows.sort();
    rows
}

#[test]
fn rules_that_change_are_history_and_a_view_of_then_goes_by_those_of_then() {
    let hubs = home(2);
    let create = ["create", "--type", "device", "--name", "Meter", "--set", "kwh=1"];
    let edits = [["edit", "ID", "--set", "kwh=9"], ["edit", "ID", "--set", "kwh=5"]];
    let (alice, _bob, id) = two_edits(&hubs, &create, &edits[0], &edits[1]);
    let (_, shown) = says(&hubs[1], &format!("/api/v2/entities/{id}"));
    assert_eq!(
        (&shown["strategy"], &shown["entity"]["content"]["kwh"]),
        (&json!("merge"), &json!(5)),
        "{shown}"
    );
    let then = newest(&alice);
    let old = says(&hubs[0], "/api/v2/policy").1;
    hubs_policy(&hubs, "[entity.device]\nstrategy = \"merge\"", RULES);
    for hub in &hubs {
        let (_, shown) = says(hub, &format!("/api/v2/entities/{id}"));
        assert_eq!(
            (&shown["strategy"], &shown["entity"]["content"]["kwh"]),
            (&json!("custom"), &json!(9)),
            "{shown}"
        );
        let (_, past) = says(
            hub,
            &format!("/api/v2/entities/{id}?at={}", then.replace('+', "%2B")),
        );
        assert_eq!(
            (&past["strategy"], &past["entity"]["content"]["kwh"]),
            (&json!("merge"), &json!(5)),
            "{past}"
        );
        assert_eq!(history(hub, "_policy").len(), 2);
        let (_, why) = says(hub, &format!("/api/v2/entities/{id}/why"));
        assert_eq!(
            why["policy_version"],
            says(hub, "/api/v2/policy").1["entity"]["version"]
        );
    }
    // From what was seen before the change: refused; the same again: nothing written.
    let stale = json!({"heads": old["heads"], "content": old["entity"]["content"]});
    let (status, problem) = posts(&hubs[1], "PUT", "/api/v2/policy", &stale);
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("policy_changed")),
        "{problem}"
    );
    let now = says(&hubs[1], "/api/v2/policy").1;
    let again = json!({"heads": now["heads"], "content": now["entity"]["content"]});
    assert_eq!(posts(&hubs[1], "PUT", "/api/v2/policy", &again).0, 200);
    assert_eq!(history(&hubs[1], "_policy").len(), 2);
    alice.json(&["sync", "--hub", &hubs[0].url]);
    assert_eq!(alice.json(&["get", &id])["entity"]["content"]["kwh"], 9);
}

#[test]
fn content_goes_when_a_lost_hub_is_fenced_and_the_hub_comes_back_with_its_own() {
    let retention = "[retention]\ncontent_min = \"2s\"\ncheck_interval = \"1s\"\n";
    let founder = HubProcess::with_config("kitchen", &format!("[mesh]\nfound = true\n{retention}"));
    let join = |name: &str| {
        HubProcess::with_config(
            name,
            &format!("[mesh]\nseeds = [\"{}\"]\n{retention}", founder.address()),
        )
    };
    let (attic, mut garage) = (join("attic"), join("garage"));
    let hubs = [&founder, &attic];
    wait_for("three members", || {
        (founder.status().peers.len() == 2).then_some(())
    });
    let me = Device::synced("alice", &founder);
    let olga = Device::synced("olga", &founder);
    let made = me.json(&[
        "create",
        "--type",
        "device",
        "--name",
        "Lamp",
        "--set",
        "watts=1",
        "--hub",
        &founder.url,
    ]);
    let id = made["id"].as_str().unwrap().to_owned();
    olga.json(&["sync", "--hub", &founder.url]);
    wait_for("the garage to hear of it", || {
        (garage.status().records == founder.status().records).then_some(())
    });
    // Its power fails right after it took a note, whether or not it has passed it on.
    let url = garage.url.clone();
    let key = "where=under the pot";
    olga.json(&[
        "create", "--type", "note", "--name", "Key", "--set", key, "--hub", &url,
    ]);
    garage.kill();
    for watts in 2..5 {
        me.json(&[
            "edit",
            &id,
            "--set",
            &format!("watts={watts}"),
            "--hub",
            &founder.url,
        ]);
    }
    let forgotten = |hub: &HubProcess| {
        history(hub, &id)
            .iter()
            .filter(|row| row["state"] == "forgotten")
            .count()
    };
    assert_eq!(forgotten(&founder), 0, "everybody waits for the garage");
    run(&["fence", "garage", "--hub", &attic.url]).good();
    wait_for("old content to go", || {
        hubs.iter().all(|hub| forgotten(hub) >= 2).then_some(())
    });
    assert_eq!(history(&founder, &id).len(), 4, "skeletons stay");
    // The board hears of a horizon after the store holds it, so the status may be a moment late.
    wait_for("the status to tell of the horizon", || {
        (says(&attic, "/api/v2/status").1["horizon"] != json!({})).then_some(())
    });
    let shown = says(&attic, &format!("/api/v2/entities/{id}")).1;
    assert_eq!(shown["entity"]["content"]["watts"], 4);
    garage.restart();
    wait_for("all to hold the same", || {
        let all = [&founder, &attic, &garage].map(HubProcess::status);
        (all[0].clock == all[1].clock && all[1].clock == all[2].clock && all[0].records == all[2].records)
            .then_some(())
    });
    for hub in [&founder, &attic, &garage] {
        let own = says(hub, "/api/v2/entities?type=note").1;
        assert!(
            own.to_string().contains("under the pot"),
            "what the garage had is here: {own}"
        );
        let shown = says(hub, &format!("/api/v2/entities/{id}")).1;
        assert_eq!(shown["entity"]["content"]["watts"], 4);
    }
    run(&["unfence", "garage", "--hub", &garage.url]).good();
    wait_for("the fence to be taken back everywhere", || {
        let members = says(&founder, "/api/v2/members").1;
        members["members"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["state"] == "member")
            .then_some(())
    });
}
