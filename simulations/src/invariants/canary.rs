//! The canary: a promise that holds always, and is made to fail where the zoo plants it. A campaign in which it sings on
//! has watched nothing.

use inbetweenies_core::zoo::{self, Bug};

use super::{Invariant, Violation, between};
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct Canary;

impl Invariant for Canary {
    fn id(&self) -> &'static str {
        "canary"
    }

    fn promise(&self) -> &'static str {
        "what the checks see is looked at"
    }

    fn saw(&mut self, _world: &World, _oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Healed if zoo::planted(Bug::Canary) => between("it was planted"),
            _ => Ok(()),
        }
    }
}
