//! The layout of slots and the digests of types, computed at compile time.

/// The most fields of a record.
pub(super) const MAX_FIELDS: usize = 8;

/// The layout of the slots of a type.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Bytes of a slot, at least 1.
    pub(super) size: usize,
    /// Multiple at which slots begin.
    pub(super) align: usize,
    /// Whether a slot has no references. Such a type has no parts.
    pub(super) is_inline: bool,
    /// Whether any bytes are a slot.
    pub(super) is_plain: bool,
    /// Where the slots of the fields of a record begin.
    pub(super) offsets: [usize; MAX_FIELDS],
    /// The bytes behind each field that belong to no field: where they begin and end.
    pub(super) gaps: [(usize, usize); MAX_FIELDS],
    /// Digest of the type.
    pub(super) digest: u64,
}

impl Layout {
    /// The layout of a scalar.
    pub(super) const fn scalar(name: &str, size: usize, is_plain: bool) -> Self {
        let digest = digest(name, &[]);
        Self {
            size,
            align: size,
            is_inline: true,
            is_plain,
            offsets: [0; MAX_FIELDS],
            gaps: [(0, 0); MAX_FIELDS],
            digest,
        }
    }

    /// The layout of a type whose slots have an offset and a count.
    pub(super) const fn reference(name: &str, parts: &[Self]) -> Self {
        Self {
            size: 8,
            align: 4,
            is_inline: false,
            is_plain: false,
            offsets: [0; MAX_FIELDS],
            gaps: [(0, 0); MAX_FIELDS],
            digest: digest(name, parts),
        }
    }

    /// The layout of an optional value: of a mark and the value.
    pub(super) const fn option(of: Self) -> Self {
        let mut layout = Self::record(&[Self::scalar("bool", 1, false), of]);
        layout.digest = digest("option", &[of]);
        layout
    }

    /// The layout of a record with these fields.
    pub(super) const fn record(fields: &[Self]) -> Self {
        let (mut end, mut align, mut is_inline, mut is_plain) = (0, 1, true, true);
        let (mut offsets, mut gaps) = ([0; MAX_FIELDS], [(0, 0); MAX_FIELDS]);
        let mut at = 0;
        while at < fields.len() {
            let field = fields[at];
            let start = aligned(end, field.align);
            if at > 0 {
                gaps[at - 1] = (end, start);
            }
            offsets[at] = start;
            is_inline &= field.is_inline;
            is_plain &= field.is_plain && start == end;
            end = start + field.size;
            align = if field.align > align { field.align } else { align };
            at += 1;
        }
        let size = aligned(end, align);
        gaps[fields.len() - 1] = (end, size);
        is_plain &= size == end;
        Self { size, align, is_inline, is_plain, offsets, gaps, digest: digest("record", fields) }
    }

    /// Whether bytes of a slot belong to no field.
    pub(super) const fn has_gaps(&self) -> bool {
        let mut at = 0;
        while at < MAX_FIELDS {
            if self.gaps[at].0 < self.gaps[at].1 {
                return true;
            }
            at += 1;
        }
        false
    }
}

/// The next multiple of `align` from `at` on, for sizes of types.
const fn aligned(at: usize, align: usize) -> usize {
    at.next_multiple_of(align)
}

/// FNV-1a over the name of a type and the digests of its parts.
const fn digest(name: &str, parts: &[Layout]) -> u64 {
    let mut hash = hashed(0xCBF2_9CE4_8422_2325, name.as_bytes());
    let mut at = 0;
    while at < parts.len() {
        hash = hashed(hash, &parts[at].digest.to_le_bytes());
        at += 1;
    }
    hash
}

const fn hashed(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x100_0000_01B3);
        at += 1;
    }
    hash
}
