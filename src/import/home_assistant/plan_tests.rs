//! What a second import does to what people and the source changed meanwhile.

use serde_json::{Map, Value, json};

use super::*;

/// What a hub shows after `plan` was carried out on `known`.
pub(super) fn applied(known: &Known, plan: &Plan) -> Known {
    let mut known = known.clone();
    for (changes, deleted) in [(&plan.create, false), (&plan.edit, false), (&plan.delete, true)] {
        for it in &changes.entities {
            let WantedEntity {
                id,
                entity_type,
                name,
                content,
            } = it.clone();
            known.entities.retain(|entity| entity.id != id);
            known.entities.push(KnownEntity {
                id,
                entity_type,
                name,
                content,
                deleted,
            });
        }
        for it in &changes.relationships {
            let WantedRelationship {
                id,
                relationship_type,
                from,
                to,
                properties,
            } = it.clone();
            known.relationships.retain(|edge| edge.id != id);
            known.relationships.push(KnownRelationship {
                id,
                relationship_type,
                from,
                to,
                properties,
                deleted,
            });
        }
    }
    known
}

/// What a hub shows that imported `wanted` and nothing else.
pub(super) fn imported(wanted: &Wanted) -> Known {
    let known = Known::default();
    applied(&known, &plan(wanted, &known, SOURCE))
}

const SOURCE: &str = "ha";

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// A home `h` with rooms `kitchen` and `hall`, and a `lamp` in the kitchen.
fn home() -> Wanted {
    let thing = |id: &str, entity_type: &str| WantedEntity {
        id: id.into(),
        entity_type: entity_type.into(),
        name: id.into(),
        content: object(json!({SUBTREE: {"source": SOURCE, "id": id, "name": id}})),
    };
    let edge = |from: &str, relationship_type: &str, to: &str| WantedRelationship {
        id: ids::single(from, relationship_type),
        relationship_type: relationship_type.into(),
        from: from.into(),
        to: to.into(),
        properties: object(json!({SUBTREE: {"source": SOURCE, "area_id": to}})),
    };
    Wanted {
        entities: vec![
            thing("lamp", "device"),
            thing("h", "home"),
            thing("hall", "room"),
            thing("kitchen", "room"),
        ],
        relationships: vec![
            edge("lamp", "located_in", "kitchen"),
            edge("hall", "part_of", "h"),
            edge("kitchen", "part_of", "h"),
        ],
        notes: Vec::new(),
    }
}

fn without(mut wanted: Wanted, id: &str) -> Wanted {
    wanted.entities.retain(|it| it.id != id);
    wanted.relationships.retain(|it| it.from != id && it.to != id);
    wanted
}

fn entity<'a>(known: &'a mut Known, id: &str) -> &'a mut KnownEntity {
    known.entities.iter_mut().find(|it| it.id == id).unwrap()
}

fn place<'a>(known: &'a mut Known, id: &str) -> &'a mut KnownRelationship {
    let id = ids::single(id, "located_in");
    known.relationships.iter_mut().find(|it| it.id == id).unwrap()
}

fn moved(mut wanted: Wanted, to: &str) -> Wanted {
    wanted.relationships[0].to = to.into();
    wanted.relationships[0].properties[SUBTREE]["area_id"] = to.into();
    wanted
}

#[test]
fn the_first_import_creates_all_and_the_second_nothing() {
    let first = plan(&home(), &Known::default(), SOURCE);
    assert_eq!(
        (first.create.entities.len(), first.create.relationships.len()),
        (4, 3)
    );
    assert!(first.edit.is_empty() && first.delete.is_empty() && first.warning.is_none());
    assert_eq!(plan(&home(), &imported(&home()), SOURCE), Plan::default());
}

#[test]
fn what_people_wrote_renamed_and_moved_survives() {
    let mut known = imported(&home());
    entity(&mut known, "lamp").name = "Grandmother's lamp".into();
    entity(&mut known, "lamp")
        .content
        .insert("bulb".into(), "E27".into());
    place(&mut known, "lamp").to = "hall".into();
    assert_eq!(plan(&home(), &known, SOURCE), Plan::default());

    // The source learns something else about the lamp: that comes in, and nothing goes.
    let mut wanted = home();
    wanted.entities[0].content[SUBTREE]["sw_version"] = "2.0".into();
    let edit = plan(&wanted, &known, SOURCE).edit;
    assert_eq!((edit.entities.len(), edit.relationships.len()), (1, 0));
    assert_eq!(edit.entities[0].name, "Grandmother's lamp");
    assert_eq!(
        Value::Object(edit.entities[0].content.clone()),
        json!({"bulb": "E27", SUBTREE: {"source": SOURCE, "id": "lamp", "name": "lamp", "sw_version": "2.0"}})
    );
}

