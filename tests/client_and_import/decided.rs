//! More of what people decide: every kind of answer, every scope of a restore, a lost hub that brings back what was
//! deleted, and devices that have seen more than the hubs that are left.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use inbetweenies_client::{Draft, Frame, Store, wall_clock};
use inbetweenies_core::id::Id;
use inbetweenies_core::limits::Limits;
use inbetweenies_core::record::RESTORE_ID;
use inbetweenies_core::value::Map;
use serde_json::{Value, json};

use crate::http;
use crate::support::{Device, HubProcess, converge, home, run, wait_for};

fn get(hub: &HubProcess, path: &str) -> (u16, Value) {
    let response = http::get(hub.address().parse().unwrap(), path);
    (response.status, response.json())
}

/// What a hub shows of an entity, without the clock of the answer.
fn shown(hub: &HubProcess, id: &str) -> Value {
    let (status, mut view) = get(hub, &format!("/api/v2/entities/{id}"));
    assert!(status == 200 || status == 410, "{id}: {status} {view}");
    view["complete_to"].take();
    view
}

/// The same on all hubs.
fn agreed(hubs: &[HubProcess], id: &str) -> Value {
    let first = shown(&hubs[0], id);
    for hub in &hubs[1..] {
        assert_eq!(shown(hub, id), first);
    }
    first
}

fn versions(hub: &HubProcess, id: &str) -> Vec<Value> {
    let (status, history) = get(hub, &format!("/api/v2/entities/{id}/history"));
    assert_eq!(status, 200, "{history}");
    history["versions"].as_array().unwrap().clone()
}

fn states(hub: &HubProcess, id: &str) -> Vec<String> {
    let states = versions(hub, id)
        .into_iter()
        .map(|row| row["state"].as_str().unwrap().to_owned());
    states.collect()
}

fn queue(hub: &HubProcess) -> BTreeSet<String> {
    let (_, queue) = get(hub, "/api/v2/conflicts");
    let rows = queue["conflicts"].as_array().unwrap().iter();
    rows.map(|row| row["entity"]["id"].as_str().unwrap().to_owned())
        .collect()
}

fn own_queue(device: &Device) -> BTreeSet<String> {
    let queue = device.json(&["conflicts"]);
    let rows = queue["conflicts"].as_array().unwrap().iter();
    rows.map(|row| row["entity"]["id"].as_str().unwrap().to_owned())
        .collect()
}

fn sync(device: &Device, hub: &HubProcess) -> Value {
    device.json(&["sync", "--hub", &hub.url])
}

/// Makes a thing under a given id, and sends it.
fn create(device: &Device, hub: &HubProcess, kind: &str, id: &str, fields: &[&str]) {
    let mut args = vec![
        "create", "--type", kind, "--id", id, "--name", id, "--hub", &hub.url,
    ];
    for field in fields {
        args.extend(["--set", field]);
    }
    device.run(&args).good();
}

/// The newest version of an id that a device holds: its order time.
fn newest(device: &Device, id: &str) -> String {
    let tree = device.json(&["tree", id]);
    tree["nodes"][0]["order_time"].as_str().unwrap().to_owned()
}

