//! The order in which a set's records are taken: parents within the set before their children.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::entry::Sealed;
use crate::hash::Digest;
use crate::id::{Id, Version};

/// Parents within the set before their children; the writer's order otherwise, and wherever names run in a circle.
///
/// A walk in depth without recursion. O(records + parents), where a bare name counts once for each record of the set
/// that bears it.
pub(super) fn causes_first(records: &[Arc<Sealed>]) -> Vec<usize> {
    let ids: BTreeSet<&Id> = records.iter().map(|sealed| &sealed.record.id).collect();
    if ids.len() == records.len() {
        return (0..records.len()).collect();
    }
    let mut by_digest: BTreeMap<(&Id, &Digest), Vec<usize>> = BTreeMap::new();
    let mut by_version: BTreeMap<(&Id, &Version), Vec<usize>> = BTreeMap::new();
    for (at, sealed) in records.iter().enumerate() {
        let id = &sealed.record.id;
        by_digest.entry((id, &sealed.digest)).or_default().push(at);
        by_version
            .entry((id, &sealed.record.version))
            .or_default()
            .push(at);
    }
    let named = |at: usize, parent: usize| {
        let record = &records[at].record;
        let parent = record.parents.get(parent)?;
        let found = match &parent.digest {
            Some(digest) => by_digest.get(&(&record.id, digest)),
            None => by_version.get(&(&record.id, &parent.version)),
        };
        Some(found.map_or(&[][..], Vec::as_slice))
    };
    let mut order = Vec::with_capacity(records.len());
    let mut entered = vec![false; records.len()];
    for start in 0..records.len() {
        // Each frame: a record, which of its parents is looked at, and which bearer of that name is next.
        let mut frames: Vec<(usize, usize, usize)> = Vec::new();
        if !std::mem::replace(&mut entered[start], true) {
            frames.push((start, 0, 0));
        }
        while let Some((at, parent, bearer)) = frames.last_mut() {
            match named(*at, *parent) {
                None => {
                    order.push(*at);
                    frames.pop();
                }
                Some(bearers) => match bearers.get(*bearer) {
                    None => (*parent, *bearer) = (*parent + 1, 0),
                    Some(next) => {
                        *bearer += 1;
                        if !std::mem::replace(&mut entered[*next], true) {
                            frames.push((*next, 0, 0));
                        }
                    }
                },
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Kind, Parent, Record};
    use crate::value::Map;

    fn sealed(version: &str, parents: &[(&str, Option<Digest>)]) -> Arc<Sealed> {
        let parents = parents.iter().map(|(version, digest)| Parent {
            version: Version::new(version).unwrap(),
            digest: *digest,
        });
        Arc::new(Sealed::new(Record {
            id: Id::new("lamp").unwrap(),
            version: Version::new(version).unwrap(),
            kind: Kind::Entity {
                entity_type: "device".into(),
                name: None,
                source_type: None,
            },
            user_id: None,
            parents: parents.collect(),
            deleted: false,
            content: Map::new(),
            extra: Map::new(),
        }))
    }

    #[test]
    fn parents_come_before_their_children_and_circles_in_the_writers_order() {
        let base = sealed("v1", &[]);
        let by_digest = sealed("v2", &[("v1", Some(base.digest))]);
        let by_name = sealed("v3", &[("v2", None), ("unknown", None)]);
        let set = [by_name.clone(), by_digest.clone(), base.clone()];
        assert_eq!(causes_first(&set), [2, 1, 0]);
        let circle = [
            sealed("a", &[("b", None)]),
            sealed("b", &[("a", None)]),
            sealed("c", &[("c", None)]),
        ];
        assert_eq!(causes_first(&circle), [1, 0, 2]);
    }
}
