//! The commands that people give, against hubs that run: what is imported, edited on a device, walked from hub to hub,
//! and kept when no hub is there.

#[allow(dead_code, reason = "these tests ask and decide, and no more")]
#[path = "../support/http.rs"]
mod http;
#[path = "../support/mod.rs"]
mod support;

mod client;
mod decided;
mod import;
mod mesh;
mod past;
mod settle;

use std::path::Path;

use serde_json::Value;
use support::{HubProcess, run};

/// The home in every test.
pub const SAMPLE: &str = "demo/sample-home";

/// Runs an import and reads what it says.
pub fn import(dir: &Path, hub: &HubProcess, more: &[&str]) -> Value {
    let dir = dir.display().to_string();
    run(&[
        &["import", "home-assistant", &dir, "--hub", &hub.url, "--json"],
        more,
    ]
    .concat())
    .json()
}
