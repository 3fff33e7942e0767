//! Bare modules: what the host needs of a module that speaks no contract.

use guest_abi::names::EXPORT_INITIALIZE;

use super::{ContractError, types};
use guest_prepare::module_info::{ModuleInfo, Signature};

/// The offer of a module that speaks no contract.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BareContract {
    /// Whether `_initialize` is to be called first.
    pub initialize: bool,
    /// Names of its functions of numbers, in the module's order.
    pub functions: Vec<String>,
}

pub(super) fn judge(info: &ModuleInfo, errors: &mut Vec<ContractError>) -> BareContract {
    types(info, [(EXPORT_INITIALIZE, Signature::default())], errors);
    BareContract {
        initialize: info.exported_function(EXPORT_INITIALIZE).is_some(),
        functions: info.extension_functions().map(|export| export.name.clone()).collect(),
    }
}
