//! A value that is made when it is first used, for statics.
#![cfg_attr(target_arch = "wasm32", expect(unsafe_code, reason = "a guest has one thread"))]

#[cfg(target_arch = "wasm32")]
pub(crate) use guest::Once;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::Once;

#[cfg(target_arch = "wasm32")]
mod guest {
    use core::cell::RefCell;

    /// A value that is made when it is first used.
    #[derive(Debug)]
    pub(crate) struct Once<T>(RefCell<Option<T>>);

    // SAFETY: a guest has one thread.
    unsafe impl<T> Sync for Once<T> {}

    impl<T: Default> Once<T> {
        pub(crate) const fn new() -> Self {
            Self(RefCell::new(None))
        }

        pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
            f(self.0.borrow_mut().get_or_insert_default())
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::sync::{Mutex, PoisonError};

    /// A value that is made when it is first used.
    #[derive(Debug)]
    pub(crate) struct Once<T>(Mutex<Option<T>>);

    impl<T: Default> Once<T> {
        pub(crate) const fn new() -> Self {
            Self(Mutex::new(None))
        }

        pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
            f(self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
        }
    }
}
