//! The changes that passes ask for: entries to append, function bodies to move, code to insert, instructions to replace.
//!
//! All offsets are bytes from the start of the original module, and all indices are of the original module or of what
//! [`Changes`] itself has appended to it.

use std::collections::BTreeMap;
use std::ops::Range;

use wasm_encoder::{ConstExpr, Encode, ExportKind, Function, GlobalType, MemoryType, SectionId, ValType};

use crate::module_info::ModuleInfo;

/// Entries to append to one section.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) count: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Entries {
    /// Adds the entry that `encode` writes.
    fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.bytes);
        self.count += 1;
    }
}

/// The body of an appended function.
#[derive(Debug)]
pub(crate) enum AddedBody {
    /// New code, as the code section has it.
    Written(Vec<u8>),
    /// The body of the module's own function of this number, counted among those that the module defines. What is
    /// replaced and inserted in that body is replaced and inserted here.
    Moved(usize),
}

/// Code in the place of a part of a function body.
#[derive(Debug)]
pub(crate) struct Edit {
    /// The instruction that the code replaces. An empty range inserts the code before the instruction at its offset.
    pub(crate) at: Range<usize>,
    /// The code.
    pub(crate) code: Vec<u8>,
}

/// How many entries the original module has of what is counted by index.
#[derive(Debug, Clone, Copy)]
struct Original {
    types: u32,
    imported_functions: u32,
    functions: u32,
    memories: u32,
    globals: u32,
}

/// The changes of all passes.
#[derive(Debug)]
pub(crate) struct Changes {
    original: Original,
    types: Entries,
    functions: Entries,
    memories: Entries,
    globals: Entries,
    exports: Entries,
    /// Bodies of the appended functions, in their order.
    pub(crate) code: Vec<AddedBody>,
    /// Bodies in the place of those that were moved, by number of the function among those that the module defines.
    pub(crate) in_place: BTreeMap<usize, Vec<u8>>,
    /// Locals to declare behind a function's own, by number of the function among those that the module defines.
    locals: BTreeMap<usize, Vec<ValType>>,
    edits: Vec<Edit>,
}

impl Changes {
    /// Sections to which something can be appended, in the order that the format prescribes.
    pub(crate) const SECTIONS: [SectionId; 6] = [
        SectionId::Type,
        SectionId::Function,
        SectionId::Memory,
        SectionId::Global,
        SectionId::Export,
        SectionId::Code,
    ];

    /// No change to this module.
    pub(crate) fn new(info: &ModuleInfo) -> Self {
        let count = |entries: usize| u32::try_from(entries).unwrap_or(u32::MAX);
        let original = Original {
            types: info.types,
            imported_functions: info.imported_functions,
            functions: info.functions(),
            memories: count(info.memories.len()),
            globals: count(info.globals.len()),
        };
        Self {
            original,
            types: Entries::default(),
            functions: Entries::default(),
            memories: Entries::default(),
            globals: Entries::default(),
            exports: Entries::default(),
            code: Vec::new(),
            in_place: BTreeMap::new(),
            locals: BTreeMap::new(),
            edits: Vec::new(),
        }
    }

    /// Adds an export.
    pub(crate) fn export(&mut self, name: &str, kind: ExportKind, index: u32) {
        self.exports.push(|bytes| {
            name.encode(bytes);
            kind.encode(bytes);
            index.encode(bytes);
        });
    }

    /// Adds a memory of this many pages of 64 KiB, no more and no less, and returns its index.
    pub(crate) fn memory(&mut self, pages: u32) -> u32 {
        let index = self.original.memories.saturating_add(self.memories.count);
        let (minimum, maximum) = (pages.into(), Some(pages.into()));
        let ty = MemoryType { minimum, maximum, memory64: false, shared: false, page_size_log2: None };
        self.memories.push(|bytes| ty.encode(bytes));
        index
    }

