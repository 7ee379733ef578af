//! What is refused, word for word.

use super::super::{ConfigError, ERRORS_MAX, FILE_BYTES_MAX, Origin, check_file};
use super::{load, load_text, messages, repository};

#[test]
fn bad_files_are_told_where_and_what_to_do() {
    for (text, expected) in [
        (
            "[listen]\nadress = \"127.0.0.1:1\"",
            "hub.toml:2:1: unknown key `listen.adress`: did you mean `listen.address`?",
        ),
        (
            "[hub]\naddress = \"127.0.0.1:1\"",
            "hub.toml:2:1: unknown key `hub.address`: did you mean `listen.address`?",
        ),
        (
            "log.colour = true",
            "hub.toml:1:5: unknown key `log.colour`: [log] has level, format",
        ),
        (
            "\n[gosip]\nfanout = 3",
            "hub.toml:2:2: unknown section `gosip`: did you mean `gossip`?",
        ),
        (
            "name = \"attic\"",
            "hub.toml:1:1: unknown section `name`: the sections are hub, listen, storage, mesh, gossip, \
             sync, conflict, merkle, blobs, retention, limits, log, metrics",
        ),
        (
            "hub = \"attic\"",
            "hub.toml:1:1: `hub` is a section: write [hub] on its own line, its keys below it",
        ),
        (
            "[[hub]]\nname = \"attic\"",
            "hub.toml:1:3: `hub` is a section: write [hub] on its own line, its keys below it",
        ),
        (
            "[listen]\nworkers = \"two\"",
            "hub.toml:2:11: listen.workers: expected a whole number, found the string \"two\"",
        ),
        (
            "[listen]\nworkers = 2.0",
            "hub.toml:2:11: listen.workers: expected a whole number, found the number 2.0",
        ),
        (
            "[listen]\nopen = 1",
            "hub.toml:2:8: listen.open: expected true or false, found the integer 1",
        ),
        (
            "[hub]\nname = true",
            "hub.toml:2:8: hub.name: expected a string, found the boolean true",
        ),
        (
            "[listen.address]\nport = 1",
            "hub.toml:1:1: listen.address: expected an address and port such as \"127.0.0.1:7420\" or \
             \"[::1]:7420\", found a table",
        ),
        (
            "[listen]\naddress = \"localhost:7420\"",
            "hub.toml:2:11: listen.address: \"localhost:7420\" is not an address and port such as \
             \"127.0.0.1:7420\" or \"[::1]:7420\"",
        ),
        (
            "[listen]\nbody_timeout = 30",
            "hub.toml:2:16: listen.body_timeout: expected a duration such as \"30s\", found the integer 30",
        ),
        (
            "[listen]\nbody_timeout = \"30 sec\"",
            "hub.toml:2:16: listen.body_timeout: \"30 sec\" is not a duration: write a whole number and a \
             unit (ms, s, m, h, d), as \"30s\"",
        ),
        (
            "[listen]\nbody_timeout = \"1.5s\"",
            "hub.toml:2:16: listen.body_timeout: \"1.5s\" has a fraction: write a whole number of a \
             smaller unit",
        ),
        (
            "[listen]\nbody_timeout = \"0s\"",
            "hub.toml:2:16: listen.body_timeout: 0s is too small: the least is 10ms",
        ),
        (
            "[listen]\nbody_timeout = \"-30s\"",
            "hub.toml:2:16: listen.body_timeout: -30s is too small: the least is 10ms",
        ),
        (
            "[listen]\nbody_timeout = \"2h\"",
            "hub.toml:2:16: listen.body_timeout: 2h is too large: the most is 1h",
        ),
        (
            "[listen]\nbody_timeout = \"99999999999999999999d\"",
            "hub.toml:2:16: listen.body_timeout: 99999999999999999999d is too large: the most is 1h",
        ),
        (
            "[listen]\nworkers = 0",
            "hub.toml:2:11: listen.workers: 0 is too small: the least is 1",
        ),
        (
            "[listen]\nworkers = -1",
            "hub.toml:2:11: listen.workers: -1 is too small: the least is 1",
        ),
        (
            "[listen]\nworkers = 99_999_999_999_999_999_999",
            "hub.toml:2:11: listen.workers: 99999999999999999999 is too large: the most is 64",
        ),
        (
            "[storage]\ncache_max = \"64M\"",
            "hub.toml:2:13: storage.cache_max: \"64M\" is not a size: write a whole number and a unit (B, \
             KB, KiB, MB, MiB, GB, GiB, TB, TiB), as \"64MiB\"",
        ),
        (
            "[storage]\npath = \"\"",
            "hub.toml:2:8: storage.path: \"\" is not a path such as \"./data\"",
        ),
        (
            "[limits]\nbody_max = \"64MiB\"",
            "hub.toml:2:12: limits.body_max: 64MiB is above the protocol's limit of 32MiB: it may be \
             lowered, not raised",
        ),
        (
            "[limits]\ndepth_max = 33",
            "hub.toml:2:13: limits.depth_max: 33 is above the protocol's limit of 32: it may be lowered, \
             not raised",
        ),
        (
            "[hub]\nname = \"\"",
            "hub.toml:2:8: hub.name: has 0 bytes: it must have 1 to 64",
        ),
        (
            "[hub]\nname = \"a\\u0007b\"",
            "hub.toml:2:8: hub.name: \"a\\u{7}b\" holds a control character or is not UTF-8",
        ),
        (
            "[mesh]\nseeds = [\n  \"attic:7420\",\n  \"garage\",\n]",
            "hub.toml:4:3: mesh.seeds: \"garage\" is not a host and port such as \"attic.local:7420\"",
        ),
        (
            "[mesh]\nseeds = \"attic:7420\"",
            "hub.toml:2:9: mesh.seeds: expected a list such as [\"127.0.0.1:7421\"], found the string \
             \"attic:7420\"",
        ),
        (
            "[log]\nlevel = \"inof\"",
            "hub.toml:2:9: log.level: \"inof\" is none of error, warn, info, debug, trace, off, or a list \
             such as \"info,inbetweenies=debug\"",
        ),
        (
            "[log]\nformat = \"xml\"",
            "hub.toml:2:10: log.format: \"xml\" is none of text, json",
        ),
        (
            "[listen]\nadvertise = \"0.0.0.0:7420\"",
            "hub.toml:2:13: listen.advertise: \"0.0.0.0:7420\" is not an address that can be dialled: name \
             one of this machine's and a port other than 0",
        ),
        (
            "[listen]\naddress = \"0.0.0.0:7420\"",
            "hub.toml:2:11: listen.address: 0.0.0.0:7420 can be reached from other machines, and a hub \
             without keys lets anyone in: listen on 127.0.0.1, or set listen.open = true if everyone on \
             that network may read and write this home",
        ),
        (
            "[mesh]\ndial_backoff_max = \"100ms\"",
            "hub.toml:2:20: mesh.dial_backoff_min: 250ms is more than mesh.dial_backoff_max, which is \
             100ms: the wait grows from the one to the other",
        ),
        (
            "[gossip]\nprobe_timeout = \"2s\"",
            "hub.toml:2:17: gossip.probe_timeout: 2s is more than gossip.probe_period, which is 1s: a \
             probe must be over before the next begins",
        ),
        (
            "[blobs]\npolicy = \"pinned\"",
            "hub.toml:2:10: blobs.policy: \"pinned\" fetches blobs of the types in blobs.pin_types, which names none: \
             name some, or write \"on_demand\"",
        ),
    ] {
        assert_eq!(messages(text), expected, "\n{text}");
    }
}

