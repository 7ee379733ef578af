//! I2 hangs on this: a link on which nothing is heard is given up, for only then is its hub dialled again.

use std::collections::BTreeMap;
use std::time::Duration;

use inbetweenies_core::wire::Message;

use super::{Invariant, Violation, at};
use crate::plan::Lane;
use crate::recording::FaultKind;
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// A room is woken when the next ping is due, and a little later where the machine is busy.
const SLACK: Duration = Duration::from_secs(2);

/// See the file.
#[derive(Default)]
pub struct DeadLinks {
    /// When a hub last heard another, or began to.
    heard: BTreeMap<(usize, usize), Duration>,
    /// Since when it runs without a pause.
    awake: BTreeMap<usize, Duration>,
}

impl Invariant for DeadLinks {
    fn id(&self) -> &'static str {
        "I2"
    }

    fn promise(&self) -> &'static str {
        "a link on which nothing is heard for three keepalives is cut"
    }

    fn saw(&mut self, world: &World, _oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Started { hub }
            | Seen::Fault {
                hub,
                kind: FaultKind::Thawed,
                ..
            } => drop(self.awake.insert(*hub, world.now)),
            Seen::Arrived { hub, from, .. } => drop(self.heard.insert((*hub, *from), world.now)),
            Seen::Sent {
                from: Lane::Hub(hub),
                to: Lane::Hub(to),
                message,
                ..
            } => match message {
                Message::Hello(_) => drop(self.heard.insert((*hub, *to), world.now)),
                Message::Ping { .. } => return self.pings(world, *hub, *to),
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }
}

impl DeadLinks {
    fn pings(&self, world: &World, hub: usize, to: usize) -> Result<(), Violation> {
        let heard = self.heard.get(&(hub, to)).max(self.awake.get(&hub));
        let silent = world.now.saturating_sub(heard.copied().unwrap_or_default());
        if silent <= 4 * world.plan.tuning.keepalive + SLACK {
            return Ok(());
        }
        let name = world.name_of(Lane::Hub(to));
        at(
            hub,
            format!("still asks {name}, which has said nothing for {silent:?}"),
        )
    }
}
