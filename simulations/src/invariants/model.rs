//! What the versions of one id come to, as the design says it: worked out from the records, their edges and the declared
//! rules alone, not with the core's graph and merge. What all hubs and clients get wrong in one way shows nowhere else.

use std::collections::{BTreeMap, BTreeSet};

use inbetweenies_core::domain::{Decision, Path, Rule, Rules, Strategy};
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::Version;
use inbetweenies_core::limits::{MERGE_HEADS_MAX, UNION_ELEMENTS_MAX};
use inbetweenies_core::record::{Kind, RESTORE_ID, Record};
use inbetweenies_core::time::Micros;
use inbetweenies_core::value::{Map, Value};

use super::rows::{Held, above, edges};

/// What a record says, by where it says it.
pub type Fields = BTreeMap<Path, Value>;

/// One field, decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What it says; None where it is not there.
    pub value: Option<Value>,
    /// Whose it is.
    pub writer: Digest,
    /// By which rule; `newest` where none is declared, `agreed` where nothing was to be decided.
    pub rule: &'static str,
    /// The declared rule that does not fit.
    pub unfit: Option<&'static str>,
    /// The other last writers, the newest first.
    pub others: Vec<Digest>,
}

/// What readers should see.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// What it says.
    pub fields: Fields,
    /// What it is, for a thing.
    pub entity_type: Option<String>,
    /// Whether it is deleted.
    pub deleted: bool,
    /// Fields whose rule does not fit.
    pub unfit: Vec<Path>,
    /// Whether somebody should look.
    pub provisional: bool,
    /// Whether a person is asked.
    pub queued: bool,
}

/// The versions of one id.
pub struct Model<'h> {
    held: BTreeMap<Digest, &'h Held>,
    said: BTreeMap<Digest, Fields>,
    parents: BTreeMap<Digest, BTreeSet<Digest>>,
    above: BTreeMap<Digest, BTreeSet<Digest>>,
    /// Those that none follows, the newest last.
    pub heads: Vec<Digest>,
}

impl<'h> Model<'h> {
    /// Of these versions, of which there is at least one.
    pub fn new(versions: &'h [Held]) -> Model<'h> {
        let parents = edges(versions);
        let followed: BTreeSet<&Digest> = parents.values().flatten().collect();
        let digests = versions.iter().map(|held| held.digest);
        let heads = digests.filter(|digest| !followed.contains(digest)).collect();
        let mut model = Model {
            held: versions.iter().map(|held| (held.digest, held)).collect(),
            said: versions
                .iter()
                .map(|held| (held.digest, fields(&held.record)))
                .collect(),
            above: above(&parents),
            heads,
            parents,
        };
        let mut heads = std::mem::take(&mut model.heads);
        heads.sort_by_key(|digest| model.rank(digest));
        model.heads = heads;
        model
    }

    fn rank(&self, digest: &Digest) -> (Micros, Version, Digest) {
        let held = self.held[digest];
        (held.row.order_time, held.record.version.clone(), *digest)
    }

    fn newest(&self) -> &'h Record {
        &self.held[&self.heads[self.heads.len() - 1]].record
    }