#[test]
fn several_errors_are_told_at_once_in_the_order_of_the_file() {
    assert_eq!(
        messages("[mesh]\nlinks_max = 0\n[listen]\nwrokers = 1\nopen = \"yes\"\n"),
        "hub.toml:2:13: mesh.links_max: 0 is too small: the least is 1\nhub.toml:4:1: unknown key \
         `listen.wrokers`: did you mean `listen.workers`?\nhub.toml:5:8: listen.open: expected true or \
         false, found the string \"yes\""
    );
}

#[test]
fn no_more_errors_are_told_than_anybody_reads() {
    let text: String = (0..50_000)
        .map(|number| format!("listen.key{number} = 1\n"))
        .collect();
    let errors = load_text(&text).expect_err("unknown keys");
    assert_eq!(errors.iter().count(), ERRORS_MAX);
    assert_eq!(
        errors.to_string().lines().last(),
        Some("and more: only the first 20 are shown")
    );
}

#[test]
fn a_slip_of_the_syntax_is_told_with_its_place() {
    for (text, expected) in [
        (
            "[listen\nworkers = 1",
            "hub.toml:1:8: not valid TOML: unclosed table, expected `]`",
        ),
        (
            "[hub]\nname = kitchen",
            "hub.toml:2:8: not valid TOML: string values must be quoted, expected literal string",
        ),
        (
            "[hub]\nname = \"a\"\nname = \"b\"",
            "hub.toml:3:1: not valid TOML: duplicate key",
        ),
        (
            "[hub]\nname = \"Küche\" x",
            "hub.toml:2:16: not valid TOML: unexpected key or value, expected newline, `#`",
        ),
    ] {
        assert_eq!(messages(text), expected, "\n{text}");
    }
    // Deeper than any parser should follow.
    let deep = format!("a = {}", "[".repeat(100_000));
    assert!(messages(&deep).starts_with("hub.toml:1:"), "{}", messages(&deep));
}

