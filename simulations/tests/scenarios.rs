//! The teaching scenarios: each holds every promise and ends as it says, each run is the same run, and none of their
//! expectations is empty words.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use inbetweenies_simulations::plan::{Expect, Plan, Said};
use inbetweenies_simulations::run::run;
use inbetweenies_simulations::scenario::{read, write};
use inbetweenies_simulations::watch::MARKS;

fn folder() -> PathBuf {
    PathBuf::from("scenarios") // of the package: there cargo runs tests
}

fn scenarios() -> Vec<Plan> {
    let files = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 12, "the folder has lost scenarios: {files:?}");
    let plan = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let plan = read(&text, name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(format!("{}.toml", plan.name), name, "named as its file");
        assert!(!plan.expect.is_empty(), "{name} expects nothing");
        let comments = text.lines().take_while(|line| line.starts_with('#')).count();
        assert!(
            (3..=12).contains(&comments),
            "{name} says in {comments} lines what to watch"
        );
        plan
    };
    files.into_iter().map(plan).collect()
}

#[test]
fn each_holds_every_promise_and_each_run_is_the_same() {
    let mut wrong = Vec::new();
    for plan in scenarios() {
        let plan = Arc::new(plan);
        let begin = Instant::now();
        let report = run(&plan, false);
        println!("{:<22} {:>6} ms", plan.name, begin.elapsed().as_millis());
        if let Some(broken) = &report.broken {
            wrong.push(format!("{}: {}: {}", plan.name, broken.promise, broken.text));
        }
        // As the shrinker would write it, and recorded as for a picture: neither changes the run.
        let written = Arc::new(read(&write(&plan), "written").unwrap());
        let again = run(&written, true);
        if report.hash != again.hash {
            wrong.push(format!("{}: two runs differ", plan.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn otherwise(expect: &Expect, plan: &Plan) -> Expect {
    match expect {
        Expect::Field { thing, field, is } => Expect::Field {
            thing: thing.clone(),
            field: field.clone(),
            is: match is {
                Said::Flag(flag) => Said::Flag(!flag),
                Said::Whole(number) => Said::Whole(number + 1),
                Said::Text(text) => Said::Text(format!("{text}!")),
                Said::List(list) => Said::List([&list[..], &[Said::Flag(true)]].concat()),
            },
        },
        Expect::Deleted { thing } => Expect::Field {
            thing: thing.clone(),
            field: "state".to_owned(),
            is: Said::Text("on".to_owned()),
        },
        Expect::Versions { thing, count } => Expect::Versions {
            thing: thing.clone(),
            count: count + 1,
        },
        Expect::Heads { thing, count } => Expect::Heads {
            thing: thing.clone(),
            count: count + 1,
        },
        Expect::Queued(queued) => Expect::Queued(queued + 1),
        Expect::Records(records) => Expect::Records(records + 1),
        // A mark that this run cannot meet: no disk of these scenarios lies.
        Expect::Met(_) => {
            assert!(MARKS.iter().any(|(mark, _)| *mark == "disk-lied"));
            assert!(plan.events.iter().all(|event| event.what.name() != "disk-lies"));
            Expect::Met("disk-lied".to_owned())
        }
    }
}

/// In a debug build one expectation of each scenario, otherwise all.
#[test]
fn an_end_that_is_not_as_expected_is_told() {
    let most = if cfg!(debug_assertions) { 1 } else { usize::MAX };
    for plan in scenarios() {
        for (at, expect) in plan.expect.iter().enumerate().take(most) {
            let mut changed = plan.clone();
            changed.expect[at] = otherwise(expect, &plan);
            let report = run(&Arc::new(changed), false);
            let broken = report.broken.map(|broken| broken.promise);
            assert_eq!(broken, Some("EXPECT"), "{}: {expect:?}", plan.name);
        }
    }
}

#[test]
fn the_reference_names_every_verb_and_mark_and_its_examples_read() {
    let text = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let (mut examples, mut verbs) = (0, BTreeSet::new());
    for (at, block) in text.split("```toml\n").skip(1).enumerate() {
        let example = block.split("```").next().unwrap();
        if example.contains("runs_for") {
            examples += 1;
            let plan = read(example, &format!("example {at}")).unwrap_or_else(|error| panic!("{error}"));
            verbs.extend(plan.events.iter().map(|event| event.what.name()));
        }
    }
    assert_eq!((examples, verbs.len()), (2, 31));
    for (mark, _) in MARKS {
        assert!(
            text.contains(&format!("`{mark}`")),
            "the mark {mark} is not in the reference"
        );
    }
}
