//! Stores the values of keys. They imitate those effects of Redis 7.0's encodings that learners can see.
//! Small hashes keep the order of their fields, and small sets of integers are sorted.

use std::rc::Rc;

use super::dict::Dict;
use super::packed::Packed;
use super::words::integer;
use crate::random;

/// The maximum number of fields in a hash with the encoding `listpack`, as in Redis's default for
/// `hash-max-listpack-entries`.
const LISTPACK_ENTRIES: usize = 128;
/// The maximum length in bytes of a field or value in a hash with the encoding `listpack`, as in Redis's
/// default for `hash-max-listpack-value`.
const LISTPACK_VALUE: usize = 64;
/// The maximum number of members in a set with the encoding `intset`, as in Redis's default for
/// `set-max-intset-entries`.
const INTSET_ENTRIES: usize = 512;
/// The length in bytes of the longest string that has the encoding `embstr`.
const EMBEDDED: usize = 44;
/// The memory in bytes that an element of a hash or set uses, excluding its name and value. It includes the
/// entry, its hash, and its slot in the hash table.
const ELEMENT_COST: usize = size_of::<(Rc<[u8]>, Box<[u8]>)>() + 24;
/// The memory in bytes that an empty hash table uses: its header, the smallest index, and room for three
/// elements.
const TABLE_COST: usize = size_of::<Table>() + 208;

/// Returns how much memory glibc allocates for a block of `bytes` bytes.
pub(super) fn allocated(bytes: usize) -> usize {
    if bytes == 0 {
        0
    } else {
        (bytes + 8).next_multiple_of(16).max(32)
    }
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(Vec<u8>),
    Hash(Collection),
    /// A set. The names of the elements are its members, and all values are empty.
    Set(Collection),
}

impl Value {
    pub(super) fn empty_hash() -> Self {
        Self::Hash(Collection::empty(false))
    }

    pub(super) fn empty_set() -> Self {
        Self::Set(Collection::empty(true))
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Hash(_) => "hash",
            Self::Set(_) => "set",
        }
    }

    pub(super) fn encoding(&self) -> &'static str {
        match self {
            Self::Text(text) if integer(text).is_some() => "int",
            Self::Text(text) if text.len() <= EMBEDDED => "embstr",
            Self::Text(_) => "raw",
            Self::Hash(hash) if hash.is_packed() => "listpack",
            Self::Set(set) if set.is_packed() => "intset",
            Self::Hash(_) | Self::Set(_) => "hashtable",
        }
    }

    /// Returns the memory that the value uses, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => allocated(text.capacity()),
            Self::Hash(elements) | Self::Set(elements) => elements.bytes(),
        }
    }

    /// Whether the value is a hash or set without elements. As in Redis, the key of such a value is removed.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::Hash(elements) | Self::Set(elements) => elements.len() == 0,
        }
    }
}

/// The name and value of an element of a hash or set. The value is empty in a set.
pub(super) type Pair<'a> = (&'a [u8], &'a [u8]);

/// The elements of a hash or a set, in a compact encoding or the encoding `hashtable`. As in Redis, the
/// encoding `hashtable` is never changed back.
#[derive(Clone, Debug)]
pub(super) struct Collection {
    elements: Elements,
    is_set: bool,
}

#[derive(Clone, Debug)]
enum Elements {
    /// The compact encoding: `listpack` for a hash, or `intset` for a set.
    Packed(Packed),
    /// The encoding `hashtable`.
    Table(Box<Table>),
}

#[derive(Clone, Debug, Default)]
struct Table {
    dict: Dict<Box<[u8]>>,
    bytes: usize,
}

