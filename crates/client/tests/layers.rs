//! The walls of the client: no runtime and no database below it, and only its store touches the world.

use std::path::{Path, PathBuf};

/// The files that may touch files, clock and chance: the store and its log.
const WORLDLY: [&str; 2] = ["store.rs", "log.rs"];

/// What the others may not name.
const BANNED: [&str; 18] = [
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "Instant",
    "SystemTime",
    "HashMap",
    "HashSet",
    "Mutex",
    "RwLock",
    "new_v4",
    "getrandom",
    "tokio",
    "actix",
    "rocksdb",
    "async fn",
    ".await",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn only_the_store_touches_the_world() {
    let root = PathBuf::from("src"); // of the package: there cargo runs tests
    let mut found = Vec::new();
    sources(&root, &mut found);
    found.sort();
    assert!(found.len() > 15, "the sources are not where they were: {found:?}");
    let mut wrong = Vec::new();
    for path in found {
        let name = path.strip_prefix(&root).unwrap();
        if WORLDLY.iter().any(|worldly| name == Path::new(worldly)) {
            continue;
        }
        for (at, line) in std::fs::read_to_string(&path).unwrap().lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in BANNED {
                // A word, not the beginning of a longer one.
                let longer = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
                if code.split(word).skip(1).any(|rest| !longer(rest)) {
                    wrong.push(format!("{}:{}: {word}", name.display(), at + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whatever the client depends on, however deep: what the simulator links with it waits for nobody by itself.
#[test]
fn the_client_depends_on_no_runtime_and_no_database() {
    let out = std::process::Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--package",
            "inbetweenies-client",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let tree = String::from_utf8(out.stdout).unwrap();
    assert!(
        tree.contains("inbetweenies-core "),
        "the tree is not what it seems: {tree}"
    );
    // As beginnings: actix-rt and tokio-util are no better than what they belong to.
    for banned in [
        "actix",
        "awc",
        "tokio",
        "rocksdb",
        "librocksdb",
        "mio ",
        "socket2",
        "async-std",
        "smol",
        "clap",
    ] {
        assert!(
            !tree.lines().any(|line| line.starts_with(banned)),
            "{banned} in\n{tree}"
        );
    }
}
