//! The graph that a folder wishes for: registries in, entities and relationships out, and no decision about
//! what is there already.

use serde_json::{Map, Value};

use super::mapper::Mapper;
use super::registry::Registries;

/// An entity as the source wishes it.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedEntity {
    /// The derived id, see [`super::ids::entity`].
    pub id: String,
    /// Its type in the domain `house`.
    pub entity_type: String,
    /// What people read.
    pub name: String,
    /// In a [`Wanted`] graph the key `home_assistant` alone; in a plan the whole content.
    pub content: Map<String, Value>,
}

/// A relationship as the source wishes it.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedRelationship {
    /// The derived id, see [`super::ids::single`] and [`super::ids::relationship`].
    pub id: String,
    /// Its type in the domain `house`.
    pub relationship_type: String,
    /// The id of the entity it starts from.
    pub from: String,
    /// The id of the entity it leads to.
    pub to: String,
    /// In a [`Wanted`] graph the key `home_assistant` alone; in a plan all properties.
    pub properties: Map<String, Value>,
}

/// The wished-for graph. Every relationship's ends are among its entities.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// By (type, id).
    pub entities: Vec<WantedEntity>,
    /// By (type, id).
    pub relationships: Vec<WantedRelationship>,
    /// What was left out or not believed, counted, for the person who imports.
    pub notes: Vec<String>,
}

/// Maps registries to the graph they wish for. Pure; in O(n log n) of all rows.
///
/// `source` tells one Home Assistant from another (a second home needs a name of its own); `home_name` names
/// the home when it is created.
pub fn wanted(registries: &Registries, source: &str, home_name: &str) -> Wanted {
    let mut mapper = Mapper::new(source, home_name);
    mapper.floors(&registries.floors);
    mapper.areas(&registries.areas);
    mapper.devices(&registries.devices, &registries.entities);
    mapper.entities(&registries.entities);
    mapper.finish()
}
