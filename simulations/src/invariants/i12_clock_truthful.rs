//! I12: a clock that leaves a hub names nothing that is not on its disk.

use inbetweenies_core::wire::{Message, WireClock};

use super::{Invariant, Violation, at};
use crate::plan::Lane;
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct ClockTruthful;

impl Invariant for ClockTruthful {
    fn id(&self) -> &'static str {
        "I12"
    }

    fn promise(&self) -> &'static str {
        "a hub tells others only of what is durable on its own disk"
    }

    fn saw(&mut self, _world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::Sent {
            from: Lane::Hub(hub),
            message,
            ..
        } = seen
        else {
            return Ok(());
        };
        match message {
            Message::Hello(hello) => truthful(oracle, *hub, &hello.clock),
            Message::Clock { clock } => truthful(oracle, *hub, clock),
            _ => Ok(()),
        }
    }
}

fn truthful(oracle: &Oracle, hub: usize, clock: &WireClock) -> Result<(), Violation> {
    for (replica, sequence, check) in &clock.0 {
        // Where branches part, the clock that rooms have may be of the branch that was just given up.
        if oracle.forkable(replica).is_some() {
            continue;
        }
        let (durable, hash) = match oracle.tips(hub).get(replica) {
            Some((sequence, hash)) => (*sequence, Some(hash.check())),
            None => (0, None),
        };
        if *sequence > durable || (*sequence == durable && hash != Some(*check)) {
            return at(
                hub,
                format!("says that it holds entry {sequence} of {replica}, and its disk ends at {durable}"),
            );
        }
    }
    Ok(())
}
