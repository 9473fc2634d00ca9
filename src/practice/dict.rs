//! Provides a map that SCAN can read in parts while the map changes.

use std::rc::Rc;

use indexmap::IndexMap;

use crate::random;

/// The maximum number of entries in a [`Dict`] that keeps its order when an entry is removed, as Redis's
/// compact encodings do.
const ORDERED: usize = 512;

/// Entries in order of insertion. Replacing a value does not change the order. Removing an entry changes the
/// order if there are more than [`ORDERED`] entries.
#[derive(Clone, Debug)]
pub(super) struct Dict<V>(IndexMap<Rc<[u8]>, V>);

impl<V> Default for Dict<V> {
    fn default() -> Self {
        Self(IndexMap::new())
    }
}

impl<V> Dict<V> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&V> {
        self.0.get(name)
    }

    /// Returns the name and the value of an entry, if it exists. The caller can share the memory of the name.
    pub(super) fn get_mut(&mut self, name: &[u8]) -> Option<(&Rc<[u8]>, &mut V)> {
        self.0.get_full_mut(name).map(|(_, name, value)| (name, value))
    }

    /// Inserts an entry. Returns the value that was replaced, if any.
    pub(super) fn insert(&mut self, name: Rc<[u8]>, value: V) -> Option<V> {
        self.0.insert(name, value)
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Option<V> {
        if self.len() <= ORDERED {
            self.0.shift_remove(name)
        } else {
            let removed = self.0.swap_remove(name);
            // Without this call, a map that has become smaller would keep all its memory.
            if self.len() < self.0.capacity() / 4 {
                self.0.shrink_to(self.len() * 2);
            }
            removed
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &V)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// Returns up to `count` entries from the position `cursor`, and the next cursor. Pass 0 to begin a scan.
    /// A returned cursor of 0 means that the scan is complete.
    ///
    /// An entry that exists during the whole scan is returned at least once. The scan goes from the last
    /// entry to the first, and the cursor is the number of entries that have not been returned yet. Removing
    /// an entry moves other entries only towards the start, so the scan does not skip an entry.
    pub(super) fn scan(&self, cursor: u64, count: usize) -> (u64, Vec<(&[u8], &V)>) {
        let left = match usize::try_from(cursor) {
            Ok(0) | Err(_) => self.len(),
            Ok(left) => left.min(self.len()),
        };
        let next = left.saturating_sub(count);
        let found = (next..left).rev().filter_map(|index| self.0.get_index(index));
        let found = found.map(|(name, value)| (&**name, value)).collect();
        (next as u64, found)
    }

    /// Returns a random entry, or `None` if the map is empty. All entries have the same probability.
    pub(super) fn random_entry(&self) -> Option<(&[u8], &V)> {
        let entry = self.0.get_index(random::below(self.len()));
        entry.map(|(name, value)| (&**name, value))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_scan_returns_every_entry_that_stays() {
        let mut dict = Dict::default();
        for number in 0..1000 {
            dict.insert(format!("goes:{number}").as_bytes().into(), ());
            dict.insert(format!("stays:{number}").as_bytes().into(), ());
        }
        let mut seen: BTreeSet<Vec<u8>> = BTreeSet::new();
        let (mut cursor, mut round) = (0, 0);
        loop {
            let (next, found) = dict.scan(cursor, 10);
            seen.extend(found.into_iter().map(|(name, ())| name.to_vec()));
            cursor = next;
            if cursor == 0 {
                break;
            }
            dict.insert(format!("comes:{round}").as_bytes().into(), ());
            for number in round * 10..round * 10 + 10 {
                dict.remove(format!("goes:{number}").as_bytes());
            }
            round += 1;
        }
        for number in 0..1000 {
            assert!(seen.contains(format!("stays:{number}").as_bytes()), "{number}");
        }
    }

    #[test]
    fn random_entries_are_uniform_after_removals() {
        let mut dict = Dict::default();
        for number in 0..1000u32 {
            dict.insert(number.to_string().as_bytes().into(), number);
        }
        for number in 0..990u32 {
            dict.remove(number.to_string().as_bytes());
        }
        let mut counts = [0u32; 10];
        for _ in 0..10_000 {
            counts[*dict.random_entry().unwrap().1 as usize - 990] += 1;
        }
        // The expected number is 1000, with a standard deviation of 30.
        assert!(
            counts.iter().all(|count| (800..1200).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn entries_come_and_go() {
        let mut dict = Dict::default();
        assert_eq!(dict.insert(b"a"[..].into(), 1), None);
        assert_eq!(dict.insert(b"a"[..].into(), 2), Some(1));
        *dict.get_mut(b"a").unwrap().1 += 1;
        assert_eq!(dict.random_entry(), Some((&b"a"[..], &3)));
        assert_eq!(dict.remove(b"a"), Some(3));
        assert_eq!((dict.len(), dict.get(b"a"), dict.random_entry()), (0, None, None));
    }
}
