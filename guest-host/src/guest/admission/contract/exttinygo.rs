//! The exttinygo contract: what extensions speak that TinyGo compiles for existing hosts.

use guest_abi::exttinygo as names;
use guest_abi::names::EXPORT_INITIALIZE;

use super::{ContractError, KnownImport, memory, require, types};
use ValueType::{F32, F64, I32, I64};
use guest_prepare::module_info::{ModuleInfo, Signature, ValueType};

/// The offer of a module that keeps the exttinygo contract.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExtTinyGoContract {
    /// The export that initialises the guest: `_start` of a command, `_initialize` of a reactor.
    pub start: Option<&'static str>,
    /// Whether it is called back for each row of a read.
    pub on_read_value: bool,
    /// Names of the extension functions, in the module's order.
    pub functions: Vec<String>,
}

/// The functions of the exttinygo contract.
#[must_use]
pub fn exttinygo_imports() -> Vec<KnownImport> {
    let known = |name: &str, params: &[ValueType], results: &[ValueType]| KnownImport {
        module: names::IMPORT_MODULE.to_owned(),
        name: name.to_owned(),
        signature: Signature::new(params.to_vec(), results),
    };
    let mut imports = vec![
        known(names::IMPORT_GET_KEY, &[I32, I32, I32, I32], &[I64]),
        known(names::IMPORT_GET_VALUE, &[I64], &[I64]),
        known(names::IMPORT_QUERY_VALUE, &[I64], &[I64]),
        known(names::IMPORT_READ_VALUES, &[I64], &[]),
        known(names::IMPORT_NEW_VALUE, &[I64], &[I64]),
        known(names::IMPORT_UPDATE_VALUE, &[I64, I64], &[I64]),
        known(names::IMPORT_PANIC, &[I32, I32], &[]),
        known(names::IMPORT_VALUE_LENGTH, &[I64], &[I32]),
    ];
    // Of each that is put: handle, kind of writer, name, and then this.
    let put: [(&str, &[ValueType]); 8] = [
        ("String", &[I32, I32]),
        ("Bytes", &[I32, I32]),
        ("Int32", &[I32]),
        ("Bool", &[I32]),
        ("Int64", &[I64]),
        ("Float32", &[F32]),
        ("Float64", &[F64]),
        ("QName", &[I32, I32, I32, I32]),
    ];
    for (ty, value) in put {
        let params = [&[I64, I32, I32, I32], value].concat();
        imports.push(known(&format!("{}{ty}", names::IMPORT_PUT_PREFIX), &params, &[]));
    }
    // What comes back; text and bytes are packed.
    let read = [
        ("String", I64),
        ("Bytes", I64),
        ("QNamePkg", I64),
        ("QNameEntity", I64),
        ("Int32", I32),
        ("Int64", I64),
        ("Bool", I64),
        ("Float32", F32),
        ("Float64", F64),
        ("Value", I64),
    ];
    for (ty, result) in read {
        let mut named = |prefix: &str, params: &[ValueType]| {
            imports.push(known(&format!("{prefix}{ty}"), params, std::slice::from_ref(&result)));
        };
        named(names::IMPORT_VALUE_AS_PREFIX, &[I64, I32, I32]);
        named(names::IMPORT_VALUE_GET_AS_PREFIX, &[I64, I32]);
        // A key has no fields within fields.
        if ty != "Value" {
            named(names::IMPORT_KEY_AS_PREFIX, &[I64, I32, I32]);
        }
    }
    imports
}

pub(super) fn judge(info: &ModuleInfo, errors: &mut Vec<ContractError>) -> Option<ExtTinyGoContract> {
    if info.export(names::EXPORT_VERSION).is_none() {
        let found = info.exports.iter().find_map(|export| export.name.strip_prefix(names::VERSION_PREFIX));
        errors.push(ContractError::ExtTinyGoVersion { found: found.map(|found| found.replace('_', ".")) });
        return None;
    }
    memory(info, errors);
    require(info, names::EXPORT_MALLOC, "which gives the host its buffer for text and bytes", errors);
    let reads = info
        .imports
        .iter()
        .any(|import| import.module == names::IMPORT_MODULE && import.name == names::IMPORT_READ_VALUES);
    if reads {
        let purpose = "which is called for each row of `hostReadValues`, and it imports that";
        require(info, names::EXPORT_ON_READ_VALUE, purpose, errors);
    }
    let nothing = Signature::default();
    types(
        info,
        [
            (names::EXPORT_VERSION, nothing.clone()),
            (names::EXPORT_START, nothing.clone()),
            (EXPORT_INITIALIZE, nothing),
            (names::EXPORT_MALLOC, Signature::new([I32], [I32])),
            (names::EXPORT_ON_READ_VALUE, Signature::new([I64, I64], [])),
        ],
        errors,
    );
    let has = |name: &str| info.exported_function(name).is_some();
    Some(ExtTinyGoContract {
        start: [names::EXPORT_START, EXPORT_INITIALIZE].into_iter().find(|name| has(name)),
        on_read_value: has(names::EXPORT_ON_READ_VALUE),
        functions: info.extension_functions().map(|export| export.name.clone()).collect(),
    })
}
