//! The native contract, as far as a module shows whether it keeps it: version, imports, exports.

use std::fmt;

use guest_abi::names;

use crate::module_info::{AbiVersion, ExternType, Import, ModuleInfo, Signature, ValueType};

/// A function that the host offers to guests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KnownImport {
    /// First half of its name.
    pub module: String,
    /// Second half of its name.
    pub name: String,
    /// Its type.
    pub signature: Signature,
}

/// The functions of the native contract.
#[must_use]
pub fn native_imports() -> Vec<KnownImport> {
    let known = |name: &str, params: usize, results: &[ValueType]| KnownImport {
        module: names::IMPORT_MODULE.to_owned(),
        name: name.to_owned(),
        signature: Signature::new(vec![ValueType::I32; params], results),
    };
    vec![
        known(names::IMPORT_GET, 4, &[ValueType::I32]),
        known(names::IMPORT_READ, 6, &[ValueType::I32]),
        known(names::IMPORT_INTENTS, 2, &[]),
        known(names::IMPORT_LOG, 3, &[]),
        known(names::IMPORT_FAIL, 3, &[]),
        known(names::IMPORT_PANIC, 6, &[]),
    ]
}

/// What a module that keeps the native contract offers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NativeContract {
    /// Its version.
    pub version: u32,
    /// Whether `_initialize` is to be called first.
    pub initialize: bool,
    /// Whether there is an initialisation hook.
    pub init_hook: bool,
    /// Names of the extension functions, in the module's order.
    pub functions: Vec<String>,
}

/// An import that the host does not offer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UnknownImport {
    /// First half of its name.
    pub module: String,
    /// Second half of its name.
    pub name: String,
    /// The most similar name that the host offers, where one is similar.
    pub nearest: Option<String>,
}

