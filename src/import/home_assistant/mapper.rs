//! One pass over the registries, floors first, so that whatever an edge leads to is known before the edge is
//! drawn.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::ids;
use super::notes::Counts;
use super::registry::{Area, Device, Entity, Floor};
use super::role::{Role, readable};
use super::subtree::{Subtree, without_credentials};
use super::wanted::{Wanted, WantedEntity, WantedRelationship};

/// The most entities that are listed in one device, so that its content stays well below a record's 256 KiB;
/// a device has some ten, a bridge that lists all that hangs on it some hundreds.
pub const ENTITIES_PER_DEVICE_MAX: usize = 1_000;

/// What stands in the graph so far, and what could not be believed.
pub(super) struct Mapper<'a> {
    source: &'a str,
    home: String,
    entities: BTreeMap<String, WantedEntity>,
    relationships: BTreeMap<String, WantedRelationship>,
    floors: BTreeSet<&'a str>,
    areas: BTreeSet<&'a str>,
    devices: BTreeSet<&'a str>,
    counts: Counts,
}

impl<'a> Mapper<'a> {
    /// A graph of the home alone.
    pub(super) fn new(source: &'a str, home_name: &str) -> Self {
        let home = ids::entity(source, "home", "home");
        let content = Subtree::of_thing(source, "home", "home").into_content();
        let entity = WantedEntity {
            id: home.clone(),
            entity_type: "home".into(),
            name: home_name.into(),
            content,
        };
        Self {
            source,
            entities: BTreeMap::from([(home.clone(), entity)]),
            home,
            relationships: BTreeMap::new(),
            floors: BTreeSet::new(),
            areas: BTreeSet::new(),
            devices: BTreeSet::new(),
            counts: Counts::default(),
        }
    }

    /// Adds the floors.
    pub(super) fn floors(&mut self, floors: &'a [Floor]) {
        for floor in floors {
            if !self.floors.insert(&floor.floor_id) {
                self.counts.twice += 1;
                continue;
            }
            let name = floor.name.as_deref().unwrap_or(&floor.floor_id);
            let subtree = Subtree::of_thing(self.source, "floor", &floor.floor_id)
                .text("name", Some(name))
                .value("level", floor.level.map(Value::from))
                .text("icon", floor.icon.as_deref())
                .set("aliases", &floor.aliases);
            let id = self.thing("floor", &floor.floor_id, "zone", name, subtree);
            self.part_of(&id, self.home.clone(), None);
        }
    }

    /// Adds the areas; after the floors.
    pub(super) fn areas(&mut self, areas: &'a [Area]) {
        for area in areas {
            if !self.areas.insert(&area.id) {
                self.counts.twice += 1;
                continue;
            }
            let name = area.name.as_deref().unwrap_or(&area.id);
            let subtree = Subtree::of_thing(self.source, "area", &area.id)
                .text("name", Some(name))
                .text("icon", area.icon.as_deref())
                .text("temperature_entity_id", area.temperature_entity_id.as_deref())
                .text("humidity_entity_id", area.humidity_entity_id.as_deref())
                .set("aliases", &area.aliases)
                .set("labels", &area.labels);
            let id = self.thing("area", &area.id, "room", name, subtree);
            let floor = known(&self.floors, area.floor_id.as_deref(), &mut self.counts.no_floor);
            let zone = floor.map(|floor| ids::entity(self.source, "floor", floor));
            self.part_of(
                &id,
                zone.unwrap_or_else(|| self.home.clone()),
                floor.map(|floor| ("floor_id", floor)),
            );
        }
    }

    /// Adds the devices, each with the list of its entities; after the areas.
    pub(super) fn devices(&mut self, devices: &'a [Device], entities: &'a [Entity]) {
        let mut members: BTreeMap<&str, BTreeMap<&str, &Entity>> = BTreeMap::new();
        for entity in entities {
            if let Some(device) = &entity.device_id {
                members
                    .entry(device)
                    .or_default()
                    .insert(&entity.entity_id, entity);
            }
        }
        self.devices = devices.iter().map(|device| device.id.as_str()).collect();
        self.counts.twice += devices.len() - self.devices.len();
        let mut seen = BTreeSet::new();
        for device in devices.iter().filter(|device| seen.insert(&device.id)) {
            let lines: Vec<Value> = members
                .get(device.id.as_str())
                .into_iter()
                .flatten()
                .map(line)
                .collect();
            self.device(device, lines);
        }
    }

