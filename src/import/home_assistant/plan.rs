//! From a wanted and a known graph to what has to be done. Pure, and it stops: what a plan does, the next one
//! finds done.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::SUBTREE;
use super::notes::counted;
use super::subtree::subtree;
use super::wanted::{Wanted, WantedEntity, WantedRelationship};

/// The mark in the subtree of what the import itself deleted.
const GONE: &str = "gone";

/// Fewer deletions than this never look like another home's folder.
const SUSPICIOUS_DELETIONS_MIN: usize = 10;

/// An entity as the hub now shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownEntity {
    /// Its id.
    pub id: String,
    /// Its type.
    pub entity_type: String,
    /// Its name.
    pub name: String,
    /// Its whole content; of a tombstone what the tombstone carries, else nothing.
    pub content: Map<String, Value>,
    /// Whether it is deleted.
    pub deleted: bool,
}

/// A relationship as the hub now shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownRelationship {
    /// Its id.
    pub id: String,
    /// Its type.
    pub relationship_type: String,
    /// The id of the entity it starts from.
    pub from: String,
    /// The id of the entity it leads to.
    pub to: String,
    /// All its properties; of a tombstone what the tombstone carries, else nothing.
    pub properties: Map<String, Value>,
    /// Whether it is deleted.
    pub deleted: bool,
}

/// What the hub now shows, tombstones included, in any order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    /// The entities, of whatever source.
    pub entities: Vec<KnownEntity>,
    /// The relationships, of whatever source.
    pub relationships: Vec<KnownRelationship>,
}

/// Things and edges, each whole as it shall stand.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// By (type, id).
    pub entities: Vec<WantedEntity>,
    /// By (type, id).
    pub relationships: Vec<WantedRelationship>,
}

impl Changes {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty() && self.relationships.is_empty()
    }
}

/// What has to be done for the hub to show what the folder wishes for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Of ids that the hub does not know.
    pub create: Changes,
    /// Of ids that the hub knows, with all that people wrote kept. Those that the hub shows as deleted were
    /// deleted by an import, and come back with this edit on top of the tombstone.
    pub edit: Changes,
    /// What to write in the tombstones; their content carries the import's mark and must be kept for it to
    /// count.
    pub delete: Changes,
    /// What was not done, counted, for the person who imports.
    pub notes: Vec<String>,
    /// Set if the plan deletes most of what the source had: ask before it is carried out.
    pub warning: Option<String>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.create.is_empty() && self.edit.is_empty() && self.delete.is_empty()
    }
}

/// Compares by the `home_assistant` subtree alone. In O((n + m) log (n + m)) of the wanted and the known.
///
/// - What is not known is created; what is known and equal is left alone, whoever renamed or moved it.
/// - Where the subtree differs, it alone is replaced. The name follows if the source's name changed, a
///   relationship's ends follow always. The type of a known id stays what it is.
/// - What `source` made and wishes for no more is deleted, with every relationship that would lose an end. A
///   relationship that is wanted elsewhere goes there instead, even if a person had moved it to what is
///   deleted.
/// - What a person deleted stays deleted, and nothing is tied to it. What an import deleted comes back when
///   it is wanted again.
pub fn plan(wanted: &Wanted, known: &Known, source: &str) -> Plan {
    let mut plan = Plan::default();
    let ends = plan_entities(&mut plan, wanted, known, source);
    let kept = plan_relationships(&mut plan, wanted, known, source, &ends);
    let things = ["thing of the folder was", "things of the folder were"];
    let edges = [
        "relationship of the folder was",
        "relationships of the folder were",
    ];
    plan.notes
        .extend(counted(ends.kept, things, "deleted here: left so"));
    plan.notes
        .extend(counted(kept, edges, "deleted here or lost an end: left so"));
    plan.warning = warning(&plan, known, source);
    for changes in [&mut plan.create, &mut plan.edit, &mut plan.delete] {
        changes
            .entities
            .sort_by(|a, b| (&a.entity_type, &a.id).cmp(&(&b.entity_type, &b.id)));
        let order = |edge: &WantedRelationship| (edge.relationship_type.clone(), edge.id.clone());
        changes.relationships.sort_by_cached_key(order);
    }
    plan
}

/// Where no relationship can end once the plan is carried out.
struct Ends<'a> {
    /// Deleted by this plan.
    leaving: BTreeSet<&'a str>,
    /// Deleted before, and left so.
    deleted: BTreeSet<&'a str>,
    /// How many of those are wanted.
    kept: usize,
}

impl Ends<'_> {
    fn stand(&self, edge: &WantedRelationship) -> bool {
        let stands = |id: &str| !self.leaving.contains(id) && !self.deleted.contains(id);
        stands(&edge.from) && stands(&edge.to)
    }

    fn leave(&self, edge: &KnownRelationship) -> bool {
        self.leaving.contains(edge.from.as_str()) || self.leaving.contains(edge.to.as_str())
    }
}

