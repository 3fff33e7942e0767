//! A guest: a module that was analysed, admitted, prepared and compiled, ready to be instantiated.

pub mod admission;
pub(crate) mod error;

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sha2::{Digest as _, Sha256};
use wasmtime::{InstancePre, Linker};

use crate::contract;
use crate::engine::Engine;
use crate::engine::artefact::{self, ArtefactError, CodeOrigin, TrustedCode};
use crate::failure::Cause;
use crate::guest::admission::Admission;
use crate::guest::error::{AdmissionError, CompileError, InputError, LoadError};
use crate::host::mode::Mode;

use crate::spans::span;
use guest_prepare::module_info::{ContractKind, ModuleInfo};
use guest_prepare::{PrepareOptions, Prepared, prepare};
use guest_state::input;

/// A loaded module. Cheap to clone.
///
/// ```
/// use guest_host::{Engine, EngineConfig, Guest, PrepareOptions};
///
/// let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop.wat")))?;
/// let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
/// assert_eq!(guest.functions(), ["count_up", "refuse", "spin"]);
/// // Resolve a function once, and keep the handle for all calls.
/// let count_up = guest.function("count_up")?;
/// assert_eq!(guest.function_name(count_up), "count_up");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Guest {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    name: String,
    info: ModuleInfo,
    admission: Admission,
    functions: Vec<String>,
    /// Names of the exports of typed functions and of stages.
    typed: Vec<String>,
    options: PrepareOptions,
    wasm: Vec<u8>,
    /// SHA-256 of `wasm`, once it was asked for.
    hash: OnceLock<[u8; 32]>,
    plain: Arc<Compiled>,
    /// The module with a write barrier, once a strategy has needed it.
    marking: Later,
    /// The module that keeps the lowest stack pointer, once a strategy has needed it.
    tracking: Later,
    /// Where the code of `plain` is from.
    origin: CodeOrigin,
    /// Code that was compiled ahead of time.
    code: TrustedCode,
}

/// Bytes that a compiled module takes beside its code and its bytes, however small it is: pages that are not full.
const BESIDE_CODE: usize = 16 << 10;

/// Code that is compiled when it is first needed.
type Later = Mutex<Option<Arc<Compiled>>>;

/// A module that was prepared in one of the ways, and compiled.
pub(crate) struct Compiled {
    pub(crate) prepared: Prepared,
    pub(crate) pre: InstancePre<contract::Data>,
    /// The same over host functions that await, once an asynchronous instance has needed it.
    #[cfg(feature = "async")]
    awaiting: std::sync::OnceLock<InstancePre<contract::Data>>,
}

impl Compiled {
    /// Ranges of memory that are put back whether or not they are marked.
    #[inline]
    pub(crate) fn always(&self) -> &[Range<u32>] {
        self.prepared.barrier.as_ref().map_or(&[], |barrier| &barrier.always)
    }

    /// Prepares the module and compiles it, unless there is code for it; says why where that is none.
    fn new(
        engine: &Engine,
        wasm: &[u8],
        info: &ModuleInfo,
        options: PrepareOptions,
        code: &TrustedCode,
    ) -> Result<(Self, Option<ArtefactError>), LoadError> {
        let prepared = {
            span!(debug_span, "prepare", bytes = wasm.len());
            prepare(wasm, info, options).map_err(CompileError::Prepare)?
        };
        let wasmtime = engine.wasmtime();
        let compile = || {
            span!(debug_span, "compile", bytes = prepared.wasm.len());
            engine.compile(&prepared.wasm).map_err(CompileError::Compile)
        };
        let (module, refused) = match code.module(engine, &prepared.wasm) {
            Ok(module) => (module, None),
            Err(refused) => (compile()?, Some(refused)),
        };
        let mut linker = Linker::new(wasmtime);
        contract::define(info, &mut linker).map_err(LoadError::engine)?;
        let pre = linker.instantiate_pre(&module).map_err(|error| LoadError::instantiate(&error))?;
        let compiled = Self {
            prepared,
            pre,
            #[cfg(feature = "async")]
            awaiting: std::sync::OnceLock::new(),
        };
        Ok((compiled, refused))
    }

    fn resident_bytes(&self) -> usize {
        let image = self.pre.module().image_range();
        self.prepared.wasm.len() + (image.end as usize).saturating_sub(image.start as usize) + BESIDE_CODE
    }

    /// The module with the host functions of a mode.
    #[cfg(not(feature = "async"))]
    pub(crate) fn pre<M: Mode>(&self, _info: &ModuleInfo) -> Result<&InstancePre<contract::Data>, LoadError> {
        Ok(&self.pre)
    }

