//! The secrets that a thread's guest may read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::string::String;

std::thread_local! {
    static SECRETS: RefCell<BTreeMap<String, String>> = const { RefCell::new(BTreeMap::new()) };
}

/// Lets guests on this thread read a secret with [`secret`](crate::secret()). They begin with none.
///
/// ```
/// guest_sdk::testing::set_secret("API_KEY", "swordfish");
/// assert_eq!(guest_sdk::secret("API_KEY").as_deref(), Some("swordfish"));
/// ```
pub fn set_secret(name: impl Into<String>, value: impl Into<String>) {
    SECRETS.with_borrow_mut(|secrets| secrets.insert(name.into(), value.into()));
}

/// Calls `read` with the value of a secret.
pub(super) fn with<R>(name: &[u8], read: impl FnOnce(Option<&str>) -> R) -> R {
    let name = str::from_utf8(name).unwrap_or_default();
    SECRETS.with_borrow(|secrets| read(secrets.get(name).map(String::as_str)))
}
