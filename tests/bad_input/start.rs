//! What a hub is not started with: the process ends with 2 and says what to do.

use std::fs;
use std::path::Path;

use crate::process::{Ended, Setup, inbetweenies, run};

/// Runs a hub from a config file until it ends.
fn with_config(folder: &Path, text: &str) -> (String, Ended) {
    let file = folder.join("hub.toml");
    fs::write(&file, text).expect("a config file");
    let mut command = inbetweenies();
    command
        .args(["hub", "--listen", "127.0.0.1:0", "--init", "--data"])
        .arg(folder.join("data"));
    command.arg("--config").arg(&file);
    (file.display().to_string(), run(command))
}

#[test]
fn a_config_that_is_wrong_is_refused_with_its_place() {
    let cases: [(&str, &str, &[&str]); 13] = [
        (
            "a misspelt key",
            "[mesh]\nfuond = true\n",
            &[":2:1", "mesh.fuond", "did you mean", "found"],
        ),
        (
            "a misspelt section",
            "[lisen]\nopen = true\n",
            &[":1:2", "lisen", "did you mean", "listen"],
        ),
        (
            "a key of another section",
            "[mesh]\naddress = \"127.0.0.1:1\"\n",
            &[":2:1", "address"],
        ),
        (
            "a duration without unit",
            "\n[gossip]\n  interval = 5\n",
            &[":3:14", "gossip.interval"],
        ),
        (
            "a duration in words",
            "[gossip]\ninterval = \"soon\"\n",
            &[":2:12", "gossip.interval", "soon"],
        ),
        (
            "a size above the protocol's",
            "[limits]\nbody_max = \"1GiB\"\n",
            &[":2:12", "limits.body_max", "protocol"],
        ),
        ("no TOML", "[mesh\n", &[":1:", "TOML"]),
        (
            "one key twice",
            "[mesh]\nfound = true\nfound = false\n",
            &[":3:", "TOML"],
        ),
        (
            "a yes that is text",
            "[mesh]\nfound = \"yes\"\n",
            &[":2:9", "mesh.found"],
        ),
        (
            "a seed without port",
            "[mesh]\nseeds = [\"attic\"]\n",
            &[":2:", "mesh.seeds", "attic"],
        ),
        (
            "waits in the wrong order",
            "[mesh]\ndial_backoff_min = \"1m\"\n",
            &[":2:20", "dial_backoff_max"],
        ),
        (
            "less time for a head than the server can tell",
            "[listen]\nhead_timeout = \"300ms\"\n",
            &[":2:16", "listen.head_timeout", "1s"],
        ),
        (
            "two errors at once",
            "[mesh]\nfuond = true\n[log]\nlevel = \"laud\"\n",
            &[":2:1", ":4:9", "laud"],
        ),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let mut wrong = Vec::new();
    for (name, text, said) in cases {
        let (file, ended) = with_config(folder.path(), text);
        let place = said.iter().all(|part| ended.stderr.contains(part)) && ended.stderr.contains(&file);
        if ended.code != Some(2) || !place || !ended.stdout.is_empty() {
            wrong.push(format!("{name}: {said:?}: {ended:?}"));
        }
    }
    assert!(
        !folder.path().join("data").exists(),
        "a hub that did not start left a folder behind"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_config_that_is_not_there_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = inbetweenies();
    command
        .args(["hub", "--config"])
        .arg(folder.path().join("none.toml"));
    let ended = run(command);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("none.toml"), "{ended:?}");
}

fn refused(setup: &Setup, said: &[&str]) {
    let ended = setup.run();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        said.iter().all(|part| ended.stderr.contains(part)),
        "{said:?}: {ended:?}"
    );
    assert_eq!(ended.stdout, "", "{ended:?}");
}

#[test]
fn other_machines_are_let_in_only_in_so_many_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let setup = Setup::new("open", folder.path()).founder();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let setup = setup.clone().listen(address);
        refused(&setup, &["listen.address", "listen.open = true"]);
    }
    let open = setup.listen("0.0.0.0:0").key("listen.open", "true");
    assert_eq!(open.start().address.ip().to_string(), "0.0.0.0");
}

/// A mount that is not there leaves an empty folder, or none: that is no new hub.
#[test]
fn a_folder_without_marker_is_no_new_hub() {
    let folder = tempfile::tempdir().expect("a folder");
    let setup = Setup::new("lost", folder.path()).founder().again();
    refused(&setup, &["--init", "mount"]);
    assert!(!setup.data.exists(), "the refusal made the folder");
    fs::create_dir(&setup.data).expect("an empty folder");
    refused(&setup, &["--init", "mount"]);
    assert_eq!(
        fs::read_dir(&setup.data).expect("the folder").count(),
        0,
        "the refusal wrote into the folder"
    );
}

/// A store whose marker was lost, or whose rows were, is not begun anew even with --init.
#[test]
fn half_a_folder_is_no_new_hub() {
    let folder = tempfile::tempdir().expect("a folder");
    let (setup, stopped) = Setup::new("half", folder.path()).founder().start().stop();
    assert!(stopped.success(), "{stopped}");
    let marker = setup.data.join("INBETWEENIES");
    let kept = fs::read(&marker).expect("a marker");
    fs::remove_file(&marker).expect("the marker goes");
    refused(&setup, &["marker"]);
    refused(&setup.clone().again(), &["marker"]);
    fs::write(&marker, kept).expect("the marker comes back");
    fs::rename(setup.data.join("db"), setup.data.join("elsewhere")).expect("the rows go");
    refused(&setup.clone().again(), &["rows"]);
    fs::rename(setup.data.join("elsewhere"), setup.data.join("db")).expect("the rows come back");
    setup.start();
}

#[test]
fn a_folder_has_one_hub() {
    let folder = tempfile::tempdir().expect("a folder");
    let setup = Setup::new("one", folder.path()).founder();
    let first = setup.start();
    refused(&setup, &["in use"]);
    refused(&setup.clone().again(), &["in use"]);
    assert_eq!(first.get("/health").0, 200);
    let id = first.id.clone();
    let again = first.kill().start();
    assert_eq!(again.id, id, "the lock goes with the process that held it");
}

#[test]
fn a_port_has_one_hub() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Setup::new("first", folder.path()).founder().start();
    let second = Setup::new("second", folder.path())
        .founder()
        .listen(first.address);
    refused(&second, &["cannot listen", "--listen"]);
    assert_eq!(first.get("/health").0, 200);
}

/// A founder needs its domain; what is no domain founds no home.
#[test]
fn a_home_is_not_founded_on_a_broken_domain() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("domain.toml");
    let setup = Setup::new("founder", folder.path())
        .founder()
        .key("conflict.domain", file.display());
    refused(&setup, &["domain.toml"]);
    for text in [
        "[domain]\nname = \"x\"\n",
        "[domain",
        "[entity.room]\nstrategy = \"coin\"\n",
    ] {
        fs::write(&file, text).expect("a domain");
        refused(&setup, &["domain.toml"]);
    }
}

/// Whoever waits for the ready line may stop the hub at once: the signal that comes with it is heard.
#[test]
fn a_hub_that_is_stopped_as_soon_as_it_is_ready_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut setup = Setup::new("brief", folder.path()).founder();
    for _ in 0..5 {
        let (again, stopped) = setup.start().stop();
        assert!(stopped.success(), "{stopped}");
        setup = again;
    }
}
