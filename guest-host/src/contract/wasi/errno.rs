//! The error numbers of WASI preview 1 that are returned here.

/// The result of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(u16);

impl Errno {
    pub(crate) const SUCCESS: Self = Self(0);
    /// The descriptor is not open, or not for this.
    pub(crate) const BADF: Self = Self(8);
    /// An argument is not one that the function takes.
    pub(crate) const INVAL: Self = Self(28);
    /// The system failed.
    pub(crate) const IO: Self = Self(29);
    /// There is no such function here.
    pub(crate) const NOSYS: Self = Self(52);
    /// The descriptor is no socket.
    pub(crate) const NOTSOCK: Self = Self(57);
    /// The descriptor cannot do this.
    pub(crate) const NOTSUP: Self = Self(58);
    /// The descriptor has no position.
    pub(crate) const SPIPE: Self = Self(70);
    /// The guest has no right to this.
    pub(crate) const NOTCAPABLE: Self = Self(76);

    /// As it crosses to the guest.
    pub(crate) fn number(self) -> i32 {
        self.0.into()
    }

    /// As it stands in an event.
    pub(crate) fn to_le_bytes(self) -> [u8; 2] {
        self.0.to_le_bytes()
    }
}