    /// The module with the host functions of a mode.
    #[cfg(feature = "async")]
    pub(crate) fn pre<M: Mode>(&self, info: &ModuleInfo) -> Result<&InstancePre<contract::Data>, LoadError> {
        if !M::IS_ASYNC {
            return Ok(&self.pre);
        }
        if let Some(pre) = self.awaiting.get() {
            return Ok(pre);
        }
        let mut linker = Linker::new(self.pre.module().engine());
        contract::define_awaiting(info, &mut linker).map_err(LoadError::engine)?;
        let pre = linker.instantiate_pre(self.pre.module());
        let pre = pre.map_err(|error| LoadError::instantiate(&error))?;
        Ok(self.awaiting.get_or_init(|| pre))
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("barrier", &self.prepared.barrier).finish_non_exhaustive()
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("name", &self.inner.name).finish_non_exhaustive()
    }
}

/// One of a guest's extension functions, resolved once so that invoking it needs no look-up by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Function {
    pub(crate) index: usize,
}

impl Function {
    /// Its place among [`Guest::functions`].
    #[must_use]
    pub fn index(self) -> usize {
        self.index
    }
}

impl Guest {
    /// Loads a module, or an [artefact], from its bytes; `name` is what reports call it.
    ///
    /// # Errors
    /// [`LoadError`] when the bytes are neither, or a module that this host cannot run.
    pub fn load(engine: &Engine, name: &str, bytes: &[u8], options: PrepareOptions) -> Result<Self, LoadError> {
        #[cfg(feature = "artefacts")]
        if artefact::is_artefact(bytes) {
            return Self::from_artefact(engine, name, bytes, options);
        }
        #[cfg(not(feature = "artefacts"))]
        if artefact::is_artefact(bytes) {
            return Err(InputError::NoArtefacts.into());
        }
        Self::load_module(engine, name, bytes, options, TrustedCode::default(), |_| CodeOrigin::Compiled)
    }

    /// Loads an artefact that `Guest::to_artefact` made. Its machine code is used where the engine
    /// [trusts](crate::EngineConfig::artefact_trust) it, and it is whole and fits; otherwise the module in it is compiled
    /// anew. [`Guest::code_origin`] says which, and why.
    ///
    /// # Errors
    /// [`InputError::Artefact`] when not even the module in it is whole, and as for [`Guest::load`].
    #[cfg(feature = "artefacts")]
    pub fn from_artefact(
        engine: &Engine,
        name: &str,
        bytes: &[u8],
        options: PrepareOptions,
    ) -> Result<Self, LoadError> {
        let (module, code) = artefact::open(engine, bytes).map_err(InputError::Artefact)?;
        match code {
            Ok(code) => Self::load_module(engine, name, module, options, code, |refused| match refused {
                None => CodeOrigin::Artefact,
                Some(error) => CodeOrigin::Recompiled(error),
            }),
            Err(error) => Self::load_module(engine, name, module, options, TrustedCode::default(), |_| {
                CodeOrigin::Recompiled(error)
            }),
        }
    }

    /// The same guest for another engine. The machine code is reused if the other engine compiles with the same settings, for
    /// instance if it differs only in its [`InstanceAllocation`](crate::InstanceAllocation); otherwise the module is compiled again.
    ///
    /// # Errors
    /// As for [`Guest::load`].
    pub fn for_engine(&self, engine: &Engine) -> Result<Self, LoadError> {
        let Inner { name, options, wasm, plain, origin, code, .. } = &*self.inner;
        let code = code.for_engine(plain.pre.module(), &plain.prepared.wasm, engine);
        Self::load_module(engine, name, wasm, *options, code, |_| origin.clone())
    }

