//! What shows a mesh: `status` and `mesh`.

use std::collections::BTreeSet;

use crate::SAMPLE;
use crate::support::{HubProcess, checkout, program, run};

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
