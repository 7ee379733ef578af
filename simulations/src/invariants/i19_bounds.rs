//! I19: every queue, table and cache stays within its declared bound.

use super::{Invariant, Violation, between};
use crate::watch::{Oracle, Seen, gauges};
use crate::world::World;

/// See the file.
pub struct Bounds;

impl Invariant for Bounds {
    fn id(&self) -> &'static str {
        "I19"
    }

    fn promise(&self) -> &'static str {
        "every queue and every table stays within its bound"
    }

    fn saw(&mut self, world: &World, _oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        if !matches!(seen, Seen::Sample | Seen::End) {
            return Ok(());
        }
        for (name, now, bound) in gauges(world) {
            if now > bound {
                return between(format!("{name}: {now}, and {bound} is the bound"));
            }
        }
        Ok(())
    }
}