    /// Loads a module with the code that exists for it. `origin` gets the reason why that code was not used, if it was not,
    /// and says where the guest's code comes from.
    fn load_module(
        engine: &Engine,
        name: &str,
        wasm: &[u8],
        options: PrepareOptions,
        code: TrustedCode,
        origin: impl FnOnce(Option<ArtefactError>) -> CodeOrigin,
    ) -> Result<Self, LoadError> {
        span!(debug_span, "load", guest = name, bytes = wasm.len());
        let info = ModuleInfo::analyse(wasm).map_err(InputError::Module)?;
        let admission = Admission::of(&info);
        admission.runnable().map_err(AdmissionError::NotRunnable)?;
        let functions = match &admission.contract {
            Ok(contract) => contract.functions().to_vec(),
            Err(errors) => return Err(AdmissionError::Contract(errors.clone()).into()),
        };
        let typed = info.callable_functions().skip(functions.len()).map(|export| export.name.clone()).collect();
        let plain = options.with_barrier(None).with_lowest_stack(false);
        let (plain, refused) = Compiled::new(engine, wasm, &info, plain, &code)?;
        let inner = Inner {
            engine: engine.clone(),
            name: name.to_owned(),
            info,
            admission,
            functions,
            typed,
            options,
            wasm: wasm.to_vec(),
            hash: OnceLock::new(),
            plain: Arc::new(plain),
            marking: Later::default(),
            tracking: Later::default(),
            origin: origin(refused),
            code,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Loads a module or an artefact from a file; reports call it by the file's name without its ending.
    ///
    /// # Errors
    /// [`LoadError::InFile`] with an error as for [`Guest::load`] or [`Guest::read_file`].
    pub fn from_file(engine: &Engine, path: &Path, options: PrepareOptions) -> Result<Self, LoadError> {
        let bytes = Self::read_file(path)?;
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
        Self::load(engine, &name, &bytes, options).map_err(|error| error.in_file(path))
    }

    /// Reads the bytes of a guest from a file, for [`Guest::load`].
    ///
    /// # Errors
    /// [`LoadError::InFile`] with [`InputError::Read`] when the system refuses, or the file is a folder, a device or larger
    /// than any module.
    pub fn read_file(path: &Path) -> Result<Vec<u8>, LoadError> {
        input::read(path).map_err(|error| LoadError::from(InputError::Read(error)).in_file(path))
    }

    /// The module and its machine code, which [`Guest::load`] takes in the place of the module and need not compile. The
    /// code is for engines of this configuration and version, on this kind of processor. It is sealed where this engine
    /// trusts a [key](crate::EngineConfig::artefact_trust).
    ///
    /// The code is that of the module without a write barrier and, where the guest can be restored by it, with one; and
    /// that which keeps the lowest stack pointer, where a strategy of the guest goes by it.
    ///
    /// # Errors
    /// [`CompileError`].
    #[cfg(all(feature = "artefacts", feature = "compile"))]
    pub fn to_artefact(&self) -> Result<Vec<u8>, LoadError> {
        let engine = self.engine();
        let mut variants = vec![self.plain()];
        if self.admission().full_copy().is_ok() {
            match self.marking() {
                // Where it cannot be given a write barrier, it is not restored by one either.
                Err(LoadError::Compile(_)) => {}
                marking => variants.push(marking?),
            }
        }
        if self.admission().allocator_aware().is_ok() {
            variants.extend(self.tracking()?);
        }
        let serialise = |variant: &Arc<Compiled>| variant.pre.module().serialize();
        let codes: Result<Vec<_>, _> = variants.iter().map(serialise).collect();
        let codes = codes.map_err(|error| CompileError::Serialise(format!("{error:#}")))?;
        let prepared = variants.iter().map(|variant| variant.prepared.wasm.as_slice());
        Ok(artefact::make(engine, &self.inner.wasm, prepared.zip(codes.iter().map(Vec::as_slice))))
    }

    /// Where the guest's machine code comes from: that without a write barrier.
    #[cfg(feature = "artefacts")]
    #[must_use]
    pub fn code_origin(&self) -> &CodeOrigin {
        &self.inner.origin
    }

    /// The guest's name in reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The engine for which it was compiled.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// The parts of the module.
    #[must_use]
    pub fn info(&self) -> &ModuleInfo {
        &self.inner.info
    }

    /// Whether and how it can be restored.
    #[must_use]
    pub fn admission(&self) -> &Admission {
        &self.inner.admission
    }

    /// The rewritten module, without a write barrier, and how to reach what was added.
    #[must_use]
    pub fn prepared(&self) -> &Prepared {
        &self.inner.plain.prepared
    }

    /// Whether another one is the same: a clone.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// SHA-256 of the module, before it was prepared.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        *self.inner.hash.get_or_init(|| Sha256::digest(&self.inner.wasm).into())
    }

    /// Bytes of memory that the module takes in this process, about: its code, in the variants that strategies have needed so far,
    /// and its bytes before and after preparation. Its instances are not counted.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let later = |later: &Later| later.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Inner { wasm, plain, marking, tracking, .. } = &*self.inner;
        let variants = [Some(Arc::clone(plain)), later(marking), later(tracking)];
        let bytes = wasm.len() + variants.iter().flatten().map(|compiled| compiled.resident_bytes()).sum::<usize>();
        // Metadata, such as the names of functions, took half as much again in the measured modules.
        (bytes + bytes / 2) as u64
    }

