//! Memory blocks: the functions by which guests hand each other memory.
//!
//! A guest offers *storage*, ranges of its own memory, and attaches blocks there: to write, alone, or to read. Blocks have numbers that
//! are valid in one guest and for one call. The functions are imported from the module [`IMPORT_MODULE`] under the names below; each
//! parameter is an `i32`. A guest that breaks a rule of them fails its call.
//!
//! | function | parameters | result |
//! |---|---|---|
//! | [`CREATE`] | bytes | the number of a new block |
//! | [`MINIMUM_SIZE`] | block | bytes of storage that an attachment needs |
//! | [`OPTIMUM_SIZE`] | number, bytes | bytes of storage for that many attachments of as many bytes at once |
//! | [`ADD_STORAGE`] | address, bytes, out | at `out` a tag: 0, or 1 and behind it the error |
//! | [`ATTACH`] | block, flags, out | at `out` a tag: 0, then at 4 the address and at 8 the bytes; or 1, then at 4 the error |
//! | [`DETACH`] | block, bytes | |
//! | [`CLONE`] | block | the number of another reference to the block |
//! | [`CREATE_LOCAL`] | address, bytes | the number of a block that lies there, and that no other guest can have |
//! | [`CREATE_PARTITION`] | block, start, bytes, flags | the number of a part of the block |
//! | [`DROP`] | block | |
//!
//! The flags are [`WRITE`] and [`SHARED`]. Errors are bytes: 0 no storage, 1 busy, 2 wrong size, 3 internal.
//!
//! # Stages
//!
//! A *stage* is a function that takes a block and returns one. It is exported as [`EXPORT_STAGE`] followed by its name, with the type
//! `(block: i32) -> i32`. 0 stands for no block. A bare module exports a stage under its own name. A stage of the native contract that
//! reports an [error](crate::names::IMPORT_FAIL) has no result.

/// Module name of the imports.
pub const IMPORT_MODULE: &str = "test:shm/exchange";

/// Makes a block.
pub const CREATE: &str = "[constructor]memory-block";
/// The bytes of storage that an attachment of a block needs.
pub const MINIMUM_SIZE: &str = "[method]memory-block.minimum-size";
/// The bytes of storage for a number of attachments.
pub const OPTIMUM_SIZE: &str = "[static]memory-block.optimum-size";
/// Offers storage.
pub const ADD_STORAGE: &str = "[static]memory-block.add-storage";
/// Attaches a block.
pub const ATTACH: &str = "[method]memory-block.attach";
/// Detaches a block. A writer says how many bytes are valid, and a reader how many it has consumed.
pub const DETACH: &str = "[method]memory-block.detach";
/// Makes another reference to a block.
pub const CLONE: &str = "[method]memory-block.clone";
/// Makes a block of the guest's own memory.
pub const CREATE_LOCAL: &str = "[static]memory-block.create-local";
/// Makes a part of a block a block of its own.
pub const CREATE_PARTITION: &str = "[method]memory-block.create-partition";
/// Gives up a reference to a block.
pub const DROP: &str = "[resource-drop]memory-block";

/// The functions, and the number of their parameters. All but [`DETACH`], [`DROP`], [`ATTACH`] and [`ADD_STORAGE`] return an `i32`.
pub const IMPORTS: [(&str, usize); 10] = [
    (CREATE, 1),
    (MINIMUM_SIZE, 1),
    (OPTIMUM_SIZE, 2),
    (ADD_STORAGE, 3),
    (ATTACH, 3),
    (DETACH, 2),
    (CLONE, 1),
    (CREATE_LOCAL, 2),
    (CREATE_PARTITION, 4),
    (DROP, 1),
];

/// Whether a function returns a number.
#[must_use]
pub fn returns(name: &str) -> bool {
    ![DETACH, DROP, ATTACH, ADD_STORAGE].contains(&name)
}

/// The flag of an attachment, or of a part, that writes.
pub const WRITE: u32 = 1;

/// The flag of blocks that many may read.
pub const SHARED: u32 = 2;

/// Bytes of the result of [`ATTACH`].
pub const ATTACH_RESULT: usize = 12;

/// Bytes of the result of [`ADD_STORAGE`].
pub const ADD_STORAGE_RESULT: usize = 2;

/// Begins the export of a stage of the native contract.
pub const EXPORT_STAGE: &str = "__guest_stage_";

/// The number of no block.
pub const NO_BLOCK: u32 = 0;
