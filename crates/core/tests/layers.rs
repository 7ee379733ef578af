//! The walls of the core: rooms import only from the layers above them, and nothing in it can reach a clock, a file, a
//! socket, a thread or a runtime.

#![allow(
    clippy::disallowed_methods,
    reason = "a test may read the sources that it checks"
)]

use std::path::{Path, PathBuf};

/// The layers of `lib.rs`, top to bottom. A room may use those above its own; never one beside it.
const LAYERS: [&[&str]; 8] = [
    &["id", "hash", "rng", "time", "limits", "zoo"],
    &["value"],
    &["record", "clock", "leaf"],
    &["entry", "domain", "blob"],
    &["view", "wire", "store"],
    &["machine"],
    &["storage", "reconcile", "conflict", "merkle", "transfer", "peers"],
    &["node"],
];

fn layer(room: &str) -> usize {
    LAYERS
        .iter()
        .position(|rooms| rooms.contains(&room))
        .unwrap_or_else(|| panic!("{room} stands in no layer"))
}

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

fn all() -> Vec<(PathBuf, String)> {
    let root = PathBuf::from("src"); // of the package: there cargo runs tests
    let mut found = Vec::new();
    sources(&root, &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| {
            (
                path.strip_prefix(&root).unwrap().to_owned(),
                std::fs::read_to_string(&path).unwrap(),
            )
        })
        .collect()
}

fn room_of(path: &Path) -> String {
    let first = path
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy()
        .into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// Rooms named in a file: `crate::room`, also within braces, and paths in the middle of a line.
fn imports(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut rooms = Vec::new();
    for part in code.split("crate::").skip(1) {
        if let Some(list) = part.strip_prefix('{') {
            let list = list.split('}').next().unwrap_or_default();
            rooms.extend(
                list.split(',')
                    .map(|item| item.trim().split("::").next().unwrap_or_default().to_owned()),
            );
        } else {
            rooms.push(
                part.chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect(),
            );
        }
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

#[test]
fn rooms_import_only_from_the_layers_above() {
    let mut wrong = Vec::new();
    for (path, text) in all() {
        let room = room_of(&path);
        if room == "lib" {
            continue;
        }
        for import in imports(&text) {
            if import != room && layer(&import) >= layer(&room) {
                wrong.push(format!("{}: {room} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lib_names_every_room_and_no_other() {
    let lib = std::fs::read_to_string("src/lib.rs").unwrap();
    let named: Vec<&str> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let mut expected: Vec<&str> = LAYERS.concat();
    let mut sorted = named.clone();
    sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sorted, expected);
    for room in named {
        assert!(
            lib.contains(&format!("[`{room}`]")),
            "{room} is not in the map at the top of lib.rs"
        );
    }
}

#[test]
fn the_core_is_sans_io() {
    let banned = [
        "std::fs",
        "std::net::TcpStream",
        "std::net::TcpListener",
        "std::net::UdpSocket",
        "std::thread",
        "std::process",
        "std::env",
        "Instant::now",
        "SystemTime",
        "Utc::now",
        "HashMap",
        "HashSet",
        "Mutex",
        "RwLock",
        "tokio",
        "actix",
        "rocksdb",
        "async fn",
        ".await",
        "getrandom",
        "OsRng",
    ];
    let mut wrong = Vec::new();
    for (path, text) in all() {
        for (at, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in banned {
                // A word, not the beginning of a longer one (`.awaiting` waits for nobody).
                let longer = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
                if code.split(word).skip(1).any(|rest| !longer(rest)) {
                    wrong.push(format!("{}:{}: {word}", path.display(), at + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whatever the core depends on, however deep: no runtime, no database, nothing that reads a clock by itself.
#[test]
fn the_core_depends_on_no_runtime_and_no_database() {
    let out = std::process::Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--package",
            "inbetweenies-core",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let tree = String::from_utf8(out.stdout).unwrap();
    assert!(tree.contains("sha2"), "the tree is not what it seems: {tree}");
    for crate_name in [
        "actix",
        "tokio",
        "rocksdb",
        "librocksdb-sys",
        "mio",
        "socket2",
        "async-std",
        "smol",
    ] {
        assert!(
            !tree
                .lines()
                .any(|line| line.starts_with(&format!("{crate_name} "))),
            "{crate_name} in\n{tree}"
        );
    }
}
