//! Carries the changes of all passes out, in one pass over a module's bytes: appends entries to sections, replaces and
//! inserts code, moves function bodies, and copies the rest as it stands.

use std::ops::Range;

use wasm_encoder::{Encode, SectionId, ValType};
use wasmparser::{BinaryReader, FunctionBody, Parser, Payload, Result};

use crate::changes::{AddedBody, Changes};
use crate::offsets::OffsetMap;

/// The changed module, and where the original had its code.
pub(crate) fn splice(wasm: &[u8], mut changes: Changes) -> Result<(Vec<u8>, OffsetMap)> {
    changes.sort();
    let mut splicer = Splicer {
        wasm,
        changes: &changes,
        out: Vec::with_capacity(wasm.len() + 1024),
        pending: Changes::SECTIONS.to_vec(),
        copied_to: 0,
        offsets: OffsetMap::default(),
    };
    let mut bodies: Vec<FunctionBody<'_>> = Vec::new();
    let mut code: Option<Range<usize>> = None;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        match &payload {
            Payload::Version { range, .. } => splicer.copy(range.clone()),
            Payload::CodeSectionStart { range, count, .. } => {
                code = Some(range.clone());
                bodies.reserve(*count as usize);
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.clone()),
            Payload::CustomSection(section) => {
                splicer.finish_code(code.take(), &bodies)?;
                splicer.copy(section.range());
            }
            Payload::End(_) => splicer.finish_code(code.take(), &bodies)?,
            _ => {
                splicer.finish_code(code.take(), &bodies)?;
                if let Some((id, range)) = payload.as_section() {
                    splicer.section(id, range)?;
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
    changes: &'a Changes,
    out: Vec<u8>,
    /// Sections to which entries may still be appended.
    pending: Vec<SectionId>,
    /// How far the original has been written. The next section's header begins there.
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
        let Some(added) = self.changes.of(section) else {
            self.copy(contents);
            return Ok(());
        };
        let bytes = self.wasm.get(contents.clone()).unwrap_or_default();
        let mut reader = BinaryReader::new(bytes, contents.start);
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
            if let Some(added) = self.changes.of(section) {
                self.write_section(section, added.count, &[&added.bytes]);
            } else if section == SectionId::Code && !self.changes.code.is_empty() {
                let written = self.changes.code.iter().filter_map(|body| match body {
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
        let changes = self.changes;
        let mut entries = Vec::with_capacity(contents.len() + 1024);
        for (index, body) in bodies.iter().enumerate() {
            match changes.in_place.get(&index) {
                Some(other) => self.added_body(other, &mut entries),
                None => self.body(body, index, &mut entries)?,
            }
        }
        for added in &changes.code {
            match added {
                AddedBody::Written(bytes) => self.added_body(bytes, &mut entries),
                AddedBody::Moved(index) => {
                    if let Some(body) = bodies.get(*index) {
                        self.body(body, *index, &mut entries)?;
                    }
                }
            }
        }
        self.offsets.added(entries.len() as u64);
        let count = u32::try_from(bodies.len().saturating_add(changes.code.len())).unwrap_or(u32::MAX);
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

    /// Writes the body of the function of this number among those that the module defines, with the changes to it.
    fn body(&mut self, body: &FunctionBody<'_>, defined: usize, entries: &mut Vec<u8>) -> Result<()> {
        let original = body.range();
        let changes = self.changes;
        let mut rewriting = Rewriting { wasm: self.wasm, out: Vec::new(), rest: original.start, runs: Vec::new() };
        let added = changes.added_locals(defined);
        if !added.is_empty() {
            let end = body.get_operators_reader()?.original_position();
            rewriting.locals(body, added, end)?;
        }
        for edit in changes.edits(&original) {
            // What another edit has replaced already is not there any more.
            if edit.at.start >= rewriting.rest {
                rewriting.write(edit.at.clone(), &edit.code);
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
    /// How far the original has been written.
    rest: usize,
    /// Where in `out` something begins, and what.
    runs: Vec<(usize, Run)>,
}

enum Run {
    /// Copied from here.
    Copied(usize),
    /// Inserted before the instruction here, or in its place.
    Written(usize),
    /// Not in the original.
    Added,
}

impl Rewriting<'_> {
    /// Copies what is left before `at`, writes `code`, and goes on behind `at`.
    fn write(&mut self, at: Range<usize>, code: &[u8]) {
        self.copy_to(at.start);
        self.runs.push((self.out.len(), Run::Written(at.start)));
        self.out.extend_from_slice(code);
        self.rest = at.end;
    }

    fn copy_to(&mut self, at: usize) {
        self.runs.push((self.out.len(), Run::Copied(self.rest)));
        self.out.extend_from_slice(self.wasm.get(self.rest..at).unwrap_or_default());
        self.rest = at;
    }

    /// Declares more locals behind the function's own, which end at `end`.
    fn locals(&mut self, body: &FunctionBody<'_>, added: &[ValType], end: usize) -> Result<()> {
        let mut reader = body.get_binary_reader();
        let groups = reader.read_var_u32()?;
        self.runs.push((self.out.len(), Run::Added));
        groups.saturating_add(u32::try_from(added.len()).unwrap_or(u32::MAX)).encode(&mut self.out);
        self.rest = reader.original_position();
        self.copy_to(end);
        self.runs.push((self.out.len(), Run::Added));
        for ty in added {
            1_u32.encode(&mut self.out);
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