#[test]
fn every_kind_of_answer_settles_a_conflict_on_every_hub_and_every_device() {
    let hubs = home(2);
    let [kitchen, attic] = &hubs[..] else {
        panic!("two hubs")
    };
    let (alice, bob) = (Device::synced("alice", kitchen), Device::synced("bob", attic));
    let notes = ["keep", "gone", "strategy", "said"];
    for note in notes {
        create(&alice, kitchen, "note", note, &["day=Monday"]);
    }
    converge(&hubs);
    sync(&bob, attic);
    let base = versions(kitchen, "said")[0]["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    for note in notes {
        alice.run(&["edit", note, "--set", "day=Tuesday"]).good();
        bob.run(&["delete", note]).good();
    }
    sync(&alice, kitchen);
    sync(&bob, attic);
    converge(&hubs);
    sync(&alice, kitchen);
    let all: BTreeSet<String> = notes.map(str::to_owned).into();
    assert_eq!(own_queue(&alice), all);
    assert_eq!((queue(kitchen), queue(attic)), (all.clone(), all));

    // Who looked at other heads decides nothing.
    let records = kitchen.status().records;
    let why = alice
        .run(&[
            "resolve",
            "said",
            "--delete",
            "--head",
            &base,
            "--hub",
            &kitchen.url,
        ])
        .bad(1);
    assert!(why.contains("are others by now"), "{why}");
    for wrong in [
        &["resolve", "said"][..],
        &["resolve", "said", "--strategy", "manual"],
        &["resolve", "said", "--strategy", "dice"],
    ] {
        alice.run(wrong).bad(2);
    }
    alice.run(&["resolve", "said", "--keep", "v9"]).bad(1);
    assert_eq!(alice.json(&["status"])["pending"], json!([]));
    assert_eq!(kitchen.status().records, records);

    let edited = versions(kitchen, "keep")
        .into_iter()
        .find(|row| row["entity"]["user_id"] == "alice" && row["state"] != "superseded");
    let edited = edited.unwrap()["digest"].as_str().unwrap()[..8].to_owned();
    let settle = |args: &[&str]| {
        alice
            .run(&[&["resolve"], args, &["--hub", &kitchen.url]].concat())
            .good()
    };
    settle(&["keep", "--keep", &edited]);
    settle(&["gone", "--delete"]);
    settle(&["strategy", "--strategy", "last_write_wins"]);
    settle(&["said", "--set", "day=Friday"]);
    converge(&hubs);
    sync(&bob, attic);
    assert_eq!((queue(kitchen), queue(attic)), (BTreeSet::new(), BTreeSet::new()));
    assert_eq!(
        (own_queue(&alice), own_queue(&bob)),
        (BTreeSet::new(), BTreeSet::new())
    );
    for (note, day) in [
        ("keep", Some("Tuesday")),
        ("gone", None),
        ("strategy", None),
        ("said", Some("Friday")),
    ] {
        let view = agreed(&hubs, note);
        assert_eq!(view["heads"].as_array().unwrap().len(), 1, "{view}");
        assert_eq!(view["entity"]["deleted"], day.is_none(), "{view}");
        if let Some(day) = day {
            assert_eq!(view["entity"]["content"]["day"], day);
            for device in [&alice, &bob] {
                assert_eq!(device.json(&["get", note])["entity"]["content"]["day"], day);
            }
        }
        assert_eq!(versions(attic, note).len(), 4, "base, two sides, one answer");
    }
    let why = alice.run(&["resolve", "keep", "--delete"]).bad(1);
    assert!(why.contains("not in conflict"), "{why}");
}

/// Fields that differ between two instants, but for the mark of the restore.
fn differs(hub: &HubProcess, from: &str) -> Vec<String> {
    let from = from.replace('+', "%2B");
    let (status, diff) = get(hub, &format!("/api/v2/diff?from={from}"));
    assert_eq!(status, 200, "{diff}");
    let mut found = Vec::new();
    for row in diff["changes"].as_array().unwrap() {
        let id = row["id"].as_str().unwrap();
        if row["change"] != "updated" {
            found.push(format!("{} {id}", row["change"].as_str().unwrap()));
        }
        for field in row["fields"].as_array().unwrap() {
            if field["field"] != json!(["extra", RESTORE_ID]) {
                found.push(format!("{id} {}", field["field"]));
            }
        }
    }
    found
}

