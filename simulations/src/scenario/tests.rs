use std::time::Duration;

use super::*;
use crate::plan::{Do, Expect, Lane, Plan, Said};
use crate::swarm;

const HOME: &str = r#"name = "home"
runs_for = "1h"
[[hub]]
name = "kitchen"
[[hub]]
name = "garage"
[[hub]]
name = "attic"
[[client]]
name = "anna"
at = "kitchen"
"#;

fn home(rest: &str) -> Result<Plan, ScenarioError> {
    read(&format!("{HOME}{rest}"), "home.toml")
}

fn again(plan: &Plan) {
    let text = write(plan);
    match read(&text, "written") {
        Ok(read) => assert_eq!(read, *plan, "\n{text}"),
        Err(error) => panic!("{error}\n{text}"),
    }
}

#[test]
fn what_is_written_reads_as_the_same_plan() {
    for seed in 0..300 {
        let plan = swarm::plan(seed);
        again(&plan);
        // As the shrinker leaves it: every other event gone, numbers kept.
        let mut less = plan.clone();
        less.events = plan.events.into_iter().step_by(2).collect();
        again(&less);
    }
}

#[test]
fn odd_texts_and_bounds_survive() {
    let mut plan = home("").unwrap();
    plan.about = "two\nlines, \"quotes\", a \\ and a \u{7f} and 'ticks' \u{1f3e0}".to_owned();
    plan.seed = u64::MAX;
    plan.hubs[1].name = "Anna's \"garage\" ü".to_owned();
    plan.hubs[2].seeds = vec![1, 0];
    plan.hubs[2].clock.ahead_us = -1;
    plan.heal_at = Duration::new(7_200, 1);
    plan.line.latency = (Duration::from_nanos(1), Duration::from_nanos(1));
    plan.expect = vec![
        Expect::Field {
            thing: "lamp".to_owned(),
            field: "a b".to_owned(),
            is: Said::Whole(i64::MIN),
        },
        Expect::Deleted {
            thing: "note-1".to_owned(),
        },
        Expect::Versions {
            thing: "lamp".to_owned(),
            count: 101,
        },
        Expect::Heads {
            thing: "lamp".to_owned(),
            count: 0,
        },
        Expect::Queued(0),
        Expect::Records(12),
        Expect::Met("fork-found".to_owned()),
    ];
    plan.events.push(crate::plan::Event {
        number: 1_000_000_000,
        at: plan.heal_at,
        what: Do::Edit {
            client: 0,
            things: vec!["a lamp".to_owned()],
            fields: vec![
                ("z\u{7f}\n".to_owned(), Said::Text("\t\r\n'''\"\"\"".to_owned())),
                ("a".to_owned(), Said::Flag(false)),
            ],
        },
    });
    again(&plan);
}

#[test]
fn every_verb_reads() {
    let line = |verb: &verbs::Verb| {
        let object = match verb.name {
            "edit" => "[\"lamp\", \"fan\"]",
            "delete" | "place" | "attach" => "\"lamp\"",
            "push-twice" | "rough" | "clog" | "fence" | "unfence" => "[\"kitchen\", \"garage\"]",
            "go" | "sync" | "vanish" => "\"anna\"",
            "cut" => "[\"garage\", \"anna\"]",
            _ => "\"garage\"",
        };
        let with = verb.with.iter().map(|key| match (verb.name, *key) {
            ("clock-jump", "by") => "by = \"-2h\"\n",
            (_, "by") => "by = \"anna\"\n",
            (_, "set") => "set = { brightness = 80, note = \"on\", night = true }\n",
            (_, "in") => "in = \"room-a\"\n",
            (_, "to") => "to = \"nowhere\"\n",
            (_, "lasts") => "lasts = \"2s\"\n",
            (_, "from") => "from = \"everybody\"\n",
            (_, "one_way") => "one_way = true\n",
            (_, "line") => "line = { latency = \"1s..2s\", loss = 1000, bandwidth = \"2KiB\" }\n",
            (_, "effects") => "effects = 7\n",
            (_, "power") => "power = true\n",
            (_, "drawn") => "drawn = 3\n",
            (_, "with_marks") => "with_marks = true\n",
            (_, "bytes") => "bytes = 2000000\n",
            (verb, other) => panic!("{verb} {other}"),
        });
        let with: String = with.collect();
        format!("[[event]]\nat = \"5m\"\n{} = {object}\n{with}", verb.name)
    };
    let events: String = verbs::VERBS.iter().map(line).collect();
    let plan = home(&events).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<&str> = plan.events.iter().map(|event| event.what.name()).collect();
    assert_eq!(names, verbs::names().collect::<Vec<_>>());
    assert_eq!(
        plan.events[9].what,
        Do::Cut {
            from: vec![Lane::Hub(1), Lane::Client(0)],
            to: vec![Lane::Hub(0), Lane::Hub(2)],
            one_way: true,
            lasts: Duration::from_secs(2),
        }
    );
    again(&plan);
}

