//! The data set: sixteen databases of keys that end at their millisecond.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::dict::Dict;
use super::value::Value;

/// Databases that SELECT can choose from, as in Redis's own default.
pub(super) const DATABASES: usize = 16;
/// What a key costs in memory beside its name and value.
const KEY_COST: usize = 96;

/// A moment in milliseconds since 1970.
pub(super) type Moment = i64;

/// The time on the wall.
pub(super) fn wall_clock() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Where a key lives: the number of its database, and its name.
type Place = (usize, Vec<u8>);

/// A value and the end of its life.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) value: Value,
    /// When the key is gone; none: never.
    pub(super) expires: Option<Moment>,
}

/// All databases.
#[derive(Debug)]
pub(super) struct Store {
    databases: Vec<Dict<Entry>>,
    /// Every key with an end, the earliest first.
    endings: BTreeSet<(Moment, usize, Vec<u8>)>,
    /// Flags to raise when a key changes (WATCH).
    watched: HashMap<Place, Vec<Rc<Cell<bool>>>>,
    used: usize,
    changes: u64,
    expired: u64,
    now: Moment,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            databases: (0..DATABASES).map(|_| Dict::default()).collect(),
            endings: BTreeSet::new(),
            watched: HashMap::new(),
            used: 0,
            changes: 0,
            expired: 0,
            now: wall_clock(),
        }
    }
}

impl Store {
    /// Moves the clock and removes what has come to its end: nobody sees a key after its millisecond.
    pub(super) fn advance(&mut self, now: Moment) {
        self.now = now;
        while let Some((moment, db, name)) = self.endings.first().cloned() {
            if moment > now {
                break;
            }
            self.remove(db, &name);
            self.expired += 1;
        }
    }

    /// The moment that counts as now for the command that runs.
    pub(super) fn now(&self) -> Moment {
        self.now
    }

    /// About how many bytes the data set takes.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// A number that grows with every change.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// How many keys have come to their end.
    pub(super) fn expired(&self) -> u64 {
        self.expired
    }

    /// The keys of one database.
    pub(super) fn database(&self, db: usize) -> &Dict<Entry> {
        &self.databases[db]
    }

    pub(super) fn get(&self, db: usize, name: &[u8]) -> Option<&Entry> {
        self.databases[db].get(name)
    }

    /// Puts a key in the place of whatever was there.
    pub(super) fn put(&mut self, db: usize, name: &[u8], value: Value, expires: Option<Moment>) {
        self.take_out(db, name);
        self.used += KEY_COST + name.len() + value.bytes();
        if let Some(moment) = expires {
            self.endings.insert((moment, db, name.to_vec()));
        }
        self.databases[db].insert(name.to_vec(), Entry { value, expires });
        self.changed(db, name);
    }

    /// Changes a value in place. What `change` leaves empty is removed with its key.
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
            self.take_out(db, name);
        }
        Some(result)
    }

    /// Sets or takes away the end of a key's life.
    pub(super) fn set_expiry(&mut self, db: usize, name: &[u8], expires: Option<Moment>) {
        let Some(entry) = self.databases[db].get_mut(name) else {
            return;
        };
        let old = std::mem::replace(&mut entry.expires, expires);
        if let Some(moment) = old {
            self.endings.remove(&(moment, db, name.to_vec()));
        }
        if let Some(moment) = expires {
            self.endings.insert((moment, db, name.to_vec()));
        }
        self.changed(db, name);
    }

    /// Removes a key and hands it out.
    pub(super) fn remove(&mut self, db: usize, name: &[u8]) -> Option<Entry> {
        let entry = self.take_out(db, name)?;
        self.changed(db, name);
        Some(entry)
    }

    /// Removes all keys of a database.
    pub(super) fn clear(&mut self, db: usize) {
        let names: Vec<Vec<u8>> = self.databases[db].iter().map(|(name, _)| name.clone()).collect();
        for name in names {
            self.remove(db, &name);
        }
    }

    /// Notes that a key has changed, for those who watch it and for saving.
    pub(super) fn changed(&mut self, db: usize, name: &[u8]) {
        self.changes += 1;
        if self.watched.is_empty() {
            return;
        }
        if let Some(flags) = self.watched.get(&(db, name.to_vec())) {
            flags.iter().for_each(|flag| flag.set(true));
        }
    }

    /// Raises `flag` when the key changes from now on.
    pub(super) fn watch(&mut self, db: usize, name: &[u8], flag: &Rc<Cell<bool>>) {
        let flags = self.watched.entry((db, name.to_vec())).or_default();
        if !flags.iter().any(|known| Rc::ptr_eq(known, flag)) {
            flags.push(Rc::clone(flag));
        }
    }

    /// Ends all watching by the owner of `flag`.
    pub(super) fn unwatch(&mut self, flag: &Rc<Cell<bool>>) {
        self.watched.retain(|_, flags| {
            flags.retain(|known| !Rc::ptr_eq(known, flag));
            !flags.is_empty()
        });
    }

    fn take_out(&mut self, db: usize, name: &[u8]) -> Option<Entry> {
        let entry = self.databases[db].remove(name)?;
        self.used = self
            .used
            .saturating_sub(KEY_COST + name.len() + entry.value.bytes());
        if let Some(moment) = entry.expires {
            self.endings.remove(&(moment, db, name.to_vec()));
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::practice::value::Text;

    #[test]
    fn a_key_is_gone_at_its_millisecond_and_so_is_its_memory() {
        let mut store = Store::default();
        store.put(0, b"k", Value::Text(Text::new(b"v".to_vec())), Some(1000));
        store.advance(999);
        assert!(store.get(0, b"k").is_some());
        store.advance(1000);
        assert!(store.get(0, b"k").is_none());
        assert_eq!((store.used(), store.expired()), (0, 1));
    }

    #[test]
    fn who_watches_a_key_hears_of_its_end() {
        let mut store = Store::default();
        let flag = Rc::new(Cell::new(false));
        store.put(0, b"k", Value::Text(Text::new(b"v".to_vec())), Some(1000));
        store.watch(0, b"k", &flag);
        store.advance(1000);
        assert!(flag.get());
        store.unwatch(&flag);
        assert!(store.watched.is_empty());
    }

    #[test]
    fn memory_is_given_back_to_the_last_byte() {
        let mut store = Store::default();
        for number in 0..100u32 {
            store.put(
                0,
                b"hash",
                Value::Hash(super::super::value::Hash::default()),
                None,
            );
            store.edit(0, b"hash", |value| {
                if let Value::Hash(hash) = value {
                    for field in 0..=number * 2 {
                        hash.set(&field.to_be_bytes(), vec![0; field as usize]);
                    }
                    hash.remove(&0u32.to_be_bytes());
                }
            });
        }
        assert!(store.used() > 10_000);
        store.clear(0);
        assert_eq!(store.used(), 0);
    }
}