    /// Names of the extension functions, in the module's order.
    #[must_use]
    pub fn functions(&self) -> &[String] {
        &self.inner.functions
    }

    /// The extension function of this name.
    ///
    /// # Errors
    /// [`Cause::MissingExport`], which offers similar names, or some of those that there are.
    pub fn function(&self, name: &str) -> Result<Function, Cause> {
        let functions = &self.inner.functions;
        let found = functions.iter().position(|function| function == name);
        found.map(|index| Function { index }).ok_or_else(|| Cause::missing_export(name, functions))
    }

    /// The export of a [typed function](guest_abi::function), or another function of numbers, for
    /// [`Instance::call_with`](crate::Instance::call_with). `None` if there is none of this name.
    #[must_use]
    pub fn export(&self, name: &str) -> Option<Function> {
        let Inner { functions, typed, .. } = &*self.inner;
        let found = functions.iter().chain(typed).position(|function| function == name)?;
        Some(Function { index: found })
    }

    /// The [stage](guest_abi::block) of this name, for [`Instance::call_stage`](crate::Instance::call_stage): a function that takes a memory
    /// block and returns one. Bare modules export it under its own name. `None` if there is none.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<Function> {
        self.stages().find(|(stage, _)| *stage == name).map(|(_, function)| function)
    }

    /// All stages with their names.
    pub fn stages(&self) -> impl Iterator<Item = (&str, Function)> {
        self.info().stages().filter_map(|(name, export)| Some((name, self.export(&export.name)?)))
    }

    /// All functions that [`Guest::export`] finds, with their names.
    pub fn exports(&self) -> impl Iterator<Item = (&str, Function)> {
        let Inner { functions, typed, .. } = &*self.inner;
        functions.iter().chain(typed).enumerate().map(|(index, name)| (name.as_str(), Function { index }))
    }

    /// The name of a function of this guest.
    #[must_use]
    pub fn function_name(&self, function: Function) -> &str {
        let Inner { functions, typed, .. } = &*self.inner;
        let typed_at = function.index.checked_sub(functions.len());
        let name = functions.get(function.index).or_else(|| typed.get(typed_at?));
        name.map_or("", String::as_str)
    }

    /// The number of functions that an instance may call.
    pub(crate) fn callables(&self) -> usize {
        self.inner.functions.len() + self.inner.typed.len()
    }

    /// Whether a function is one of numbers: of a bare module, or a typed function.
    pub(crate) fn is_of_numbers(&self, function: Function) -> bool {
        function.index >= self.inner.functions.len() || self.info().contract() == ContractKind::Bare
    }

    /// The module without a write barrier.
    pub(crate) fn plain(&self) -> Arc<Compiled> {
        Arc::clone(&self.inner.plain)
    }

    /// The module with a write barrier, which is prepared and compiled when it is first asked for.
    pub(crate) fn marking(&self) -> Result<Arc<Compiled>, LoadError> {
        let options = self.inner.options;
        // Functions of memory blocks read the marks.
        let barrier = options.barrier.unwrap_or_default().with_read_in_calls(self.info().imports_blocks());
        let options = options.with_barrier(Some(barrier));
        self.later(&self.inner.marking, options)
    }

    /// The module that keeps the lowest stack pointer, where it tells which that is; prepared and compiled when it is first
    /// asked for. `None` where there cannot be such a module, as it would be too large.
    pub(crate) fn tracking(&self) -> Result<Option<Arc<Compiled>>, LoadError> {
        let options = self.inner.options.with_barrier(None).with_lowest_stack(true);
        match self.later(&self.inner.tracking, options) {
            // The module itself was prepared and compiled.
            Err(LoadError::Compile(_)) => Ok(None),
            found => found.map(Some),
        }
    }

    fn later(&self, later: &Later, options: PrepareOptions) -> Result<Arc<Compiled>, LoadError> {
        // Held while it is compiled: whoever else needs it waits instead of compiling it as well.
        let mut later = later.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = &*later {
            return Ok(Arc::clone(compiled));
        }
        let Inner { engine, wasm, info, code, .. } = &*self.inner;
        let (compiled, _) = Compiled::new(engine, wasm, info, options, code)?;
        let compiled = Arc::new(compiled);
        *later = Some(Arc::clone(&compiled));
        Ok(compiled)
    }
}
