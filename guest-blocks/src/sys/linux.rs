//! Linux: sealed memory files, and mappings of them over pages of a guest.
//!
//! The rules, and where each is kept:
//!
//! 1. A guest's memory has no hole, no page that cannot be read and none that cannot be written, at any time: bulk memory instructions
//!    run as code of the host, and a fault there would end the process. Each function here replaces pages by one call of `mmap` with
//!    `MAP_FIXED`, which is atomic, with both rights. If the call fails, the pages are as before. Files are sealed against growing and
//!    shrinking before anybody maps them, so no page of a mapping lies beyond the end of its file.
//! 2. Nobody else uses the address range again: the promise of [`Pages::new`].
//! 3. No reference of Rust exists to bytes that a guest may write meanwhile. A [`File`] lends its bytes only while it is not shared, and
//!    to share it takes exclusive access. A [`RawFile`] is written by guests at any time, and lends nothing: it copies byte by byte,
//!    by atomic accesses.

#![expect(unsafe_code, reason = "mappings are raw memory")]

use std::ffi::c_void;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

use super::PAGE;

/// The rights of all mappings.
const BOTH: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

/// A sealed memory file, and the host's mapping of it.
#[derive(Debug)]
struct Mapping {
    file: OwnedFd,
    address: NonNull<u8>,
    /// Bytes of whole pages.
    size: usize,
}

// SAFETY: the mapping belongs to this value, which unmaps it when it is dropped, on whichever thread.
unsafe impl Send for Mapping {}

// SAFETY: a shared reference to it gives the address, and nothing else. Its users say when they read and write there.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// A file of at least `size` bytes, all of them 0.
    fn new(size: usize) -> io::Result<Self> {
        if rustix::param::page_size() != PAGE {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let size = size.max(1).next_multiple_of(PAGE);
        let file = memfd_create("guest-block", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, size as u64)?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        // SAFETY: a new mapping at an address that the system chooses has no byte in common with anything.
        let address = unsafe { mmap(ptr::null_mut(), size, BOTH, MapFlags::SHARED, &file, 0) }?;
        let address = NonNull::new(address.cast()).ok_or(io::ErrorKind::Other)?;
        Ok(Self { file, address, size })
    }

    /// Maps the file over pages, as many as it has.
    fn over(&self, pages: &mut Pages<'_>, flags: MapFlags) -> io::Result<()> {
        if pages.0.len() != self.size {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: rule 2: the pages are those of a guest, and their owner lets them be replaced. They are borrowed exclusively, so no
        // other reference sees bytes of before and after. The file is as long as they are, and sealed.
        unsafe { mmap(pages.address(), self.size, BOTH, flags | MapFlags::FIXED, &self.file, 0) }?;
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's, and nobody has a reference into it any more. Mappings in guests stay: they have the file.
        let _ = unsafe { munmap(self.address.as_ptr().cast(), self.size) };
    }
}

/// A memory file whose bytes the host lends while no guest may write them.
#[derive(Debug)]
pub(crate) struct File {
    mapping: Mapping,
    /// Whether pages of a guest share it, so that the guest may write it at any time.
    is_shared: bool,
}

impl File {
    /// A file of at least `size` bytes, all of them 0.
    pub(crate) fn new(size: usize) -> io::Result<Self> {
        Ok(Self { mapping: Mapping::new(size)?, is_shared: false })
    }

    /// Its bytes; none while it is shared.
    pub(crate) fn bytes(&self) -> &[u8] {
        let size = if self.is_shared { 0 } else { self.mapping.size };
        // SAFETY: the mapping has that many bytes, which are initialised. Rule 3: no guest may write them, as the file is not shared,
        // and it cannot become so while this reference to it lives.
        unsafe { slice::from_raw_parts(self.mapping.address.as_ptr(), size) }
    }

    /// Its bytes; none while it is shared.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        let size = if self.is_shared { 0 } else { self.mapping.size };
        // SAFETY: as above. Guests that have it mapped by `copy_on_write` read it: the caller attaches no writer then.
        unsafe { slice::from_raw_parts_mut(self.mapping.address.as_ptr(), size) }
    }

    /// Maps it over pages of the one guest that writes it.
    pub(crate) fn share(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        // The pages at once: a fault for each takes several times as long where the whole is written.
        self.mapping.over(pages, MapFlags::SHARED | MapFlags::POPULATE)?;
        self.is_shared = true;
        Ok(())
    }

    /// Maps it over pages of a guest that reads it, and whose writes nobody else sees. The pages are no snapshot: where the guest has not
    /// written, they show what is written to the file later.
    pub(crate) fn copy_on_write(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.mapping.over(pages, MapFlags::PRIVATE)?;
        self.is_shared = false;
        Ok(())
    }

    /// Puts pages of zeros in the place of its own.
    pub(crate) fn take_back(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        // SAFETY: as for `over`.
        unsafe { mmap_anonymous(pages.address(), pages.0.len(), BOTH, MapFlags::PRIVATE | MapFlags::FIXED) }?;
        self.is_shared = false;
        Ok(())
    }
}

