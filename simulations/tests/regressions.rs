//! Runs that once broke a promise, played again.

use std::sync::Arc;

use inbetweenies_simulations::{run, scenario, story, swarm};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Regressions {
    regression: Vec<Regression>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Regression {
    name: String,
    seed: Option<u64>,
    story: Option<String>,
    was: String,
}

#[test]
fn what_was_mended_stays_mended() {
    run::catch_panics();
    let all: Regressions = toml::from_str(include_str!("../regressions.toml")).expect("regressions.toml");
    assert!(!all.regression.is_empty());
    for regression in all.regression {
        let name = &regression.name;
        let plan = match (regression.seed, regression.story) {
            (Some(seed), None) => swarm::plan(seed),
            (None, Some(text)) => scenario::read(&text, name).unwrap_or_else(|error| panic!("{error}")),
            _ => panic!("{name}: give a seed or a story"),
        };
        let report = run::run(&Arc::new(plan.clone()), true);
        assert!(
            report.broken.is_none(),
            "{name} is broken again ({}):\n{}",
            regression.was,
            story::tell(&plan, &report, "see simulations/regressions.toml")
        );
    }
}
