//! One pass over a module's bytes that appends entries to sections, replaces instructions, moves function bodies to
//! appended functions, and copies the rest.

use std::collections::BTreeMap;
use std::ops::Range;

use wasm_encoder::{
    ConstExpr, Encode, ExportKind, Function, GlobalType, InstructionSink, MemoryType, SectionId, ValType,
};
use wasmparser::{BinaryReader, FunctionBody, Operator, Parser, Payload, Result};

use crate::module_info::ModuleInfo;
use crate::offsets::OffsetMap;

/// What a step replaces in function bodies.
pub(crate) trait Edit {
    /// Writes what stands in the place of an instruction and returns true; or writes nothing and returns false.
    fn replace(&self, operator: &Operator<'_>, code: &mut InstructionSink<'_>) -> bool;
}

/// What a step inserts into one function body, worked out beforehand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Insertions {
    /// Locals to declare behind those that the function has.
    pub(crate) locals: Vec<(u32, ValType)>,
    /// Code, and the offset of the instruction before which it goes. In the order of the offsets.
    pub(crate) code: Vec<(u64, Vec<u8>)>,
}

impl Insertions {
    fn is_empty(&self) -> bool {
        self.locals.is_empty() && self.code.is_empty()
    }
}

/// Entries to append to one section.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    count: u32,
    bytes: Vec<u8>,
}

impl Entries {
    /// Adds the entry that `encode` writes.
    pub(crate) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.bytes);
        self.count += 1;
    }
}

/// The body of an appended function.
#[derive(Debug)]
enum AddedBody {
    /// This one, as the code section has it.
    Written(Vec<u8>),
    /// That of the module's own function of this number among those that it defines; what is to be replaced and inserted
    /// there is, here.
    Moved(usize),
}

/// What all steps together append.
#[derive(Debug, Default)]
pub(crate) struct Additions {
    pub(crate) types: Entries,
    pub(crate) functions: Entries,
    pub(crate) memories: Entries,
    pub(crate) globals: Entries,
    pub(crate) exports: Entries,
    /// Bodies of the added functions, in the order of those.
    code: Vec<AddedBody>,
    /// Bodies in the place of those that were moved, by number of the function among those that the module defines.
    in_place: BTreeMap<usize, Vec<u8>>,
}

impl Additions {
    /// Sections to which something can be appended, in the order that the format prescribes.
    const SECTIONS: [SectionId; 6] = [
        SectionId::Type,
        SectionId::Function,
        SectionId::Memory,
        SectionId::Global,
        SectionId::Export,
        SectionId::Code,
    ];

    /// Adds an export.
    pub(crate) fn export(&mut self, name: &str, kind: ExportKind, index: u32) {
        self.exports.push(|bytes| {
            name.encode(bytes);
            kind.encode(bytes);
            index.encode(bytes);
        });
    }

    /// Adds a memory of this many pages of 64 KiB, no more and no less, and returns its index.
    pub(crate) fn memory(&mut self, info: &ModuleInfo, pages: u64) -> u32 {
        let index = u32::try_from(info.memories.len()).unwrap_or(u32::MAX).saturating_add(self.memories.count);
        let (minimum, maximum) = (pages, Some(pages));
        let ty = MemoryType { minimum, maximum, memory64: false, shared: false, page_size_log2: None };
        self.memories.push(|bytes| ty.encode(bytes));
        index
    }

    /// Adds a global and returns its index.
    pub(crate) fn global(&mut self, info: &ModuleInfo, val_type: ValType, mutable: bool, init: &ConstExpr) -> u32 {
        let index = u32::try_from(info.globals.len()).unwrap_or(u32::MAX).saturating_add(self.globals.count);
        self.globals.push(|bytes| {
            GlobalType { val_type, mutable, shared: false }.encode(bytes);
            init.encode(bytes);
        });
        index
    }

    /// Adds a function with a type of its own and returns its index.
    pub(crate) fn function(
        &mut self,
        info: &ModuleInfo,
        params: &[ValType],
        results: &[ValType],
        body: &Function,
    ) -> u32 {
        let mut bytes = Vec::new();
        body.encode(&mut bytes);
        self.declare(info, params, results, AddedBody::Written(bytes))
    }

