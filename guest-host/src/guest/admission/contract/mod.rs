//! The contracts, as far as a module shows whether it keeps one: version, imports, exports.
//!
//! A module says by its exports and imports which contract it speaks ([`ContractKind`]); it is judged by that one alone.

mod bare;
mod exttinygo;
mod native;

use std::collections::HashSet;
use std::fmt;

use guest_abi::names;

use super::blocks::block_imports;
use super::wasi::wasi_imports;
use guest_prepare::module_info::{ContractKind, ExternType, Import, ModuleInfo, Signature};

pub use bare::BareContract;
pub use exttinygo::{ExtTinyGoContract, exttinygo_imports};
pub use native::{NativeContract, native_imports};

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

/// The contract that a module keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Contract {
    /// That of `guest-sdk`.
    Native(NativeContract),
    /// That of extensions which TinyGo compiles for existing hosts.
    ExtTinyGo(ExtTinyGoContract),
    /// None.
    Bare(BareContract),
}

impl Contract {
    /// Names of the extension functions, in the module's order.
    #[must_use]
    pub fn functions(&self) -> &[String] {
        match self {
            Self::Native(contract) => &contract.functions,
            Self::ExtTinyGo(contract) => &contract.functions,
            Self::Bare(contract) => &contract.functions,
        }
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native(contract) => write!(f, "native, version {}", contract.version),
            Self::ExtTinyGo(_) => write!(f, "exttinygo, version 0.0.1"),
            Self::Bare(_) => f.write_str("none (a bare module)"),
        }
    }
}

/// The functions that the host offers to modules which speak this contract, those of WASI preview 1 and of memory blocks among them.
#[must_use]
pub fn known_imports(kind: ContractKind) -> Vec<KnownImport> {
    let mut imports = match kind {
        ContractKind::Native => native_imports(),
        ContractKind::ExtTinyGo => exttinygo_imports(),
        ContractKind::Bare => Vec::new(),
    };
    imports.extend(wasi_imports());
    imports.extend(block_imports());
    imports
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

/// Why a module keeps no contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// It names no contract version.
    #[error(
        "the module has functions of the native contract, and lacks the section `{section}` with the contract's version: \
         `guest-sdk` adds it, and tools that strip modules may remove it",
        section = names::ABI_SECTION
    )]
    AbiMissing,
    /// It speaks another version of the exttinygo contract, or does not say which.
    #[error(
        "the module speaks {} of the exttinygo contract, but this host speaks version 0.0.1 (export `{export}`)",
        found.as_ref().map_or_else(|| "no version".to_owned(), |found| format!("version {found}")),
        export = guest_abi::exttinygo::EXPORT_VERSION
    )]
    ExtTinyGoVersion {
        /// The version that it exports, if any.
        found: Option<String>,
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
        "the module speaks version {found} of the contract, but this host speaks version {supported}; {advice}",
        advice = if found > supported { "use a newer host" } else { "build the module with a newer `guest-sdk`" }
    )]
    AbiVersion {
        /// The module's version.
        found: u32,
        /// This host's version.
        supported: u32,
    },
    /// It imports what the host does not offer.
    #[error("the module has imports that this host does not offer: {}", list(imports))]
    UnknownImports {
        /// All of them.
        imports: Vec<UnknownImport>,
    },
    /// It imports something that the host offers, with another type.
    #[error("the module imports `{module}.{name}` as {found}, but this host offers it as {expected}")]
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
        /// Its purpose, or how to get it.
        purpose: &'static str,
    },
    /// An export of the contract has another type.
    #[error("the module exports `{name}` as {found}, but the contract requires {expected}")]
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

/// Judges a module by the contract that it speaks, when the host offers these imports.
pub(super) fn judge(info: &ModuleInfo, offered: &[KnownImport]) -> Result<Contract, Vec<ContractError>> {
    let mut errors = Vec::new();
    let contract = match info.contract() {
        ContractKind::Native => native::judge(info, &mut errors).map(Contract::Native),
        ContractKind::ExtTinyGo => exttinygo::judge(info, &mut errors).map(Contract::ExtTinyGo),
        ContractKind::Bare => Some(Contract::Bare(bare::judge(info, &mut errors))),
    };
    imports(info, offered, &mut errors);
    contract.filter(|_| errors.is_empty()).ok_or(errors)
}

fn imports(info: &ModuleInfo, offered: &[KnownImport], errors: &mut Vec<ContractError>) {
    let mut unknown = Vec::new();
    // A module may import one thing several times; the error lists it once.
    let (mut seen, mut unknown_names) = (HashSet::new(), HashSet::new());
    for import in info.imports.iter().filter(|import| seen.insert(*import)) {
        let known = offered.iter().find(|known| known.module == import.module && known.name == import.name);
        match (known, &import.ty) {
            // The same name with another type.
            (None, _) if !unknown_names.insert((&import.module, &import.name)) => {}
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

/// The module's memory, through which values cross.
fn memory(info: &ModuleInfo, errors: &mut Vec<ContractError>) {
    let memory = info.export(names::EXPORT_MEMORY);
    if !memory.is_some_and(|export| matches!(export.ty, ExternType::Memory(_))) {
        let purpose = "the memory through which host and guest exchange values";
        errors.push(ContractError::MissingExport { name: names::EXPORT_MEMORY, purpose });
    }
}

/// An export that the contract requires.
fn require(info: &ModuleInfo, name: &'static str, purpose: &'static str, errors: &mut Vec<ContractError>) {
    if info.export(name).is_none() {
        errors.push(ContractError::MissingExport { name, purpose });
    }
}

/// Exports that have these types where the module has them.
fn types(
    info: &ModuleInfo,
    expected: impl IntoIterator<Item = (&'static str, Signature)>,
    errors: &mut Vec<ContractError>,
) {
    for (name, expected) in expected {
        match info.export(name).map(|export| &export.ty) {
            None => {}
            Some(ExternType::Function(found)) if *found == expected => {}
            Some(found) => errors.push(ContractError::ExportType { name, expected, found: found.clone() }),
        }
    }
}