#[test]
fn a_file_that_is_none_is_told() {
    let missing = repository("config/no-such.toml");
    let message = check_file(&missing).expect_err("no file").to_string();
    assert!(
        message.starts_with(&format!("{}: cannot be read: ", missing.display())),
        "{message}"
    );
    assert!(check_file(&repository("config")).is_err());

    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("hub.toml");
    std::fs::write(&path, b"# \xff\n").expect("the file is written");
    let message = check_file(&path).expect_err("not UTF-8").to_string();
    assert_eq!(
        message,
        format!("{}: is not UTF-8 from byte 2 on", path.display())
    );
    std::fs::write(
        &path,
        vec![b'\n'; 1 + usize::try_from(FILE_BYTES_MAX).expect("a length")],
    )
    .expect("written");
    let message = check_file(&path).expect_err("too large").to_string();
    assert_eq!(
        message,
        format!(
            "{}: is larger than 1048576 bytes: it is no config file",
            path.display()
        )
    );
}

#[test]
fn bad_variables_and_flags_are_named() {
    for (env, flags, expected) in [
        (
            ("INBETWEENIES__LISTEN__WORKERS", "many"),
            None,
            "environment variable INBETWEENIES__LISTEN__WORKERS: listen.workers: expected a whole number, \
             found \"many\"",
        ),
        (
            ("INBETWEENIES__LISTEN__WORKERS", "65"),
            None,
            "environment variable INBETWEENIES__LISTEN__WORKERS: listen.workers: 65 is too large: the most \
             is 64",
        ),
        (
            ("INBETWEENIES__LISTEN__OPEN", "yes"),
            None,
            "environment variable INBETWEENIES__LISTEN__OPEN: listen.open: expected true or false, found \
             \"yes\"",
        ),
        (
            ("INBETWEENIES__LISTEN__ADRESS", "127.0.0.1:0"),
            None,
            "environment variable INBETWEENIES__LISTEN__ADRESS: unknown key `listen.adress`: did you mean \
             `INBETWEENIES__LISTEN__ADDRESS`?",
        ),
        (
            ("INBETWEENIES__STORAGE__PATH", "/mnt/\u{fffd}"),
            None,
            "environment variable INBETWEENIES__STORAGE__PATH: storage.path: \"/mnt/\u{fffd}\" holds a \
             control character or is not UTF-8",
        ),
        (
            // A good flag does not hide a bad variable.
            ("INBETWEENIES__GOSSIP__INTERVAL", "often"),
            Some(("gossip.interval", "2s")),
            "environment variable INBETWEENIES__GOSSIP__INTERVAL: gossip.interval: \"often\" is not a \
             duration: write a whole number and a unit (ms, s, m, h, d), as \"30s\"",
        ),
        (
            ("PATH", "/bin"),
            Some(("listen.address", "7420")),
            "command line: listen.address: \"7420\" is not an address and port such as \"127.0.0.1:7420\" \
             or \"[::1]:7420\"",
        ),
        (
            ("INBETWEENIES_LOG", "not ours"),
            Some(("listen.address", "[::]:7420")),
            "command line: listen.address: [::]:7420 can be reached from other machines, and a hub without \
             keys lets anyone in: listen on 127.0.0.1, or set listen.open = true if everyone on that \
             network may read and write this home",
        ),
        (
            ("PATH", "/bin"),
            Some(("listen.adress", "")),
            "command line: unknown key `listen.adress`: did you mean `listen.address`?",
        ),
    ] {
        let flags: Vec<(&str, &str)> = flags.into_iter().collect();
        let errors = load(None, &[env], &flags).expect_err(expected);
        assert_eq!(errors.to_string(), expected);
    }
}

#[test]
fn errors_can_be_told_apart_by_programs() {
    let errors = load(None, &[], &[("listen.address", "192.168.1.2:7420")]).expect_err("not loopback");
    let expected = ConfigError::NotLoopback {
        at: Origin::Flag,
        address: "192.168.1.2:7420".parse().expect("an address"),
    };
    assert_eq!(errors.iter().collect::<Vec<_>>(), [&expected]);
}
