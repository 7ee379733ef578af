//! The rules a replica goes by until it has heard its home's own.

use std::sync::LazyLock;

use inbetweenies_core::domain::Manifest;
use inbetweenies_core::value::{Map, Value};
use inbetweenies_core::view::Policy;

/// The domain `house` as it comes with this software: what an unsynced replica takes for its home's policy.
pub fn house() -> &'static Policy {
    static HOUSE: LazyLock<Policy> = LazyLock::new(|| {
        let text = include_str!("../../../config/domains/house.toml");
        // A test reads it, so this holds in every build that passed them.
        let content: Value = toml::from_str(text).unwrap_or_else(|error| panic!("house.toml: {error}"));
        let content = content.as_map().cloned().unwrap_or_else(Map::new);
        let manifest = Manifest::from_content(&content).unwrap_or_else(|error| panic!("house.toml: {error}"));
        Policy {
            manifest,
            ..Policy::default()
        }
    });
    &HOUSE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_that_comes_along_reads() {
        assert_eq!(house().manifest.name, "house");
        assert!(house().manifest.is_single("located_in"));
        assert!(!house().manifest.is_single("controls"));
    }
}
