//! I4: hubs hold only what somebody wrote, and write nothing but who they are and the home's rules.

use inbetweenies_core::record::Record;
use inbetweenies_core::store::{Family, RecordRow, decode_row};

use super::rows::digest;
use super::{Invariant, Violation, at};
use crate::watch::{Oracle, Seen, is_hubs_own};
use crate::world::World;

/// See the file.
pub struct NoInvention;

impl Invariant for NoInvention {
    fn id(&self) -> &'static str {
        "I4"
    }

    fn promise(&self) -> &'static str {
        "hubs hold only what somebody wrote: they make no versions of their own"
    }

    fn saw(&mut self, _world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::Committed { hub, commit } = seen else {
            return Ok(());
        };
        for (family, key, value) in &commit.writes {
            let (Family::Records, Some(value)) = (family, value) else {
                continue;
            };
            let Ok(row) = decode_row::<RecordRow>(Family::Records, value) else {
                continue;
            };
            if digest(key, &row).is_some_and(|digest| oracle.issued(&digest).is_some()) {
                continue;
            }
            let Ok(record) = Record::from_stored(&row.record) else {
                return at(*hub, "a record on its disk does not read");
            };
            if !is_hubs_own(record.entity_type()) {
                return at(
                    *hub,
                    format!("holds {} {}, which nobody wrote", record.id, record.version),
                );
            }
        }
        Ok(())
    }
}
