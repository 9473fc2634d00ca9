//! The values of keys, with those effects of Redis 7.0's encodings that learners can see: small hashes keep the order
//! of their fields (HGETALL), and sets of integers are sorted (SMEMBERS).

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
    Hash(Collection),
    /// A set. The values in its collection are empty.
    Set(Collection),
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
            Self::Hash(hash) if hash.is_compact => "listpack",
            Self::Set(set) if set.is_compact => "intset",
            Self::Hash(_) | Self::Set(_) => "hashtable",
        }
    }

    /// Approximate memory use.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Hash(elements) | Self::Set(elements) => elements.bytes,
        }
    }

    /// Whether the value has no elements. Redis then removes the key.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::Hash(elements) | Self::Set(elements) => elements.len() == 0,
        }
    }
}

/// An element's name and value.
pub(super) type Pair<'a> = (&'a [u8], &'a Vec<u8>);

/// The elements of a hash or a set.
#[derive(Clone, Debug)]
pub(super) struct Collection {
    elements: Dict<Vec<u8>>,
    bytes: usize,
    /// Whether Redis would use the compact encoding. Once a collection has become a hash table, it stays one.
    is_compact: bool,
    is_set: bool,
}

impl Collection {
    pub(super) fn empty_hash() -> Self {
        Self {
            elements: Dict::default(),
            bytes: 0,
            is_compact: true,
            is_set: false,
        }
    }

    pub(super) fn empty_set() -> Self {
        Self {
            is_set: true,
            ..Self::empty_hash()
        }
    }

    pub(super) fn len(&self) -> usize {
        self.elements.len()
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&Vec<u8>> {
        self.elements.get(name)
    }

    /// Sets fields of a hash. Returns the number of new fields.
    pub(super) fn set_fields(&mut self, fields: &[(&[u8], &[u8])]) -> usize {
        let is_short = |(name, value): &(&[u8], &[u8])| name.len().max(value.len()) <= LISTPACK_VALUE;
        // Redis checks all fields before it sets any.
        self.is_compact &= fields.iter().all(is_short);
        let mut added = 0;
        for (name, value) in fields {
            added += usize::from(self.insert(name, value.to_vec()));
            self.is_compact &= self.len() <= LISTPACK_ENTRIES;
        }
        added
    }

    /// Adds a member to a set. Returns whether it is new.
    pub(super) fn add_member(&mut self, member: &[u8]) -> bool {
        let is_new = self.insert(member, Vec::new());
        self.is_compact &= integer(member).is_some() && self.len() <= INTSET_ENTRIES;
        is_new
    }

    fn insert(&mut self, name: &[u8], value: Vec<u8>) -> bool {
        self.bytes += value.len();
        let old = self.elements.insert(name, value);
        match &old {
            Some(old) => self.bytes -= old.len(),
            None => self.bytes += name.len() + ELEMENT_COST,
        }
        old.is_none()
    }

    /// Removes an element. Returns whether it existed.
    pub(super) fn remove(&mut self, name: &[u8]) -> bool {
        let old = self.elements.remove(name);
        if let Some(old) = &old {
            self.bytes -= old.len() + name.len() + ELEMENT_COST;
        }
        old.is_some()
    }

    /// Returns all elements in order of insertion, or in ascending order for a compact set.
    pub(super) fn pairs(&self) -> Vec<Pair<'_>> {
        let mut pairs: Vec<Pair<'_>> = self.elements.iter().collect();
        if self.is_set && self.is_compact {
            pairs.sort_by_key(|(member, _)| integer(member));
        }
        pairs
    }

    /// Performs one call of a scan. A compact collection is returned in one call.
    pub(super) fn scan(&self, cursor: u64, count: usize) -> (u64, Vec<Pair<'_>>) {
        if self.is_compact {
            (0, self.pairs())
        } else {
            self.elements.scan(cursor, count)
        }
    }

    pub(super) fn random_pair(&self) -> Option<Pair<'_>> {
        self.elements.random_entry()
    }
}
