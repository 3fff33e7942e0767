//! The pass over a module's bytes: validation and collection side by side.

use std::ops::Range;

use wasmparser::{
    CompositeInnerType, ConstExpr, DataKind, ExternalKind, FunctionBody, Operator, Parser, Payload, Result, TypeRef,
    ValidPayload, Validator, WasmFeatures,
};

use super::custom::CustomSections;
use super::types::{
    Constant, DataSegment, Export, ExternType, Global, GlobalType, Import, Memory, MemoryType, Placement, Signature,
    Sizes, Table, TableType,
};
use super::{InstructionUse, ModuleInfo};

/// Validates the module under these features and collects its parts.
pub(super) fn collect(wasm: &[u8], features: WasmFeatures) -> Result<ModuleInfo> {
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let mut validator = Validator::new_with_features(features);
    let mut collector = Collector::default();
    let mut allocations = wasmparser::FuncValidatorAllocations::default();
    for payload in parser.parse_all(wasm) {
        let payload = payload?;
        match validator.payload(&payload)? {
            ValidPayload::Func(function, body) => {
                let index = function.index;
                let mut function = function.into_validator(allocations);
                collector.function_body(&mut function, index, &body)?;
                allocations = function.into_allocations();
            }
            _ => collector.payload(&payload)?,
        }
    }
    Ok(collector.finish(wasm.len() as u64))
}

#[derive(Default)]
struct Collector {
    /// One for each type; `None` for types that are no functions.
    signatures: Vec<Option<Signature>>,
    /// Type index of each function.
    functions: Vec<u32>,
    imported_functions: u32,
    imports: Vec<Import>,
    exports: Vec<Export>,
    memories: Vec<Memory>,
    globals: Vec<Global>,
    tables: Vec<Table>,
    start: Option<u32>,
    data_segments: Vec<DataSegment>,
    instructions: InstructionUse,
    custom: CustomSections,
    sizes: Sizes,
    custom_bytes: u64,
    /// Where the section before the current one ended.
    section_end: usize,
}

