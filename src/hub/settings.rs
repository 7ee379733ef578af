//! From the config to what each room is told.

use std::net::SocketAddr;

use inbetweenies_core::limits::Limits;
use inbetweenies_core::merkle::tree::Tree;
use inbetweenies_core::transfer::{self, Fetching};
use inbetweenies_core::value::{Budget, Map, Value, decode};
use inbetweenies_core::{merkle, peers, reconcile, storage};

use crate::config::{BlobPolicy, Config};

/// Bounds of what comes from outside.
pub fn limits(config: &Config) -> Limits {
    let lowered = &config.limits;
    Limits {
        body_bytes_max: lowered.body_max.as_usize(),
        frame_bytes_max: lowered.frame_max.as_usize(),
        set_records_max: lowered.set_records_max,
        set_bytes_max: lowered.set_bytes_max.as_usize(),
        content_bytes_max: lowered.content_max.as_usize(),
        depth_max: lowered.depth_max,
        elements_max: lowered.elements_max,
        clock_entries_max: lowered.clock_entries_max,
        parents_max: lowered.parents_max,
        page_records_max: config.sync.page_records_max,
        page_bytes_max: config.sync.page_bytes_max.as_usize(),
        ..Limits::default()
    }
}

/// Bounds between hubs: the protocol's own; only the size of pages is this hub's choice.
fn between_hubs(config: &Config) -> Limits {
    Limits {
        page_records_max: config.sync.page_records_max,
        page_bytes_max: config.sync.page_bytes_max.as_usize(),
        ..Limits::default()
    }
}

/// What storage is told.
pub fn storage(
    config: &Config,
    address: Option<SocketAddr>,
    policy: Map,
    seed: [u64; 2],
) -> storage::Settings {
    storage::Settings {
        name: config.hub.name.clone(),
        address,
        found: config.mesh.found,
        policy,
        group_records_max: config.storage.group_max,
        group_bytes_max: config.storage.group_bytes_max.as_usize(),
        content_min: config
            .retention
            .forget
            .then(|| config.retention.content_min.get()),
        horizon_interval: config.retention.check_interval.get(),
        seed,
    }
}

/// What reconcile is told.
pub fn reconcile(config: &Config) -> reconcile::Settings {
    reconcile::Settings {
        limits: between_hubs(config),
        fanout: config.gossip.fanout,
        interval: config.gossip.interval.get(),
        quiet_interval: config.gossip.quiet_interval.get(),
        window_bytes_max: config.gossip.window_bytes_max.as_usize(),
        forgets: config.retention.forget,
    }
}

/// Bytes of one blob after which what came of it is synced.
const BLOB_SYNC_BYTES: u64 = 64 << 20;

/// What the transfer room is told.
pub fn transfer(config: &Config) -> transfer::Settings {
    let blobs = &config.blobs;
    transfer::Settings {
        fetching: match blobs.policy {
            BlobPolicy::All => Fetching::All,
            BlobPolicy::OnDemand | BlobPolicy::Pinned => Fetching::Pinned,
        },
        pin_types: blobs.pin_types.clone(),
        budget: (blobs.budget_max.bytes() > 0).then(|| blobs.budget_max.bytes()),
        window_bytes_max: blobs.window_bytes_max.as_usize(),
        sync_bytes: BLOB_SYNC_BYTES,
        unreferenced_min: blobs.unreferenced_min.get(),
        check_period: blobs.check_period.get(),
    }
}

/// What anti-entropy is told.
pub fn merkle(config: &Config, seed: u64) -> merkle::Settings {
    merkle::Settings {
        depth: Tree::depth_within(config.merkle.memory_max.as_usize()),
        cells: config.merkle.sketch_cells,
        interval: config.merkle.interval.get(),
        check_period: config.merkle.check_period.get(),
        keep_changes: config.merkle.keep_changes,
        seed,
    }
}

/// What peers is told.
pub fn peers(config: &Config, address: Option<SocketAddr>, boot: u64, seed: u64) -> peers::Settings {
    peers::Settings {
        limits: between_hubs(config),
        software: env!("CARGO_PKG_VERSION").to_owned(),
        seeds: config.mesh.seeds.iter().map(ToString::to_string).collect(),
        address,
        links_max: config.mesh.links_max,
        backoff: (
            config.mesh.dial_backoff_min.get(),
            config.mesh.dial_backoff_max.get(),
        ),
        probe_period: config.gossip.probe_period.get(),
        probe_timeout: config.gossip.probe_timeout.get(),
        suspect_timeout: config.gossip.suspect_timeout.get(),
        forget_down_after: config.gossip.forget_down_after.get(),
        keepalive: config.gossip.keepalive.get(),
        boot,
        seed,
    }
}

/// Reads a domain manifest from TOML text into the value that a policy record holds.
pub fn manifest(text: &str) -> Result<Map, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    match decode(toml::Value::Table(table), &Budget::new(8, 10_000)).map_err(|refusal| refusal.detail)? {
        Value::Map(map) => Ok(map),
        other => Err(format!("{} and not a table", other.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inbetweenies_core::domain::Manifest;

    #[test]
    fn the_house_is_a_good_domain() {
        let text = include_str!("../../config/domains/house.toml");
        let house = Manifest::from_content(&manifest(text).unwrap()).unwrap();
        assert_eq!(house.name, "house");
        assert!(house.is_containment("located_in") && !house.is_containment("controls"));
        assert!(house.is_single("located_in") && !house.is_single("connects_to"));
        assert!(
            house
                .check_ends("located_in", Some("device"), Some("room"))
                .is_ok()
        );
        assert!(
            house
                .check_ends("located_in", Some("room"), Some("device"))
                .is_err()
        );
    }
}