    fn eldest(&self) -> &'h Record {
        let eldest = self.held.keys().min_by_key(|digest| self.rank(digest));
        eldest.map_or(self.newest(), |digest| &self.held[digest].record)
    }

    /// By what its type is known: a thing's never changes, and that between things is as its newest version has it.
    pub fn kind(&self) -> &'h Kind {
        match (&self.eldest().kind, &self.newest().kind) {
            (Kind::Relationship { .. }, newest @ Kind::Relationship { .. }) => newest,
            (eldest, _) => eldest,
        }
    }

    /// Whether its heads are merged field by field.
    pub fn is_merged(&self, decision: &Decision) -> bool {
        matches!(decision.strategy, Strategy::Merge | Strategy::Custom) && self.heads.len() <= MERGE_HEADS_MAX
    }

    /// What readers should see of several heads.
    pub fn seen(&self, decision: &Decision) -> Seen {
        let newest = &self.heads[self.heads.len() - 1];
        let (fields, unfit) = if self.is_merged(decision) {
            let decided = self.decide(&decision.rules, false);
            let unfit = decided.iter().filter(|(_, decided)| decided.unfit.is_some());
            let unfit = unfit.map(|(path, _)| path.clone()).collect();
            let there = decided
                .into_iter()
                .filter_map(|(path, decided)| Some((path, decided.value?)));
            (there.collect(), unfit)
        } else {
            (self.said[newest].clone(), Vec::new())
        };
        let tell = |digest: &Digest| {
            let record = &self.held[digest].record;
            (&self.said[digest], record.deleted, record.entity_type())
        };
        let conflict = self.heads.iter().any(|head| tell(head) != tell(newest));
        let gone = self.heads.iter().filter(|head| self.held[*head].record.deleted);
        let gone = gone.count();
        let manual = decision.strategy == Strategy::Manual;
        let many = self.heads.len() > MERGE_HEADS_MAX;
        Seen {
            fields,
            entity_type: self.eldest().entity_type().map(str::to_owned),
            deleted: gone > 0,
            unfit,
            provisional: conflict && (manual || many),
            queued: conflict && (manual || (gone > 0 && gone < self.heads.len())),
        }
    }

    /// Each field that a head has, or with `all` that any version has, by its last writers and its rule.
    pub fn decide(&self, rules: &Rules, all: bool) -> BTreeMap<Path, Decided> {
        let from: Vec<&Digest> = if all {
            self.held.keys().collect()
        } else {
            self.heads.iter().collect()
        };
        let paths: BTreeSet<&Path> = from.iter().flat_map(|digest| self.said[*digest].keys()).collect();
        let decided = paths
            .into_iter()
            .map(|path| (path.clone(), self.field(path, rules.get(path))));
        let mut decided: BTreeMap<Path, Decided> = decided.collect();
        self.settle_shapes(&mut decided);
        decided
    }

    /// Those who wrote something and whom no other such follows, the newest last. `same` compares two versions in it.
    fn last_writers(&self, same: impl Fn(&Digest, &Digest) -> bool) -> Vec<Digest> {
        let writes = |digest: &&Digest| {
            let parents = &self.parents[*digest];
            parents.is_empty() || parents.iter().any(|parent| !same(parent, digest))
        };
        let writers: Vec<&Digest> = self.held.keys().filter(writes).collect();
        let followed = |writer: &Digest| writers.iter().any(|other| self.above[*other].contains(writer));
        let mut last: Vec<Digest> = writers
            .iter()
            .map(|writer| **writer)
            .filter(|writer| !followed(writer))
            .collect();
        last.sort_by_key(|digest| self.rank(digest));
        last
    }

    fn field(&self, path: &Path, rule: Option<&Rule>) -> Decided {
        let value = |digest: &Digest| self.said[digest].get(path);
        let last = self.last_writers(|a, b| value(a) == value(b));
        let values: Vec<Option<&Value>> = last.iter().map(value).collect();
        let newest = last.len() - 1;
        let by = |rule, at: usize| Decided {
            value: values[at].cloned(),
            writer: last[at],
            rule,
            unfit: None,
            others: (0..last.len())
                .rev()
                .filter(|other| *other != at)
                .map(|other| last[other])
                .collect(),
        };
        if values.iter().all(|value| *value == values[newest]) {
            return by("agreed", newest);
        }
        let Some(rule) = rule.filter(|rule| **rule != Rule::Newest) else {
            return by("newest", newest);
        };
        let unfit = || Decided {
            unfit: Some(rule.name()),
            ..by("newest", newest)
        };
        if *rule == Rule::Union {
            return match self.union(path, &last) {
                Some(list) => Decided {
                    value: Some(Value::List(list)),
                    ..by(rule.name(), newest)
                },
                None => unfit(),
            };
        }
        let Some(values) = values.iter().copied().collect::<Option<Vec<&Value>>>() else {
            return unfit(); // somebody took it away: that is no value to compare
        };
        match picked(rule, &values) {
            Some(at) => by(rule.name(), at),
            None => unfit(),
        }
    }

    /// Each element by its own last writers, in the order of those who brought them.
    fn union(&self, path: &Path, last: &[Digest]) -> Option<Vec<Value>> {
        let list = |digest: &Digest| match self.said[digest].get(path) {
            None => Some(&[][..]),
            Some(Value::List(list)) => Some(&list[..]),
            Some(_) => None,
        };
        let mut elements: Vec<&Value> = Vec::new();
        for digest in self.heads.iter().chain(last) {
            for element in list(digest)? {
                if !elements.contains(&element) {
                    elements.push(element);
                }
            }
        }
        if elements.len() > UNION_ELEMENTS_MAX {
            return None;
        }
        let mut kept = Vec::new();
        for element in elements {
            let place = |digest: &Digest| list(digest)?.iter().position(|other| other == element);
            let writers = self.last_writers(|a, b| place(a).is_some() == place(b).is_some());
            let newest = writers.last()?;
            if let Some(place) = place(newest) {
                kept.push(((self.rank(newest), place), element));
            }
        }
        kept.sort_by(|(a, _), (b, _)| a.cmp(b));
        Some(kept.into_iter().map(|(_, element)| element.clone()).collect())
    }

    /// Where one writer has a leaf and another has fields below it, the larger takes the whole path.
    fn settle_shapes(&self, decided: &mut BTreeMap<Path, Decided>) {
        let there = |decided: &BTreeMap<Path, Decided>, path: &Path| decided[path].value.is_some();
        let paths: Vec<Path> = decided.keys().cloned().collect();
        for leaf in &paths {
            if !there(decided, leaf) {
                continue;
            }
            let inside = |path: &&Path| path.len() > leaf.len() && path.starts_with(leaf);
            let below: Vec<&Path> = paths
                .iter()
                .filter(inside)
                .filter(|path| there(decided, path))
                .collect();
            let Some(largest) = below
                .iter()
                .map(|path| decided[*path].writer)
                .max_by_key(|digest| self.rank(digest))
            else {
                continue;
            };
            let writer = decided[leaf].writer;
            let (lost, winner) = if self.rank(&writer) > self.rank(&largest) {
                (below, writer)
            } else {
                (vec![leaf], largest)
            };
            for path in lost {
                if let Some(decided) = decided.get_mut(path) {
                    decided.others.insert(0, decided.writer);
                    decided.writer = winner;
                    (decided.value, decided.rule, decided.unfit) = (None, "shape", None);
                }
            }
        }
    }
}