impl Collection {
    fn empty(is_set: bool) -> Self {
        Self {
            elements: Elements::Packed(Packed::default()),
            is_set,
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.elements {
            Elements::Packed(packed) => packed.len(),
            Elements::Table(table) => table.dict.len(),
        }
    }

    /// Returns the memory that the collection uses, in bytes.
    fn bytes(&self) -> usize {
        match &self.elements {
            Elements::Packed(packed) => allocated(packed.capacity()),
            Elements::Table(table) => TABLE_COST + table.bytes,
        }
    }

    fn is_packed(&self) -> bool {
        matches!(self.elements, Elements::Packed(_))
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        match &self.elements {
            Elements::Packed(packed) => packed.get(name),
            Elements::Table(table) => table.dict.get(name).map(|value| &**value),
        }
    }

    /// Sets fields of a hash. Returns the number of new fields.
    pub(super) fn set_fields(&mut self, fields: &[Pair<'_>]) -> usize {
        // Redis checks the lengths of all fields before it sets any.
        if fields
            .iter()
            .any(|(name, value)| name.len().max(value.len()) > LISTPACK_VALUE)
        {
            self.unpack();
        }
        let mut added = 0;
        for (name, value) in fields {
            added += usize::from(self.insert(name, value, LISTPACK_ENTRIES));
        }
        added
    }

    /// Adds a member to a set. Returns whether the member is new.
    pub(super) fn add_member(&mut self, member: &[u8]) -> bool {
        if integer(member).is_none() {
            self.unpack();
        }
        self.insert(member, b"", INTSET_ENTRIES)
    }

    /// Adds an element, or replaces its value. Changes the encoding if the collection then has more than
    /// `most_packed` elements. Returns whether the element is new.
    fn insert(&mut self, name: &[u8], value: &[u8], most_packed: usize) -> bool {
        match &mut self.elements {
            Elements::Packed(packed) => {
                let is_new = packed.insert(name, value);
                if is_new && packed.len() > most_packed {
                    self.unpack();
                }
                is_new
            }
            Elements::Table(table) => table.insert(name, value),
        }
    }

    /// Changes the encoding of the elements to `hashtable`.
    fn unpack(&mut self) {
        if self.is_packed() {
            let mut table = Box::<Table>::default();
            for (name, value) in self.pairs() {
                table.insert(name, value);
            }
            self.elements = Elements::Table(table);
        }
    }

    /// Removes an element. Returns whether the element existed.
    pub(super) fn remove(&mut self, name: &[u8]) -> bool {
        match &mut self.elements {
            Elements::Packed(packed) => packed.remove(name),
            Elements::Table(table) => table.remove(name),
        }
    }

    /// Returns all elements. They are in ascending order if this is a set with the encoding `intset`.
    pub(super) fn pairs(&self) -> Vec<Pair<'_>> {
        match &self.elements {
            Elements::Packed(packed) => {
                let mut pairs: Vec<Pair<'_>> = packed.iter().collect();
                if self.is_set {
                    pairs.sort_by_key(|(member, _)| integer(member));
                }
                pairs
            }
            Elements::Table(table) => table.dict.iter().map(|(name, value)| (name, &**value)).collect(),
        }
    }

    /// Like [`Dict::scan`](super::dict::Dict::scan), but ignores `count` and returns all elements if the
    /// encoding is compact.
    pub(super) fn scan(&self, cursor: u64, count: usize) -> (u64, Vec<Pair<'_>>) {
        match &self.elements {
            Elements::Packed(_) => (0, self.pairs()),
            Elements::Table(table) => {
                let (next, found) = table.dict.scan(cursor, count);
                (
                    next,
                    found.into_iter().map(|(name, value)| (name, &**value)).collect(),
                )
            }
        }
    }

    /// Returns a random element, or `None` if there are no elements. All elements have the same probability.
    pub(super) fn random_pair(&self) -> Option<Pair<'_>> {
        match &self.elements {
            Elements::Packed(packed) => packed.iter().nth(random::below(packed.len())),
            Elements::Table(table) => table.dict.random_entry().map(|(name, value)| (name, &**value)),
        }
    }
}

impl Table {
    fn insert(&mut self, name: &[u8], value: &[u8]) -> bool {
        self.bytes += allocated(value.len());
        if let Some((_, old)) = self.dict.get_mut(name) {
            self.bytes -= allocated(old.len());
            *old = value.into();
            return false;
        }
        self.dict.insert(name.into(), value.into());
        self.bytes += element_cost(name);
        true
    }

    fn remove(&mut self, name: &[u8]) -> bool {
        let old = self.dict.remove(name);
        if let Some(old) = &old {
            self.bytes -= allocated(old.len()) + element_cost(name);
        }
        old.is_some()
    }
}

/// Returns the memory in bytes that an element with an empty value uses in a hash table.
fn element_cost(name: &[u8]) -> usize {
    ELEMENT_COST + allocated(2 * size_of::<usize>() + name.len())
}
