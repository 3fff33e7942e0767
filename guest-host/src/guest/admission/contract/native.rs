//! The native contract: the one that `guest-sdk` speaks unless it is told otherwise.

use guest_abi::names;

use super::{ContractError, KnownImport, memory, require, types};
use guest_prepare::module_info::{AbiVersion, ModuleInfo, Signature, ValueType};

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
        known(names::IMPORT_SECRET, 4, &[ValueType::I32]),
        known(names::IMPORT_STREAM_READ, 2, &[ValueType::I32]),
        known(names::IMPORT_STREAM_WRITE, 2, &[]),
    ]
}

/// The offer of a module that keeps the native contract.
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

pub(super) fn judge(info: &ModuleInfo, errors: &mut Vec<ContractError>) -> Option<NativeContract> {
    let version = version(info, errors)?;
    memory(info, errors);
    require(info, names::EXPORT_EXCHANGE, "which allocates the exchange region; `guest-sdk` provides it", errors);
    let hooks = [
        (names::EXPORT_EXCHANGE, Signature::new([ValueType::I32], [ValueType::I32])),
        (names::EXPORT_INIT, Signature::new([], [ValueType::I32])),
        (names::EXPORT_INITIALIZE, Signature::default()),
    ];
    types(info, hooks, errors);
    Some(NativeContract {
        version,
        initialize: info.exported_function(names::EXPORT_INITIALIZE).is_some(),
        init_hook: info.exported_function(names::EXPORT_INIT).is_some(),
        functions: info.extension_functions().map(|export| export.name.clone()).collect(),
    })
}

/// Without a version there is no telling what else the module should have.
fn version(info: &ModuleInfo, errors: &mut Vec<ContractError>) -> Option<u32> {
    errors.push(match info.abi_version {
        AbiVersion::Version(names::ABI_VERSION) => return Some(names::ABI_VERSION),
        AbiVersion::Version(found) => ContractError::AbiVersion { found, supported: names::ABI_VERSION },
        AbiVersion::Malformed { length } => ContractError::AbiMalformed { length },
        AbiVersion::Absent => ContractError::AbiMissing,
    });
    None
}
