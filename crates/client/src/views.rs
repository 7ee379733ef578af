//! Reading a replica: the views that a hub with the same records would show, with this device's pending edits in them.

use inbetweenies_core::domain::POLICY_ID;
use inbetweenies_core::id::Id;
use inbetweenies_core::record::{Kind, Record};
use inbetweenies_core::view::{Graph, Policy, View, view};
use inbetweenies_core::zoo::{self, Bug};

use crate::held::Held;
use crate::house::house;
use crate::replica::Replica;

/// A relationship with its two ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Where it starts.
    pub from: Id,
    /// Its type.
    pub relationship_type: String,
    /// Where it ends.
    pub to: Id,
    /// Its view.
    pub view: View,
}

/// Why a word names no single thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// Nothing is called that.
    #[error(
        "nothing here is called {0:?}: give an id, the beginning of one, or a name; `sync` fetches what hubs hold"
    )]
    Nothing(String),
    /// Several things are.
    #[error("{0:?} may be {1}: give the id of the one you mean")]
    Several(String, String),
}

impl NotFound {
    /// Names some of those that a word may mean.
    pub(crate) fn several<'r>(word: &str, found: impl ExactSizeIterator<Item = &'r Record>) -> NotFound {
        let more = found.len().saturating_sub(CANDIDATES_MAX);
        let mut names: Vec<String> = found.take(CANDIDATES_MAX).map(label).collect();
        if more > 0 {
            names.push(format!("{more} more"));
        }
        NotFound::Several(word.to_owned(), names.join(", "))
    }
}

/// How many candidates an error names.
const CANDIDATES_MAX: usize = 5;
/// The fewest characters of an id that may stand for it.
const ID_PREFIX_MIN: usize = 4;

impl Replica {
    /// The home's own rules if they have come, else those that this software brings along. Last write wins, as on hubs.
    pub fn policy(&self) -> Policy {
        self.own_policy().unwrap_or_else(|| house().clone())
    }

    /// The home's own rules, once they have come.
    pub fn own_policy(&self) -> Option<Policy> {
        let id = Id::new(POLICY_ID).ok()?;
        Policy::of(&self.graph(&id))
    }

    /// The versions of one id and how they follow each other.
    pub fn graph(&self, id: &Id) -> Graph {
        let shown = |held: &&Held| !zoo::planted(Bug::EditHidden) || !held.stamps.is_empty();
        Graph::build(
            self.versions(id)
                .filter(shown)
                .map(|held| held.node(self.horizons())),
        )
    }

    /// What is shown of one id; None if nothing is known of it. O(versions).
    pub fn view(&self, id: &Id, policy: &Policy) -> Option<View> {
        view(&self.graph(id), policy)
    }

    /// Every id's view, in the order of the ids, but for what is the home's own business.
    pub fn views(&self, policy: &Policy) -> impl Iterator<Item = View> {
        self.views_at(policy, None)
    }

    /// Entities that are shown, of one type or of all, by (type, id).
    pub fn entities(&self, policy: &Policy, entity_type: Option<&str>) -> Vec<View> {
        self.entities_at(policy, entity_type, None)
    }

    /// Relationships that are shown, by id.
    pub fn edges(&self, policy: &Policy) -> Vec<Edge> {
        self.edges_at(policy, None)
    }

    /// The id that a person means by a word: an id, else the one entity of that name, else the one whose id begins so.
    pub fn find(&self, word: &str, policy: &Policy) -> Result<Id, NotFound> {
        let exact = Id::new(word).ok().filter(|id| self.versions(id).next().is_some());
        if let Some(id) = exact {
            return Ok(id);
        }
        // What is shown goes before what is deleted and still has a history.
        let (gone, shown): (Vec<View>, Vec<View>) = self.views(policy).partition(|view| view.record.deleted);
        let begins = |record: &Record| word.len() >= ID_PREFIX_MIN && record.id.as_str().starts_with(word);
        let among = |views: &[View], meant: &dyn Fn(&Record) -> bool| -> Vec<Record> {
            views
                .iter()
                .filter(|view| meant(&view.record))
                .map(|view| view.record.clone())
                .collect()
        };
        let found = [&shown, &gone]
            .into_iter()
            .flat_map(|views| {
                [
                    among(views, &|record| has_name(record, word)),
                    among(views, &begins),
                ]
            })
            .find(|found| !found.is_empty())
            .unwrap_or_default();
        match &found[..] {
            [] => Err(NotFound::Nothing(word.to_owned())),
            [only] => Ok(only.id.clone()),
            several => Err(NotFound::several(word, several.iter())),
        }
    }
}

impl Edge {
    pub(crate) fn of(view: View) -> Option<Edge> {
        let Kind::Relationship {
            from,
            to,
            relationship_type,
        } = &view.record.kind
        else {
            return None;
        };
        Some(Edge {
            from: from.clone(),
            to: to.clone(),
            relationship_type: relationship_type.clone(),
            view,
        })
    }

    /// Whether it starts or ends there.
    pub fn touches(&self, id: &Id) -> bool {
        self.from == *id || self.to == *id
    }
}

fn has_name(record: &Record, word: &str) -> bool {
    match &record.kind {
        Kind::Entity { name, .. } => name
            .as_ref()
            .is_some_and(|name| name.to_lowercase() == word.to_lowercase()),
        Kind::Relationship { .. } => false,
    }
}

/// A thing in a few words: type, id.
fn label(record: &Record) -> String {
    let kind = match &record.kind {
        Kind::Entity { entity_type, .. } => entity_type,
        Kind::Relationship {
            relationship_type, ..
        } => relationship_type,
    };
    format!("{kind} {}", record.id)
}
