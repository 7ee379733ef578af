//! Which layer wins, and what is told of it.

use std::path::Path;

use super::super::{Config, Duration, KEYS, Origin, Resolved, Size, environment};
use super::{load, load_text};

const FILE: &str = "[listen]\nworkers = 3\naddress = \"127.0.0.1:1\"\n\n[gossip]\ninterval = \"3s\"\n";

fn kind(resolved: &Resolved, key: &str) -> &'static str {
    resolved.origins.of(key).expect("a key").kind()
}

#[test]
fn without_layers_all_is_default() {
    let resolved = load(None, &[], &[]).expect("the defaults are good");
    assert_eq!(resolved.config, Config::default());
    assert!(resolved.origins.iter().all(|origin| *origin == Origin::Default));
    assert_eq!(
        resolved.config,
        load_text("").expect("an empty file is good").config
    );
}

#[test]
fn flags_win_over_the_environment_which_wins_over_the_file() {
    let env = [
        ("INBETWEENIES__LISTEN__WORKERS", "4"),
        ("INBETWEENIES__LISTEN__ADDRESS", "127.0.0.1:2"),
    ];
    let flags = [("listen.address", "127.0.0.1:0")];
    let resolved = load(Some(FILE), &env, &flags).expect("good layers");

    assert_eq!(resolved.config.listen.address.port(), 0);
    assert_eq!(kind(&resolved, "listen.address"), "flag");
    assert_eq!(resolved.config.listen.workers, 4);
    assert_eq!(
        resolved.origins.of("listen.workers"),
        Some(&Origin::Environment("INBETWEENIES__LISTEN__WORKERS".to_owned()))
    );
    assert_eq!(resolved.config.gossip.interval, Duration::seconds(3));
    let Some(Origin::File { line, column, .. }) = resolved.origins.of("gossip.interval") else {
        panic!("gossip.interval is not from the file: {:?}", resolved.origins);
    };
    assert_eq!((*line, *column), (6, 12));
    assert_eq!(kind(&resolved, "gossip.fanout"), "default");
    assert_eq!(resolved.origins.of("gossip.fan"), None);
}

#[test]
fn every_type_is_read_from_the_environment() {
    let env = [
        ("INBETWEENIES__HUB__NAME", "Küche"),
        ("INBETWEENIES__LISTEN__ADVERTISE", "[fd00::1]:7420"),
        ("INBETWEENIES__STORAGE__PATH", "/var/lib/hub"),
        ("INBETWEENIES__STORAGE__CACHE_MAX", "1GiB"),
        ("INBETWEENIES__MESH__FOUND", "true"),
        ("INBETWEENIES__MESH__SEEDS", "attic.local:7420, [::1]:7421"),
        ("INBETWEENIES__GOSSIP__KEEPALIVE", "1m"),
        ("INBETWEENIES__LOG__LEVEL", "warn,inbetweenies=trace"),
        ("INBETWEENIES__LOG__FORMAT", "json"),
    ];
    let config = load(None, &env, &[]).expect("a good environment").config;
    assert_eq!(config.hub.name, "Küche");
    assert_eq!(
        config.listen.advertise,
        Some("[fd00::1]:7420".parse().expect("an address"))
    );
    assert_eq!(config.storage.path, Path::new("/var/lib/hub"));
    assert_eq!(config.storage.cache_max, Size::gib(1));
    assert!(config.mesh.found);
    let seeds: Vec<String> = config.mesh.seeds.iter().map(ToString::to_string).collect();
    assert_eq!(seeds, ["attic.local:7420", "[::1]:7421"]);
    assert_eq!(config.gossip.keepalive, Duration::minutes(1));
    assert_eq!(config.log.level.as_str(), "warn,inbetweenies=trace");
    assert_eq!(config.log.format.as_str(), "json");

    // Empty takes back what a file has set.
    let file = "[mesh]\nseeds = [\"attic:1\"]\n[listen]\nadvertise = \"127.0.0.1:1\"";
    let env = [
        ("INBETWEENIES__MESH__SEEDS", ""),
        ("INBETWEENIES__LISTEN__ADVERTISE", ""),
    ];
    assert_eq!(
        load(Some(file), &env, &[]).expect("good layers").config,
        Config::default()
    );
}

