//! Home Assistant's registries as a part of the home graph: a folder becomes a [`Wanted`] graph, and a wanted
//! and a [`Known`] graph become a [`Plan`].
//!
//! The invariant: the source speaks only under the key `home_assistant` of `content` and `properties`, so
//! whatever people write beside it survives every import, and planning again after a plan was carried out
//! plans nothing.
//!
//! # What is read
//!
//! `core.area_registry` 1.x, `core.floor_registry` 1.x (may be missing), `core.device_registry` 1.x and 3.x
//! and `core.entity_registry` 1.x, each up to [`FILE_BYTES_MAX`], and no other file: the folder also holds
//! passwords.
//!
//! # What becomes of it
//!
//! | Home Assistant | kind | becomes | edges |
//! | --- | --- | --- | --- |
//! | the folder | `home` | `home`; its name is set when it is created and never touched again | |
//! | floor | `floor` | `zone` | `part_of` the home |
//! | area | `area` | `room` | `part_of` its zone, or the home |
//! | device | `device` | `device` with its entities as a list in `home_assistant.entities` | `located_in` its room, or the home; `connects_to` the device it is reached through |
//! | child device | `device` | `device` | `part_of` its parent; `located_in` its room if it has one of its own |
//! | entity of a device | | a line in that list | |
//! | `automation`, `scene` of no device | `entity` | `automation` | `part_of` its room, or the home |
//! | `script` of no device | `entity` | `procedure` | `part_of` its room, or the home |
//! | `schedule`, `calendar` of no device | `entity` | `schedule` | `part_of` its room, or the home |
//! | `cover` of class door, garage or gate, of no device, in an area | `entity` | `door` | `located_in` its room |
//! | `cover` of class window, of no device, in an area | `entity` | `window` | `located_in` its room |
//! | any other thing one can touch (light, switch, sensor, lock …) of no device, in an area | `entity` | `device` | `located_in` its room |
//! | every other entity of no device (people, trackers, helpers, weather …) | | left out, and counted in [`Wanted::notes`] | |
//! | deleted devices and entities | | left out | |
//!
//! A device that only senses whether a door is open stays a `device`: the contact is not the door.
//!
//! An id is a UUIDv5 of source, kind and the source's own id (see [`ids`]), so that two hubs that import one
//! folder make the same things. What names an area, floor or device that does not exist is treated as naming
//! none, and counted. Lists that the source keeps as sets are sorted; nulls, empty lists, times and config
//! entries are left out, and a user and password inside a `configuration_url` too.
//!
//! # What a second import does
//!
//! [`plan`] compares nothing but the `home_assistant` subtree. Where it differs, that subtree is replaced; a
//! name follows the source only if the source changed it, and a relationship's ends only if its subtree
//! changed, so what people renamed or moved stays as they left it. What the folder no longer has is deleted;
//! what a person deleted stays deleted. The import's own deletions are marked `home_assistant.gone`, so that
//! they alone are undone when the thing comes back.

pub mod ids;

mod folder;
mod mapper;
mod notes;
mod plan;
mod registry;
mod role;
mod subtree;
mod wanted;

#[cfg(test)]
mod data_tests;
#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod wanted_tests;

pub use folder::{FILE_BYTES_MAX, Folder, ReadError, read};
pub use mapper::ENTITIES_PER_DEVICE_MAX;
pub use plan::{Changes, Known, KnownEntity, KnownRelationship, Plan, plan};
pub use registry::Registries;
pub use wanted::{Wanted, WantedEntity, WantedRelationship, wanted};

/// The source that ids and subtrees name when the person who imports names none.
pub const DEFAULT_SOURCE: &str = "home-assistant";

/// The key of `content` and `properties` under which the source speaks, and the only one.
pub const SUBTREE: &str = "home_assistant";