#[test]
fn what_is_put_back_is_as_it_was_in_one_change_set_and_can_be_undone() {
    let hub = HubProcess::found("kitchen");
    let me = Device::synced("alice", &hub);
    let act = |args: &[&str]| me.json(&[args, &["--hub", &hub.url]].concat());
    create(&me, &hub, "room", "loft", &["paint=white"]);
    create(&me, &hub, "room", "cellar", &[]);
    for thing in ["lamp", "fan", "heater"] {
        create(&me, &hub, "device", thing, &["watts=5"]);
        act(&["link", thing, "located_in", "loft"]);
    }
    act(&["sync"]);
    let place = |thing: &str| Id::single(&Id::new(thing).unwrap(), "located_in").to_string();
    let then = newest(&me, &place("heater"));

    // One moved out, one deleted, one that came, and the walls.
    act(&["link", "lamp", "located_in", "cellar"]);
    act(&["delete", "fan"]);
    create(&me, &hub, "device", "radio", &["watts=2"]);
    act(&["link", "radio", "located_in", "loft"]);
    act(&["edit", "loft", "--set", "paint=blue"]);
    act(&["edit", "heater", "--set", "watts=2000", "--name", "Old heater"]);
    act(&["edit", "cellar", "--set", "damp=true"]);
    let changed = differs(&hub, &then);
    let records = hub.status().records;

    let dry = act(&["restore", "loft", "--to", &then, "--dry-run"]);
    assert_eq!(
        (&dry["done"], &dry["sets"], &dry["restore_id"]),
        (&json!(false), &json!(1), &Value::Null)
    );
    assert_eq!(hub.status().records, records);
    assert_eq!(
        (me.json(&["status"])["pending"].clone(), differs(&hub, &then)),
        (json!([]), changed.clone())
    );

    let done = act(&["restore", "loft", "--to", &then]);
    assert_eq!(
        (&done["sets"], &done["sync"]["sets_sent"]),
        (&json!(1), &json!(1)),
        "{done}"
    );
    assert_eq!(
        (&done["changed"], &done["deleted"]),
        (&json!(5), &json!(2)),
        "{done}"
    );
    assert_eq!(
        differs(&hub, &then),
        ["cellar [\"content\",\"damp\"]"],
        "the cellar is none of it"
    );
    assert_eq!(shown(&hub, "radio")["entity"]["deleted"], true);
    let mark = done["restore_id"].as_str().unwrap();
    for id in ["loft", "fan", "heater", "radio"] {
        assert_eq!(versions(&hub, id)[0]["entity"][RESTORE_ID], mark, "{id}");
    }
    assert_eq!(hub.status().records, records + 7);
    let again = act(&["restore", "loft", "--to", &then]);
    assert_eq!(
        (&again["sets"], &again["done"]),
        (&json!(0), &json!(true)),
        "{again}"
    );

    // Undone, the same way.
    let undo = done["undo"].as_str().unwrap();
    let undone = act(&["restore", "loft", "--to", undo]);
    assert_eq!(undone["sets"], 1);
    assert_eq!(differs(&hub, undo), [""; 0]);
    assert_eq!(differs(&hub, &then), changed);

    // A thing alone, and a room without what is in it.
    act(&["restore", "heater", "--to", &then]);
    let heater = shown(&hub, "heater");
    assert_eq!(
        (&heater["entity"]["name"], &heater["entity"]["content"]),
        (&json!("heater"), &json!({"watts": 5}))
    );
    act(&["restore", "loft", "--alone", "--to", &then]);
    assert_eq!(shown(&hub, "loft")["entity"]["content"]["paint"], "white");
    assert_eq!(
        shown(&hub, "radio")["entity"]["content"]["watts"],
        2,
        "it is in the loft, and stays as it is"
    );

    // The home, and the home before there was one.
    let home = act(&["restore", "--home", "--to", &then]);
    assert_eq!((&home["sets"], differs(&hub, &then)), (&json!(1), Vec::new()));
    let nothing = act(&["restore", "--home", "--to", "-1d"]);
    assert_eq!((&nothing["changed"], &nothing["deleted"]), (&json!(0), &json!(8)));
    assert_eq!(get(&hub, "/api/v2/entities").1["entities"], json!([]));
    assert_eq!(get(&hub, "/api/v2/relationships").1["relationships"], json!([]));
    let undo = nothing["undo"].as_str().unwrap();
    act(&["restore", "--home", "--to", undo]);
    assert_eq!((differs(&hub, undo), differs(&hub, &then)), Default::default());

    let why = me.run(&["restore", "--home", "--to", "2200-01-01"]).bad(1);
    assert!(why.contains("lies ahead"), "{why}");
}