fn plan_entities<'a>(plan: &mut Plan, wanted: &Wanted, known: &'a Known, source: &str) -> Ends<'a> {
    let mut rest: BTreeMap<&str, &KnownEntity> =
        known.entities.iter().map(|it| (it.id.as_str(), it)).collect();
    let mut ends = Ends {
        leaving: BTreeSet::new(),
        deleted: BTreeSet::new(),
        kept: 0,
    };
    for entity in &wanted.entities {
        match rest.remove(entity.id.as_str()) {
            None => plan.create.entities.push(entity.clone()),
            Some(it) if it.deleted && !gone(&it.content, source) => {
                ends.deleted.insert(&it.id);
                ends.kept += 1;
            }
            Some(it) if it.deleted || subtree(&it.content) != subtree(&entity.content) => {
                plan.edit.entities.push(edited(it, entity));
            }
            Some(_) => {}
        }
    }
    for it in rest.into_values() {
        if it.deleted {
            ends.deleted.insert(&it.id);
        } else if is_of(&it.content, source) {
            ends.leaving.insert(&it.id);
            let (id, entity_type, name) = (it.id.clone(), it.entity_type.clone(), it.name.clone());
            plan.delete.entities.push(WantedEntity {
                id,
                entity_type,
                name,
                content: marked(&it.content),
            });
        }
    }
    ends
}

/// Plans the relationships and returns how many wanted ones are left aside.
fn plan_relationships(
    plan: &mut Plan,
    wanted: &Wanted,
    known: &Known,
    source: &str,
    ends: &Ends<'_>,
) -> usize {
    let mut rest: BTreeMap<&str, &KnownRelationship> = known
        .relationships
        .iter()
        .map(|it| (it.id.as_str(), it))
        .collect();
    let mut left_aside = 0;
    for edge in &wanted.relationships {
        let stands = ends.stand(edge);
        match rest.remove(edge.id.as_str()) {
            None if stands => plan.create.relationships.push(edge.clone()),
            Some(it) if it.deleted && gone(&it.properties, source) && stands => {
                plan.edit.relationships.push(redrawn(it, edge));
            }
            Some(it)
                if !it.deleted && !ends.leave(it) && subtree(&it.properties) == subtree(&edge.properties) => {
            }
            Some(it) if !it.deleted && stands => plan.edit.relationships.push(redrawn(it, edge)),
            Some(it) if !it.deleted && ends.leave(it) => plan.delete.relationships.push(undrawn(it)),
            None | Some(_) => left_aside += 1,
        }
    }
    for it in rest.into_values().filter(|it| !it.deleted) {
        if is_of(&it.properties, source) || ends.leave(it) {
            plan.delete.relationships.push(undrawn(it));
        }
    }
    left_aside
}

/// The known entity with the source's subtree, and its name if the source gave it a new one.
fn edited(it: &KnownEntity, wanted: &WantedEntity) -> WantedEntity {
    let name_in = |content| subtree(content).and_then(|subtree| subtree.get("name"));
    let renamed = name_in(&it.content).is_some_and(|before| Some(before) != name_in(&wanted.content));
    WantedEntity {
        id: it.id.clone(),
        entity_type: it.entity_type.clone(),
        name: if renamed {
            wanted.name.clone()
        } else {
            it.name.clone()
        },
        content: replaced(&it.content, &wanted.content),
    }
}

/// The known relationship as the source draws it, with what people wrote on it.
fn redrawn(it: &KnownRelationship, wanted: &WantedRelationship) -> WantedRelationship {
    WantedRelationship {
        properties: replaced(&it.properties, &wanted.properties),
        ..wanted.clone()
    }
}

fn undrawn(it: &KnownRelationship) -> WantedRelationship {
    WantedRelationship {
        id: it.id.clone(),
        relationship_type: it.relationship_type.clone(),
        from: it.from.clone(),
        to: it.to.clone(),
        properties: marked(&it.properties),
    }
}

fn replaced(before: &Map<String, Value>, wanted: &Map<String, Value>) -> Map<String, Value> {
    let mut content = before.clone();
    content.extend(wanted.iter().map(|(key, value)| (key.clone(), value.clone())));
    content
}

/// The content of a tombstone: the same, with the import's mark in the subtree, if there is one.
fn marked(content: &Map<String, Value>) -> Map<String, Value> {
    let mut content = content.clone();
    if let Some(Value::Object(subtree)) = content.get_mut(SUBTREE) {
        subtree.insert(GONE.to_owned(), Value::Bool(true));
    }
    content
}

fn is_of(content: &Map<String, Value>, source: &str) -> bool {
    let named = subtree(content).and_then(|subtree| subtree.get("source"));
    named.and_then(Value::as_str) == Some(source)
}

fn gone(content: &Map<String, Value>, source: &str) -> bool {
    let mark = subtree(content).and_then(|subtree| subtree.get(GONE));
    is_of(content, source) && mark == Some(&Value::Bool(true))
}

/// Two homes imported under one source would delete each other by turns.
fn warning(plan: &Plan, known: &Known, source: &str) -> Option<String> {
    let ours = known
        .entities
        .iter()
        .filter(|it| !it.deleted && is_of(&it.content, source))
        .count();
    let leaving = plan.delete.entities.len();
    let most = leaving >= SUSPICIOUS_DELETIONS_MIN && leaving * 2 > ours;
    most.then(|| {
        format!(
            "{leaving} of the {ours} things that came from {source:?} are not in this folder and would be \
             deleted; if it is another home's, give it a source of its own"
        )
    })
}
