//! Values beside memory: globals, and what the host keeps for a guest.

/// The value of a global, by its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GlobalValue {
    /// An `i32`.
    I32(u32),
    /// An `i64`.
    I64(u64),
    /// The bits of an `f32`.
    F32(u32),
    /// The bits of an `f64`.
    F64(u64),
    /// The bits of a `v128`.
    V128(u128),
}

impl GlobalValue {
    /// Number of its type in images, and its bits.
    pub(crate) const fn parts(self) -> (u8, u128) {
        match self {
            Self::I32(bits) => (1, bits as u128),
            Self::I64(bits) => (2, bits as u128),
            Self::F32(bits) => (3, bits as u128),
            Self::F64(bits) => (4, bits as u128),
            Self::V128(bits) => (5, bits),
        }
    }

    /// The value of these parts. Bits that its type does not have must be 0.
    pub(crate) fn of_parts(ty: u8, bits: u128) -> Option<Self> {
        let narrow = || u32::try_from(bits).ok();
        let wide = || u64::try_from(bits).ok();
        match ty {
            1 => narrow().map(Self::I32),
            2 => wide().map(Self::I64),
            3 => narrow().map(Self::F32),
            4 => wide().map(Self::F64),
            5 => Some(Self::V128(bits)),
            _ => None,
        }
    }
}

/// The state that the host keeps for a guest from one call to the next: the part of WASI that a guest can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct HostState {
    /// Flags of the descriptors 0 to 2; `None` for one that is closed.
    pub descriptors: [Option<u16>; 3],
    /// Nanoseconds by which both clocks are ahead of where they start.
    pub elapsed: u64,
    /// Nanoseconds that the monotonic clock told at least.
    pub monotonic: u64,
    /// Bytes that were taken from seeded randomness.
    pub random_position: u64,
}
