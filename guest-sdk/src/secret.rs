//! Secrets that the host lets the guest read.
#![expect(unsafe_code, reason = "the value is an import")]

use alloc::string::String;

use crate::raw;

/// The value of a secret, such as the key of another service. `None` if the host lets the guest read none of this name.
///
/// It works in extensions, typed functions, programs and HTTP functions. Read it in the call that needs it: in an
/// [`init`](macro@crate::init) hook the host refuses, as the snapshot would keep it. The value is on the heap, and a restore puts that
/// back. A program keeps its memory, and with it what it has read; so does its image on the disk.
///
/// ```
/// use guest_sdk::{Result, function, secret};
///
/// /// Whether a request has the right key.
/// #[function]
/// fn may_enter(key: &str) -> Result<bool> {
///     let expected = secret("API_KEY").ok_or("no key is set")?;
///     Ok(key == expected)
/// }
///
/// guest_sdk::testing::set_secret("API_KEY", "swordfish");
/// assert_eq!(may_enter("sword"), Ok(false));
/// assert_eq!(may_enter("swordfish"), Ok(true));
/// ```
#[must_use]
pub fn secret(name: &str) -> Option<String> {
    let read = |room: &mut [u8]| {
        // SAFETY: the name and the room are borrowed during the call.
        let length = unsafe { raw::secret(name.as_ptr(), name.len(), room.as_mut_ptr(), room.len()) };
        usize::try_from(length).ok()
    };
    // Not into room on the stack at first: no copy of it is left there.
    let mut value = alloc::vec![0; read(&mut [])?];
    let length = read(&mut value)?;
    // A host that changes it in between is none that keeps the contract.
    if length != value.len() {
        return None;
    }
    String::from_utf8(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_what_was_set_and_nothing_else() {
        assert_eq!(secret("KEY"), None);
        crate::testing::set_secret("KEY", "");
        crate::testing::set_secret("LONG", "x".repeat(1000));
        assert_eq!(secret("KEY").as_deref(), Some(""));
        assert_eq!(secret("LONG").map(|value| value.len()), Some(1000));
        let elsewhere = std::thread::spawn(|| secret("KEY")).join();
        assert!(matches!(elsewhere, Ok(None)), "another thread has its own");
    }
}