/// Which of the values a rule takes; of equal ones the last. None if it does not fit.
fn picked(rule: &Rule, values: &[&Value]) -> Option<usize> {
    match rule {
        Rule::Newest => values.len().checked_sub(1),
        Rule::Prefer(order) => {
            let place = |value: &Value| order.iter().position(|wanted| wanted == value);
            let liked = values
                .iter()
                .enumerate()
                .filter_map(|(at, value)| Some((place(value)?, at)));
            // The best place, and of equal values the last.
            liked
                .min_by_key(|(place, at)| (*place, usize::MAX - at))
                .map(|(_, at)| at)
        }
        Rule::Max | Rule::Min => {
            let all = |is: fn(&Value) -> bool| values.iter().all(|value| is(value));
            let numbers = all(|value| matches!(value, Value::Int(_) | Value::Float(_)));
            if !numbers && !all(|value| matches!(value, Value::Text(_))) {
                return None;
            }
            let sorted = |a: &Value, b: &Value| match (a, b) {
                (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
                _ => number(a).total_cmp(&number(b)),
            };
            let places = 0..values.len();
            let best = |a: &usize, b: &usize| {
                let order = sorted(values[*a], values[*b]);
                let order = if *rule == Rule::Max {
                    order
                } else {
                    order.reverse()
                };
                order.then(a.cmp(b))
            };
            places.max_by(best)
        }
        Rule::Union => None,
    }
}

/// Whole numbers lie within ±2^53: a float says them exactly.
fn number(value: &Value) -> f64 {
    match value {
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        _ => f64::NAN,
    }
}

/// The leaves of a record: anything in it but a map that holds something.
pub fn fields(record: &Record) -> Fields {
    let mut fields = Fields::new();
    let mut put = |name: &str, text: Option<&str>| {
        if let Some(text) = text {
            fields.insert(vec![name.to_owned()], Value::from(text));
        }
    };
    match &record.kind {
        Kind::Entity {
            name, source_type, ..
        } => {
            put("name", name.as_deref());
            put("source_type", source_type.as_deref());
        }
        Kind::Relationship {
            from,
            to,
            relationship_type,
        } => {
            put("from_entity_id", Some(from.as_str()));
            put("to_entity_id", Some(to.as_str()));
            put("relationship_type", Some(relationship_type));
        }
    }
    spread(&["content".to_owned()], &record.content, &mut fields);
    for (key, value) in record.extra.iter().filter(|(key, _)| *key != RESTORE_ID) {
        fields.insert(vec!["extra".to_owned(), key.clone()], value.clone());
    }
    fields
}

fn spread(path: &[String], map: &Map, fields: &mut Fields) {
    for (key, value) in map {
        let path = [path, std::slice::from_ref(key)].concat();
        match value {
            Value::Map(inner) if !inner.is_empty() => spread(&path, inner, fields),
            _ => drop(fields.insert(path, value.clone())),
        }
    }
}
