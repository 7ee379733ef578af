//! The simulator builds in seconds: nothing of actix, tokio or RocksDB is in it.

use std::process::Command;

#[test]
fn the_simulator_knows_no_runtime_and_no_database() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--package",
            "inbetweenies-simulations",
            "--edges",
            "normal,build",
        ])
        .args(["--prefix", "none", "--format", "{p}"])
        .output()
        .expect("cargo tree");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8_lossy(&tree.stdout);
    let forbidden = ["actix", "tokio", "rocksdb", "librocksdb-sys", "awc"];
    let found = tree.lines().filter(|line| {
        forbidden
            .iter()
            .any(|name| line.split([' ', '-']).next() == Some(*name))
    });
    assert_eq!(found.collect::<Vec<_>>(), Vec::<&str>::new());
    assert!(tree.contains("inbetweenies-core"), "the tree was read");
}