    /// Moves the body of a function that the module defines to an added one of the same type, and returns that one's
    /// index. The function keeps its index with what [`Self::put_in_place`] gives it.
    pub(crate) fn move_body(&mut self, info: &ModuleInfo, index: u32, params: &[ValType], results: &[ValType]) -> u32 {
        let defined = index.saturating_sub(info.imported_functions) as usize;
        self.declare(info, params, results, AddedBody::Moved(defined))
    }

    /// Gives a function whose body was moved another one.
    pub(crate) fn put_in_place(&mut self, info: &ModuleInfo, index: u32, body: &Function) {
        let mut bytes = Vec::new();
        body.encode(&mut bytes);
        self.in_place.insert(index.saturating_sub(info.imported_functions) as usize, bytes);
    }

    fn declare(&mut self, info: &ModuleInfo, params: &[ValType], results: &[ValType], body: AddedBody) -> u32 {
        const FUNCTION_TYPE: u8 = 0x60;
        let ty = info.types.saturating_add(self.types.count);
        let index = info.functions().saturating_add(self.functions.count);
        self.types.push(|bytes| {
            bytes.push(FUNCTION_TYPE);
            params.encode(bytes);
            results.encode(bytes);
        });
        self.functions.push(|bytes| ty.encode(bytes));
        self.code.push(body);
        index
    }

    /// What goes to a section other than that of the code.
    fn of(&self, section: SectionId) -> Option<&Entries> {
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
}

/// Appends `additions` to the module, lets `edits` replace instructions, and inserts into each function body what
/// `insertions` has for it, by the order of the bodies. An instruction goes to the first edit that takes it; what edits
/// write and what is inserted is not offered again.
pub(crate) fn splice(
    wasm: &[u8],
    additions: &Additions,
    edits: &[&dyn Edit],
    insertions: &[Insertions],
) -> Result<(Vec<u8>, OffsetMap)> {
    let mut splicer = Splicer {
        wasm,
        additions,
        edits,
        insertions,
        out: Vec::with_capacity(wasm.len() + 1024),
        pending: Additions::SECTIONS.to_vec(),
        copied_to: 0,
        offsets: OffsetMap::default(),
    };
    let mut bodies: Vec<FunctionBody<'_>> = Vec::new();
    let mut code: Option<Range<usize>> = None;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        match &payload {
            Payload::Version { range, .. } => splicer.copy(span(range)),
            Payload::CodeSectionStart { unchecked_range, count, .. } => {
                code = Some(span(unchecked_range));
                bodies.reserve(*count as usize);
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.clone()),
            Payload::CustomSection(section) => {
                splicer.finish_code(code.take(), &bodies)?;
                splicer.copy(span(&section.range()));
            }
            Payload::End(_) => splicer.finish_code(code.take(), &bodies)?,
            _ => {
                splicer.finish_code(code.take(), &bodies)?;
                if let Some((id, range)) = payload.as_section() {
                    splicer.section(id, span(&range))?;
                }
            }
        }
    }
    splicer.open_missing(None);
    splicer.offsets.simplify();
    Ok((splicer.out, splicer.offsets))
}

struct Splicer<'a> {
    wasm: &'a [u8],
    additions: &'a Additions,
    edits: &'a [&'a dyn Edit],
    insertions: &'a [Insertions],
    out: Vec<u8>,
    /// Sections to which additions may still go.
    pending: Vec<SectionId>,
    /// How far the original has been dealt with. The next section's header begins there.
    copied_to: usize,
    offsets: OffsetMap,
}