#[test]
fn every_key_has_a_variable_that_sets_it() {
    for key in KEYS {
        let value = match key.value(&Config::default()) {
            serde_json::Value::String(text) => text,
            serde_json::Value::Array(_) => String::new(),
            other => other.to_string(),
        };
        let resolved = load(None, &[(&key.variable(), &value)], &[]).expect("the default is good");
        assert_eq!(resolved.config, Config::default(), "{}", key.path());
        assert_eq!(
            resolved.origins.of(&key.path()),
            Some(&Origin::Environment(key.variable()))
        );
    }
}

#[test]
fn open_lets_the_hub_listen_to_the_network() {
    let open = [("listen.open", "true"), ("listen.address", "0.0.0.0:7420")];
    assert!(load(None, &[], &open).is_ok());
    for loopback in [
        "127.0.0.1:0",
        "127.8.9.10:7420",
        "[::1]:7420",
        "[::ffff:127.0.0.1]:7420",
    ] {
        assert!(
            load(None, &[], &[("listen.address", loopback)]).is_ok(),
            "{loopback}"
        );
    }
    for outside in [
        "0.0.0.0:0",
        "[::]:7420",
        "192.168.1.2:7420",
        "[::ffff:192.168.1.2]:7420",
    ] {
        assert!(
            load(None, &[], &[("listen.address", outside)]).is_err(),
            "{outside}"
        );
    }
}

#[test]
fn the_process_environment_is_read_without_foreign_variables() {
    assert!(environment().all(|(name, _)| name.starts_with("INBETWEENIES__")));
}

#[test]
fn show_tells_value_origin_and_meaning_and_is_a_config_file() {
    let env = [("INBETWEENIES__GOSSIP__FANOUT", "5")];
    let resolved = load(Some(FILE), &env, &[("mesh.seeds", "attic:1,garage:2")]).expect("good layers");
    let shown = resolved.show();
    assert_eq!(shown.lines().count(), KEYS.len());
    for (key, start, origin) in [
        ("hub.name", "hub.name = \"hub\"  ", "# default "),
        (
            "mesh.seeds",
            "mesh.seeds = [\"attic:1\",\"garage:2\"]  ",
            "# flag ",
        ),
        ("listen.workers", "listen.workers = 3  ", "hub.toml:2 "),
        (
            "gossip.fanout",
            "gossip.fanout = 5  ",
            "# environment INBETWEENIES__GOSSIP__FANOUT ",
        ),
    ] {
        let line = shown.lines().find(|line| line.starts_with(start)).expect(key);
        assert!(line.contains(origin), "{line}");
        let meaning = KEYS.iter().find(|row| row.is(key)).expect(key).meaning;
        assert!(line.contains(meaning), "{line}");
    }
    assert_eq!(
        load_text(&shown).expect("what is shown is good").config,
        resolved.config
    );
}

#[test]
fn show_json_tells_the_same() {
    let env = [("INBETWEENIES__GOSSIP__FANOUT", "5")];
    let resolved = load(Some(FILE), &env, &[]).expect("good layers");
    let document: serde_json::Value = serde_json::from_str(&resolved.show_json()).expect("JSON");
    let keys = document["keys"].as_array().expect("a list");
    assert_eq!(keys.len(), KEYS.len());
    let row = |key: &str| keys.iter().find(|row| row["key"] == key).expect("a row").clone();
    assert_eq!(
        row("gossip.fanout"),
        serde_json::json!({
            "key": "gossip.fanout", "value": 5, "default": 4, "bound": "1 to 64",
            "origin": {"kind": "environment", "variable": "INBETWEENIES__GOSSIP__FANOUT"},
            "meaning": "Peers that a new entry is pushed to at once; they pass it on.",
        })
    );
    assert_eq!(row("gossip.interval")["value"], "3s");
    assert_eq!(row("gossip.interval")["origin"]["line"], 6);
    assert_eq!(
        row("mesh.found")["origin"],
        serde_json::json!({"kind": "default"})
    );
    assert_eq!(row("listen.open")["bound"], serde_json::Value::Null);
}