    /// Adds a mutable global and returns its index.
    pub(crate) fn global(&mut self, val_type: ValType, init: &ConstExpr) -> u32 {
        let index = self.original.globals.saturating_add(self.globals.count);
        self.globals.push(|bytes| {
            GlobalType { val_type, mutable: true, shared: false }.encode(bytes);
            init.encode(bytes);
        });
        index
    }

    /// Adds a function with a type of its own and returns its index.
    pub(crate) fn function(&mut self, params: &[ValType], results: &[ValType], body: &Function) -> u32 {
        let mut bytes = Vec::new();
        body.encode(&mut bytes);
        self.declare(params, results, AddedBody::Written(bytes))
    }

    /// Moves the body of a function that the module defines to an appended one of the same type, and returns the index of
    /// the appended function. The function itself keeps its index with the body that [`Self::put_in_place`] gives it.
    pub(crate) fn move_body(&mut self, index: u32, params: &[ValType], results: &[ValType]) -> u32 {
        let body = AddedBody::Moved(self.defined(index));
        self.declare(params, results, body)
    }

    /// Gives a function whose body was moved another one.
    pub(crate) fn put_in_place(&mut self, index: u32, body: &Function) {
        let mut bytes = Vec::new();
        body.encode(&mut bytes);
        self.in_place.insert(self.defined(index), bytes);
    }

    /// Inserts code before the instruction at this offset. Of several insertions there, the first comes first.
    pub(crate) fn insert(&mut self, offset: usize, code: Vec<u8>) {
        self.edits.push(Edit { at: offset..offset, code });
    }

    /// Puts code in the place of the instruction at these offsets. The first replacement of an instruction stays; what is
    /// inserted before the instruction stays before the code.
    pub(crate) fn replace(&mut self, instruction: Range<usize>, code: Vec<u8>) {
        self.edits.push(Edit { at: instruction, code });
    }

    /// Declares locals behind those of a function; `defined` is its number among the functions that the module defines. The
    /// pass that asks for them knows their numbers, so no more than one pass may add locals to a function.
    pub(crate) fn locals(&mut self, defined: usize, added: Vec<ValType>) {
        if !added.is_empty() {
            self.locals.insert(defined, added);
        }
    }

    /// Changes to the code in the order in which [`splice`](crate::splice) makes them.
    pub(crate) fn sort(&mut self) {
        self.edits.sort_by_key(|edit| (edit.at.start, edit.at.end));
    }

    /// The edits that lie in this part of the module, once they are sorted.
    pub(crate) fn edits(&self, part: &Range<usize>) -> &[Edit] {
        let before = |end: usize| self.edits.partition_point(|edit| edit.at.start < end);
        self.edits.get(before(part.start)..before(part.end)).unwrap_or_default()
    }

    /// The locals to declare in a function.
    pub(crate) fn added_locals(&self, defined: usize) -> &[ValType] {
        self.locals.get(&defined).map_or(&[], Vec::as_slice)
    }

    /// The entries to append to a section other than that of the code.
    pub(crate) fn of(&self, section: SectionId) -> Option<&Entries> {
        let entries = match section {
            SectionId::Type => &self.types,
            SectionId::Function => &self.functions,
            SectionId::Memory => &self.memories,
            SectionId::Global => &self.globals,
            SectionId::Export => &self.exports,
            _ => return None,
        };
        (entries.count > 0).then_some(entries)
    }

    fn declare(&mut self, params: &[ValType], results: &[ValType], body: AddedBody) -> u32 {
        const FUNCTION_TYPE: u8 = 0x60;
        let ty = self.original.types.saturating_add(self.types.count);
        let index = self.original.functions.saturating_add(self.functions.count);
        self.types.push(|bytes| {
            bytes.push(FUNCTION_TYPE);
            params.encode(bytes);
            results.encode(bytes);
        });
        self.functions.push(|bytes| ty.encode(bytes));
        self.code.push(body);
        index
    }

    /// The number of a function among those that the module defines.
    fn defined(&self, index: u32) -> usize {
        index.saturating_sub(self.original.imported_functions) as usize
    }
}
