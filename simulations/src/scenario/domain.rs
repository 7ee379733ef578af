//! How conflicts are decided: strategies by type, and rules for fields.

use inbetweenies_core::domain::{Path, Rule, Strategy};

use super::bounds;
use super::read::tables;
use super::table::{Fields, Item, Read, unknown};
use crate::domain::{Domain, TYPES};
use crate::plan::Said;

const STRATEGIES: [Strategy; 4] = [
    Strategy::Merge,
    Strategy::LastWriteWins,
    Strategy::Manual,
    Strategy::Custom,
];
const RULES: [&str; 5] = ["newest", "max", "min", "union", "prefer"];

/// `[domain]` and `[[rule]]`; what is not said is as usual.
pub fn domain(fields: &mut Fields<'_>) -> Read<Domain> {
    let mut domain = Domain::default();
    if let Some(item) = fields.take("domain") {
        let mut fields = item.fields("[domain]", &TYPES)?;
        for name in TYPES {
            if let (Some(item), Some(decision)) = (fields.take(name), domain.of_mut(name)) {
                decision.strategy = strategy(item)?;
            }
        }
    }
    for item in tables(fields, "rule", bounds::RULES_MAX)? {
        rule(item, &mut domain)?;
    }
    Ok(domain)
}

fn strategy(item: Item<'_>) -> Read<Strategy> {
    let name = item.name()?;
    match Strategy::parse(name) {
        Some(strategy) => Ok(strategy),
        None => item.error(unknown("the strategy", name, STRATEGIES.map(Strategy::name))),
    }
}

fn rule(item: Item<'_>, domain: &mut Domain) -> Read<()> {
    let mut fields = item.fields("a rule", &["of", "field", "rule", "values"])?;
    let of = fields.need("of", "\"device\"")?;
    let name = of.name()?;
    let field = fields.need("field", "[\"content\", \"brightness\"]")?;
    let keys = field.each("a list of keys such as [\"content\", \"brightness\"], or \"name\"")?;
    let path: Path = keys
        .iter()
        .map(|key| Ok(key.name()?.to_owned()))
        .collect::<Read<_>>()?;
    let named = fields.need("rule", "\"max\"")?;
    let rule = match (named.name()?, fields.take("values")) {
        ("prefer", Some(values)) => {
            let values: Vec<Said> = values
                .list()?
                .into_iter()
                .map(|item| item.said())
                .collect::<Read<_>>()?;
            Rule::Prefer(values.iter().map(Said::value).collect())
        }
        ("prefer", None) => {
            return named.error("\"prefer\" needs values: write values = [\"on\", \"off\"], best first");
        }
        (_, Some(values)) => return values.error("values are for the rule \"prefer\""),
        ("newest", None) => Rule::Newest,
        ("max", None) => Rule::Max,
        ("min", None) => Rule::Min,
        ("union", None) => Rule::Union,
        (other, None) => return named.error(unknown("the rule", other, RULES)),
    };
    match domain.of_mut(name) {
        None => return of.error(unknown("the type", name, TYPES)),
        Some(decision) if decision.strategy != Strategy::Custom => {
            return of.error(format!(
                "rules are for types that are \"custom\": say so of {name:?} in [domain]"
            ));
        }
        Some(decision) => {
            if decision.rules.insert(path, rule).is_some() {
                return field.error("there are two rules for this field");
            }
        }
    }
    // What else a hub would refuse.
    domain.check().or_else(|error| field.error(error.to_string()))
}