impl Splicer<'_> {
    /// Copies the section (or the file's header) that ends where `contents` ends, header and all.
    fn copy(&mut self, contents: Range<usize>) {
        self.out.extend_from_slice(self.wasm.get(self.copied_to..contents.end).unwrap_or_default());
        self.copied_to = contents.end;
    }

    fn section(&mut self, id: u8, contents: Range<usize>) -> Result<()> {
        self.open_missing(Some(id));
        let Some(section) = self.pending.iter().copied().find(|section| *section as u8 == id) else {
            self.copy(contents);
            return Ok(());
        };
        self.pending.retain(|pending| *pending != section);
        let Some(added) = self.additions.of(section) else {
            self.copy(contents);
            return Ok(());
        };
        let bytes = self.wasm.get(contents.clone()).unwrap_or_default();
        let mut reader = BinaryReader::new(bytes, contents.start as u64);
        let count = reader.read_var_u32()?;
        let entries = bytes.get(reader.current_position()..).unwrap_or_default();
        self.write_section(section, count.saturating_add(added.count), &[entries, &added.bytes]);
        self.copied_to = contents.end;
        Ok(())
    }

    /// Writes the sections that the module lacks and that belong before the section `next`.
    fn open_missing(&mut self, next: Option<u8>) {
        let due = |section: SectionId| next.is_none_or(|next| rank(section as u8) < rank(next));
        let (missing, pending) = std::mem::take(&mut self.pending).into_iter().partition(|section| due(*section));
        self.pending = pending;
        let missing: Vec<SectionId> = missing;
        for section in missing {
            if let Some(added) = self.additions.of(section) {
                self.write_section(section, added.count, &[&added.bytes]);
            } else if section == SectionId::Code && !self.additions.code.is_empty() {
                let written = self.additions.code.iter().filter_map(|body| match body {
                    AddedBody::Written(bytes) => Some(bytes.as_slice()),
                    // There is no function whose body could have been moved.
                    AddedBody::Moved(_) => None,
                });
                let parts: Vec<&[u8]> = written.collect();
                self.write_section(section, u32::try_from(parts.len()).unwrap_or(u32::MAX), &parts);
            }
        }
    }

    fn write_section(&mut self, section: SectionId, count: u32, parts: &[&[u8]]) {
        let mut number = Vec::new();
        count.encode(&mut number);
        let length = number.len() + parts.iter().map(|part| part.len()).sum::<usize>();
        self.out.push(section as u8);
        length.encode(&mut self.out);
        self.out.extend_from_slice(&number);
        for part in parts {
            self.out.extend_from_slice(part);
        }
    }

    /// Writes the code section, whose bodies the parser hands out one by one behind the section's start.
    fn finish_code(&mut self, contents: Option<Range<usize>>, bodies: &[FunctionBody<'_>]) -> Result<()> {
        let Some(contents) = contents else {
            return Ok(());
        };
        self.open_missing(Some(SectionId::Code as u8));
        self.pending.retain(|pending| *pending != SectionId::Code);
        let (additions, insertions) = (self.additions, self.insertions);
        let none = Insertions::default();
        let inserted = |index: usize| insertions.get(index).unwrap_or(&none);
        let mut entries = Vec::with_capacity(contents.len() + 1024);
        for (index, body) in bodies.iter().enumerate() {
            match additions.in_place.get(&index) {
                Some(other) => self.added_body(other, &mut entries),
                None => self.body(body, inserted(index), &mut entries)?,
            }
        }
        for added in &additions.code {
            match added {
                AddedBody::Written(bytes) => self.added_body(bytes, &mut entries),
                AddedBody::Moved(index) => {
                    if let Some(body) = bodies.get(*index) {
                        self.body(body, inserted(*index), &mut entries)?;
                    }
                }
            }
        }
        self.offsets.added(entries.len() as u64);
        let count = u32::try_from(bodies.len().saturating_add(additions.code.len())).unwrap_or(u32::MAX);
        self.write_section(SectionId::Code, count, &[&entries]);
        self.offsets.shift((self.out.len() - entries.len()) as u64);
        self.offsets.added(self.out.len() as u64);
        self.copied_to = contents.end;
        Ok(())
    }

    /// Writes a body that the original does not have.
    fn added_body(&mut self, body: &[u8], entries: &mut Vec<u8>) {
        self.offsets.added(entries.len() as u64);
        entries.extend_from_slice(body);
    }

    fn body(&mut self, body: &FunctionBody<'_>, insertions: &Insertions, entries: &mut Vec<u8>) -> Result<()> {
        let original = span(&body.range());
        let mut rewriting = Rewriting { wasm: self.wasm, out: Vec::new(), rest: original.start, runs: Vec::new() };
        if !self.edits.is_empty() || !insertions.is_empty() {
            let mut operators = body.get_operators_reader()?;
            if !insertions.locals.is_empty() {
                rewriting.locals(body, &insertions.locals, usize_of(operators.original_position()))?;
            }
            let mut inserted = insertions.code.iter().peekable();
            while !operators.eof() {
                let (operator, offset) = operators.read_with_offset()?;
                let at = usize_of(offset);
                while let Some((_, code)) = inserted.next_if(|(before, _)| *before == offset) {
                    rewriting.write(at, at, code);
                }
                let mut replacement = Vec::new();
                let mut code = InstructionSink::new(&mut replacement);
                if self.edits.iter().any(|edit| edit.replace(&operator, &mut code)) {
                    rewriting.write(at, usize_of(operators.original_position()), &replacement);
                }
            }
        }
        let Rewriting { mut out, rest, mut runs, .. } = rewriting;
        runs.push((out.len(), Run::Copied(rest)));
        out.extend_from_slice(self.wasm.get(rest..original.end).unwrap_or_default());
        out.len().encode(entries);
        for (at, run) in runs {
            let start = (entries.len() + at) as u64;
            match run {
                Run::Copied(from) => self.offsets.copied(start, from as u64),
                Run::Written(instruction) => self.offsets.replaced(start, instruction as u64),
                Run::Added => self.offsets.added(start),
            }
        }
        entries.extend_from_slice(&out);
        Ok(())
    }
}