impl Collector {
    fn payload(&mut self, payload: &Payload<'_>) -> Result<()> {
        match payload {
            Payload::Version { range, .. } => self.section_end = range.end,
            Payload::TypeSection(section) => {
                for group in section.clone() {
                    for ty in group?.into_types() {
                        self.signatures.push(match ty.composite_type.inner {
                            CompositeInnerType::Func(function) => Some(signature(&function)),
                            _ => None,
                        });
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    let import = import?;
                    self.import(&import);
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section.clone() {
                    self.functions.push(ty?);
                }
            }
            Payload::TableSection(section) => {
                for table in section.clone() {
                    self.table(table?.ty, false);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section.clone() {
                    self.memory(memory?, false);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section.clone() {
                    let global = global?;
                    self.global(global.ty, false, constant(&global.init_expr));
                }
            }
            Payload::ExportSection(section) => {
                for export in section.clone() {
                    let export = export?;
                    self.export(&export);
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(*func),
            Payload::DataSection(section) => {
                for segment in section.clone() {
                    let segment = segment?;
                    let placement = match &segment.kind {
                        DataKind::Passive => Placement::Passive,
                        DataKind::Active { offset_expr, .. } => match constant(offset_expr) {
                            Some(Constant::I32(address)) => Placement::At(address.cast_unsigned().into()),
                            Some(Constant::I64(address)) => Placement::At(address.cast_unsigned()),
                            _ => Placement::Computed,
                        },
                    };
                    self.data_segments.push(DataSegment { placement, length: segment.data.len() as u64 });
                }
                self.sizes.data = bytes(&section.range());
            }
            Payload::CodeSectionStart { range, .. } => {
                self.sizes.code = bytes(range);
            }
            Payload::CustomSection(section) => {
                self.custom.read(section);
                self.custom_bytes += bytes(&(self.section_end..section.range().end));
            }
            _ => {}
        }
        if let Some((_, range)) = payload.as_section() {
            self.section_end = range.end;
        }
        Ok(())
    }

    fn function_body(
        &mut self,
        validator: &mut wasmparser::FuncValidator<wasmparser::ValidatorResources>,
        index: u32,
        body: &FunctionBody<'_>,
    ) -> Result<()> {
        validator.read_locals(&mut body.get_binary_reader())?;
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset()?;
            validator.op(offset, &operator)?;
            self.instructions.record(index, &operator);
        }
        operators.finish()
    }

    fn import(&mut self, import: &wasmparser::Import<'_>) {
        let ty = match import.ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.functions.push(ty);
                self.imported_functions += 1;
                ExternType::Function(self.signature_of_type(ty))
            }
            TypeRef::Table(ty) => self.table(ty, true),
            TypeRef::Memory(ty) => self.memory(ty, true),
            TypeRef::Global(ty) => self.global(ty, true, None),
            TypeRef::Tag(_) => ExternType::Tag,
        };
        self.imports.push(Import { module: import.module.to_owned(), name: import.name.to_owned(), ty });
    }

    fn table(&mut self, ty: wasmparser::TableType, imported: bool) -> ExternType {
        let ty = TableType {
            element: wasmparser::ValType::Ref(ty.element_type).into(),
            minimum: ty.initial,
            maximum: ty.maximum,
        };
        self.tables.push(Table { ty: ty.clone(), imported, exports: Vec::new() });
        ExternType::Table(ty)
    }

    fn memory(&mut self, ty: wasmparser::MemoryType, imported: bool) -> ExternType {
        let ty = MemoryType { minimum: ty.initial, maximum: ty.maximum, shared: ty.shared, memory64: ty.memory64 };
        self.memories.push(Memory { ty, imported, exports: Vec::new() });
        ExternType::Memory(ty)
    }

    fn global(&mut self, ty: wasmparser::GlobalType, imported: bool, init: Option<Constant>) -> ExternType {
        let ty = GlobalType { value: ty.content_type.into(), mutable: ty.mutable };
        let index = u32::try_from(self.globals.len()).unwrap_or(u32::MAX);
        self.globals.push(Global { index, ty: ty.clone(), imported, exports: Vec::new(), name: None, init });
        ExternType::Global(ty)
    }

    /// The validator has checked that the index is in range.
    fn export(&mut self, export: &wasmparser::Export<'_>) {
        let at = export.index as usize;
        let name = export.name.to_owned();
        let ty = match export.kind {
            ExternalKind::Func | ExternalKind::FuncExact => {
                self.functions.get(at).map(|ty| ExternType::Function(self.signature_of_type(*ty)))
            }
            ExternalKind::Table => self.tables.get_mut(at).map(|table| {
                table.exports.push(name.clone());
                ExternType::Table(table.ty.clone())
            }),
            ExternalKind::Memory => self.memories.get_mut(at).map(|memory| {
                memory.exports.push(name.clone());
                ExternType::Memory(memory.ty)
            }),
            ExternalKind::Global => self.globals.get_mut(at).map(|global| {
                global.exports.push(name.clone());
                ExternType::Global(global.ty.clone())
            }),
            ExternalKind::Tag => Some(ExternType::Tag),
        };
        if let Some(ty) = ty {
            self.exports.push(Export { name, index: export.index, ty });
        }
    }

    fn signature_of_type(&self, index: u32) -> Signature {
        self.signatures.get(index as usize).cloned().flatten().unwrap_or_default()
    }

    fn finish(mut self, total: u64) -> ModuleInfo {
        for global in &mut self.globals {
            global.name = self.custom.names.globals.get(&global.index).cloned();
        }
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        ModuleInfo {
            name: self.custom.names.module,
            types: count(self.signatures.len()),
            imported_functions: self.imported_functions,
            defined_functions: count(self.functions.len()).saturating_sub(self.imported_functions),
            imports: self.imports,
            exports: self.exports,
            memories: self.memories,
            globals: self.globals,
            tables: self.tables,
            start: self.start,
            data_segments: self.data_segments,
            instructions: self.instructions,
            abi_version: self.custom.abi_version,
            producers: self.custom.producers,
            target_features: self.custom.target_features,
            debug_information: self.custom.debug_information,
            sizes: Sizes { total, stripped: total.saturating_sub(self.custom_bytes), ..self.sizes },
            function_section: self.custom.functions,
            engine_refusal: None,
            function_names: self.custom.names.functions,
            data_segment_names: self.custom.names.data_segments,
            signatures: self.signatures,
            function_types: self.functions,
        }
    }
}

/// Bytes in a part of the module.
fn bytes(part: &Range<usize>) -> u64 {
    part.len() as u64
}

fn signature(function: &wasmparser::FuncType) -> Signature {
    let convert = |types: &[wasmparser::ValType]| types.iter().copied().map(Into::into).collect::<Vec<_>>();
    Signature::new(convert(function.params()), convert(function.results()))
}

/// The value of an expression that is one constant and nothing else.
fn constant(expression: &ConstExpr<'_>) -> Option<Constant> {
    let mut operators = expression.get_operators_reader();
    let value = match operators.read().ok()? {
        Operator::I32Const { value } => Constant::I32(value),
        Operator::I64Const { value } => Constant::I64(value),
        Operator::F32Const { value } => Constant::F32(value.bits()),
        Operator::F64Const { value } => Constant::F64(value.bits()),
        _ => return None,
    };
    matches!(operators.read(), Ok(Operator::End)).then_some(value)
}
