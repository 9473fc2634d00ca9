//! What a key can hold, in the encodings of Redis 7.0: small hashes keep the order of their fields, small sets of
//! numbers are sorted. Learners see both in HGETALL and SMEMBERS.

use std::collections::BTreeSet;

use super::dict::Dict;
use super::request::integer;

/// `hash-max-listpack-entries`
const LISTPACK_ENTRIES: usize = 128;
/// `hash-max-listpack-value`, in bytes
const LISTPACK_VALUE: usize = 64;
/// `set-max-intset-entries`
const INTSET_ENTRIES: usize = 512;
/// The longest string that Redis allocates in one piece with its header.
const EMBEDDED: usize = 44;
/// What an element costs in memory beside its bytes.
const ELEMENT_COST: usize = 48;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(Text),
    Hash(Hash),
    Set(Set),
}

impl Value {
    /// The word of TYPE.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Hash(_) => "hash",
            Self::Set(_) => "set",
        }
    }

    /// The word of OBJECT ENCODING.
    pub(super) fn encoding(&self) -> &'static str {
        match self {
            Self::Text(text) => text.encoding(),
            Self::Hash(Hash {
                fields: Fields::Small(_),
                ..
            }) => "listpack",
            Self::Set(Set {
                members: Members::Numbers(_),
                ..
            }) => "intset",
            Self::Hash(_) | Self::Set(_) => "hashtable",
        }
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.bytes.len(),
            Self::Hash(hash) => hash.bytes,
            Self::Set(set) => set.bytes,
        }
    }

    /// Whether nothing is left in it: such a key is removed.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::Hash(hash) => hash.len() == 0,
            Self::Set(set) => set.len() == 0,
        }
    }
}

/// A string.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    form: Form,
}

/// How Redis would keep a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As a number where it is one.
    Compact,
    /// As it was computed, even where it looks like a number.
    Computed,
    /// With room to grow: APPEND was here.
    Growing,
}

impl Text {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            form: Form::Compact,
        }
    }

    /// The result of INCRBYFLOAT, which stays a string.
    pub(super) fn computed(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            form: Form::Computed,
        }
    }

    pub(super) fn append(&mut self, more: &[u8]) {
        self.bytes.extend_from_slice(more);
        self.form = Form::Growing;
    }

    fn encoding(&self) -> &'static str {
        match self.form {
            Form::Growing => "raw",
            Form::Compact if integer(&self.bytes).is_some() => "int",
            _ if self.bytes.len() <= EMBEDDED => "embstr",
            _ => "raw",
        }
    }
}

/// A field and its value.
pub(super) type Pair<'a> = (&'a Vec<u8>, &'a Vec<u8>);

/// Fields and their values.
#[derive(Clone, Debug)]
pub(super) struct Hash {
    fields: Fields,
    bytes: usize,
}

#[derive(Clone, Debug)]
enum Fields {
    /// In the order in which they came.
    Small(Vec<(Vec<u8>, Vec<u8>)>),
    Large(Dict<Vec<u8>>),
}

impl Default for Hash {
    fn default() -> Self {
        Self {
            fields: Fields::Small(Vec::new()),
            bytes: 0,
        }
    }
}

impl Hash {
    pub(super) fn len(&self) -> usize {
        match &self.fields {
            Fields::Small(fields) => fields.len(),
            Fields::Large(fields) => fields.len(),
        }
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&Vec<u8>> {
        match &self.fields {
            Fields::Small(fields) => fields
                .iter()
                .find(|(field, _)| field == name)
                .map(|(_, value)| value),
            Fields::Large(fields) => fields.get(name),
        }
    }

    /// Sets a field; whether it is new.
    pub(super) fn set(&mut self, name: &[u8], value: Vec<u8>) -> bool {
        if name.len() > LISTPACK_VALUE || value.len() > LISTPACK_VALUE {
            self.grow();
        }
        let added = value.len();
        let old = match &mut self.fields {
            Fields::Large(fields) => fields.insert(name.to_vec(), value),
            Fields::Small(fields) => match fields.iter_mut().find(|(field, _)| field == name) {
                Some((_, old)) => Some(std::mem::replace(old, value)),
                None => {
                    fields.push((name.to_vec(), value));
                    None
                }
            },
        };
        self.bytes += added;
        match &old {
            Some(old) => self.bytes -= old.len(),
            None => self.bytes += name.len() + ELEMENT_COST,
        }
        if self.len() > LISTPACK_ENTRIES {
            self.grow();
        }
        old.is_none()
    }

    /// Becomes a table where one of the words that a command is about to set is long, as Redis does before it sets any.
    pub(super) fn make_room_for(&mut self, words: &[Vec<u8>]) {
        if words.iter().any(|word| word.len() > LISTPACK_VALUE) {
            self.grow();
        }
    }

    /// Removes a field; whether it was there.
    pub(super) fn remove(&mut self, name: &[u8]) -> bool {
        let old = match &mut self.fields {
            Fields::Large(fields) => fields.remove(name),
            Fields::Small(fields) => {
                let index = fields.iter().position(|(field, _)| field == name);
                index.map(|index| fields.remove(index).1)
            }
        };
        if let Some(old) = &old {
            self.bytes -= old.len() + name.len() + ELEMENT_COST;
        }
        old.is_some()
    }

    /// All fields, in the order in which they are shown.
    pub(super) fn pairs(&self) -> Vec<Pair<'_>> {
        match &self.fields {
            Fields::Small(fields) => fields.iter().map(|(field, value)| (field, value)).collect(),
            Fields::Large(fields) => fields.iter().collect(),
        }
    }

