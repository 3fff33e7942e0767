//! Handles, and what the host holds for them: keys and intents that are being written, values and rows that were read.
//!
//! A handle is valid for one call. It encodes the call that issued it (counted since the last restore), its kind and its
//! index. So the host recognises a handle of another call or kind, whatever the tables hold. Calls are counted from the
//! restore, not from the start, because a handle must not reveal earlier calls to the guest.

use std::ops::Range;

use super::writer::Writer;
use crate::failure::{Fault, InvalidData};

/// The kind of object that a handle stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum HandleKind {
    /// A key that is being built.
    Key,
    /// An intent that is being written.
    Intent,
    /// A value that was read, or a part of one.
    Value,
    /// The key of a row that was read.
    RowKey,
}

impl HandleKind {
    /// By their numbers.
    const ALL: [Self; 4] = [Self::Key, Self::Intent, Self::Value, Self::RowKey];

    /// The word for it in messages.
    const fn name(self) -> &'static str {
        match self {
            Self::Key => "a key",
            Self::Intent => "an intent",
            Self::Value => "a value",
            Self::RowKey => "the key of a row",
        }
    }
}

/// Bits of a handle that are its index; the kind follows, then the call. The sign is left free, as -1 is no handle.
const INDEX_BITS: u32 = 24;
const KIND_BITS: u32 = 2;
const CALL_BITS: u32 = 63 - INDEX_BITS - KIND_BITS;

/// More handles than this cannot be told apart.
pub(super) const MOST_HANDLES: usize = 1 << INDEX_BITS;

/// Bytes that are kept for the next call, as far as they were used; what is beyond was a call out of the ordinary.
const KEPT_BYTES: usize = 1 << 20;

/// Bytes of keys and intents of which no writer has more than it may keep: half of that, as a vector has at most twice what
/// it was filled with.
const LITTLE: usize = super::writer::KEPT_BYTES / 2;

/// Entries of a table that are kept for the next call.
const KEPT_ENTRIES: usize = 1 << 12;

/// How far before the element that was asked for another one is remembered.
const STRIDE: u32 = 256;

/// A value, or the key of a row: a part of the bytes that were read, and maybe some behind it.
#[derive(Debug, Clone)]
pub(super) struct Part {
    range: Range<usize>,
    /// Of an array the element that was asked for last, and where it is: those that follow are found from there.
    element: (u32, usize),
    /// One before it, from which those are found that an extension asks for when it goes through the array backwards.
    before: (u32, usize),
}

impl Part {
    fn new(range: Range<usize>) -> Self {
        Self { range, element: (0, 0), before: (0, 0) }
    }

    pub(super) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Where to look for the element with this index: the index of another one before it, and where that is in the part.
    #[inline]
    pub(super) fn nearest(&self, index: u32) -> Option<(u32, usize)> {
        [self.element, self.before].into_iter().filter(|known| known.1 > 0 && known.0 <= index).max()
    }

    /// Takes note, on the way to the element that is asked for, of where another one is.
    #[inline]
    pub(super) fn pass(&mut self, index: u32, at: usize, wanted: u32) {
        if wanted - index == STRIDE {
            self.before = (index, at);
        }
    }

    pub(super) fn remember(&mut self, index: u32, at: usize) {
        self.element = (index, at);
    }
}

/// Tables that are cleared, not freed, when the next call begins.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    /// Calls since the last restore.
    call: u64,
    keys: Pool,
    intents: Pool,
    /// Keys of the reads that are under way, the innermost last: what they were when the reads began.
    reads: Pool,
    values: Vec<Part>,
    row_keys: Vec<Part>,
    /// The bytes that were read.
    pub(super) bytes: Vec<u8>,
    /// Most that there may be of a kind.
    limit: usize,
}

/// Writers that are used again, with the memory that they have.
#[derive(Debug, Default)]
struct Pool {
    items: Vec<Writer>,
    used: usize,
}

impl Pool {
    fn take(&mut self) -> &mut Writer {
        if self.used == self.items.len() {
            self.items.push(Writer::default());
        }
        self.used += 1;
        &mut self.items[self.used - 1]
    }