/// A change set has a bound, a restore has none: beyond it are several sets, which one name holds together.
#[test]
fn a_restore_beyond_a_sets_bound_is_several_sets_of_one_name() {
    let me = Device::new("alice");
    let things = Limits::default().set_records_max + 1;
    {
        let mut store = Store::open(&me.store()).unwrap();
        let drafts: Vec<Draft> = (0..things)
            .map(|n| {
                let id = Id::new(&format!("n{n:05}")).unwrap();
                Draft::entity(id, "note", Some(format!("Note {n}")), "manual", Map::new())
            })
            .collect();
        for part in drafts.chunks(things - 1) {
            let edited = store.replica().stamp(part.to_vec(), wall_clock()).unwrap();
            store.keep(&Frame::Edited(edited)).unwrap();
        }
    }
    let done = me.json(&["restore", "--home", "--to", "-1d"]);
    assert_eq!((&done["sets"], &done["deleted"]), (&json!(2), &json!(things)));
    let store = Store::open(&me.store()).unwrap();
    let mark = done["restore_id"].as_str().unwrap();
    let restored: Vec<usize> = store
        .replica()
        .pending()
        .skip(2)
        .map(|(_, set)| {
            let marked = |record: &inbetweenies_core::record::Record| {
                record.deleted && record.extra.get(RESTORE_ID).and_then(|value| value.as_text()) == Some(mark)
            };
            assert!(set.records.iter().all(|sealed| marked(&sealed.record)));
            set.records.len()
        })
        .collect();
    assert_eq!(restored, [things - 1, 1]);
    drop(store);
    let undo = done["undo"].as_str().unwrap();
    let undone = me.json(&["restore", "--home", "--to", undo]);
    assert_eq!((&undone["sets"], &undone["changed"]), (&json!(2), &json!(things)));
    // A list took time by the square of them, as each thing was looked for among all that waits for a hub.
    let list = me.json(&["list"]);
    let list = list["entities"].as_array().unwrap();
    assert!(list.len() == things && list.iter().all(|row| row["pending"] == true));
}

/// A home of three that keeps replaced content for two seconds.
fn forgetful() -> Vec<HubProcess> {
    let config =
        |mesh: &str| format!("[mesh]\n{mesh}\n[retention]\ncontent_min = \"2s\"\ncheck_interval = \"1s\"\n");
    let mut hubs = vec![HubProcess::with_config("kitchen", &config("found = true"))];
    for name in ["attic", "garage"] {
        let seeds: Vec<String> = hubs.iter().map(|hub| format!("{:?}", hub.address())).collect();
        let joined = HubProcess::with_config(name, &config(&format!("seeds = [{}]", seeds.join(", "))));
        hubs.push(joined);
    }
    converge(&hubs);
    hubs
}

fn horizon(hub: &HubProcess) -> Value {
    get(hub, "/api/v2/status").1["horizon"].clone()
}

fn forgotten(hub: &HubProcess, id: &str) -> usize {
    states(hub, id)
        .iter()
        .filter(|state| *state == "forgotten")
        .count()
}

