//! Writing the items of a document. Names, counts and lengths are right by construction.

use alloc::vec::Vec;

use super::check;
use super::item::{Item, NULL};
use super::walk::{FEW, INDEX, index};
use crate::cbor::{MAX_DEPTH, WireError, encode, major, skip};

/// Writes the members of an object, or the fields of a document. See [`DocumentBuf::new`](super::DocumentBuf::new).
#[derive(Debug)]
pub struct ObjectWriter<'w> {
    bytes: &'w mut Vec<u8>,
    /// Where the members begin.
    start: usize,
    members: usize,
    depth: u32,
}

/// Writes the elements of a list.
#[derive(Debug)]
pub struct ListWriter<'w> {
    bytes: &'w mut Vec<u8>,
    elements: usize,
    depth: u32,
}

/// The place of one item: each of its methods writes it. Without a call of one there is no member or element.
#[derive(Debug)]
#[must_use = "the item is written by a method such as `str`"]
pub struct ItemWriter<'w> {
    bytes: &'w mut Vec<u8>,
    name: Option<&'w str>,
    count: &'w mut usize,
    /// Levels above.
    depth: u32,
}

impl<'w> ObjectWriter<'w> {
    /// Writes a map with the members that `fill` writes.
    pub(super) fn fields<E>(
        bytes: &'w mut Vec<u8>,
        fill: impl FnOnce(&mut ObjectWriter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = bytes.len();
        let mut object = ObjectWriter { bytes, start, members: 0, depth: 1 };
        fill(&mut object)?;
        let ObjectWriter { bytes, members, .. } = object;
        let head = object_head(bytes.get(start..).unwrap_or_default(), members);
        bytes.splice(start..start, head);
        Ok(())
    }

    /// The place of a member with this name.
    ///
    /// # Panics
    /// If the object has such a member.
    pub fn put<'p>(&'p mut self, name: &'p str) -> ItemWriter<'p> {
        assert!(!self.has(name), "the object has a member of this name; put each name once");
        self.put_new(name)
    }

    /// The same for a name that the object is known not to have.
    pub(super) fn put_new<'p>(&'p mut self, name: &'p str) -> ItemWriter<'p> {
        ItemWriter { bytes: self.bytes, name: Some(name), count: &mut self.members, depth: self.depth }
    }

    /// Whether a member of this name was written.
    fn has(&self, name: &str) -> bool {
        let mut at = self.start;
        (0..self.members).any(|_| {
            let written = self.bytes.get(at..).unwrap_or_default();
            let found = crate::cbor::scan::text(written) == Some(name);
            at = skip(self.bytes, at).and_then(|value| skip(self.bytes, value)).unwrap_or(self.bytes.len());
            found
        })
    }
}

impl ListWriter<'_> {
    /// The place of the next element.
    pub fn push(&mut self) -> ItemWriter<'_> {
        ItemWriter { bytes: self.bytes, name: None, count: &mut self.elements, depth: self.depth }
    }

    /// The number of elements written.
    pub(super) const fn elements(&self) -> usize {
        self.elements
    }
}

impl<'w> ItemWriter<'w> {
    /// Counts the item and writes its name.
    fn begin(self) -> &'w mut Vec<u8> {
        *self.count += 1;
        if let Some(name) = self.name {
            encode::element(self.bytes, name);
        }
        self.bytes
    }

    /// Writes a text.
    pub fn str(self, value: &str) {
        encode::element(self.begin(), value);
    }

    /// Writes a truth value.
    pub fn bool(self, value: bool) {
        encode::element(self.begin(), value);
    }

    /// Writes an integer.
    pub fn i64(self, value: i64) {
        encode::element(self.begin(), value);
    }

    /// Writes an integer.
    pub fn u64(self, value: u64) {
        encode::unsigned(self.begin(), value);
    }

    /// Writes a number with a fraction. JSON has no NaN and no infinities: they become null there.
    pub fn f64(self, value: f64) {
        encode::element(self.begin(), value);
    }

    /// Writes null.
    pub fn null(self) {
        encode::mark(self.begin(), NULL);
    }

    /// Writes a copy of an item of a document, or of its fields.
    ///
    /// # Errors
    /// [`WireError`] if its bytes are no item of a document, or if objects and lists would be nested deeper than [`MAX_DEPTH`]
    /// levels; then nothing is written.
    pub fn item(self, item: Item<'_>) -> Result<(), WireError> {
        let (bytes, depth) = (item.bytes(), MAX_DEPTH - self.depth);
        // The fields of a document are the one object that is not embedded.
        let is_bare = bytes.first().is_some_and(|initial| matches!(initial >> 5, major::ARRAY | major::MAP));
        let end = if is_bare { check::container(bytes, 0, depth)? } else { check::item(bytes, 0, depth)? };
        let to = self.begin();
        if is_bare {
            encode::embedded_of(to, end);
        }
        to.extend_from_slice(bytes.get(..end).unwrap_or_default());
        Ok(())
    }

    /// Writes an object with the members that `fill` writes.
    ///
    /// # Panics
    /// If objects and lists are nested deeper than [`MAX_DEPTH`] levels.
    pub fn object<R>(self, fill: impl FnOnce(&mut ObjectWriter<'_>) -> R) -> R {
        let depth = self.deeper();
        let bytes = self.begin();
        let start = bytes.len();
        let mut object = ObjectWriter { bytes, start, members: 0, depth };
        let filled = fill(&mut object);
        let ObjectWriter { bytes, members, .. } = object;
        let head = object_head(bytes.get(start..).unwrap_or_default(), members);
        embed(bytes, start, head);
        filled
    }

    /// Writes a list with the elements that `fill` writes.
    ///
    /// # Panics
    /// If objects and lists are nested deeper than [`MAX_DEPTH`] levels.
    pub fn list<R>(self, fill: impl FnOnce(&mut ListWriter<'_>) -> R) -> R {
        let depth = self.deeper();
        let bytes = self.begin();
        let start = bytes.len();
        let mut list = ListWriter { bytes, elements: 0, depth };
        let filled = fill(&mut list);
        let ListWriter { bytes, elements, .. } = list;
        let mut head = Vec::new();
        encode::array_of(&mut head, elements);
        embed(bytes, start, head);
        filled
    }

    fn deeper(&self) -> u32 {
        assert!(self.depth < MAX_DEPTH, "objects and lists of a document are nested too deep");
        self.depth + 1
    }
}

/// What stands before the members of an object: the head of the map, and the index if there are more than a few.
fn object_head(content: &[u8], members: usize) -> Vec<u8> {
    let mut head = Vec::new();
    match if members > FEW { index(content, members).ok() } else { None } {
        Some(index) => {
            encode::object_of(&mut head, members + 1);
            head.push(INDEX);
            encode::element(&mut head, index.as_slice());
        }
        None => encode::object_of(&mut head, members),
    }
    head
}

/// Puts the heads of an object or a list before its content, which begins at `start` and ends with the bytes.
fn embed(bytes: &mut Vec<u8>, start: usize, mut head: Vec<u8>) {
    let length = bytes.len() - start + head.len();
    let mut outer = Vec::with_capacity(7 + head.len());
    encode::embedded_of(&mut outer, length);
    outer.append(&mut head);
    bytes.splice(start..start, outer);
}
