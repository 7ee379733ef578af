//! Several hubs of one home, and what must be equal on all of them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::{Hub, Setup, http, wait};

/// Three hubs: the first founds the home, the others find it by their seeds. `settings` may change each.
pub fn three(folder: &Path, settings: impl Fn(usize, Setup) -> Setup) -> [Hub; 3] {
    let first = settings(0, Setup::new("kitchen", folder).founder()).start();
    let second = settings(1, Setup::new("attic", folder).seeds(&[first.address])).start();
    let third = settings(
        2,
        Setup::new("garage", folder).seeds(&[first.address, second.address]),
    )
    .start();
    [first, second, third]
}

/// What says that two hubs hold the same, from their status; None from a hub that does not answer now.
fn clock(address: SocketAddr) -> Option<[Value; 2]> {
    let response = http::Request::get("/api/v2/status").send(address).ok()?;
    let mut status: Value = serde_json::from_slice(&response.body).ok()?;
    Some([status["vector_clock"].take(), status["clock_checks"].take()])
}

/// Waits until all clocks are equal, checks included, and gives back the clock.
pub fn equal_clocks(addresses: &[SocketAddr], within: Duration) -> Value {
    wait::until("equal clocks", within, || {
        let clocks: Vec<_> = addresses.iter().map(|address| clock(*address)).collect();
        match clocks.first() {
            Some(Some([first, _])) if clocks.iter().all(|clock| *clock == clocks[0]) => Ok(first.clone()),
            _ => Err(format!("{clocks:?}")),
        }
    })
}

/// Waits until a hub holds links to so many others.
pub fn linked(hub: &Hub, links: usize, within: Duration) {
    wait::until(&format!("{} links of {}", links, hub.setup.name), within, || {
        let peers = hub.status()["peers"].take();
        let linked = peers
            .as_array()
            .into_iter()
            .flatten()
            .filter(|peer| peer["linked"] == true)
            .count();
        if linked == links {
            Ok(())
        } else {
            Err(peers.to_string())
        }
    });
}
