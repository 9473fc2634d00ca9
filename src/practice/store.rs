//! Stores the data set, which consists of sixteen databases of keys. Each key can have an expiry time in
//! milliseconds.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::dict::Dict;
use super::value::{Value, allocated};

/// The number of databases, as in the default configuration of Redis.
pub(super) const DATABASES: usize = 16;
/// The memory in bytes that a key uses, excluding its name and value. It includes the entry, its hash, and
/// its slot in the hash table.
const KEY_COST: usize = size_of::<(Rc<[u8]>, KeyEntry)>() + 24;
/// The memory in bytes that an expiry time uses. The index of expiry times is only about half full, so each
/// entry counts twice.
const EXPIRY_COST: usize = 2 * size_of::<Expiry>();
/// The memory in bytes that the reference counts of an [`Rc`] use.
const COUNTS: usize = 2 * size_of::<usize>();
/// The maximum number of expired keys to remove before a command, so that commands stay fast.
const EXPIRED_PER_COMMAND: usize = 64;
/// The maximum number of expired keys to remove at a time in the background. Removing this number of keys
/// takes about a millisecond.
const EXPIRED_PER_TURN: usize = 1000;

/// A point in time, in milliseconds since 1970.
pub(super) type Moment = i64;

pub(super) fn wall_clock() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A flag that is set when a watched key changes.
pub(super) type ChangeFlag = Rc<Cell<bool>>;

#[derive(Clone, Debug)]
pub(super) struct KeyEntry {
    pub(super) value: Value,
    /// When the key expires, or `None` if it never expires.
    pub(super) expires: Option<Moment>,
}

/// An expiry time, and the database and name of the key that expires at this time.
type Expiry = (Moment, usize, Rc<[u8]>);

/// The database and name of a key that a client watches.
pub(super) type WatchedKey = (usize, Rc<[u8]>);

#[derive(Debug)]
pub(super) struct Store {
    databases: Vec<Dict<KeyEntry>>,
    /// The expiry times of all keys that expire, the earliest first.
    expiries: BTreeSet<Expiry>,
    /// For each watched key, the flags to set when the key changes.
    watched: HashMap<WatchedKey, Vec<ChangeFlag>>,
    /// The memory that the data set uses, in bytes, calculated from the blocks that glibc allocates.
    pub(super) used: usize,
    /// A counter that increases with every change of the data set.
    pub(super) changes: u64,
    /// How many keys have expired so far.
    pub(super) expired: u64,
    /// The time that the current command uses as "now".
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
    /// Sets the store's clock to `now`, and removes some of the expired keys. The remaining expired keys are
    /// treated as missing.
    pub(super) fn advance(&mut self, now: Moment) {
        self.now = now;
        self.remove_expired(EXPIRED_PER_COMMAND);
    }

    /// Sets the store's clock to `now`, and removes expired keys for about a millisecond. Returns whether
    /// there might be more expired keys.
    pub(super) fn advance_in_background(&mut self, now: Moment) -> bool {
        self.now = now;
        self.remove_expired(EXPIRED_PER_TURN)
    }

    fn remove_expired(&mut self, most: usize) -> bool {
        for _ in 0..most {
            match self.expiries.first() {
                Some((moment, db, name)) if *moment <= self.now => {
                    let (db, name) = (*db, Rc::clone(name));
                    self.remove_if_expired(db, &name);
                }
                _ => return false,
            }
        }
        true
    }

    pub(super) fn remove_if_expired(&mut self, db: usize, name: &[u8]) {
        let entry = self.databases[db].get(name);
        if entry.is_some_and(|entry| !entry.is_alive(self.now)) {
            self.remove_entry(db, name);
            self.expired += 1;
        }
    }

    /// Returns the number of keys in a database. As in Redis, expired keys count until they are removed.
    pub(super) fn len(&self, db: usize) -> usize {
        self.databases[db].len()
    }

    pub(super) fn iter(&self, db: usize) -> impl Iterator<Item = (&[u8], &KeyEntry)> {
        let entries = self.databases[db].iter();
        entries.filter(|(_, entry)| entry.is_alive(self.now))
    }

    /// Scans a database as [`Dict::scan`] does, but omits expired keys.
    pub(super) fn scan(&self, db: usize, cursor: u64, count: usize) -> (u64, Vec<(&[u8], &KeyEntry)>) {
        let (next, mut found) = self.databases[db].scan(cursor, count);
        found.retain(|(_, entry)| entry.is_alive(self.now));
        (next, found)
    }

    pub(super) fn get(&self, db: usize, name: &[u8]) -> Option<&KeyEntry> {
        let entry = self.databases[db].get(name);
        entry.filter(|entry| entry.is_alive(self.now))
    }

    pub(super) fn put(&mut self, db: usize, name: &[u8], value: Value, expires: Option<Moment>) {
        if let Some((_, entry)) = self.databases[db].get_mut(name) {
            self.used = (self.used + value.bytes()).saturating_sub(entry.value.bytes());
            entry.value = value;
        } else {
            self.used += cost(name, &value);
            self.databases[db].insert(name.into(), KeyEntry { value, expires: None });
        }
        self.schedule(db, name, expires);
        self.changed(db, name);
    }

