//! The same replica at several instants.

use inbetweenies_core::record::{Kind, Record};
use inbetweenies_core::value::Value;
use inbetweenies_core::view::Policy;

use super::*;

fn draft_on(replica: &Replica, what: &str) -> Draft {
    Draft::on(&replica.view(&id(what), &replica.policy()).unwrap())
}

/// A lamp made at 10, edited at 20 under another name, deleted at 30; a room made at 15.
fn home() -> (Replica, Policy) {
    let mut replica = replica();
    edit(&mut replica, vec![lamp("Lamp")], 10);
    let room = Draft::entity(id("loft"), "room", Some("Loft".to_owned()), "manual", Map::new());
    edit(&mut replica, vec![room], 15);
    let mut brighter = draft_on(&replica, "lamp");
    brighter.content.insert("watts".to_owned(), Value::Int(7));
    if let Kind::Entity { name, .. } = &mut brighter.kind {
        *name = Some("Desk lamp".to_owned());
    }
    edit(&mut replica, vec![brighter], 20);
    let gone = Draft {
        deleted: true,
        ..draft_on(&replica, "lamp")
    };
    edit(&mut replica, vec![gone], 30);
    let policy = replica.policy();
    (replica, policy)
}

#[test]
fn what_was_shown_then_is_shown_again() {
    let (replica, policy) = home();
    let names = |at: u64| -> Vec<String> {
        let entities = replica.entities_at(&policy, None, Some(Micros(at)));
        let name = |record: Record| match record.kind {
            Kind::Entity { name, .. } => name.unwrap_or_default(),
            Kind::Relationship { .. } => String::new(),
        };
        entities.into_iter().map(|view| name(view.record)).collect()
    };
    assert_eq!(names(9), [""; 0]);
    assert_eq!(names(10), ["Lamp"]);
    assert_eq!(names(19), ["Lamp", "Loft"]);
    assert_eq!(names(20), ["Desk lamp", "Loft"]);
    assert_eq!(names(30), ["Loft"]);
    assert!(replica.view_at(&id("lamp"), &policy, Some(Micros(9))).is_none());
    let gone = replica.view_at(&id("lamp"), &policy, Some(Micros(30))).unwrap();
    assert!(gone.record.deleted);
    assert_eq!(Some(gone), replica.view(&id("lamp"), &policy));
    assert_eq!(replica.history(&id("lamp"), &policy, Some(Micros(20))).len(), 2);
    // A thing is found by the name that it bore then, after all that bear it now.
    assert_eq!(replica.find_at("lamp", &policy, Some(Micros(12))), Ok(id("lamp")));
    assert!(replica.find_at("Nothing", &policy, Some(Micros(12))).is_err());
}

#[test]
fn a_difference_tells_what_became_of_each_thing_and_runs_both_ways() {
    let (replica, policy) = home();
    let told = |from: u64, to: u64| -> Vec<String> {
        let rows = replica.diff(&policy, Micros(from), Micros(to));
        let fields = |fields: Vec<inbetweenies_core::conflict::read::FieldDiff>| {
            let fields: Vec<String> = fields.into_iter().map(|field| field.field.join(".")).collect();
            fields.join(" ")
        };
        rows.into_iter()
            .map(|row| format!("{} {} {}", row.change, row.id, fields(row.fields)))
            .collect()
    };
    assert_eq!(
        told(10, 20),
        ["updated lamp content.watts name", "created loft name source_type"]
    );
    assert_eq!(
        told(20, 10),
        ["updated lamp content.watts name", "deleted loft name source_type"]
    );
    assert_eq!(told(20, 30), ["deleted lamp content.watts name source_type"]);
    assert_eq!(
        told(5, 40),
        ["created loft name source_type"],
        "what came and went is no difference"
    );
    assert_eq!(told(30, 40), [""; 0]);
}

#[test]
fn reasons_name_the_writer_of_then() {
    let (replica, policy) = home();
    let name = |at: u64| {
        let rows = replica.why(&id("lamp"), &policy, Some(Micros(at))).unwrap();
        let row = rows.fields.into_iter().find(|row| row.field == ["name"]).unwrap();
        (row.value, row.written.order_time)
    };
    assert_eq!(name(19), (Value::from("Lamp"), Micros(10).to_string()));
    assert_eq!(name(20), (Value::from("Desk lamp"), Micros(20).to_string()));
    assert!(replica.why(&id("lamp"), &policy, Some(Micros(9))).is_none());
}
