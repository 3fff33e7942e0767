//! Names under which a prepared module exports its additions. Hosts find them in [`Prepared`](crate::Prepared).

/// Exports whose name begins with this are reserved for the preparation.
pub(crate) const RESERVED_PREFIX: &str = "__harness_";

/// Exports of globals that the module does not export itself: this, and the global's index.
pub(crate) const GLOBAL_EXPORT_PREFIX: &str = "__harness_global_";

/// Export of the memory, if the module does not export one itself.
pub(crate) const MEMORY_EXPORT: &str = "__harness_memory";

/// Export of the mutable `i32` global that holds the memory's logical size, in pages of 64 KiB.
pub(crate) const LOGICAL_PAGES_EXPORT: &str = "__harness_logical_pages";

/// Export of the memory that holds the card table of the write barrier.
pub(crate) const CARDS_EXPORT: &str = "__harness_cards";

/// Exports of the second entrances: this, and the function's name.
pub(crate) const CALL_EXPORT_PREFIX: &str = "__harness_call_";

/// Exports of the globals that hold the saved values for the second entrances: this, and the saved global's index.
pub(crate) const SAVED_EXPORT_PREFIX: &str = "__harness_saved_";
