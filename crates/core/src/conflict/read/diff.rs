//! What changed between two instants: applied to the state at the first it gives the state at the second.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Shown;
use crate::domain::is_reserved;
use crate::id::Id;
use crate::machine::load_view_at;
use crate::store::{Family, IdRow, Snapshot, StoreError, decode_row, id_key, trailing_id};
use crate::time::Micros;
use crate::value::Value;
use crate::view::{Path, Policy, View, paths, value_at};
use crate::wire::ClockMap;

/// Ids that one page looks at before it ends early and says that there is more.
const PASSED_MAX: usize = 100_000;

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldDiff {
    /// Where it stands: a list of keys.
    pub field: Path,
    /// What it said; left out where it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it says then; left out where it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiffRow {
    /// Which.
    pub id: String,
    /// `created` (it was not there, or deleted), `updated` or `deleted`.
    pub change: &'static str,
    /// How it was shown; null where it was not.
    pub before: Option<Shown>,
    /// How it is shown then; null where it is not.
    pub after: Option<Shown>,
    /// The fields that differ; none where only the version does.
    pub fields: Vec<FieldDiff>,
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiffPage {
    /// In the order of their ids.
    pub changes: Vec<DiffRow>,
    /// To be given back for the next page: the last id looked at. Null on the last page.
    pub cursor: Option<String>,
    /// What this answer is computed from.
    pub complete_to: ClockMap,
}

/// How two views of one id differ; None where readers see the same, or nothing both times.
pub fn change_of(before: Option<&View>, after: Option<&View>) -> Option<DiffRow> {
    let there = |view: Option<&View>| view.filter(|view| !view.record.deleted).cloned();
    let (before, after) = (there(before), there(after));
    let told = |view: &Option<View>| view.as_ref().map(Shown::of);
    let (was, is) = (told(&before), told(&after));
    // How several heads would become one is no change where the policy alone says otherwise: with several the version
    // names the policy too.
    let alike = |was: &Shown, is: &Shown| {
        let strategy = is.strategy;
        Shown {
            strategy,
            ..was.clone()
        } == *is
    };
    match (&was, &is) {
        (None, None) => return None,
        (Some(was), Some(is)) if alike(was, is) => return None,
        _ => {}
    }
    let mut places: BTreeSet<Path> = BTreeSet::new();
    for view in [&before, &after].into_iter().flatten() {
        places.extend(paths(&view.record));
    }
    let value =
        |view: &Option<View>, path: &Path| view.as_ref().and_then(|view| value_at(&view.record, path));
    let fields = places.into_iter().filter_map(|field| {
        let (before, after) = (value(&before, &field), value(&after, &field));
        (before != after).then_some(FieldDiff { field, before, after })
    });
    let fields = fields.collect();
    let (change, view) = match (&before, &after) {
        (None, Some(view)) => ("created", view),
        (Some(view), None) => ("deleted", view),
        (Some(_), Some(view)) => ("updated", view),
        (None, None) => return None,
    };
    Some(DiffRow {
        id: view.record.id.to_string(),
        change,
        before: was,
        after: is,
        fields,
    })
}

/// One page of what differs between two instants, after the cursor. O(ids), and O(versions) of those that changed.
pub fn diff(
    store: &dyn Snapshot,
    policy: &Policy,
    from: Micros,
    to: Micros,
    cursor: Option<&Id>,
    limit: usize,
) -> Result<DiffPage, StoreError> {
    let start = cursor.map_or_else(Vec::new, |id| {
        let mut key = id_key(id);
        key.push(0); // just after it
        key
    });
    let rules_differ = policy.at(from).short != policy.at(to).short;
    let (earlier, later) = (from.min(to), from.max(to));
    let (mut found, mut failed, mut passed, mut last): (Vec<Id>, _, usize, Option<Id>) =
        (Vec::new(), None, 0, None);
    let mut ended = true;
    store.scan(Family::Ids, &start, None, &mut |key, value| {
        if found.len() >= limit || passed >= PASSED_MAX {
            ended = false;
            return false;
        }
        passed += 1;
        match decode_row::<IdRow>(Family::Ids, value) {
            Err(error) => failed = Some(error),
            Ok(row) => {
                last = trailing_id(key, 0);
                let reserved = row.entity_type.as_deref().is_some_and(is_reserved);
                // Between the two nothing was written about it; or nothing is known of it from before the later.
                let still = row.newest <= earlier || row.eldest.0 > later;
                // Another policy shows several heads otherwise.
                let contested = rules_differ && row.records > 1;
                if !reserved && (!still || contested) {
                    found.extend(last.clone());
                }
            }
        }
        failed.is_none()
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let mut changes = Vec::new();
    for id in found {
        let before = load_view_at(store, policy, &id, from)?;
        let after = load_view_at(store, policy, &id, to)?;
        changes.extend(change_of(before.as_ref(), after.as_ref()));
    }
    Ok(DiffPage {
        changes,
        cursor: last.filter(|_| !ended).map(|id| id.to_string()),
        complete_to: crate::wire::clock_to_wire(&super::clock(store)?).0,
    })
}