#[test]
fn a_lost_hub_keeps_the_past_until_it_is_fenced_and_what_it_brings_back_is_not_lost() {
    let mut hubs = forgetful();
    let alice = Device::synced("alice", &hubs[0]);
    create(&alice, &hubs[0], "device", "lamp", &["watts=1"]);
    create(&alice, &hubs[0], "note", "bins", &["day=Monday"]);
    converge(&hubs);
    let dave = Device::synced("dave", &hubs[2]);
    hubs[2].stop();
    let id = hubs[2].id.clone();
    for watts in ["watts=2", "watts=3", "watts=4"] {
        alice
            .run(&["edit", "lamp", "--set", watts, "--hub", &hubs[0].url])
            .good();
    }
    alice.run(&["delete", "bins", "--hub", &hubs[0].url]).good();
    converge(&hubs[..2]);
    // Several looks long nothing goes, though all of it is old enough.
    let since = Instant::now();
    wait_for("some looks at what could be let go", || {
        assert_eq!(
            (horizon(&hubs[0]), forgotten(&hubs[0], "lamp")),
            (json!({}), 0),
            "garage is waited for"
        );
        (since.elapsed() > Duration::from_secs(5)).then_some(())
    });
    let fenced = run(&["fence", "garage", "--hub", &hubs[1].url, "--json"]).json();
    let state = |members: &Value| {
        let row = members["members"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["hub_id"] == id.as_str());
        row.unwrap()["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(&fenced), "fenced");
    for hub in &hubs[..2] {
        wait_for("replaced content to be let go", || {
            (forgotten(hub, "lamp") == 3).then_some(())
        });
        assert_eq!(
            states(hub, "lamp"),
            ["head", "forgotten", "forgotten", "forgotten"],
            "skeletons stay"
        );
        // The store holds a horizon a moment before the status tells of it.
        wait_for("the status to tell of the horizon", || {
            (horizon(hub) != json!({})).then_some(())
        });
        assert_eq!(shown(hub, "lamp")["entity"]["content"]["watts"], 4);
    }

    // It comes back alone: edits of what is deleted elsewhere, and of its own.
    hubs[0].stop();
    hubs[1].stop();
    hubs[2].restart();
    dave.run(&["edit", "bins", "--set", "day=Friday", "--hub", &hubs[2].url])
        .good();
    create(&dave, &hubs[2], "note", "own", &["text=mine"]);
    hubs[0].restart();
    hubs[1].restart();
    converge(&hubs);
    for what in ["lamp", "own", "bins"] {
        wait_for("one view on all hubs", || {
            let views: Vec<Value> = hubs.iter().map(|hub| shown(hub, what)).collect();
            views.iter().all(|view| *view == views[0]).then_some(())
        });
    }
    assert_eq!(agreed(&hubs, "own")["entity"]["content"]["text"], "mine");
    assert_eq!(
        agreed(&hubs, "bins")["entity"]["deleted"],
        true,
        "nothing comes back by itself"
    );
    assert_eq!(agreed(&hubs, "lamp")["entity"]["content"]["watts"], 4);
    for hub in &hubs {
        assert_eq!(
            queue(hub),
            BTreeSet::from(["bins".to_owned()]),
            "a person is asked"
        );
        assert_eq!(states(hub, "lamp").len(), 4);
        wait_for("the returned hub to let go as well", || {
            (forgotten(hub, "lamp") == 3).then_some(())
        });
    }
    let back = run(&["unfence", &id, "--hub", &hubs[2].url, "--json"]).json();
    assert_eq!(state(&back), "member");
    converge(&hubs);
    let words = run(&["members", "--hub", &hubs[0].url]).good();
    assert!(words.contains("garage") && !words.contains("fenced"), "{words}");
    run(&["fence", "nobody", "--hub", &hubs[0].url]).bad(1);
}

#[test]
fn a_device_that_saw_more_at_a_lost_hub_goes_on_when_that_is_fenced() {
    let mut hubs = home(3);
    let me = Device::synced("alice", &hubs[2]);
    hubs[0].stop();
    hubs[1].stop();
    // Only garage has this, and garage is gone for good.
    create(&me, &hubs[2], "note", "secret", &["text=mine"]);
    hubs[2].kill();
    hubs[0].restart();
    hubs[1].restart();
    let why = me.run(&["sync", "--hub", &hubs[0].url]).bad(1);
    assert!(why.contains("has not caught up"), "{why}");
    run(&["fence", "garage", "--hub", &hubs[0].url]).good();
    let done = sync(&me, &hubs[0]);
    assert_eq!(done["records_sent_again"], 1, "{done}");
    converge(&hubs[..2]);
    assert_eq!(agreed(&hubs[..2], "secret")["entity"]["content"]["text"], "mine");
    let idle = sync(&me, &hubs[1]);
    assert_eq!(
        (&idle["records_sent"], &idle["records_received"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(me.json(&["status"])["pending"], json!([]));
}
