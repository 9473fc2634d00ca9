//! Stores a small collection in a single block of memory, like Redis's listpack. Most sessions are stored in
//! this form, because they have only three short fields.

use std::ops::Range;

/// Names and values of at most 255 bytes, in order of insertion. Before each name and each value, one byte
/// contains its length.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed(Vec<u8>);

impl Packed {
    pub(super) fn len(&self) -> usize {
        self.iter().count()
    }

    pub(super) fn capacity(&self) -> usize {
        self.0.capacity()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.places()
            .map(|place| (&self.0[place.name], &self.0[place.value]))
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.find(name).map(|place| &self.0[place.value])
    }

    /// Adds an entry, or replaces its value. Returns whether the entry is new.
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) -> bool {
        let found = self.find(name);
        if let Some(place) = &found {
            let with_length = place.value.start - 1..place.value.end;
            self.0.splice(with_length, with_its_length(value));
        } else {
            self.0.extend(with_its_length(name).chain(with_its_length(value)));
        }
        found.is_none()
    }

    /// Removes an entry. Returns whether the entry existed.
    pub(super) fn remove(&mut self, name: &[u8]) -> bool {
        let found = self.find(name);
        if let Some(place) = &found {
            self.0.drain(place.name.start - 1..place.value.end);
        }
        found.is_some()
    }

    fn find(&self, name: &[u8]) -> Option<Place> {
        self.places().find(|place| &self.0[place.name.clone()] == name)
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let name = self.word(at)?;
            let value = self.word(name.end)?;
            at = value.end;
            Some(Place { name, value })
        })
    }

    /// Returns the range of the word whose length byte is at position `at`, or `None` at the end of the
    /// block.
    fn word(&self, at: usize) -> Option<Range<usize>> {
        let length = usize::from(*self.0.get(at)?);
        Some(at + 1..at + 1 + length)
    }
}

/// The position of an entry in the bytes of a [`Packed`].
struct Place {
    name: Range<usize>,
    value: Range<usize>,
}

fn with_its_length(word: &[u8]) -> impl Iterator<Item = u8> {
    let length = u8::try_from(word.len()).expect("only short words are packed");
    std::iter::once(length).chain(word.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_their_order() {
        let mut packed = Packed::default();
        for (name, value) in [("a", "1"), ("", ""), ("b", "22"), ("c", "3")] {
            assert!(packed.insert(name.as_bytes(), value.as_bytes()));
        }
        assert!(!packed.insert(b"b", b"a longer value"));
        assert!(packed.remove(b"a") && !packed.remove(b"a"));
        let pairs: Vec<_> = packed.iter().collect();
        assert_eq!(
            pairs,
            [(&b""[..], &b""[..]), (b"b", b"a longer value"), (b"c", b"3")]
        );
        assert_eq!(
            (packed.len(), packed.get(b"c"), packed.get(b"d")),
            (3, Some(&b"3"[..]), None)
        );
    }
}
