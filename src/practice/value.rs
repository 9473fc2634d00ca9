//! The values of keys, with the encodings of Redis 7.0 as far as learners see them: small hashes keep the order of their
//! fields (HGETALL), sets of integers are sorted (SMEMBERS).

use super::dict::Dict;
use super::request::integer;

/// `hash-max-listpack-entries`
const LISTPACK_ENTRIES: usize = 128;
/// `hash-max-listpack-value`, in bytes
const LISTPACK_VALUE: usize = 64;
/// `set-max-intset-entries`
const INTSET_ENTRIES: usize = 512;
/// The longest string that Redis allocates together with its header.
const EMBEDDED: usize = 44;
/// The memory that an element needs in addition to its bytes.
const ELEMENT_COST: usize = 48;

#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(Vec<u8>),
    Hash(HashValue),
    Set(SetValue),
}

impl Value {
    /// The reply to TYPE.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Hash(_) => "hash",
            Self::Set(_) => "set",
        }
    }

    /// The reply to OBJECT ENCODING.
    pub(super) fn encoding(&self) -> &'static str {
        match self {
            Self::Text(text) if integer(text).is_some() => "int",
            Self::Text(text) if text.len() <= EMBEDDED => "embstr",
            Self::Text(_) => "raw",
            Self::Hash(hash) if hash.is_small => "listpack",
            Self::Set(set) if set.has_only_integers => "intset",
            Self::Hash(_) | Self::Set(_) => "hashtable",
        }
    }

    /// Approximate memory use.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Hash(hash) => hash.bytes,
            Self::Set(set) => set.bytes,
        }
    }

    /// Whether the last element is gone; Redis then removes the key.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::Hash(hash) => hash.len() == 0,
            Self::Set(set) => set.len() == 0,
        }
    }
}

/// A field and its value.
pub(super) type Pair<'a> = (&'a [u8], &'a Vec<u8>);

#[derive(Clone, Debug)]
pub(super) struct HashValue {
    fields: Dict<Vec<u8>>,
    bytes: usize,
    /// Whether Redis would use a listpack. A hash that has grown stays a hash table.
    is_small: bool,
}

impl Default for HashValue {
    fn default() -> Self {
        Self {
            fields: Dict::default(),
            bytes: 0,
            is_small: true,
        }
    }
}

impl HashValue {
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&Vec<u8>> {
        self.fields.get(name)
    }

    /// Sets a field; whether it is new.
    pub(super) fn set(&mut self, name: &[u8], value: Vec<u8>) -> bool {
        self.note_sizes(&[name, &value]);
        self.bytes += value.len();
        let old = self.fields.insert(name, value);
        match &old {
            Some(old) => self.bytes -= old.len(),
            None => self.bytes += name.len() + ELEMENT_COST,
        }
        self.is_small &= self.len() <= LISTPACK_ENTRIES;
        old.is_none()
    }

    /// Turns into a hash table if a word that a command is about to set is long; Redis does so before it sets any.
    pub(super) fn note_sizes<W: AsRef<[u8]>>(&mut self, words: &[W]) {
        self.is_small &= words.iter().all(|word| word.as_ref().len() <= LISTPACK_VALUE);
    }

    /// Removes a field; whether it existed.
    pub(super) fn remove(&mut self, name: &[u8]) -> bool {
        let old = self.fields.remove(name);
        if let Some(old) = &old {
            self.bytes -= old.len() + name.len() + ELEMENT_COST;
        }
        old.is_some()
    }

    pub(super) fn pairs(&self) -> Vec<Pair<'_>> {
        self.fields.iter().collect()
    }

    /// One part of an HSCAN; a small hash is returned whole.
    pub(super) fn scan(&self, cursor: u64, count: usize) -> (u64, Vec<Pair<'_>>) {
        if self.is_small {
            (0, self.pairs())
        } else {
            self.fields.scan(cursor, count)
        }
    }

    pub(super) fn random_pair(&self) -> Option<Pair<'_>> {
        self.fields.random_entry()
    }
}

#[derive(Clone, Debug)]
pub(super) struct SetValue {
    members: Dict<()>,
    bytes: usize,
    /// Whether Redis would use an intset. A set that has grown, or had another member, stays a hash table.
    has_only_integers: bool,
}

impl Default for SetValue {
    fn default() -> Self {
        Self {
            members: Dict::default(),
            bytes: 0,
            has_only_integers: true,
        }
    }
}

impl SetValue {
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn contains(&self, member: &[u8]) -> bool {
        self.members.get(member).is_some()
    }

    /// Adds a member; whether it is new.
    pub(super) fn add(&mut self, member: &[u8]) -> bool {
        let is_new = self.members.insert(member, ()).is_none();
        if is_new {
            self.bytes += member.len() + ELEMENT_COST;
            self.has_only_integers &= integer(member).is_some() && self.len() <= INTSET_ENTRIES;
        }
        is_new
    }

    /// Removes a member; whether it existed.
    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let existed = self.members.remove(member).is_some();
        if existed {
            self.bytes -= member.len() + ELEMENT_COST;
        }
        existed
    }

    /// All members; integers in ascending order.
    pub(super) fn members(&self) -> Vec<Vec<u8>> {
        let mut members: Vec<Vec<u8>> = self.members.iter().map(|(member, ())| member.to_vec()).collect();
        if self.has_only_integers {
            members.sort_by_key(|member| integer(member));
        }
        members
    }

    /// One part of an SSCAN; a set of integers is returned whole.
    pub(super) fn scan(&self, cursor: u64, count: usize) -> (u64, Vec<Vec<u8>>) {
        if self.has_only_integers {
            return (0, self.members());
        }
        let (next, found) = self.members.scan(cursor, count);
        (
            next,
            found.into_iter().map(|(member, ())| member.to_vec()).collect(),
        )
    }
}