/// A function body as far as it is rewritten.
struct Rewriting<'a> {
    wasm: &'a [u8],
    out: Vec<u8>,
    /// How far the original has been dealt with.
    rest: usize,
    /// Where in `out` something begins, and what.
    runs: Vec<(usize, Run)>,
}

enum Run {
    /// Copied from here.
    Copied(usize),
    /// On behalf of the instruction here.
    Written(usize),
    /// On nobody's behalf.
    Added,
}

impl Rewriting<'_> {
    /// Copies what is left before `at`, writes `code`, and goes on at `rest`.
    fn write(&mut self, at: usize, rest: usize, code: &[u8]) {
        self.copy_to(at);
        self.runs.push((self.out.len(), Run::Written(at)));
        self.out.extend_from_slice(code);
        self.rest = rest;
    }

    fn copy_to(&mut self, at: usize) {
        self.runs.push((self.out.len(), Run::Copied(self.rest)));
        self.out.extend_from_slice(self.wasm.get(self.rest..at).unwrap_or_default());
        self.rest = at;
    }

    /// Declares more locals; the function's own end at `end`.
    fn locals(&mut self, body: &FunctionBody<'_>, added: &[(u32, ValType)], end: usize) -> Result<()> {
        let mut reader = body.get_binary_reader();
        let groups = reader.read_var_u32()?;
        self.runs.push((self.out.len(), Run::Added));
        groups.saturating_add(u32::try_from(added.len()).unwrap_or(u32::MAX)).encode(&mut self.out);
        self.rest = usize_of(reader.original_position());
        self.copy_to(end);
        self.runs.push((self.out.len(), Run::Added));
        for (count, ty) in added {
            count.encode(&mut self.out);
            ty.encode(&mut self.out);
        }
        Ok(())
    }
}

/// Place of a section in the order that the format prescribes. It is that of the numbers, but for two.
fn rank(id: u8) -> u8 {
    const TAG: u8 = SectionId::Tag as u8;
    const DATA_COUNT: u8 = SectionId::DataCount as u8;
    match id {
        TAG => SectionId::Memory as u8 * 2 + 1,
        DATA_COUNT => SectionId::Element as u8 * 2 + 1,
        other => other.saturating_mul(2),
    }
}

/// A range of offsets into bytes that are in memory, so it fits.
fn span(range: &Range<u64>) -> Range<usize> {
    usize_of(range.start)..usize_of(range.end)
}

fn usize_of(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
