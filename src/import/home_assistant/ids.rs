//! The ids of imported things: names, not chance, so that every hub that imports a folder makes the same
//! ones.

use uuid::Uuid;

/// The namespace of all derived ids, `b7a2c3f0-6c1e-5d0b-9a54-1f8e2d7c4a90`.
pub const NAMESPACE: Uuid = Uuid::from_u128(0xb7a2c3f0_6c1e_5d0b_9a54_1f8e2d7c4a90);

/// The id of what `source` calls `source_id` among its things of `kind` (`home`, `floor`, `area`, `device`,
/// `entity`).
pub fn entity(source: &str, kind: &str, source_id: &str) -> String {
    derived(&[source, kind, source_id])
}

/// The id of a relationship of a type of which each thing has at most one (`located_in`, `part_of`).
pub fn single(from: &str, relationship_type: &str) -> String {
    derived(&["single", from, relationship_type])
}

/// The id of any other relationship that `source` makes between two things.
pub fn relationship(source: &str, relationship_type: &str, from: &str, to: &str) -> String {
    derived(&[source, relationship_type, from, to])
}

fn derived(parts: &[&str]) -> String {
    Uuid::new_v5(&NAMESPACE, parts.join("\0").as_bytes())
        .hyphenated()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids stand in people's graphs for ever: a change of the scheme would import every home a second time.
    #[test]
    fn ids_never_change() {
        assert_eq!(NAMESPACE.to_string(), "b7a2c3f0-6c1e-5d0b-9a54-1f8e2d7c4a90");
        let kitchen = entity("home-assistant", "area", "kitchen");
        assert_eq!(kitchen, "f53e6838-b82d-5fd7-8dfe-c6cbf77af6ba");
        assert_eq!(
            single(&kitchen, "part_of"),
            "1522b2b2-7ecf-5e2e-9b8f-2f0b3041e6fe"
        );
        assert_eq!(
            relationship("home-assistant", "connects_to", "a", "b"),
            "df767133-f718-593d-9abe-def5222af98c"
        );
    }

    #[test]
    fn source_and_kind_keep_things_apart() {
        let id = entity("home-assistant", "area", "hall");
        assert_ne!(id, entity("holiday-house", "area", "hall"));
        assert_ne!(id, entity("home-assistant", "floor", "hall"));
    }
}