    fn used(&self) -> &[Writer] {
        &self.items[..self.used]
    }

    #[cold]
    fn shrink(&mut self) {
        // All of them, at once: the next call may use fewer, and those behind would keep what they have for ever.
        self.items[..self.used].iter_mut().for_each(Writer::shrink);
        if self.items.len() > KEPT_ENTRIES {
            self.items.truncate(KEPT_ENTRIES);
            self.items.shrink_to_fit();
        }
    }
}

impl Handles {
    /// Tables for at most `limit` handles of each kind.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.min(MOST_HANDLES), ..Self::default() }
    }

    /// Forgets the handles of the call before, which made the host hold so many bytes.
    #[inline]
    pub(super) fn begin_call(&mut self, held: usize) {
        // After as many calls as no instance lives to see, an old handle would be taken for a new one, of a call of
        // the same guest.
        self.call = (self.call + 1) & ((1 << CALL_BITS) - 1);
        self.forget(held);
    }

    /// Forgets all calls since the restore, the last of which made the host hold so many bytes.
    #[inline]
    pub(super) fn restore(&mut self, held: usize) {
        self.call = 0;
        self.forget(held);
    }

    #[inline]
    fn forget(&mut self, held: usize) {
        for pool in [&mut self.keys, &mut self.intents, &mut self.reads] {
            // With less than that no writer is large, and there are not many.
            if held > LITTLE {
                pool.shrink();
            }
            pool.used = 0;
        }
        for parts in [&mut self.values, &mut self.row_keys] {
            parts.clear();
            if parts.capacity() > KEPT_ENTRIES {
                parts.shrink_to(KEPT_ENTRIES);
            }
        }
        self.bytes.clear();
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes.shrink_to(KEPT_BYTES);
        }
    }

    fn handle(&self, kind: HandleKind, index: usize) -> i64 {
        let bits = (self.call << (INDEX_BITS + KIND_BITS)) | ((kind as u64) << INDEX_BITS) | index as u64;
        bits.cast_signed()
    }

    fn count(&self, kind: HandleKind) -> usize {
        match kind {
            HandleKind::Key => self.keys.used,
            HandleKind::Intent => self.intents.used,
            HandleKind::Value => self.values.len(),
            HandleKind::RowKey => self.row_keys.len(),
        }
    }

    /// The index that a handle of this kind stands for.
    #[inline]
    fn index(&self, handle: i64, expected: HandleKind) -> Result<usize, Fault> {
        let bits = handle.cast_unsigned();
        let index = (bits & ((1 << INDEX_BITS) - 1)) as usize;
        let own = (self.call << KIND_BITS) | expected as u64;
        if bits >> INDEX_BITS == own && index < self.count(expected) {
            return Ok(index);
        }
        Err(self.refused(handle, expected))
    }

    #[cold]
    fn refused(&self, handle: i64, expected: HandleKind) -> Fault {
        let what = expected.name();
        let Ok(bits) = u64::try_from(handle) else {
            return Fault::InvalidGuestData(InvalidData::UnknownHandle { handle, expected: what });
        };
        let kind = HandleKind::ALL[(bits >> INDEX_BITS & 3) as usize];
        let index = (bits & ((1 << INDEX_BITS) - 1)) as usize;
        let call = bits >> (INDEX_BITS + KIND_BITS);
        Fault::InvalidGuestData(match call {
            earlier if earlier < self.call => InvalidData::StaleHandle { handle, expected: what },
            now if now == self.call && kind != expected && index < self.count(kind) => {
                InvalidData::HandleKind { handle, expected: what, found: kind.name() }
            }
            _ => InvalidData::UnknownHandle { handle, expected: what },
        })
    }

    /// That there may be one more of a kind.
    #[inline]
    fn room(&self, kind: HandleKind) -> Result<usize, Fault> {
        match self.count(kind) {
            count if count < self.limit => Ok(count),
            _ => Err(Fault::InvalidGuestData(InvalidData::TooManyHandles { limit: self.limit })),
        }
    }

    /// A new key or intent, and its handle.
    #[inline]
    pub(super) fn writer(&mut self, kind: HandleKind) -> Result<(i64, &mut Writer), Fault> {
        let index = self.room(kind)?;
        let handle = self.handle(kind, index);
        let writers = if kind == HandleKind::Key { &mut self.keys } else { &mut self.intents };
        Ok((handle, writers.take()))
    }

    /// The key or intent of a handle.
    #[inline]
    pub(super) fn written(&mut self, handle: i64, kind: HandleKind) -> Result<&mut Writer, Fault> {
        let index = self.index(handle, kind)?;
        let writers = if kind == HandleKind::Key { &mut self.keys } else { &mut self.intents };
        Ok(&mut writers.items[index])
    }

    /// The key of a handle, and where what is read goes.
    #[inline]
    pub(super) fn key_and_bytes(&mut self, key: i64) -> Result<(&mut Writer, &mut Vec<u8>), Fault> {
        let index = self.index(key, HandleKind::Key)?;
        Ok((&mut self.keys.items[index], &mut self.bytes))
    }

    /// Begins a read of the rows that match a key, and says how many bytes its copy of the key has.
    pub(super) fn begin_read(&mut self, key: i64) -> Result<usize, Fault> {
        let index = self.index(key, HandleKind::Key)?;
        let copy = self.reads.take();
        copy.copy_key(&self.keys.items[index]);
        Ok(copy.len())
    }

    /// The key of the innermost read, and where what is read goes.
    pub(super) fn read_key_and_bytes(&mut self) -> Option<(&mut Writer, &mut Vec<u8>)> {
        let innermost = self.reads.used.checked_sub(1)?;
        Some((&mut self.reads.items[innermost], &mut self.bytes))
    }

    /// Ends the innermost read, and says how many bytes its key had.
    pub(super) fn end_read(&mut self) -> usize {
        let Some(innermost) = self.reads.used.checked_sub(1) else {
            return 0;
        };
        self.reads.used = innermost;
        let key = &mut self.reads.items[innermost];
        let bytes = key.len();
        key.shrink();
        bytes
    }

    /// A new intent for a key.
    #[inline]
    pub(super) fn intent(&mut self, key: i64) -> Result<(i64, &Writer, &mut Writer), Fault> {
        let key = self.index(key, HandleKind::Key)?;
        let index = self.room(HandleKind::Intent)?;
        let handle = self.handle(HandleKind::Intent, index);
        Ok((handle, &self.keys.items[key], self.intents.take()))
    }

    /// All intents, in the order in which they were begun.
    pub(super) fn intents(&self) -> &[Writer] {
        self.intents.used()
    }

    /// A handle for a value or the key of a row.
    #[inline]
    pub(super) fn part(&mut self, kind: HandleKind, range: Range<usize>) -> Result<i64, Fault> {
        let index = self.room(kind)?;
        let handle = self.handle(kind, index);
        let parts = if kind == HandleKind::Value { &mut self.values } else { &mut self.row_keys };
        parts.push(Part::new(range));
        Ok(handle)
    }

    /// The value or key of a handle, and the bytes of which it is a part.
    #[inline]
    pub(super) fn read(&mut self, handle: i64, kind: HandleKind) -> Result<(&mut Part, &[u8]), Fault> {
        let index = self.index(handle, kind)?;
        let parts = if kind == HandleKind::Value { &mut self.values } else { &mut self.row_keys };
        Ok((&mut parts[index], &self.bytes))
    }

    /// Entries and bytes that are kept, used or not.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        let writers =
            self.keys.items.iter().chain(&self.intents.items).chain(&self.reads.items).map(Writer::kept).sum::<usize>();
        writers + self.values.capacity() + self.row_keys.capacity() + self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(handles: &mut Handles, handle: i64, kind: HandleKind) -> InvalidData {
        match handles.index(handle, kind) {
            Err(Fault::InvalidGuestData(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn handles_of_other_calls_and_kinds_and_of_nobody_are_told_apart() {
        let mut handles = Handles::new(10);
        handles.begin_call(usize::MAX);
        let (key, _) = handles.writer(HandleKind::Key).unwrap();
        let value = handles.part(HandleKind::Value, 0..0).unwrap();
        assert!(handles.written(key, HandleKind::Key).is_ok() && handles.read(value, HandleKind::Value).is_ok());
        let found = refusal(&mut handles, key, HandleKind::Value);
        assert_eq!(found, InvalidData::HandleKind { handle: key, expected: "a value", found: "a key" });
        for nobodys in [key + 1, -1, 0, i64::MIN, i64::MAX] {
            let found = refusal(&mut handles, nobodys, HandleKind::Key);
            let zero = InvalidData::StaleHandle { handle: 0, expected: "a key" };
            let unknown = InvalidData::UnknownHandle { handle: nobodys, expected: "a key" };
            assert_eq!(found, if nobodys == 0 { zero } else { unknown });
        }
        handles.begin_call(usize::MAX);
        let (again, _) = handles.writer(HandleKind::Key).unwrap();
        assert_ne!(again, key);
        assert_eq!(
            refusal(&mut handles, key, HandleKind::Key),
            InvalidData::StaleHandle { handle: key, expected: "a key" }
        );
        handles.restore(0);
        handles.begin_call(usize::MAX);
        assert_eq!(handles.writer(HandleKind::Key).unwrap().0, key, "a restored guest sees what a fresh one sees");
    }

    #[test]
    fn there_is_a_limit_and_what_a_large_call_needed_is_given_back() {
        let mut handles = Handles::new(2);
        handles.begin_call(usize::MAX);
        for _ in 0..2 {
            handles.writer(HandleKind::Key).unwrap();
        }
        assert!(matches!(
            handles.writer(HandleKind::Key),
            Err(Fault::InvalidGuestData(InvalidData::TooManyHandles { limit: 2 }))
        ));
        let mut handles = Handles::new(1 << 20);
        handles.begin_call(usize::MAX);
        for _ in 0..100_000 {
            handles.part(HandleKind::Value, 0..1).unwrap();
            handles.writer(HandleKind::Intent).unwrap();
        }
        handles.bytes.resize(10 << 20, 0);
        handles.begin_call(usize::MAX);
        assert!(handles.kept() <= KEPT_BYTES + 3 * KEPT_ENTRIES, "{}", handles.kept());
    }

    #[test]
    fn elements_are_found_from_near_by_in_either_direction() {
        // The element with an index is at the byte behind it.
        let (mut part, mut steps) = (Part::new(0..10_001), 0);
        let mut find = |wanted: u32| {
            let (from, mut at) = part.nearest(wanted).unwrap_or((0, 1));
            assert_eq!(at, from as usize + 1);
            for index in from..wanted {
                part.pass(index, at, wanted);
                (at, steps) = (at + 1, steps + 1);
            }
            part.remember(wanted, at);
            std::mem::take(&mut steps)
        };
        assert_eq!((0..10_000).map(&mut find).sum::<u32>(), 9_999, "forwards");
        let backwards: u32 = (0..10_000).rev().map(&mut find).sum();
        assert_eq!(backwards, 1_466_601, "from the beginning once for every 257 elements");
        assert_eq!((find(9_000), find(10), find(9_000)), (8_767, 10, 256), "from 233, the beginning, 8744");
    }

    #[test]
    fn large_records_of_many_calls_do_not_pile_up() {
        let mut handles = Handles::new(100);
        let long = "s".repeat(KEPT_BYTES);
        // In each call another one is large: the last of more and more, and of fewer and fewer.
        for before in (0..20).chain((0..20).rev()) {
            handles.begin_call(usize::MAX);
            for kind in [HandleKind::Key, HandleKind::Intent] {
                for _ in 0..before {
                    handles.writer(kind).unwrap().1.begin_key("s.t", "");
                }
                let (_, writer) = handles.writer(kind).unwrap();
                writer.begin_key(&long, &long);
                writer.put(&long, |bytes| guest_abi::cbor::encode::element(bytes, long.as_str())).unwrap();
            }
        }
        handles.begin_call(usize::MAX);
        assert!(handles.kept() <= KEPT_BYTES, "{}", handles.kept());
    }
}
