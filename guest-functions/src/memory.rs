//! Reading what a guest left in its memory.

use guest_abi::document::DocumentBuf;
use guest_host::GuestCallError;

/// The bytes at an address of the guest's memory; of no bytes the address has no meaning.
pub(crate) fn at<'m>(memory: &'m [u8], what: &str, address: usize, length: usize) -> Result<&'m [u8], GuestCallError> {
    if length == 0 {
        return Ok(&[]);
    }
    let found = address.checked_add(length).and_then(|end| memory.get(address..end));
    found.ok_or_else(|| {
        let size = memory.len();
        GuestCallError::invalid(format!(
            "{what}: {length} bytes at address {address:#x} are outside the guest's memory of {size} bytes"
        ))
    })
}

/// The document of these bytes of a guest.
pub(crate) fn document(bytes: &[u8]) -> Result<DocumentBuf, GuestCallError> {
    DocumentBuf::from_bytes(bytes.to_vec())
        .map_err(|error| GuestCallError::invalid(format!("the result is not a document: {error}")))
}