#[test]
fn events_are_put_in_the_order_of_their_time() {
    let plan =
        home("[[event]]\nat = \"2m\"\nwipe = \"attic\"\n[[event]]\nat = \"1m\"\nsync = \"anna\"\n").unwrap();
    let numbers: Vec<u64> = plan.events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, [1, 0]);
    again(&plan);
}

/// Each is put behind the home above, which has eleven lines.
const BAD: [(&str, &str); 51] = [
    (
        "[domain]\ndevice = \"costum\"",
        "13:10: the strategy \"costum\" is not known; did you mean \"custom\"?",
    ),
    (
        "[[rule]]\nof = \"room\"\nfield = \"name\"\nrule = \"max\"",
        "13:6: rules are for types that are \"custom\": say so of \"room\" in [domain]",
    ),
    (
        "[domain]\nroom = \"custom\"\n[[rule]]\nof = \"room\"\nfield = \"name\"\nrule = \"prefer\"",
        "17:8: \"prefer\" needs values: write values = [\"on\", \"off\"], best first",
    ),
    (
        "[domain]\nroom = \"custom\"\n[[rule]]\nof = \"room\"\nfield = \"name\"\nrule = \"unoin\"",
        "17:8: the rule \"unoin\" is not known; did you mean \"union\"?",
    ),
    (
        "[[event]]\nat = \"5m\"\nedit = \"lamp\"\nby = \"anna\"\nset = { tags = [[1]] }",
        "16:17: \"tags\" is a list without lists in it, not a list",
    ),
    (
        "[[hub]]\nnmae = \"attic\"",
        "13:1: in a hub, the key \"nmae\" is not known; did you mean \"name\"?",
    ),
    (
        "[[hub]]\nname = \"porch\"\ncolour = 1",
        "14:1: in a hub, the key \"colour\" is not known; there are: name, seeds, clock, drift_ppm, starts_at",
    ),
    (
        "[[hub]]\nclock = \"+3m\"",
        "12:1: a hub needs \"name\": write name = \"kitchen\"",
    ),
    (
        "[[hub]]\nname = \"garage\"",
        "13:8: two are called \"garage\": give each hub and client its own name",
    ),
    (
        "[[hub]]\nname = \"nowhere\"",
        "13:8: \"nowhere\" is a word of the grammar: take another name",
    ),
    (
        "[[hub]]\nname = \"\"",
        "13:8: \"name\" is a name of 1 to 60 bytes in one line",
    ),
    ("[[hub]]\nname = 7", "13:8: \"name\" is a name, not the number 7"),
    (
        "[[hub]]\nname = \"porch\"\nseeds = [\"kitchen\", \"grage\"]",
        "14:21: the hub \"grage\" is not known; did you mean \"garage\"?",
    ),
    (
        "[[hub]]\nname = \"porch\"\nseeds = \"porch\"",
        "14:9: \"porch\" cannot be its own seed: name another hub",
    ),
    (
        "[[hub]]\nname = \"porch\"\nclock = \"3m\"",
        "14:9: \"clock\" is a time ahead such as \"+3m\" or behind such as \"-10y\", in whole microseconds, not the text \"3m\"",
    ),
    (
        "[[hub]]\nname = \"porch\"\nclock = \"-900y\"",
        "14:9: \"clock\" may be from 0s to 73200d",
    ),
    (
        "[[hub]]\nname = \"porch\"\ndrift_ppm = 5000000",
        "14:13: \"drift_ppm\" may be from -100000 to 100000",
    ),
    ("[hub]\nname = \"porch\"", "12:2: this is not TOML: duplicate key"),
    (
        "[event]\nat = \"5s\"",
        "12:1: write [[event]], with two brackets, for each event",
    ),
    (
        "[[client]]\nname = \"bert\"",
        "12:1: a client needs \"at\": write at = a hub's name, or \"nowhere\"",
    ),
    (
        "[[client]]\nname = \"bert\"\nat = \"cellar\"",
        "14:6: the hub \"cellar\" is not known; there are: kitchen, garage, attic",
    ),
    (
        "[[client]]\nname = \"bert\"\nat = \"anna\"",
        "14:6: \"anna\" is a client; \"at\" names a hub",
    ),
    (
        "[[client]]\nname = \"bert\"\nat = \"attic\"\nsync_every = \"0s\"",
        "15:14: \"sync_every\" may be from 10ms to 3660d",
    ),
    (
        "[tuning]\nprobe_perod = \"2s\"",
        "13:1: in [tuning], the key \"probe_perod\" is not known; did you mean \"probe_period\"?",
    ),
    (
        "[tuning]\nprobe_period = 2",
        "13:16: \"probe_period\" is a length of time such as \"2d 3h\" or \"250ms\", not the number 2",
    ),
    (
        "[tuning]\nprobe_period = \"2 parsecs\"",
        "13:16: \"probe_period\" is a length of time such as \"2d 3h\" or \"250ms\", not the text \"2 parsecs\"",
    ),
    ("[tuning]\nfanout = 0", "13:10: \"fanout\" may be from 1 to 1000"),
    (
        "[tuning]\npage_bytes_max = \"2MB\"",
        "13:18: \"page_bytes_max\" is a size such as 4096 or \"64KiB\", not the text \"2MB\"",
    ),
    ("[lines]\nloss = 1001", "13:8: \"loss\" may be from 0 to 1000"),
    (
        "[lines]\nlatency = \"8ms..2ms\"",
        "13:11: \"latency\" begins with the shorter: write the two in their order",
    ),
    (
        "[[line]]\nbetween = [\"attic\"]",
        "13:11: \"between\" is a list of two names such as [\"kitchen\", \"garage\"], not a list",
    ),
    (
        "[[line]]\nbetween = [\"attic\", \"attic\"]",
        "13:21: \"between\" names two different ones",
    ),
    (
        "[[line]]\nbetween = [\"attic\", \"anna\"]\n[[line]]\nbetween = [\"attic\", \"anna\"]",
        "15:11: there are two lines between these: for the way back name them in the other order",
    ),
    (
        "[[wall]]\nbetween = [\"attic\", \"garage\"]\n[[wall]]\nbetween = [\"attic\", \"kitchen\"]",
        "15:11: the walls part the home in two that could never be equal: leave one of them out",
    ),
    (
        "[[event]]\nat = \"5s\"",
        "12:1: an event needs a verb, one of: edit, delete, place, attach, push, push-twice, go, sync, vanish, cut, rough, \
         clog, kill, power-cut, crash-after, stop, freeze, clock-jump, clock-reset, disk-full, disk-stall, \
         disk-error, disk-lies, bit-flip, rot, backup, restore, clone-disk, fence, unfence, change-policy, wipe",
    ),
    (
        "[[event]]\nat = \"5s\"\npower_cut = \"attic\"\nlasts = \"2s\"",
        "14:1: the verb \"power_cut\" is not known; did you mean \"power-cut\"?",
    ),
    (
        "[[event]]\nat = \"5s\"\nkill = \"attic\"\nwipe = \"attic\"\nlasts = \"2s\"",
        "15:1: an event has one verb: \"kill\" and \"wipe\" are two events",
    ),
    (
        "[[event]]\nkill = \"attic\"",
        "12:1: kill needs \"at\": write at = \"10s\", after the beginning",
    ),
    (
        "[[event]]\nat = \"5s\"\nkill = \"attic\"",
        "12:1: kill needs \"lasts\": write lasts = \"10s\"",
    ),
    (
        "[[event]]\nat = \"5s\"\nwipe = \"attic\"\nlasts = \"2s\"",
        "15:1: in wipe, the key \"lasts\" is not known; there are: at, number, wipe",
    ),
    (
        "[[event]]\nat = \"61m\"\nwipe = \"attic\"",
        "13:6: an event after the end: let it be earlier, or \"runs_for\" longer",
    ),
    (
        "[[event]]\nat = \"5s\"\nedit = \"lamp\"\nby = \"ana\"\nset = { brightness = 80 }",
        "15:6: the client \"ana\" is not known; did you mean \"anna\"?",
    ),
    (
        "[[event]]\nat = \"5s\"\nedit = \"lamp\"\nby = \"anna\"\nset = { brightness = 0.5 }",
        "16:22: \"brightness\" is true or false, a whole number, a text or a list of such, not the number 0.5",
    ),
    (
        "[[event]]\nat = \"5s\"\ncut = [\"attic\"]\nfrom = [\"attic\", \"anna\"]\nlasts = \"2s\"",
        "15:8: nobody is cut off from itself: a name stands on both sides",
    ),
    (
        "[[event]]\nat = \"5s\"\nnumber = 1\nsync = \"anna\"\n[[event]]\nat = \"5s\"\nsync = \"anna\"",
        "16:1: two events have the number 1: where nothing is said it is an event's place, from 0",
    ),
    (
        "[[expect]]\nmet = \"fork-fund\"",
        "13:7: the mark \"fork-fund\" is not known; did you mean \"fork-found\"?",
    ),
    (
        "[[expect]]\nthing = \"lamp\"\nfield = \"brightness\"",
        "12:1: of a thing it is expected either field = \"brightness\" and is = 80, or deleted = true, or versions = 7, or heads = 1",
    ),
    (
        "[[expect]]\nqueued = -1",
        "13:10: \"queued\" may be from 0 to 1000000000",
    ),
    (
        "[[expect]]\nqueued = 1\nis = 3",
        "14:1: \"is\" is said of a \"thing\"",
    ),
    (
        "[[expect]]\nqueued = 1\nrecords = 3",
        "14:1: an expectation is about one thing: write two [[expect]]",
    ),
    (
        "[[expect]\nqueued = 1",
        "12:10: this is not TOML: unclosed array table, expected `]`",
    ),
];

