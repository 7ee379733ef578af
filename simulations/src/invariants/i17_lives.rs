//! I17: a new replica begins only where a disk may have gone back or was copied: not with every start.

use inbetweenies_core::node::Notice;

use super::{Invariant, Violation, at};
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct Lives;

impl Invariant for Lives {
    fn id(&self) -> &'static str {
        "I17"
    }

    fn promise(&self) -> &'static str {
        "a hub begins a new replica only when its disk went back or was copied"
    }

    fn saw(&mut self, _world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::Notice {
            hub,
            notice: Notice::Identity(identity),
        } = seen
        else {
            return Ok(());
        };
        let may = oracle.lives(*hub);
        if identity.life > may {
            return at(
                *hub,
                format!("is in its life {}, and has had reason for {may}", identity.life),
            );
        }
        Ok(())
    }
}