/// A memory file that guests may write at any time.
#[derive(Debug)]
pub(crate) struct RawFile(Mapping);

impl RawFile {
    /// A file of at least `size` bytes, all of them 0.
    pub(crate) fn new(size: usize) -> io::Result<Self> {
        Mapping::new(size).map(Self)
    }

    /// A copy of some bytes.
    pub(crate) fn read(&self, range: Range<usize>) -> Vec<u8> {
        assert!(range.start <= range.end && range.end <= self.0.size);
        let mut bytes = Vec::with_capacity(range.len());
        let mut at = range.start;
        while at < range.end {
            if at.is_multiple_of(8) && range.end - at >= 8 {
                bytes.extend_from_slice(&self.word(at).load(Ordering::Relaxed).to_ne_bytes());
                at += 8;
            } else {
                bytes.push(self.byte(at).load(Ordering::Relaxed));
                at += 1;
            }
        }
        bytes
    }

    /// Writes bytes.
    pub(crate) fn write(&self, start: usize, bytes: &[u8]) {
        assert!(start <= self.0.size && bytes.len() <= self.0.size - start);
        let mut rest = bytes;
        while let Some((first, others)) = rest.split_first() {
            let at = start + bytes.len() - rest.len();
            match rest.first_chunk() {
                Some(word) if at.is_multiple_of(8) => {
                    self.word(at).store(u64::from_ne_bytes(*word), Ordering::Relaxed);
                    rest = &rest[8..];
                }
                _ => {
                    self.byte(at).store(*first, Ordering::Relaxed);
                    rest = others;
                }
            }
        }
    }

    /// Maps it over pages of a guest that writes it.
    pub(crate) fn share(&self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.0.over(pages, MapFlags::SHARED | MapFlags::POPULATE)
    }

    /// Maps it over pages of a guest that reads it, and whose writes nobody else sees. Its writes of before are gone.
    pub(crate) fn copy_on_write(&self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.0.over(pages, MapFlags::PRIVATE)
    }

    fn byte(&self, at: usize) -> &AtomicU8 {
        // SAFETY: the caller has checked that `at` is in the mapping. All accesses by the host are atomic.
        unsafe { AtomicU8::from_ptr(self.0.address.as_ptr().add(at)) }
    }

    /// `at` is a multiple of 8.
    fn word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: the caller has checked that 8 bytes from `at` on are in the mapping, which begins at a page. All accesses by the host
        // are atomic.
        unsafe { AtomicU64::from_ptr(self.0.address.as_ptr().add(at).cast()) }
    }
}

/// Whole pages of a guest's memory, which may be replaced by mappings.
#[derive(Debug)]
pub struct Pages<'a>(&'a mut [u8]);

