//! Names under which a prepared module exports what was added to it.

/// Exports whose name begins with this are the harness's.
pub const RESERVED_PREFIX: &str = "__harness_";

/// Exports of globals that the module does not export itself: this, and the global's index.
pub const GLOBAL_EXPORT_PREFIX: &str = "__harness_global_";

/// Export of the mutable `i32` global that holds the memory's logical size, in pages of 64 KiB.
pub const LOGICAL_PAGES_EXPORT: &str = "__harness_logical_pages";

/// Export of the memory that holds the card table of the write barrier.
pub const CARDS_EXPORT: &str = "__harness_cards";

/// Exports of the entrances that leave the globals as the snapshot has them: this, and the function's name.
pub const CALL_EXPORT_PREFIX: &str = "__harness_call_";

/// Exports of the globals that hold the saved values for those entrances: this, and the saved global's index.
pub const SAVED_EXPORT_PREFIX: &str = "__harness_saved_";
