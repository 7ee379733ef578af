//! Registries in, the exact graph out.

use serde_json::{Value, json};

use super::registry::{AreaData, DeviceData, EntityData, FloorData};
use super::*;

/// Registries from the rows of the four files.
fn registries(floors: Value, areas: Value, devices: Value, entities: Value) -> Registries {
    let FloorData { floors } = serde_json::from_value(json!({"floors": floors})).unwrap();
    let AreaData { areas } = serde_json::from_value(json!({"areas": areas})).unwrap();
    let data = json!({"devices": devices});
    let DeviceData { devices, .. } = serde_json::from_value(data).unwrap();
    let EntityData { entities } = serde_json::from_value(json!({"entities": entities})).unwrap();
    Registries {
        floors,
        areas,
        devices,
        entities,
    }
}

/// Entities as `type name`, sorted, and edges as `from -type-> to` by name.
fn shape(wanted: &Wanted) -> (Vec<String>, Vec<String>) {
    let mut things: Vec<_> = wanted
        .entities
        .iter()
        .map(|it| format!("{} {}", it.entity_type, it.name))
        .collect();
    let name = |id: &str| &wanted.entities.iter().find(|it| it.id == id).unwrap().name;
    let edge =
        |it: &WantedRelationship| format!("{} -{}-> {}", name(&it.from), it.relationship_type, name(&it.to));
    let mut edges: Vec<_> = wanted.relationships.iter().map(edge).collect();
    things.sort();
    edges.sort();
    (things, edges)
}

fn subtree_of(wanted: &Wanted, name: &str) -> Value {
    let entity = wanted.entities.iter().find(|it| it.name == name).unwrap();
    assert_eq!(entity.content.len(), 1, "the source speaks under one key");
    entity.content[SUBTREE].clone()
}

#[test]
fn floors_rooms_and_devices_become_a_tree_with_cross_links() {
    let registries = registries(
        json!([{"floor_id": "up", "name": "Upstairs", "level": 1, "aliases": ["Top", "Attic"], "icon": null}]),
        json!([
            {"id": "study", "name": "Study", "floor_id": "up", "labels": [], "picture": null},
            {"id": "shed", "name": "Shed", "floor_id": null},
        ]),
        json!([
            {"id": "d1", "name": "Bridge", "area_id": "study", "config_entries": ["x"]},
            {"id": "d2", "name": "A60", "name_by_user": "Desk lamp", "area_id": "study", "via_device_id": "d1",
             "model": "A60", "identifiers": [["hue", "b"], ["hue", "a"]], "connections": [["mac", "02:00"]],
             "configuration_url": "http://me:secret@lamp/", "created_at": "2025-01-01"},
            {"id": "d3", "name": null, "model": null, "parent_device_id": "d2"},
            {"id": "d4", "name": "Backup", "area_id": null, "entry_type": "service"},
        ]),
        json!([
            {"entity_id": "sensor.lamp_power", "id": "e2", "device_id": "d2", "original_name": "Power",
             "original_device_class": "sensor.SensorDeviceClass.POWER", "unit_of_measurement": "W"},
            {"entity_id": "light.lamp", "id": "e1", "device_id": "d2", "original_name": null, "name": null},
        ]),
    );
    let wanted = wanted(&registries, "ha", "Our house");
    let (things, edges) = shape(&wanted);
    assert_eq!(
        things,
        [
            "device Backup",
            "device Bridge",
            "device Desk lamp",
            "device Device d3",
            "home Our house",
            "room Shed",
            "room Study",
            "zone Upstairs"
        ]
    );
    assert_eq!(
        edges,
        [
            "Backup -located_in-> Our house",
            "Bridge -located_in-> Study",
            "Desk lamp -connects_to-> Bridge",
            "Desk lamp -located_in-> Study",
            "Device d3 -part_of-> Desk lamp",
            "Shed -part_of-> Our house",
            "Study -part_of-> Upstairs",
            "Upstairs -part_of-> Our house"
        ]
    );
    assert_eq!(wanted.notes, [""; 0]);
    let lamp = json!({
        "source": "ha", "kind": "device", "id": "d2", "name": "Desk lamp", "original_name": "A60", "model": "A60",
        "identifiers": [["hue", "a"], ["hue", "b"]], "connections": [["mac", "02:00"]],
        "configuration_url": "http://lamp/",
        "entities": [
            {"entity_id": "light.lamp"},
            {"entity_id": "sensor.lamp_power", "name": "Power", "device_class": "power", "unit": "W"},
        ],
    });
    assert_eq!(subtree_of(&wanted, "Desk lamp"), lamp);
    let floor = json!({
        "source": "ha", "kind": "floor", "id": "up", "name": "Upstairs", "level": 1, "aliases": ["Attic", "Top"],
    });
    assert_eq!(subtree_of(&wanted, "Upstairs"), floor);
    assert_eq!(
        subtree_of(&wanted, "Our house"),
        json!({"source": "ha", "kind": "home", "id": "home"})
    );
    let edge = wanted
        .relationships
        .iter()
        .find(|it| it.properties[SUBTREE].get("via_device_id").is_some())
        .unwrap();
    assert_eq!(
        edge.id,
        ids::relationship("ha", "connects_to", &edge.from, &edge.to)
    );
    assert_eq!(
        edge.properties[SUBTREE],
        json!({"source": "ha", "via_device_id": "d1"})
    );
}