impl fmt::Display for UnknownImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}.{}`", self.module, self.name)?;
        self.nearest.as_ref().map_or(Ok(()), |nearest| write!(f, " (did you mean `{nearest}`?)"))
    }
}

/// Why a module does not keep the native contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// It names no contract version.
    #[error(
        "the module does not say which version of the contract it speaks (no section `{section}`){hint}",
        section = names::ABI_SECTION,
        hint = match looks_like {
            Some(other) => format!("; it looks like a guest of {other}"),
            None => "; build it with `guest-sdk`, which adds it".to_owned(),
        }
    )]
    AbiMissing {
        /// The other contract that its exports look like.
        looks_like: Option<&'static str>,
    },
    /// The section with the contract version is damaged.
    #[error(
        "the section `{section}` has {length} bytes instead of 4; build the module again, with `guest-sdk`",
        section = names::ABI_SECTION
    )]
    AbiMalformed {
        /// Bytes in the section.
        length: usize,
    },
    /// It speaks another version of the contract.
    #[error(
        "the module speaks version {found} of the contract and this host version {supported}; {advice}",
        advice = if found > supported { "use a newer host" } else { "build the module with a newer `guest-sdk`" }
    )]
    AbiVersion {
        /// The module's version.
        found: u32,
        /// This host's version.
        supported: u32,
    },
    /// It imports what the host does not offer.
    #[error("the module imports what this host does not offer: {}", list(imports))]
    UnknownImports {
        /// All of them.
        imports: Vec<UnknownImport>,
    },
    /// It imports something that the host offers, with another type.
    #[error("the module imports `{module}.{name}` as {found}, and this host offers it as {expected}")]
    ImportType {
        /// First half of the import's name.
        module: String,
        /// Second half of the import's name.
        name: String,
        /// The host's type.
        expected: Signature,
        /// The module's type.
        found: ExternType,
    },
    /// It lacks an export that the contract requires.
    #[error("the module does not export `{name}`, {purpose}")]
    MissingExport {
        /// The export's name.
        name: &'static str,
        /// What it is for, or how to get it.
        purpose: &'static str,
    },
    /// An export of the contract has another type.
    #[error("the module exports `{name}` as {found}, and the contract has it as {expected}")]
    ExportType {
        /// The export's name.
        name: &'static str,
        /// The contract's type.
        expected: Signature,
        /// The module's type.
        found: ExternType,
    },
}

fn list(imports: &[UnknownImport]) -> String {
    imports.iter().map(UnknownImport::to_string).collect::<Vec<_>>().join(", ")
}

pub(super) fn judge(info: &ModuleInfo, offered: &[KnownImport]) -> Result<NativeContract, Vec<ContractError>> {
    let mut errors = Vec::new();
    let version = version(info, &mut errors);
    imports(info, offered, &mut errors);
    // Without a version there is no telling what else the module should have.
    if version.is_some() {
        exports(info, &mut errors);
    }
    match version {
        Some(version) if errors.is_empty() => Ok(NativeContract {
            version,
            initialize: info.exported_function(names::EXPORT_INITIALIZE).is_some(),
            init_hook: info.exported_function(names::EXPORT_INIT).is_some(),
            functions: info.extension_functions().map(|export| export.name.clone()).collect(),
        }),
        _ => Err(errors),
    }
}

fn version(info: &ModuleInfo, errors: &mut Vec<ContractError>) -> Option<u32> {
    errors.push(match info.abi_version {
        AbiVersion::Version(names::ABI_VERSION) => return Some(names::ABI_VERSION),
        AbiVersion::Version(found) => ContractError::AbiVersion { found, supported: names::ABI_VERSION },
        AbiVersion::Malformed { length } => ContractError::AbiMalformed { length },
        AbiVersion::Absent => {
            let exttinygo = info.exports.iter().any(|export| export.name.starts_with("WasmAbiVersion_"));
            ContractError::AbiMissing { looks_like: exttinygo.then_some("exttinygo") }
        }
    });
    None
}

fn imports(info: &ModuleInfo, offered: &[KnownImport], errors: &mut Vec<ContractError>) {
    let mut unknown = Vec::new();
    for import in &info.imports {
        let known = offered.iter().find(|known| known.module == import.module && known.name == import.name);
        match (known, &import.ty) {
            (None, _) => unknown.push(UnknownImport {
                module: import.module.clone(),
                name: import.name.clone(),
                nearest: nearest(import, offered),
            }),
            (Some(known), ExternType::Function(found)) if *found == known.signature => {}
            (Some(known), found) => errors.push(ContractError::ImportType {
                module: import.module.clone(),
                name: import.name.clone(),
                expected: known.signature.clone(),
                found: found.clone(),
            }),
        }
    }
    if !unknown.is_empty() {
        errors.push(ContractError::UnknownImports { imports: unknown });
    }
}

/// The most similar import that the host offers; below a similarity of 0.7 no suggestion is better than a bad one.
fn nearest(import: &Import, offered: &[KnownImport]) -> Option<String> {
    let similarity = |known: &KnownImport| {
        let name = strsim::jaro_winkler(&import.name, &known.name);
        if known.module == import.module { name } else { name.min(strsim::jaro_winkler(&import.module, &known.module)) }
    };
    let scored = offered.iter().map(|known| (similarity(known), known));
    let (score, known) = scored.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (score >= 0.7).then(|| format!("{}.{}", known.module, known.name))
}

fn exports(info: &ModuleInfo, errors: &mut Vec<ContractError>) {
    let memory = info.export(names::EXPORT_MEMORY);
    if !memory.is_some_and(|export| matches!(export.ty, ExternType::Memory(_))) {
        let purpose = "the memory through which host and guest exchange values";
        errors.push(ContractError::MissingExport { name: names::EXPORT_MEMORY, purpose });
    }
    if info.export(names::EXPORT_EXCHANGE).is_none() {
        let purpose = "which allocates the exchange region; `guest-sdk` provides it";
        errors.push(ContractError::MissingExport { name: names::EXPORT_EXCHANGE, purpose });
    }
    let hooks = [
        (names::EXPORT_EXCHANGE, Signature::new([ValueType::I32], [ValueType::I32])),
        (names::EXPORT_INIT, Signature::new([], [ValueType::I32])),
        (names::EXPORT_INITIALIZE, Signature::default()),
    ];
    for (name, expected) in hooks {
        match info.export(name).map(|export| &export.ty) {
            None => {}
            Some(ExternType::Function(found)) if *found == expected => {}
            Some(found) => errors.push(ContractError::ExportType { name, expected, found: found.clone() }),
        }
    }
}