    /// Changes a value in place, and removes the key if the value is then empty. Returns the result of
    /// `change`, or `None` if the key does not exist. The caller must call [`Self::changed`].
    pub(super) fn edit<R>(
        &mut self,
        db: usize,
        name: &[u8],
        change: impl FnOnce(&mut Value) -> R,
    ) -> Option<R> {
        self.remove_if_expired(db, name);
        let (_, entry) = self.databases[db].get_mut(name)?;
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
        self.remove_if_expired(db, name);
        self.schedule(db, name, expires);
        self.changed(db, name);
    }

    /// Records a key's expiry time in the key's entry and in the index of expiry times.
    fn schedule(&mut self, db: usize, name: &[u8], expires: Option<Moment>) {
        let Some((name, entry)) = self.databases[db].get_mut(name) else {
            return;
        };
        if let Some(old) = std::mem::replace(&mut entry.expires, expires) {
            self.expiries.remove(&(old, db, Rc::clone(name)));
            self.used = self.used.saturating_sub(EXPIRY_COST);
        }
        if let Some(moment) = expires {
            self.expiries.insert((moment, db, Rc::clone(name)));
            self.used += EXPIRY_COST;
        }
    }

    /// Removes a key and returns its entry, or returns `None` if the key does not exist or has expired.
    pub(super) fn remove(&mut self, db: usize, name: &[u8]) -> Option<KeyEntry> {
        self.remove_if_expired(db, name);
        self.remove_entry(db, name)
    }

    fn remove_entry(&mut self, db: usize, name: &[u8]) -> Option<KeyEntry> {
        let entry = self.take(db, name)?;
        self.changed(db, name);
        Some(entry)
    }

    pub(super) fn clear(&mut self, db: usize) {
        for (name, entry) in std::mem::take(&mut self.databases[db]).iter() {
            self.forget(db, name, entry);
            self.changed(db, name);
        }
    }

    /// Records that a key has changed, so that watching clients are notified and the data is saved.
    pub(super) fn changed(&mut self, db: usize, name: &[u8]) {
        self.changes += 1;
        if self.watched.is_empty() {
            return;
        }
        if let Some(flags) = self.watched.get(&(db, name.into())) {
            flags.iter().for_each(|flag| flag.set(true));
        }
    }

    /// Registers `flag`, which is set when the key changes next.
    pub(super) fn watch(&mut self, key: WatchedKey, flag: &ChangeFlag) {
        // If the key has already expired, removing it later would count as a change.
        self.remove_if_expired(key.0, &key.1);
        self.watched.entry(key).or_default().push(Rc::clone(flag));
    }

    /// Undoes [`Store::watch`].
    pub(super) fn unwatch(&mut self, key: &WatchedKey, flag: &ChangeFlag) {
        if let Some(flags) = self.watched.get_mut(key) {
            flags.retain(|known| !Rc::ptr_eq(known, flag));
            if flags.is_empty() {
                self.watched.remove(key);
            }
        }
    }

    fn take(&mut self, db: usize, name: &[u8]) -> Option<KeyEntry> {
        let entry = self.databases[db].remove(name)?;
        self.forget(db, name, &entry);
        Some(entry)
    }

    /// Subtracts the memory of a removed key from `used`, and removes the key's expiry time from the index of
    /// expiry times.
    fn forget(&mut self, db: usize, name: &[u8], entry: &KeyEntry) {
        let mut freed = cost(name, &entry.value);
        if let Some(moment) = entry.expires {
            self.expiries.remove(&(moment, db, name.into()));
            freed += EXPIRY_COST;
        }
        self.used = self.used.saturating_sub(freed);
    }
}

impl KeyEntry {
    fn is_alive(&self, now: Moment) -> bool {
        self.expires.is_none_or(|moment| moment > now)
    }
}

/// Returns the memory that a key and its value use, in bytes. Does not include the memory for an expiry time.
fn cost(name: &[u8], value: &Value) -> usize {
    KEY_COST + allocated(COUNTS + name.len()) + value.bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_its_memory_are_gone_at_its_millisecond() {
        let mut store = Store::default();
        store.advance(0);
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
        store.advance(0);
        store.put(0, b"k", Value::Text(b"v".to_vec()), Some(1000));
        let key: WatchedKey = (0, b"k"[..].into());
        store.watch(key.clone(), &flag);
        store.advance(1000);
        assert!(flag.get());
        store.unwatch(&key, &flag);
        assert!(store.watched.is_empty());
    }

    #[test]
    fn many_keys_that_expire_at_once_are_gone_at_once_and_removed_in_turns() {
        let mut store = Store::default();
        store.advance(0);
        for number in 0..5000u32 {
            store.put(0, &number.to_be_bytes(), Value::Text(Vec::new()), Some(1000));
        }
        store.advance(1000);
        assert!(store.len(0) > 4000);
        assert!(store.get(0, &4999u32.to_be_bytes()).is_none());
        assert_eq!(store.iter(0).count(), 0);
        assert!(store.remove(0, &4999u32.to_be_bytes()).is_none());
        let mut turns = 1;
        while store.advance_in_background(1000) {
            turns += 1;
        }
        assert_eq!((store.len(0), store.used, store.expired, turns), (0, 0, 5000, 5));
    }

    #[test]
    fn all_memory_is_released() {
        let mut store = Store::default();
        for number in 0..100u32 {
            store.put(0, b"hash", Value::empty_hash(), None);
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
