//! Rules for fields, applied to the values of their last writers. Total: what does not fit a rule goes to the newest.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::fields::{Leaf, leaf};
use super::graph::Node;
use super::merge::{Lens, Walk};
use crate::domain::{Path, Rule};
use crate::limits::UNION_ELEMENTS_MAX;
use crate::value::Value;
use crate::zoo::{self, Bug};

/// The place of the winner among the candidates, which stand by rank, the newest last. None: the rule does not fit.
pub(super) fn pick(rule: &Rule, candidates: &[&Node], path: &Path) -> Option<usize> {
    if *rule == Rule::Newest {
        return candidates.len().checked_sub(1); // fits whatever is said, or nothing
    }
    let values: Option<Vec<Value>> = candidates
        .iter()
        .map(|node| leaf(&node.sealed.record, path).map(Leaf::to_value))
        .collect();
    let values = values?; // a field that somebody took away has no larger and no smaller
    // Of equal values the newest writer's: the last in the list.
    let best = |better: Ordering| {
        let mut best = 0;
        for at in 1..values.len() {
            let order = ordered(&values[at], &values[best])?;
            if order == Ordering::Equal || order == better {
                best = at;
            }
        }
        Some(best)
    };
    match rule {
        Rule::Max | Rule::Min if zoo::planted(Bug::RuleByTime) => candidates.len().checked_sub(1),
        Rule::Max => best(Ordering::Greater),
        Rule::Min => best(Ordering::Less),
        Rule::Prefer(preferred) => preferred
            .iter()
            .find_map(|wanted| values.iter().rposition(|value| value == wanted)),
        Rule::Union | Rule::Newest => None, // worked out element by element; done above
    }
}

/// Which of two numbers or of two texts is larger; None where they cannot be compared.
fn ordered(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        // Whole numbers lie within ±2^53: a float says them exactly.
        (Value::Int(a), Value::Float(b)) => (*a as f64).partial_cmp(b),
        (Value::Float(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// The union of the heads' lists: an element is there if the last writers of *it* say so, and of those the newest. The
/// elements stand in the order of the records that brought them, and within one in its own.
///
/// None if the field of some head or last writer is no list, or there are too many elements to follow.
pub(super) fn union(walk: &Walk<'_>, path: &Path, candidates: &[&Node]) -> Option<Value> {
    let mut elements: BTreeMap<Vec<u8>, &Value> = BTreeMap::new();
    for node in walk.heads.iter().chain(candidates) {
        for element in list(node, path)? {
            let mut key = Vec::new();
            element.encode(&mut key);
            elements.insert(key, element);
        }
    }
    if elements.len() > UNION_ELEMENTS_MAX {
        return None;
    }
    let mut kept: Vec<(&Node, usize, &Value)> = Vec::new();
    for element in elements.into_values() {
        let lens = Lens::Element(path, element);
        let Some(mut writer) = walk.last_writers(&lens).pop() else {
            continue;
        };
        if zoo::planted(Bug::UnionForgetsRemoval) {
            let has = |node: &&&Node| position(node, path, element).is_some();
            writer = walk.heads.iter().find(has).copied().unwrap_or(writer);
        }
        if let Some(place) = position(writer, path, element) {
            kept.push((writer, place, element));
        }
    }
    kept.sort_by(|(a, at, _), (b, bt, _)| super::by_rank(a, b).then(at.cmp(bt)));
    Some(Value::List(
        kept.into_iter().map(|(_, _, element)| element.clone()).collect(),
    ))
}

/// The elements of a record's field: none where it has none; None where it is no list.
fn list<'n>(node: &'n Node, path: &Path) -> Option<&'n [Value]> {
    match leaf(&node.sealed.record, path) {
        None => Some(&[]),
        Some(Leaf::Value(Value::List(list))) => Some(list),
        Some(_) => None,
    }
}

pub(super) fn position(node: &Node, path: &Path, element: &Value) -> Option<usize> {
    list(node, path)?.iter().position(|other| other == element)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::entry::Sealed;
    use crate::id::{Id, Version};
    use crate::record::{Kind, Record};
    use crate::time::Micros;
    use crate::value::Map;

    fn node(at: u64, content: &[(&str, Value)]) -> Node {
        let record = Record {
            id: Id::new("lamp").unwrap(),
            version: Version::new(&format!("v{at}")).unwrap(),
            kind: Kind::Entity {
                entity_type: "device".into(),
                name: None,
                source_type: None,
            },
            user_id: None,
            parents: Vec::new(),
            deleted: false,
            content: content
                .iter()
                .map(|(k, v)| ((*k).into(), v.clone()))
                .collect::<Map>(),
            extra: Map::new(),
        };
        Node {
            sealed: Arc::new(Sealed::new(record)),
            order_time: Micros(at),
            edges: Vec::new(),
            late: Vec::new(),
            below: Vec::new(),
            forgotten: false,
        }
    }

    /// A field that somebody took away beside another's edit was told as one that the rule `newest` does not fit.
    #[test]
    fn newest_fits_where_a_field_was_taken_away() {
        let (said, gone) = (node(1, &[("a", Value::Int(1))]), node(2, &[]));
        let path = vec!["content".to_owned(), "a".to_owned()];
        assert_eq!(pick(&Rule::Newest, &[&said, &gone], &path), Some(1));
        assert_eq!(pick(&Rule::Max, &[&said, &gone], &path), None);
    }
}