#[test]
fn entities_of_no_device_become_what_they_are_in_a_home() {
    let entity = |entity_id: &str, area: Value, class: Value| json!({"entity_id": entity_id, "id": entity_id, "area_id": area, "device_class": class});
    let hall = || json!("hall");
    let registries = registries(
        json!([]),
        json!([{"id": "hall", "name": "Hall"}]),
        json!([]),
        json!([
            entity("automation.light_on", hall(), Value::Null),
            entity("scene.film_night", Value::Null, Value::Null),
            entity("script.good_night", Value::Null, Value::Null),
            entity("schedule.heating", Value::Null, Value::Null),
            entity("cover.gate", hall(), json!("cover.CoverDeviceClass.GATE")),
            entity("cover.roof", hall(), json!("window")),
            entity("cover.blind", hall(), json!("blind")),
            entity("light.group", hall(), Value::Null),
            entity("binary_sensor.front_door", hall(), json!("door")),
            entity("light.nowhere", Value::Null, Value::Null),
            entity("person.somebody", Value::Null, Value::Null),
            entity("device_tracker.phone", hall(), Value::Null),
        ]),
    );
    let wanted = wanted(&registries, "ha", "Our house");
    let (things, edges) = shape(&wanted);
    assert_eq!(
        things,
        [
            "automation Film night",
            "automation Light on",
            "device Blind",
            "device Front door",
            "device Group",
            "door Gate",
            "home Our house",
            "procedure Good night",
            "room Hall",
            "schedule Heating",
            "window Roof"
        ]
    );
    assert_eq!(
        edges,
        [
            "Blind -located_in-> Hall",
            "Film night -part_of-> Our house",
            "Front door -located_in-> Hall",
            "Gate -located_in-> Hall",
            "Good night -part_of-> Our house",
            "Group -located_in-> Hall",
            "Hall -part_of-> Our house",
            "Heating -part_of-> Our house",
            "Light on -part_of-> Hall",
            "Roof -located_in-> Hall"
        ]
    );
    assert_eq!(
        wanted.notes,
        [
            "1 entity of no device and no area left out",
            "2 entities left out that stand for no thing in the home (device_tracker, person)"
        ]
    );
}

#[test]
fn what_names_nothing_is_taken_as_naming_none_and_counted() {
    let registries = registries(
        json!([]),
        json!([{"id": "hall", "name": "Hall", "floor_id": "cellar"}, {"id": "hall", "name": "Hall again"}]),
        json!([
            {"id": "d1", "name": "Lamp", "area_id": "attic", "via_device_id": "d9"},
            {"id": "d2", "name": "Self", "via_device_id": "d2"},
        ]),
        json!([{"entity_id": "light.orphan", "device_id": "d9", "area_id": "hall", "name": "Orphan"}]),
    );
    let wanted = wanted(&registries, "ha", "Our house");
    let (_, edges) = shape(&wanted);
    assert_eq!(
        edges,
        [
            "Hall -part_of-> Our house",
            "Lamp -located_in-> Our house",
            "Orphan -located_in-> Hall",
            "Self -located_in-> Our house"
        ]
    );
    assert_eq!(
        wanted.notes,
        [
            "1 row stands twice in a file: the first counts",
            "1 area names a floor that does not exist: taken as on none",
            "1 thing names an area that does not exist: taken as in none",
            "1 entity names a device that does not exist: taken as of none",
            "1 device names another that does not exist: left unconnected"
        ]
    );
}

/// A bridge that lists thousands of entities would make a record that no hub accepts, and the whole import
/// fail.
#[test]
fn a_device_lists_a_bounded_number_of_entities() {
    let entities: Vec<Value> = (0..ENTITIES_PER_DEVICE_MAX + 5)
        .map(|number| json!({"entity_id": format!("sensor.s{number:05}"), "device_id": "d"}))
        .collect();
    let registries = registries(
        json!([]),
        json!([]),
        json!([{"id": "d", "name": "Bridge"}]),
        json!(entities),
    );
    let wanted = wanted(&registries, "ha", "Our house");
    let listed = subtree_of(&wanted, "Bridge")["entities"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(listed, ENTITIES_PER_DEVICE_MAX);
    assert_eq!(
        wanted.notes,
        ["5 entities beyond the 1000 that are listed of a device left out"]
    );
}
