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
//! `wit/exchange.wit` in this crate's folder has the same functions as an interface of the component model.
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

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned as _;
    use alloc::format;

    use super::{DROP, IMPORT_MODULE, IMPORTS, returns};

    const WIT: &str = include_str!("../wit/exchange.wit");

    /// The declaration of a function in the file, without its documentation.
    fn declaration(name: &str) -> &'static str {
        let method = name.rsplit('.').next().unwrap_or(name);
        let begins = match name.split_once(']').map(|(kind, _)| kind) {
            Some("[constructor") => "constructor(".to_owned(),
            Some("[static") => format!("{method}: static func("),
            _ => format!("{method}: func("),
        };
        let mut lines = WIT.lines().map(str::trim).filter(|line| line.starts_with(&begins) && line.ends_with(';'));
        let line = lines.next().unwrap_or_else(|| panic!("the file has no `{begins}`"));
        assert_eq!(lines.next(), None, "{name}");
        line
    }

    #[test]
    fn the_interface_has_the_same_functions() {
        let (package, interface) = IMPORT_MODULE.split_once('/').unwrap();
        assert!(WIT.contains(&format!("\npackage {package};\n")));
        assert!(WIT.contains(&format!("\ninterface {interface} {{\n")));
        assert!(WIT.contains("    resource memory-block {\n"), "{DROP} comes with the resource");
        let functions = IMPORTS.iter().filter(|(name, _)| *name != DROP);
        for (name, parameters) in functions.clone() {
            let (_, rest) = declaration(name).split_once('(').unwrap();
            let (named, result) = rest.split_once(')').unwrap();
            let result = result.trim_end_matches(';').trim_start_matches(" -> ");
            let is_method = name.starts_with("[method]");
            // A result of more than one number goes to an address.
            let goes_to_memory = result.starts_with("result<");
            let count = named.split(", ").filter(|parameter| !parameter.is_empty()).count();
            assert_eq!(count + usize::from(is_method) + usize::from(goes_to_memory), *parameters, "{name}");
            let is_number = name.starts_with("[constructor]") || (!result.is_empty() && !goes_to_memory);
            assert_eq!(is_number, returns(name), "{name}");
        }
        let declared = WIT.lines().filter(|line| line.trim().starts_with("constructor(") || line.contains("func("));
        assert_eq!(declared.count(), functions.count());
    }
}
