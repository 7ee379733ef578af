//! A store in memory: the reference that others are held against, and the tests' own.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Commit, Family, Marks, Snapshot, Store, StoreError, Visit};

type Table = BTreeMap<Vec<u8>, Vec<u8>>;

/// Ordered tables, copied on write where a snapshot still reads them.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    tables: MemorySnapshot,
    marks: Marks,
}

/// One instant of a [`MemoryStore`].
#[derive(Debug, Clone)]
pub struct MemorySnapshot(Vec<Arc<Table>>);

impl Default for MemorySnapshot {
    fn default() -> MemorySnapshot {
        MemorySnapshot(Family::ALL.iter().map(|_| Arc::default()).collect())
    }
}

impl Snapshot for MemorySnapshot {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0[family as usize].get(key).cloned())
    }

    fn scan(
        &self,
        family: Family,
        from: &[u8],
        until: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        for (key, value) in self.0[family as usize].range(from.to_vec()..) {
            if until.is_some_and(|until| key.as_slice() >= until) || !visit(key, value) {
                break;
            }
        }
        Ok(())
    }
}

impl Store for MemoryStore {
    type Snap = MemorySnapshot;

    fn snapshot(&self) -> MemorySnapshot {
        self.tables.clone()
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        if let Some(high_water) = &commit.high_water {
            self.marks.high_water = Some(high_water.clone());
        }
        for (family, key, value) in &commit.writes {
            let table = Arc::make_mut(&mut self.tables.0[*family as usize]);
            match value {
                Some(value) => table.insert(key.clone(), value.clone()),
                None => table.remove(key),
            };
        }
        if let Some(note) = &commit.note {
            self.marks.note = Some(note.clone());
        }
        Ok(())
    }

    fn marks(&self) -> Marks {
        self.marks.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_store_conforms() {
        super::super::conformance::check(MemoryStore::default);
    }
}
