//! What an entity of no device is in a home, judged by its domain and class.

use super::registry::Entity;

/// What an entity of no device is in a home.
#[derive(Debug, PartialEq)]
pub(super) enum Role {
    /// Something that stands somewhere; of this type, if it has an area.
    Thing(&'static str),
    /// Something that is done or planned; of this type.
    Deed(&'static str),
    /// Nothing that a home's graph would show.
    LeftOut,
}

impl Role {
    /// The part it plays, whether or not it has an area.
    pub(super) fn of(entity: &Entity) -> Self {
        match entity.domain() {
            "automation" | "scene" => Self::Deed("automation"),
            "script" => Self::Deed("procedure"),
            "schedule" | "calendar" => Self::Deed("schedule"),
            "cover" => match entity.class().as_deref() {
                Some("door" | "garage" | "gate") => Self::Thing("door"),
                Some("window") => Self::Thing("window"),
                Some(_) | None => Self::Thing("device"),
            },
            "alarm_control_panel"
            | "binary_sensor"
            | "camera"
            | "climate"
            | "fan"
            | "humidifier"
            | "lawn_mower"
            | "light"
            | "lock"
            | "media_player"
            | "remote"
            | "sensor"
            | "siren"
            | "switch"
            | "vacuum"
            | "valve"
            | "water_heater" => Self::Thing("device"),
            _ => Self::LeftOut,
        }
    }
}

/// `switch.holiday_lights` as "Holiday lights".
pub(super) fn readable(entity_id: &str) -> String {
    let object = entity_id
        .split_once('.')
        .map_or(entity_id, |(_, object)| object)
        .replace('_', " ");
    let mut letters = object.chars();
    letters.next().map_or_else(
        || entity_id.to_owned(),
        |first| first.to_uppercase().chain(letters).collect(),
    )
}