#[test]
fn bad_files_are_refused_at_their_place() {
    let mut wrong = Vec::new();
    for (rest, says) in BAD {
        match home(rest) {
            Ok(_) => wrong.push(format!("{rest}\n  was read, and should be: {says}")),
            Err(error) if error.to_string() == format!("home.toml:{says}") => {}
            Err(error) => wrong.push(format!("{rest}\n  {error}\n  should be: {says}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_is_wrong_at_the_top_is_told() {
    let says = |text: &str| read(text, "a").map_or_else(|error| error.to_string(), |_| "read".to_owned());
    assert_eq!(
        says(""),
        "a:1:1: a scenario needs \"name\": write name = \"partition-weekend\""
    );
    assert_eq!(
        says("name = \"x\""),
        "a:1:1: a scenario needs \"runs_for\": write runs_for = \"10m\""
    );
    assert_eq!(
        says("name = \"x\"\nruns_for = \"20y\""),
        "a:2:12: \"runs_for\" may be from 1s to 3660d"
    );
    assert_eq!(
        says("name = \"x\"\nruns_for = \"20m\""),
        "a:1:1: a home has at least one hub: add [[hub]] with a name"
    );
    assert_eq!(
        says("name = \"x\"\nsed = 1"),
        "a:2:1: in a scenario, the key \"sed\" is not known; did you mean \"seed\"?"
    );
    let long = "#".repeat(FILE_BYTES_MAX + 1);
    assert_eq!(
        says(&long),
        "a:1:1: the file has 1048577 bytes, and a scenario 1048576 at most"
    );
    let hubs: String = (0..65)
        .map(|hub| format!("[[hub]]\nname = \"h{hub}\"\n"))
        .collect();
    assert_eq!(
        says(&format!("name = \"x\"\nruns_for = \"2m\"\n{hubs}")),
        "a:3:1: there may be 64 of [[hub]] at most, not 65"
    );
}

#[test]
fn any_text_is_read_or_refused() {
    let whole = write(&swarm::plan(7));
    for cut in (0..whole.len())
        .step_by(37)
        .filter(|cut| whole.is_char_boundary(*cut))
    {
        let _ = read(&whole[..cut], "cut");
        let _ = read(&whole[cut..], "cut");
        let _ = read(&format!("{}\u{0}{}", &whole[..cut], &whole[cut..]), "cut");
    }
    let deep = format!("name = {}", "[".repeat(100_000));
    assert!(read(&deep, "deep").is_err());
}