    fn device(&mut self, device: &'a Device, mut lines: Vec<Value>) {
        self.counts.beyond_bound += lines.len().saturating_sub(ENTITIES_PER_DEVICE_MAX);
        lines.truncate(ENTITIES_PER_DEVICE_MAX);
        let name = device_name(device);
        let renamed = device.name_by_user.as_ref().and(device.name.as_deref());
        let url = device.configuration_url.as_deref().map(without_credentials);
        let subtree = Subtree::of_thing(self.source, "device", &device.id)
            .text("name", Some(&name))
            .text("original_name", renamed)
            .text("manufacturer", device.manufacturer.as_deref())
            .text("model", device.model.as_deref())
            .text("model_id", device.model_id.as_deref())
            .text("sw_version", device.sw_version.as_deref())
            .text("hw_version", device.hw_version.as_deref())
            .text("serial_number", device.serial_number.as_deref())
            .text("configuration_url", url.as_deref())
            .text("disabled_by", device.disabled_by.as_deref())
            .text("entry_type", device.entry_type.as_deref())
            .set("labels", &device.labels)
            .set("connections", &device.connections)
            .set("identifiers", &device.identifiers)
            .list("entities", lines);
        let id = self.thing("device", &device.id, "device", &name, subtree);
        let area = known(&self.areas, device.area_id.as_deref(), &mut self.counts.no_area);
        let mut other = |named: &'a Option<String>| {
            let named = named.as_deref().filter(|named| *named != device.id);
            known(&self.devices, named, &mut self.counts.no_via)
        };
        let (parent, via) = (other(&device.parent_device_id), other(&device.via_device_id));
        if let Some(parent) = parent {
            let to = ids::entity(self.source, "device", parent);
            self.part_of(&id, to, Some(("parent_device_id", parent)));
        }
        if area.is_some() || parent.is_none() {
            self.located_in(&id, area);
        }
        if let Some(via) = via {
            let to = ids::entity(self.source, "device", via);
            let edge = ids::relationship(self.source, "connects_to", &id, &to);
            self.edge(edge, "connects_to", &id, to, Some(("via_device_id", via)));
        }
    }

    /// Adds the entities that belong to no device; after the devices.
    pub(super) fn entities(&mut self, entities: &'a [Entity]) {
        for entity in entities {
            let device = known(
                &self.devices,
                entity.device_id.as_deref(),
                &mut self.counts.no_device,
            );
            if device.is_some() {
                continue;
            }
            let area = known(&self.areas, entity.area_id.as_deref(), &mut self.counts.no_area);
            match (Role::of(entity), area) {
                (Role::LeftOut, _) => {
                    *self
                        .counts
                        .left_out
                        .entry(entity.domain().to_owned())
                        .or_default() += 1;
                }
                (Role::Thing(_), None) => self.counts.unplaced += 1,
                (Role::Thing(entity_type), Some(_)) => {
                    if let Some(id) = self.entity(entity, entity_type) {
                        self.located_in(&id, area);
                    }
                }
                (Role::Deed(entity_type), _) => {
                    if let Some(id) = self.entity(entity, entity_type) {
                        let room = area.map(|area| ids::entity(self.source, "area", area));
                        let to = room.unwrap_or_else(|| self.home.clone());
                        self.part_of(&id, to, area.map(|area| ("area_id", area)));
                    }
                }
            }
        }
    }

    fn entity(&mut self, entity: &Entity, entity_type: &str) -> Option<String> {
        let source_id = entity.source_id();
        if self
            .entities
            .contains_key(&ids::entity(self.source, "entity", &source_id))
        {
            self.counts.twice += 1;
            return None;
        }
        let name = entity
            .given_name()
            .map_or_else(|| readable(&entity.entity_id), str::to_owned);
        let subtree = Subtree::of_thing(self.source, "entity", &source_id)
            .text("name", Some(&name))
            .text("entity_id", Some(&entity.entity_id))
            .text("platform", entity.platform.as_deref())
            .text("device_class", entity.class().as_deref())
            .text("unit", entity.unit_of_measurement.as_deref())
            .text("icon", entity.icon.as_deref())
            .text("disabled_by", entity.disabled_by.as_deref())
            .set("aliases", entity.other_names())
            .set("labels", &entity.labels);
        Some(self.thing("entity", &source_id, entity_type, &name, subtree))
    }

    fn thing(
        &mut self,
        kind: &str,
        source_id: &str,
        entity_type: &str,
        name: &str,
        subtree: Subtree,
    ) -> String {
        let id = ids::entity(self.source, kind, source_id);
        let content = subtree.into_content();
        let entity = WantedEntity {
            id: id.clone(),
            entity_type: entity_type.into(),
            name: name.into(),
            content,
        };
        self.entities.insert(id.clone(), entity);
        id
    }

    /// What the source places nowhere is in the home: a room found for it later is then an edit of the same
    /// edge.
    fn located_in(&mut self, from: &str, area: Option<&str>) {
        let room = area.map(|area| ids::entity(self.source, "area", area));
        let to = room.unwrap_or_else(|| self.home.clone());
        self.edge(
            ids::single(from, "located_in"),
            "located_in",
            from,
            to,
            area.map(|area| ("area_id", area)),
        );
    }

    fn part_of(&mut self, from: &str, to: String, why: Option<(&str, &str)>) {
        self.edge(ids::single(from, "part_of"), "part_of", from, to, why);
    }

    /// `why` is the field of the source that speaks for the edge.
    fn edge(&mut self, id: String, edge_type: &str, from: &str, to: String, why: Option<(&str, &str)>) {
        let mut subtree = Subtree::of_edge(self.source);
        if let Some((key, value)) = why {
            subtree = subtree.text(key, Some(value));
        }
        let (relationship_type, from) = (edge_type.to_owned(), from.to_owned());
        let properties = subtree.into_content();
        let edge = WantedRelationship {
            id: id.clone(),
            relationship_type,
            from,
            to,
            properties,
        };
        self.relationships.insert(id, edge);
    }

    /// The graph in its order, and what there is to tell of it.
    pub(super) fn finish(self) -> Wanted {
        let mut entities: Vec<_> = self.entities.into_values().collect();
        entities.sort_by(|a, b| (&a.entity_type, &a.id).cmp(&(&b.entity_type, &b.id)));
        let mut relationships: Vec<_> = self.relationships.into_values().collect();
        relationships.sort_by(|a, b| (&a.relationship_type, &a.id).cmp(&(&b.relationship_type, &b.id)));
        Wanted {
            entities,
            relationships,
            notes: self.counts.into_notes(),
        }
    }
}

/// `named` if it exists; counts it if it is named but does not.
fn known<'a>(all: &BTreeSet<&'a str>, named: Option<&str>, missing: &mut usize) -> Option<&'a str> {
    let found = all.get(named?).copied();
    *missing += usize::from(found.is_none());
    found
}

/// What is shown of a device: what people call it, else what it calls itself, else what it is.
fn device_name(device: &Device) -> String {
    let told = device.name_by_user.as_ref().or(device.name.as_ref());
    let told = told.or(device.model.as_ref()).or(device.manufacturer.as_ref());
    told.cloned()
        .unwrap_or_else(|| format!("Device {}", device.id.chars().take(8).collect::<String>()))
}

/// A device's line for one of its entities.
fn line((entity_id, entity): (&&str, &&Entity)) -> Value {
    let fields = Subtree::default()
        .text("entity_id", Some(entity_id))
        .text("name", entity.given_name())
        .text("device_class", entity.class().as_deref())
        .text("unit", entity.unit_of_measurement.as_deref())
        .text("disabled_by", entity.disabled_by.as_deref());
    Value::Object(fields.into_fields())
}