    /// A part of the fields for HSCAN; a small hash comes in one piece.
    pub(super) fn walk(&self, cursor: u64, count: usize) -> (u64, Vec<Pair<'_>>) {
        match &self.fields {
            Fields::Small(_) => (0, self.pairs()),
            Fields::Large(fields) => fields.walk(cursor, count),
        }
    }

    /// A field picked at random.
    pub(super) fn pick(&self) -> Option<(&Vec<u8>, &Vec<u8>)> {
        match &self.fields {
            Fields::Small(fields) if fields.is_empty() => None,
            Fields::Small(fields) => {
                let index = usize::try_from(super::random::number() % fields.len() as u64).unwrap_or(0);
                fields.get(index).map(|(field, value)| (field, value))
            }
            Fields::Large(fields) => fields.pick(),
        }
    }

    fn grow(&mut self) {
        if let Fields::Small(fields) = &mut self.fields {
            let mut table = Dict::default();
            for (field, value) in fields.drain(..) {
                table.insert(field, value);
            }
            self.fields = Fields::Large(table);
        }
    }
}

/// Members, each once.
#[derive(Clone, Debug)]
pub(super) struct Set {
    members: Members,
    bytes: usize,
}

#[derive(Clone, Debug)]
enum Members {
    Numbers(BTreeSet<i64>),
    Any(Dict<()>),
}

impl Default for Set {
    fn default() -> Self {
        Self {
            members: Members::Numbers(BTreeSet::new()),
            bytes: 0,
        }
    }
}

impl Set {
    pub(super) fn len(&self) -> usize {
        match &self.members {
            Members::Numbers(members) => members.len(),
            Members::Any(members) => members.len(),
        }
    }

    pub(super) fn contains(&self, member: &[u8]) -> bool {
        match &self.members {
            Members::Numbers(members) => integer(member).is_some_and(|number| members.contains(&number)),
            Members::Any(members) => members.get(member).is_some(),
        }
    }

    /// Adds a member; whether it is new.
    pub(super) fn add(&mut self, member: &[u8]) -> bool {
        let number = integer(member);
        if number.is_none() {
            self.grow();
        }
        let is_new = match (&mut self.members, number) {
            (Members::Numbers(members), Some(number)) => members.insert(number),
            (Members::Any(members), _) => {
                members.get(member).is_none() && members.insert(member.to_vec(), ()).is_none()
            }
            (Members::Numbers(_), None) => false,
        };
        if is_new {
            self.bytes += member.len() + ELEMENT_COST;
        }
        if matches!(&self.members, Members::Numbers(members) if members.len() > INTSET_ENTRIES) {
            self.grow();
        }
        is_new
    }

    /// Removes a member; whether it was there.
    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let was_there = match &mut self.members {
            Members::Numbers(members) => integer(member).is_some_and(|number| members.remove(&number)),
            Members::Any(members) => members.remove(member).is_some(),
        };
        if was_there {
            self.bytes -= member.len() + ELEMENT_COST;
        }
        was_there
    }

    /// All members, in the order in which they are shown.
    pub(super) fn members(&self) -> Vec<Vec<u8>> {
        match &self.members {
            Members::Numbers(members) => members
                .iter()
                .map(|number| number.to_string().into_bytes())
                .collect(),
            Members::Any(members) => members.iter().map(|(member, ())| member.clone()).collect(),
        }
    }

    /// A part of the members for SSCAN; a set of numbers comes in one piece.
    pub(super) fn walk(&self, cursor: u64, count: usize) -> (u64, Vec<Vec<u8>>) {
        match &self.members {
            Members::Numbers(_) => (0, self.members()),
            Members::Any(members) => {
                let (next, found) = members.walk(cursor, count);
                (
                    next,
                    found.into_iter().map(|(member, ())| member.clone()).collect(),
                )
            }
        }
    }

    fn grow(&mut self) {
        if let Members::Numbers(numbers) = &self.members {
            let mut table = Dict::default();
            for number in numbers {
                table.insert(number.to_string().into_bytes(), ());
            }
            self.members = Members::Any(table);
        }
    }
}
