//! Writes not yet committed, seen by whoever comes later in the same group.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Family, Snapshot, StoreError, Visit, Write};

/// Rows by family and key; None for one that is not there.
type Rows = BTreeMap<(Family, Vec<u8>), Option<Vec<u8>>>;

/// A snapshot and the writes on top of it.
pub struct Overlay<'s> {
    base: &'s dyn Snapshot,
    /// What was read below: one group asks for the same row several times, and the answer stays the same.
    read: RefCell<Rows>,
    writes: Rows,
}

impl<'s> Overlay<'s> {
    /// Nothing written yet.
    pub fn new(base: &'s dyn Snapshot) -> Overlay<'s> {
        Overlay {
            base,
            read: RefCell::default(),
            writes: BTreeMap::new(),
        }
    }

    /// Puts a row.
    pub fn put(&mut self, family: Family, key: Vec<u8>, value: Vec<u8>) {
        self.writes.insert((family, key), Some(value));
    }

    /// Takes a row out.
    pub fn delete(&mut self, family: Family, key: Vec<u8>) {
        self.writes.insert((family, key), None);
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// The writes, in the order of their keys.
    pub fn into_writes(self) -> Vec<Write> {
        self.writes
            .into_iter()
            .map(|((family, key), value)| (family, key, value))
            .collect()
    }
}

impl Snapshot for Overlay<'_> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let at = (family, key.to_vec());
        if let Some(written) = self.writes.get(&at) {
            return Ok(written.clone());
        }
        if let Some(read) = self.read.borrow().get(&at) {
            return Ok(read.clone());
        }
        let value = self.base.get(family, key)?;
        self.read.borrow_mut().insert(at, value.clone());
        Ok(value)
    }

    fn scan(
        &self,
        family: Family,
        from: &[u8],
        until: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let end = match until {
            Some(until) if until <= from => return Ok(()),
            Some(until) => Bound::Excluded((family, until.to_vec())),
            None => Bound::Unbounded,
        };
        let ours = self.writes.range((Bound::Included((family, from.to_vec())), end));
        let mut ours = ours.take_while(|((of, _), _)| *of == family).peekable();
        let mut stopped = false;
        self.base.scan(family, from, until, &mut |key, value| {
            while let Some(((_, written), put)) = ours.next_if(|((_, written), _)| written.as_slice() < key) {
                if let Some(put) = put
                    && !visit(written, put)
                {
                    stopped = true;
                    return false;
                }
            }
            let go_on = match ours.next_if(|((_, written), _)| written.as_slice() == key) {
                Some((_, Some(put))) => visit(key, put),
                Some((_, None)) => true,
                None => visit(key, value),
            };
            stopped = !go_on;
            go_on
        })?;
        if !stopped {
            for ((_, written), put) in ours {
                if let Some(put) = put
                    && !visit(written, put)
                {
                    break;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Commit, MemoryStore, Store};

    #[test]
    fn a_scan_sees_what_was_put_and_not_what_was_taken_out() {
        let mut store = MemoryStore::default();
        let row = |key: &str| (Family::Ids, key.as_bytes().to_vec(), Some(b"old".to_vec()));
        store
            .commit(&Commit {
                writes: vec![row("b"), row("d"), row("f")],
                ..Commit::default()
            })
            .unwrap();
        let base = store.snapshot();
        let mut overlay = Overlay::new(&base);
        overlay.put(Family::Ids, b"a".to_vec(), b"new".to_vec());
        overlay.put(Family::Ids, b"d".to_vec(), b"new".to_vec());
        overlay.put(Family::Ids, b"g".to_vec(), b"new".to_vec());
        overlay.put(Family::Log, b"c".to_vec(), b"elsewhere".to_vec());
        overlay.delete(Family::Ids, b"b".to_vec());
        let mut seen = Vec::new();
        let mut visit = |key: &[u8], value: &[u8]| {
            seen.push((
                String::from_utf8_lossy(key).into_owned(),
                String::from_utf8_lossy(value).into_owned(),
            ));
            true
        };
        overlay.scan(Family::Ids, b"", None, &mut visit).unwrap();
        let expected = [("a", "new"), ("d", "new"), ("f", "old"), ("g", "new")];
        assert_eq!(
            seen,
            expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
        let mut first = None;
        overlay
            .scan(Family::Ids, b"b", Some(b"f"), &mut |key, _| {
                first = Some(key.to_vec());
                false
            })
            .unwrap();
        assert_eq!(first, Some(b"d".to_vec()));
    }
}
