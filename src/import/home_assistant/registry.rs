//! The rows of Home Assistant's registries, as far as they are used here.
//!
//! Decoded leniently where it only describes (an integration may write a number for a version, older minors
//! lack fields) and strictly where it identifies: a row without its id is an error with line and column.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The four registries of one home, decoded. Order and duplicates are still those of the files.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    pub(super) floors: Vec<Floor>,
    pub(super) areas: Vec<Area>,
    pub(super) devices: Vec<Device>,
    pub(super) entities: Vec<Entity>,
}

/// `data` of `core.floor_registry`.
#[derive(Debug, Deserialize)]
pub(super) struct FloorData {
    pub(super) floors: Vec<Floor>,
}

/// `data` of `core.area_registry`.
#[derive(Debug, Deserialize)]
pub(super) struct AreaData {
    pub(super) areas: Vec<Area>,
}

/// `data` of `core.device_registry`; major 3 knows child devices.
#[derive(Debug, Deserialize)]
pub(super) struct DeviceData {
    pub(super) devices: Vec<Device>,
    #[serde(default)]
    pub(super) child_devices: Vec<Device>,
}

/// `data` of `core.entity_registry`.
#[derive(Debug, Deserialize)]
pub(super) struct EntityData {
    pub(super) entities: Vec<Entity>,
}

/// A floor.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Floor {
    pub(super) floor_id: String,
    #[serde(default, deserialize_with = "text")]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) level: Option<i32>,
    #[serde(default, deserialize_with = "text")]
    pub(super) icon: Option<String>,
    #[serde(default, deserialize_with = "texts")]
    pub(super) aliases: Vec<String>,
}

/// An area: what people call a room.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Area {
    pub(super) id: String,
    #[serde(default, deserialize_with = "text")]
    pub(super) name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) floor_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) icon: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) temperature_entity_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) humidity_entity_id: Option<String>,
    #[serde(default, deserialize_with = "texts")]
    pub(super) aliases: Vec<String>,
    #[serde(default, deserialize_with = "texts")]
    pub(super) labels: Vec<String>,
}

/// A device or a child device.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Device {
    pub(super) id: String,
    #[serde(default, deserialize_with = "text")]
    pub(super) name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) name_by_user: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) area_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) via_device_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) parent_device_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) manufacturer: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) model: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) model_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) sw_version: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) hw_version: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) serial_number: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) configuration_url: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) disabled_by: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) entry_type: Option<String>,
    #[serde(default, deserialize_with = "texts")]
    pub(super) labels: Vec<String>,
    #[serde(default, deserialize_with = "tuples")]
    pub(super) connections: Vec<Vec<String>>,
    #[serde(default, deserialize_with = "tuples")]
    pub(super) identifiers: Vec<Vec<String>>,
}

/// An entity: one thing that a device or a helper says or does.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Entity {
    pub(super) entity_id: String,
    #[serde(default, deserialize_with = "text")]
    pub(super) id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) platform: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) unique_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) original_name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) area_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) device_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) disabled_by: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) icon: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) unit_of_measurement: Option<String>,
    #[serde(default, deserialize_with = "text")]
    device_class: Option<String>,
    #[serde(default, deserialize_with = "text")]
    original_device_class: Option<String>,
    #[serde(default, deserialize_with = "texts")]
    aliases: Vec<String>,
    #[serde(default, deserialize_with = "texts")]
    aliases_v2: Vec<String>,
    #[serde(default, deserialize_with = "texts")]
    pub(super) labels: Vec<String>,
}

impl Entity {
    /// The part of the entity id before the dot: `light`, `sensor`.
    pub(super) fn domain(&self) -> &str {
        self.entity_id
            .split_once('.')
            .map_or(self.entity_id.as_str(), |(domain, _)| domain)
    }

    /// The source's own id; where an old minor has none, what the registry tells its rows apart by.
    pub(super) fn source_id(&self) -> String {
        match (&self.id, &self.platform, &self.unique_id) {
            (Some(id), _, _) => id.clone(),
            (None, Some(platform), Some(unique)) => format!("{}.{platform}.{unique}", self.domain()),
            _ => self.entity_id.clone(),
        }
    }

    /// What people gave it as a name, else what its integration did.
    pub(super) fn given_name(&self) -> Option<&str> {
        self.name.as_deref().or(self.original_name.as_deref())
    }

    /// The class a person chose, else the integration's, as the plain word: some integrations write the name
    /// of the constant (`sensor.SensorDeviceClass.BATTERY`) where others write `battery`.
    pub(super) fn class(&self) -> Option<String> {
        let written = self
            .device_class
            .as_deref()
            .or(self.original_device_class.as_deref())?;
        Some(written.rsplit('.').next().unwrap_or(written).to_ascii_lowercase())
    }

    /// Its other names, under the key of today's minors, else of older ones.
    pub(super) fn other_names(&self) -> &[String] {
        if self.aliases_v2.is_empty() {
            &self.aliases
        } else {
            &self.aliases_v2
        }
    }
}

/// Any scalar as text; blank text, null and structures as nothing.
fn text<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    Ok(scalar(Value::deserialize(input)?))
}

/// A list (or null) of scalars; what is no text is left out.
fn texts<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let list = Option::<Vec<Value>>::deserialize(input)?.unwrap_or_default();
    Ok(list.into_iter().filter_map(scalar).collect())
}

/// A list (or null) of short lists of scalars. Numbers become text: some identifiers exceed what a number can
/// carry.
fn tuples<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<Vec<String>>, D::Error> {
    let list = Option::<Vec<Value>>::deserialize(input)?.unwrap_or_default();
    let tuple = |value| match value {
        Value::Array(parts) => parts.into_iter().filter_map(scalar).collect(),
        other => scalar(other).into_iter().collect::<Vec<_>>(),
    };
    Ok(list
        .into_iter()
        .map(tuple)
        .filter(|tuple| !tuple.is_empty())
        .collect())
}

fn scalar(value: Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_values_describe_and_never_fail() {
        let device: Device = serde_json::from_str(
            r#"{"id": "d1", "sw_version": 2.5, "hw_version": {"a": 1}, "name": " ", "labels": null,
                "identifiers": [["hub", 12345678901234567890], "plain", []], "aliases_of_tomorrow": [1]}"#,
        )
        .unwrap();
        assert_eq!(device.sw_version.as_deref(), Some("2.5"));
        assert_eq!((device.hw_version, device.name), (None, None));
        assert_eq!(
            device.identifiers,
            [vec!["hub", "12345678901234567890"], vec!["plain"]]
        );
    }

    #[test]
    fn a_class_is_the_plain_word_however_it_is_written() {
        let entity = |class: &str| -> Entity {
            serde_json::from_str(&format!(
                r#"{{"entity_id": "sensor.a", "original_device_class": "{class}", "aliases_v2": [null, "b"]}}"#
            ))
            .unwrap()
        };
        assert_eq!(entity("battery").class().as_deref(), Some("battery"));
        assert_eq!(
            entity("sensor.SensorDeviceClass.BATTERY").class().as_deref(),
            Some("battery")
        );
        assert_eq!(entity("battery").other_names(), ["b"]);
    }

    #[test]
    fn an_entity_of_an_old_minor_is_told_by_platform_and_unique_id() {
        let old: Entity =
            serde_json::from_str(r#"{"entity_id": "light.a", "platform": "hue", "unique_id": 7}"#).unwrap();
        assert_eq!(old.source_id(), "light.hue.7");
    }
}
