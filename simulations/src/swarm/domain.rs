//! How conflicts are decided in a drawn home, and what is written there so that it matters.
//!
//! Drawn from streams of its own, after everything else: a seed keeps its hubs, its faults and who edits what.

use inbetweenies_core::domain::{CONTENT, Path, Rule, Rules, Strategy};
use inbetweenies_core::rng::Rng;
use inbetweenies_core::value::Value;

use super::{FIELDS, one_in};
use crate::chance::Stream;
use crate::domain::{Domain, TYPES, type_of};
use crate::plan::{Do, Event, Said};

/// What scripts write, beside [`FIELDS`].
const KEYS: [&str; 3] = ["a", "b", "c"];
/// Elements of lists, and what may be preferred.
const WORDS: [&str; 4] = ["on", "off", "auto", "eco"];
/// Elements of a list at most.
const ELEMENTS_MAX: usize = 4;

/// The domain of a seed.
pub fn draw(seed: u64) -> Domain {
    draw_another(seed, 0)
}

/// Another domain of the same seed: what a home may change to. Number 0 is the one that it is founded with.
pub fn draw_another(seed: u64, number: u64) -> Domain {
    let mut rng = match number {
        0 => Stream::Domain(0).of(seed),
        number => Stream::Rules(number).of(seed),
    };
    let mut domain = Domain::default();
    for name in TYPES {
        let drawn = strategy(&mut rng, name);
        if let Some(decision) = domain.of_mut(name) {
            decision.strategy = drawn;
            if drawn == Strategy::Custom {
                decision.rules = rules(&mut rng);
            }
        }
    }
    domain
}

/// Each type has every strategy in some homes, and in most the one that fits it.
fn strategy(rng: &mut Rng, name: &str) -> Strategy {
    use Strategy::{Custom, LastWriteWins, Manual, Merge};
    let of = match name {
        "device" => [Merge, Merge, Merge, Custom, Custom, Custom, LastWriteWins, Manual],
        "room" => [
            Manual,
            Manual,
            Manual,
            Manual,
            Merge,
            Merge,
            Custom,
            LastWriteWins,
        ],
        "note" => [
            LastWriteWins,
            LastWriteWins,
            LastWriteWins,
            LastWriteWins,
            Custom,
            Custom,
            Merge,
            Manual,
        ],
        _ => [Merge, Merge, Merge, Merge, Custom, Custom, LastWriteWins, Manual],
    };
    of[rng.below(of.len())]
}

fn rules(rng: &mut Rng) -> Rules {
    let content = |key: &&str| vec![CONTENT.to_owned(), (*key).to_owned()];
    let mut fields: Vec<Path> = FIELDS.iter().chain(&KEYS).map(content).collect();
    fields.push(vec!["name".to_owned()]);
    fields.push(vec![CONTENT.to_owned(), "a".to_owned(), "d".to_owned()]);
    let rule = |rng: &mut Rng| match rng.below(8) {
        0 | 1 => None,
        2 => Some(Rule::Max),
        3 => Some(Rule::Min),
        4 | 5 => Some(Rule::Union),
        6 => Some(preference(rng)),
        _ => Some(Rule::Newest),
    };
    let drawn = fields.into_iter().map(|field| (field, rule(rng)));
    drawn.filter_map(|(field, rule)| Some((field, rule?))).collect()
}

fn preference(rng: &mut Rng) -> Rule {
    let values = (0..1 + rng.below(3)).map(|_| match rng.below(6) {
        0 => Value::Bool(true),
        1 => Value::Int(2),
        _ => Value::from(WORDS[rng.below(WORDS.len())]),
    });
    Rule::Prefer(values.collect())
}

/// Gives the fields of edits values that their rules fit, mostly.
pub fn fit(seed: u64, domain: &Domain, events: &mut [Event]) {
    for event in events {
        let Do::Edit { things, fields, .. } = &mut event.what else {
            continue;
        };
        let mut rng = Stream::Domain(1 + event.number).of(seed);
        let name = things.first().map_or("device", |thing| type_of(thing));
        for (field, said) in fields {
            let path = vec![CONTENT.to_owned(), field.clone()];
            let rule = domain.rule(name, &path);
            if let Some(value) = rule.and_then(|rule| fitting(&mut rng, rule)) {
                *said = Said::of(&value).unwrap_or_else(|| said.clone());
            }
        }
    }
}

/// A value that a rule fits; None, one time in six or where any does, for whatever was going to be written.
pub fn fitting(rng: &mut Rng, rule: &Rule) -> Option<Value> {
    if one_in(rng, 6) {
        return None;
    }
    let word = |rng: &mut Rng| Value::from(WORDS[rng.below(WORDS.len())]);
    match rule {
        Rule::Newest => None,
        Rule::Max | Rule::Min => Some(match rng.below(8) {
            0 => Value::Float(rng.below(40) as f64 + 0.5),
            1 => word(rng),
            _ => Value::Int(rng.below(40) as i64),
        }),
        Rule::Union => {
            let elements = (0..rng.below(ELEMENTS_MAX + 1)).map(|_| match rng.below(4) {
                0 => Value::Int(rng.below(2) as i64),
                _ => word(rng),
            });
            Some(Value::List(elements.collect()))
        }
        Rule::Prefer(values) => values.get(rng.below(values.len())).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_every_strategy_and_every_rule_is_drawn() {
        let homes: Vec<Domain> = (0..200).map(draw).collect();
        let mut rules = std::collections::BTreeSet::new();
        for name in TYPES {
            for strategy in ["merge", "last_write_wins", "manual", "custom"] {
                let has = |home: &Domain| home.of(name).is_some_and(|of| of.strategy.name() == strategy);
                assert!(homes.iter().any(has), "no {name} is {strategy}");
            }
            let of = homes.iter().filter_map(|home| home.of(name));
            rules.extend(of.flat_map(|of| of.rules.values().map(Rule::name)));
        }
        assert_eq!(rules.len(), 5, "{rules:?}");
        assert!(homes.iter().all(|home| home.check().is_ok()));
    }
}