impl<'a> Pages<'a> {
    /// These bytes, if they are whole pages.
    ///
    /// # Safety
    /// The bytes are memory that the process has mapped readable and writable for one guest. Whoever mapped it unmaps it as a whole, and
    /// until then neither moves it nor gives it to anything else: it is from no pool.
    ///
    /// A [`GuestMemory`](crate::GuestMemory) whose `pages` returns them returns the pages of the range that it is asked for. A
    /// [`BlockTable`](crate::BlockTable) that has worked with this memory works with no other until it is restored, and while it has
    /// attachments the memory is not used after the table is gone.
    ///
    /// Pages in which a guest [joins](crate::BlockTable::join) a [`Ring`](crate::Ring) show the writes of other guests. While a reference
    /// to bytes of the memory exists, no other guest runs that has joined the ring to write, and nobody has a block of the ring that
    /// [`Ring::write`](crate::Ring::write) attached.
    #[must_use]
    pub unsafe fn new(bytes: &'a mut [u8]) -> Option<Self> {
        let is_whole =
            bytes.as_ptr().addr().is_multiple_of(PAGE) && bytes.len().is_multiple_of(PAGE) && !bytes.is_empty();
        is_whole.then_some(Self(bytes))
    }

    fn address(&mut self) -> *mut c_void {
        self.0.as_mut_ptr().cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory as an engine maps it.
    fn memory(pages: usize) -> &'static mut [u8] {
        let size = pages * PAGE;
        // SAFETY: a new mapping, which is never unmapped.
        unsafe {
            let address = mmap_anonymous(ptr::null_mut(), size, BOTH, MapFlags::PRIVATE).unwrap();
            slice::from_raw_parts_mut(address.cast(), size)
        }
    }

    fn pages(memory: &mut [u8], range: Range<usize>) -> Pages<'_> {
        // SAFETY: `memory` is never unmapped or used by anything else.
        unsafe { Pages::new(&mut memory[range.start * PAGE..range.end * PAGE]) }.unwrap()
    }

    #[test]
    fn a_writer_shares_and_a_reader_does_not() {
        let (writer, reader) = (memory(4), memory(4));
        writer.fill(9);
        let mut file = File::new(2 * PAGE - 1).unwrap();
        file.bytes_mut()[..2].copy_from_slice(b"ab");
        file.share(&mut pages(writer, 1..3)).unwrap();
        assert_eq!((&writer[PAGE - 1..PAGE + 3], file.bytes()), (b"\x09ab\0".as_slice(), b"".as_slice()));
        writer[PAGE] = b'x';
        file.take_back(&mut pages(writer, 1..3)).unwrap();
        assert_eq!((&file.bytes()[..2], writer[PAGE], writer[3 * PAGE]), (b"xb".as_slice(), 0, 9));
        file.copy_on_write(&mut pages(reader, 0..2)).unwrap();
        assert_eq!(reader[..2], *b"xb");
        reader[0] = 7;
        assert_eq!(file.bytes()[0], b'x');
        drop(file);
        assert_eq!(reader[..2], *b"\x07b", "a mapping outlives the file");
    }

    #[test]
    fn pages_are_as_many_as_the_file_has() {
        let memory = memory(3);
        let mut file = File::new(PAGE).unwrap();
        assert!(file.share(&mut pages(memory, 0..2)).is_err());
        assert_eq!(file.bytes().len(), PAGE);
        // SAFETY: nothing is replaced.
        unsafe {
            assert!(Pages::new(&mut memory[1..=PAGE]).is_none() && Pages::new(&mut memory[..PAGE - 1]).is_none());
        }
    }

    #[test]
    fn a_raw_file_is_read_and_written_at_any_place() {
        let memory = memory(1);
        let file = RawFile::new(100).unwrap();
        file.share(&mut pages(memory, 0..1)).unwrap();
        let bytes: Vec<u8> = (0..90).collect();
        for (start, length) in [(0, 0), (0, 8), (1, 30), (7, 90), (8, 3), (4095, 1), (4000, 90)] {
            memory.fill(0);
            file.write(start, &bytes[..length]);
            assert_eq!(memory[start..start + length], bytes[..length]);
            assert_eq!(memory.iter().map(|byte| usize::from(*byte)).sum::<usize>(), (0..length).sum());
            assert_eq!(file.read(start..start + length), bytes[..length]);
        }
        file.copy_on_write(&mut pages(memory, 0..1)).unwrap();
        memory[0] = 5;
        assert_eq!(file.read(0..1), [0]);
    }
}
