//! The files that are shipped agree with the table.

use std::path::Path;

use super::super::{Config, KEYS, Resolved, check_file};
use super::{load_text, repository};

/// The key of a line `# key = value`, which prose never looks like.
fn commented_key(line: &str) -> Option<&str> {
    let (key, _) = line.strip_prefix("# ")?.split_once(" = ")?;
    key.chars()
        .all(|c| c.is_ascii_lowercase() || c == '_')
        .then_some(key)
}

#[test]
fn hub_toml_documents_every_key_with_its_default() {
    let path = repository("config/hub.toml");
    let text = std::fs::read_to_string(&path).expect("config/hub.toml");
    check_file(&path).expect("the file is good as it is");
    let as_it_is = Config::load(Some(&path), std::iter::empty(), &[]).expect("the file is good as it is");
    assert_eq!(
        as_it_is.config,
        Config::default(),
        "a key of config/hub.toml is not commented out"
    );

    let mut section = "";
    let mut documented = Vec::new();
    let mut uncommented = String::new();
    let mut before = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
        }
        match commented_key(line) {
            Some(key) => {
                assert!(
                    before.starts_with("# ") && commented_key(before).is_none(),
                    "no reason above `{line}`"
                );
                documented.push(format!("{section}.{key}"));
                uncommented.push_str(&line["# ".len()..]);
            }
            None => uncommented.push_str(line),
        }
        uncommented.push('\n');
        before = line;
    }
    let keys: Vec<String> = KEYS.iter().map(|key| key.path()).collect();
    assert_eq!(documented, keys);

    let resolved = load_text(&uncommented).expect("the documented defaults are good");
    assert_eq!(resolved.config, Config::default());
    assert!(resolved.origins.iter().all(|origin| origin.kind() == "file"));
    // Nor does a second notation hide what differs to the eye.
    for key in KEYS {
        let line = format!("# {} = {}", key.name, key.value(&Config::default()));
        assert!(text.lines().any(|written| written == line), "{line}");
    }
}

#[test]
fn the_table_is_fit_to_be_read() {
    for (index, key) in KEYS.iter().enumerate() {
        let first = key.meaning.chars().next();
        assert!(
            first.is_some() && key.meaning.ends_with('.'),
            "{}: {}",
            key.path(),
            key.meaning
        );
        assert!(key.meaning.len() <= 120, "{}: {}", key.path(), key.meaning);
        assert!(
            KEYS[..index].iter().all(|other| other.path() != key.path()),
            "{} twice",
            key.path()
        );
    }
}

#[test]
fn the_three_hubs_of_the_example_make_one_home() {
    let hubs = ["kitchen", "attic", "garage"].map(|name| {
        let path = repository(&format!("config/mesh/{name}.toml"));
        let Resolved { config, .. } = Config::load(Some(&path), std::iter::empty(), &[]).expect(name);
        let text = std::fs::read_to_string(&path).expect(name);
        let comments = text.lines().take_while(|line| line.starts_with("# ")).count();
        assert_eq!(comments, 2, "{name} does not begin with a comment of two lines");
        assert_eq!(config.hub.name, name);
        assert_eq!(config.storage.path, Path::new("./data").join(name));
        config
    });
    assert_eq!(hubs.iter().filter(|hub| hub.mesh.found).count(), 1);
    assert!(hubs[0].mesh.found);
    let addresses = hubs.each_ref().map(|hub| hub.listen.address.to_string());
    assert_eq!(addresses, ["127.0.0.1:7420", "127.0.0.1:7421", "127.0.0.1:7422"]);
    for (hub, own) in hubs.iter().zip(&addresses) {
        let seeds: Vec<String> = hub.mesh.seeds.iter().map(ToString::to_string).collect();
        let others: Vec<&String> = addresses.iter().filter(|address| *address != own).collect();
        assert_eq!(seeds.iter().collect::<Vec<_>>(), others, "the seeds of {own}");
    }
}
