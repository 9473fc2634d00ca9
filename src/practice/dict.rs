//! A map from names to values that keeps the order of insertion and can be read in parts while it changes.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::random;

/// Entries in order of insertion. Replacing a value keeps its place.
///
/// A SCAN cursor is a position in that order. An entry that exists from the first call of a scan to the last is
/// therefore returned exactly once, even if other entries are added or removed in between.
#[derive(Clone, Debug)]
pub(super) struct Dict<V> {
    positions: HashMap<Rc<[u8]>, u64>,
    entries: BTreeMap<u64, (Rc<[u8]>, V)>,
    next: u64,
}

impl<V> Default for Dict<V> {
    fn default() -> Self {
        Self {
            positions: HashMap::new(),
            entries: BTreeMap::new(),
            // Positions start at 1, because the cursor 0 means both the start and the end of a scan.
            next: 1,
        }
    }
}

impl<V> Dict<V> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&V> {
        let entry = self.entries.get(self.positions.get(name)?);
        entry.map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, name: &[u8]) -> Option<&mut V> {
        let entry = self.entries.get_mut(self.positions.get(name)?);
        entry.map(|(_, value)| value)
    }

    /// Inserts an entry and returns the value that it replaces.
    pub(super) fn insert(&mut self, name: &[u8], value: V) -> Option<V> {
        if let Some(old) = self.get_mut(name) {
            return Some(std::mem::replace(old, value));
        }
        let name: Rc<[u8]> = name.into();
        self.positions.insert(Rc::clone(&name), self.next);
        self.entries.insert(self.next, (name, value));
        self.next += 1;
        None
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Option<V> {
        let position = self.positions.remove(name)?;
        self.entries.remove(&position).map(|(_, value)| value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &V)> {
        self.entries.values().map(|(name, value)| (&**name, value))
    }

    /// Returns up to `count` entries, starting at `cursor` (0 is the start), and the next cursor (0 if the scan is
    /// complete).
    pub(super) fn scan(&self, cursor: u64, count: usize) -> (u64, Vec<(&[u8], &V)>) {
        let mut rest = self.entries.range(cursor..);
        let found = rest.by_ref().take(count);
        let found = found.map(|(_, (name, value))| (&**name, value)).collect();
        (rest.next().map_or(0, |(position, _)| *position), found)
    }

    /// Returns a random entry. Entries that follow a gap are more likely than others.
    pub(super) fn random_entry(&self) -> Option<(&[u8], &V)> {
        let from = random::number() % self.next;
        let mut from_there = self.entries.range(from..).chain(self.entries.iter());
        from_there.next().map(|(_, (name, value))| (&**name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_returns_every_entry_that_stays_exactly_once() {
        let mut dict = Dict::default();
        for number in 0..1000 {
            dict.insert(format!("stays:{number}").as_bytes(), ());
        }
        let mut seen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        let (mut cursor, mut round) = (0, 0);
        loop {
            let (next, found) = dict.scan(cursor, 10);
            for (name, ()) in found {
                *seen.entry(name.to_vec()).or_default() += 1;
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
            dict.insert(format!("comes:{round}").as_bytes(), ());
            dict.remove(format!("comes:{}", round / 2).as_bytes());
            dict.insert(b"stays:7", ());
            round += 1;
        }
        for number in 0..1000 {
            assert_eq!(seen.get(format!("stays:{number}").as_bytes()), Some(&1));
        }
    }

    #[test]
    fn entries_come_and_go() {
        let mut dict = Dict::default();
        assert_eq!(dict.insert(b"a", 1), None);
        assert_eq!(dict.insert(b"a", 2), Some(1));
        *dict.get_mut(b"a").unwrap() += 1;
        assert_eq!(dict.random_entry(), Some((&b"a"[..], &3)));
        assert_eq!(dict.remove(b"a"), Some(3));
        assert_eq!((dict.len(), dict.get(b"a"), dict.random_entry()), (0, None, None));
    }
}
