//! The data set: sixteen databases of keys, which may each have an expiry time in milliseconds.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::dict::Dict;
use super::value::Value;

/// The number of databases, as in Redis's default configuration.
pub(super) const DATABASES: usize = 16;
/// The memory that a key needs in addition to its name and value.
const KEY_COST: usize = 96;

/// A time in milliseconds since 1970.
pub(super) type Moment = i64;

pub(super) fn wall_clock() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Set when a watched key has changed.
pub(super) type ChangeFlag = Rc<Cell<bool>>;

#[derive(Clone, Debug)]
pub(super) struct KeyEntry {
    pub(super) value: Value,
    /// When the key expires, if ever.
    pub(super) expires: Option<Moment>,
}

#[derive(Debug)]
pub(super) struct Store {
    databases: Vec<Dict<KeyEntry>>,
    /// All keys with an expiry, the earliest first.
    expiries: BTreeSet<(Moment, usize, Vec<u8>)>,
    /// Flags to set when a key (database, name) changes, for WATCH.
    watched: HashMap<(usize, Vec<u8>), Vec<ChangeFlag>>,
    /// Approximate memory use of the data set, in bytes.
    pub(super) used: usize,
    /// A number that grows with every change.
    pub(super) changes: u64,
    /// The number of keys that have expired.
    pub(super) expired: u64,
    /// The time at which the current command runs.
    pub(super) now: Moment,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            databases: (0..DATABASES).map(|_| Dict::default()).collect(),
            expiries: BTreeSet::new(),
            watched: HashMap::new(),
            used: 0,
            changes: 0,
            expired: 0,
            now: wall_clock(),
        }
    }
}

impl Store {
    /// Sets the clock, and removes all keys that have expired.
    pub(super) fn advance(&mut self, now: Moment) {
        self.now = now;
        while let Some((moment, db, name)) = self.expiries.first().cloned() {
            if moment > now {
                break;
            }
            self.remove(db, &name);
            self.expired += 1;
        }
    }

    pub(super) fn database(&self, db: usize) -> &Dict<KeyEntry> {
        &self.databases[db]
    }

    pub(super) fn get(&self, db: usize, name: &[u8]) -> Option<&KeyEntry> {
        self.databases[db].get(name)
    }

    /// Creates or replaces a key.
    pub(super) fn put(&mut self, db: usize, name: &[u8], value: Value, expires: Option<Moment>) {
        self.take(db, name);
        self.used += KEY_COST + name.len() + value.bytes();
        if let Some(moment) = expires {
            self.expiries.insert((moment, db, name.to_vec()));
        }
        self.databases[db].insert(name, KeyEntry { value, expires });
        self.changed(db, name);
    }

    /// Changes a value in place, and removes its key if it is empty afterwards. The caller must call
    /// [`Self::changed`].
    pub(super) fn edit<R>(
        &mut self,
        db: usize,
        name: &[u8],
        change: impl FnOnce(&mut Value) -> R,
    ) -> Option<R> {
        let entry = self.databases[db].get_mut(name)?;
        let before = entry.value.bytes();
        let result = change(&mut entry.value);
        let (after, is_empty) = (entry.value.bytes(), entry.value.is_empty());
        self.used = (self.used + after).saturating_sub(before);
        if is_empty {
            self.take(db, name);
        }
        Some(result)
    }

    pub(super) fn set_expiry(&mut self, db: usize, name: &[u8], expires: Option<Moment>) {
        let Some(entry) = self.databases[db].get_mut(name) else {
            return;
        };
        let old = std::mem::replace(&mut entry.expires, expires);
        if let Some(moment) = old {
            self.expiries.remove(&(moment, db, name.to_vec()));
        }
        if let Some(moment) = expires {
            self.expiries.insert((moment, db, name.to_vec()));
        }
        self.changed(db, name);
    }

    /// Removes a key and returns it.
    pub(super) fn remove(&mut self, db: usize, name: &[u8]) -> Option<KeyEntry> {
        let entry = self.take(db, name)?;
        self.changed(db, name);
        Some(entry)
    }

    /// Removes all keys of a database.
    pub(super) fn clear(&mut self, db: usize) {
        let names: Vec<Vec<u8>> = self.databases[db].iter().map(|(name, _)| name.to_vec()).collect();
        for name in names {
            self.remove(db, &name);
        }
    }

    /// Records a change of a key, for WATCH and for saving.
    pub(super) fn changed(&mut self, db: usize, name: &[u8]) {
        self.changes += 1;
        if self.watched.is_empty() {
            return;
        }
        if let Some(flags) = self.watched.get(&(db, name.to_vec())) {
            flags.iter().for_each(|flag| flag.set(true));
        }
    }

    /// Sets `flag` at the next change of the key.
    pub(super) fn watch(&mut self, db: usize, name: &[u8], flag: &ChangeFlag) {
        let flags = self.watched.entry((db, name.to_vec())).or_default();
        if !flags.iter().any(|known| Rc::ptr_eq(known, flag)) {
            flags.push(Rc::clone(flag));
        }
    }

    /// Undoes every [`Store::watch`] with this flag.
    pub(super) fn unwatch(&mut self, flag: &ChangeFlag) {
        self.watched.retain(|_, flags| {
            flags.retain(|known| !Rc::ptr_eq(known, flag));
            !flags.is_empty()
        });
    }

    fn take(&mut self, db: usize, name: &[u8]) -> Option<KeyEntry> {
        let entry = self.databases[db].remove(name)?;
        let freed = KEY_COST + name.len() + entry.value.bytes();
        self.used = self.used.saturating_sub(freed);
        if let Some(moment) = entry.expires {
            self.expiries.remove(&(moment, db, name.to_vec()));
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::practice::value::Collection;

    #[test]
    fn a_key_and_its_memory_are_gone_at_its_millisecond() {
        let mut store = Store::default();
        store.put(0, b"k", Value::Text(b"v".to_vec()), Some(1000));
        store.advance(999);
        assert!(store.get(0, b"k").is_some());
        store.advance(1000);
        assert!(store.get(0, b"k").is_none());
        assert_eq!((store.used, store.expired), (0, 1));
    }

    #[test]
    fn expiry_counts_as_a_change_of_a_watched_key() {
        let mut store = Store::default();
        let flag = Rc::new(Cell::new(false));
        store.put(0, b"k", Value::Text(b"v".to_vec()), Some(1000));
        store.watch(0, b"k", &flag);
        store.advance(1000);
        assert!(flag.get());
        store.unwatch(&flag);
        assert!(store.watched.is_empty());
    }

    #[test]
    fn all_memory_is_released() {
        let mut store = Store::default();
        for number in 0..100u32 {
            store.put(0, b"hash", Value::Hash(Collection::empty_hash()), None);
            store.edit(0, b"hash", |value| {
                if let Value::Hash(hash) = value {
                    for field in 0..=number * 2 {
                        hash.set_fields(&[(&field.to_be_bytes(), &vec![0; field as usize])]);
                    }
                    hash.remove(&0u32.to_be_bytes());
                }
            });
        }
        assert!(store.used > 10_000);
        store.clear(0);
        assert_eq!(store.used, 0);
    }
}