#[test]
fn a_name_or_a_place_that_the_source_changed_follows() {
    let mut known = imported(&home());
    entity(&mut known, "lamp").name = "Grandmother's lamp".into();
    place(&mut known, "lamp")
        .properties
        .insert("shelf".into(), 2.into());
    let mut wanted = moved(home(), "hall");
    wanted.entities[0].name = "Ceiling lamp".into();
    wanted.entities[0].content[SUBTREE]["name"] = "Ceiling lamp".into();
    let plan = plan(&wanted, &known, SOURCE);
    assert_eq!(plan.edit.entities[0].name, "Ceiling lamp");
    assert_eq!(plan.edit.relationships[0].to, "hall");
    assert_eq!(plan.edit.relationships[0].properties["shelf"], 2);
    assert!(plan.create.is_empty() && plan.delete.is_empty());
}

#[test]
fn the_type_of_an_id_never_changes() {
    let known = imported(&home());
    let mut wanted = home();
    wanted.entities[0].entity_type = "door".into();
    assert_eq!(plan(&wanted, &known, SOURCE), Plan::default());
    wanted.entities[0].content[SUBTREE]["model"] = "x".into();
    assert_eq!(
        plan(&wanted, &known, SOURCE).edit.entities[0].entity_type,
        "device"
    );
}

#[test]
fn what_the_folder_no_longer_has_goes_with_its_relationships_and_nothing_else_does() {
    let mut known = imported(&home());
    let note = |id: &str, content| KnownEntity {
        id: id.into(),
        entity_type: "note".into(),
        name: id.into(),
        content,
        deleted: false,
    };
    known.entities.push(note("mine", Map::new()));
    known
        .entities
        .push(note("theirs", object(json!({SUBTREE: {"source": "other"}}))));
    for (id, from) in [("edge1", "lamp"), ("edge2", "hall")] {
        known.relationships.push(KnownRelationship {
            id: id.into(),
            relationship_type: "documented_by".into(),
            from: from.into(),
            to: "mine".into(),
            properties: Map::new(),
            deleted: false,
        });
    }
    let plan = plan(&without(home(), "lamp"), &known, SOURCE);
    assert!(plan.create.is_empty() && plan.edit.is_empty());
    assert_eq!(
        plan.delete
            .entities
            .iter()
            .map(|it| it.id.as_str())
            .collect::<Vec<_>>(),
        ["lamp"]
    );
    let edges: Vec<_> = plan
        .delete
        .relationships
        .iter()
        .map(|it| it.relationship_type.as_str())
        .collect();
    assert_eq!(edges, ["documented_by", "located_in"]);
}

#[test]
fn what_a_person_deleted_stays_deleted_and_nothing_is_tied_to_it() {
    let mut known = imported(&home());
    entity(&mut known, "hall").deleted = true;
    place(&mut known, "lamp").deleted = true;
    let again = plan(&home(), &known, SOURCE);
    assert!(again.is_empty());
    assert_eq!(
        again.notes,
        [
            "1 thing of the folder was deleted here: left so",
            "1 relationship of the folder was deleted here or lost an end: left so"
        ]
    );
    place(&mut known, "lamp").deleted = false;
    assert!(
        plan(&moved(home(), "hall"), &known, SOURCE).is_empty(),
        "the lamp is not moved to where nothing is"
    );
}

/// A device that left a home and came back must not stay away: the tombstone is the import's, not a person's.
#[test]
fn what_the_import_deleted_comes_back_with_what_people_wrote() {
    let mut known = imported(&home());
    entity(&mut known, "lamp").name = "Grandmother's lamp".into();
    let gone = plan(&without(home(), "lamp"), &known, SOURCE);
    let known = applied(&known, &gone);
    let back = plan(&home(), &known, SOURCE);
    assert!(back.create.is_empty() && back.delete.is_empty());
    assert_eq!((back.edit.entities.len(), back.edit.relationships.len()), (1, 1));
    assert_eq!(back.edit.entities[0].name, "Grandmother's lamp");
    assert_eq!(back.edit.entities[0].content, home().entities[0].content);
    assert!(plan(&home(), &applied(&known, &back), SOURCE).is_empty());
}

/// A person had moved the lamp to the hall, and then the source lost the hall: the lamp goes back to where
/// the source has it.
#[test]
fn a_thing_moved_to_what_is_deleted_returns_to_its_place() {
    let mut known = imported(&home());
    place(&mut known, "lamp").to = "hall".into();
    let wanted = without(home(), "hall");
    let plan_now = plan(&wanted, &known, SOURCE);
    assert_eq!(plan_now.edit.relationships[0].to, "kitchen");
    assert_eq!(
        plan_now.delete.relationships.len(),
        1,
        "only the hall's own place goes"
    );
    assert!(plan(&wanted, &applied(&known, &plan_now), SOURCE).is_empty());
}

#[test]
fn another_homes_folder_under_the_same_source_is_noticed() {
    let mut big = home();
    for number in 0..20 {
        let mut thing = big.entities[0].clone();
        thing.id = format!("thing{number}");
        big.entities.push(thing);
    }
    let warning = plan(&home(), &imported(&big), SOURCE).warning.unwrap();
    assert!(warning.starts_with("20 of the 24 things that came from \"ha\" are not in this folder"));
    assert!(plan(&home(), &imported(&big), "holiday-house").warning.is_none());
}
