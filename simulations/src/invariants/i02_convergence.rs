//! I2: when everything is mended, hubs become equal within a bound.

use super::{Invariant, Violation, between};
use crate::plan::Lane;
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct Convergence;

impl Invariant for Convergence {
    fn id(&self) -> &'static str {
        "I2"
    }

    fn promise(&self) -> &'static str {
        "once everything is mended, hubs and clients become equal within a bound"
    }

    fn saw(&mut self, world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::NotEqual { bound } => {
                let held = (0..world.hubs.len()).map(|hub| {
                    let sum: u64 = oracle.tips(hub).values().map(|(sequence, _)| sequence).sum();
                    let up = if world.hubs[hub].process.is_some() {
                        ""
                    } else {
                        " (off)"
                    };
                    format!("{}{up} {sum} change sets", world.name_of(Lane::Hub(hub)))
                });
                let held: Vec<String> = held.collect();
                let differ = (1..world.hubs.len())
                    .flat_map(|hub| {
                        oracle
                            .tips(hub)
                            .iter()
                            .map(move |(replica, tip)| (hub, replica, tip))
                    })
                    .find(|(_, replica, tip)| oracle.tips(0).get(*replica) != Some(*tip));
                let differ = differ.map_or_else(
                    || "; no log differs".to_owned(),
                    |(hub, replica, (sequence, _))| {
                        let first = oracle.tips(0).get(replica).map_or(0, |(sequence, _)| *sequence);
                        let name = world.name_of(Lane::Hub(hub));
                        format!(
                            "; of {replica} {name} holds {sequence} and {} {first}",
                            world.name_of(Lane::Hub(0))
                        )
                    },
                );
                let pending = world
                    .clients
                    .iter()
                    .filter(|client| client.replica.pending().next().is_some());
                let pending: Vec<&str> = pending.map(|client| client.name.as_str()).collect();
                let mut waiting = if pending.is_empty() {
                    String::new()
                } else {
                    format!("; {} still have something to push", pending.join(", "))
                };
                let behind = world
                    .clients
                    .iter()
                    .filter(|client| *client.replica.clock() != world.clock_of(client.at.unwrap_or(0)));
                for client in behind {
                    waiting.push_str(&format!("; {} has not caught up with its hub", client.name));
                }
                for hub in &world.rotten {
                    let what = world.rot_at(*hub).unwrap_or_default();
                    let name = world.name_of(Lane::Hub(*hub));
                    waiting.push_str(&format!("; {name} has not mended its disk: {what}"));
                }
                between(format!(
                    "{} s after everything was mended they are not equal: {}{waiting}",
                    bound.as_secs(),
                    held.join(", ") + &differ
                ))
            }
            _ => Ok(()),
        }
    }
}
