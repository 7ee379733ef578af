//! What must hold between keys, each of which is good by itself.

use super::errors::{ConfigError, ConfigErrors};
use super::keys::Config;
use super::origin::{Origin, Origins};
use super::units::Duration;
use super::values::BlobPolicy;

/// Adds what is wrong between the keys of a config.
pub(super) fn check(config: &Config, origins: &Origins, errors: &mut ConfigErrors) {
    let address = config.listen.address;
    // An IPv4 address may be written as IPv6; what it reaches is the same.
    if !config.listen.open && !address.ip().to_canonical().is_loopback() {
        errors.push(ConfigError::NotLoopback {
            at: at(origins, &["listen.address", "listen.open"]),
            address,
        });
    }
    if config.blobs.policy == BlobPolicy::Pinned && config.blobs.pin_types.is_empty() {
        errors.push(ConfigError::PinsNothing {
            at: at(origins, &["blobs.policy", "blobs.pin_types"]),
        });
    }
    ordered(
        origins,
        errors,
        ("mesh.dial_backoff_min", config.mesh.dial_backoff_min),
        ("mesh.dial_backoff_max", config.mesh.dial_backoff_max),
        "the wait grows from the one to the other",
    );
    ordered(
        origins,
        errors,
        ("gossip.probe_timeout", config.gossip.probe_timeout),
        ("gossip.probe_period", config.gossip.probe_period),
        "a probe must be over before the next begins",
    );
}

fn ordered(
    origins: &Origins,
    errors: &mut ConfigErrors,
    (key, value): (&'static str, Duration),
    (above_key, above): (&'static str, Duration),
    reason: &'static str,
) {
    if value > above {
        errors.push(ConfigError::Order {
            at: at(origins, &[key, above_key]),
            key,
            value: value.to_string(),
            above_key,
            above: above.to_string(),
            reason,
        });
    }
}

/// The first of the keys that somebody set.
fn at(origins: &Origins, keys: &[&str]) -> Origin {
    keys.iter()
        .filter_map(|key| origins.of(key))
        .find(|origin| **origin != Origin::Default)
        .cloned()
        .unwrap_or(Origin::Default)
}
