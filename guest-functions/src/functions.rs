//! The functions of a guest: what its section and its exports say, checked against each other.

use std::collections::HashMap;

use guest_abi::function::{
    EXPORT_AGGREGATE, EXPORT_ROW, EXPORT_TABLE, Field, Kind, Scalar, Signature, Type, read_section,
};
use guest_abi::names::ABI_SECTION;
use guest_host::{Function as Export, Guest};
use guest_prepare::module_info::{ContractKind, ExternType, Signature as WasmType, ValueType};

use crate::declare;
use crate::error::FunctionError;
use crate::frame::{Placement, crossing, crossing_result};
use crate::shape::Shape;

/// Exports of foreign modules that are taken for their allocator: `(size: i32) -> i32`.
const ALLOCATORS: [&str; 3] = ["malloc", "allocate", "alloc"];

/// A function, and how it is called.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) signature: Signature,
    /// The export that is called: for a function, the one of a single row.
    pub(crate) export: Export,
    /// The call of many rows, if the function has one.
    #[cfg(feature = "arrow")]
    pub(crate) batch: Option<Export>,
    pub(crate) placement: Placement,
    /// The types of a function of plain numbers.
    pub(crate) shape: Shape,
}

/// The functions of a guest: those of its section, and of a bare module those that were declared and its exports of numbers.
pub(crate) fn functions(guest: &Guest, declarations: &[String]) -> Result<Vec<Entry>, FunctionError> {
    let mut functions = Vec::new();
    let signatures = read_section(&guest.info().function_section)?;
    if let Some(signature) = signatures.first().filter(|_| guest.info().contract() != ContractKind::Native) {
        let reason = format!("does not speak the native contract: it has no section `{ABI_SECTION}`");
        return Err(FunctionError::Export { function: signature.name.clone(), reason });
    }
    for signature in signatures {
        let (prefix, expected) = match signature.kind {
            Kind::Scalar => (EXPORT_ROW, crossing_of(&signature)),
            Kind::Aggregate => (EXPORT_AGGREGATE, numbers(7)),
            Kind::Table => (EXPORT_TABLE, numbers(3)),
            // A kind that this host does not know is listed by nobody, and called by nobody.
            _ => continue,
        };
        let unfit = |reason| FunctionError::Export { function: signature.name.clone(), reason };
        let export = format!("{prefix}{}", signature.name);
        let export = crossing_export(guest, &export, &expected).map_err(unfit)?;
        functions.push(Entry::new(guest, signature, export, Placement::Exchange));
    }
    if guest.info().contract() != ContractKind::Bare {
        return match declarations.first() {
            None => Ok(functions),
            Some(first) => Err(FunctionError::Declaration {
                declaration: first.clone(),
                reason: "the module has signatures of its own; declare functions of foreign modules alone".to_owned(),
            }),
        };
    }
    let allocator_type = WasmType::new([ValueType::I32], [ValueType::I32]);
    let is_allocator = |name: &&str| guest.info().exported_function(name) == Some(&allocator_type);
    let allocator = ALLOCATORS.into_iter().find(is_allocator).and_then(|name| guest.export(name));
    for declaration in declarations {
        let refuse = |reason| FunctionError::Declaration { declaration: declaration.clone(), reason };
        let signature = declare::signature(declaration)?;
        if functions.iter().any(|other: &Entry| other.signature.name == signature.name) {
            return Err(refuse(format!("two functions have the name `{}`", signature.name)));
        }
        let export = crossing_export(guest, &signature.name, &crossing_of(&signature)).map_err(refuse)?;
        let has_bytes = |field: &Field| field.ty.list.is_some() || field.ty.scalar.is_bytes();
        let placement = match (signature.params.iter().any(has_bytes), allocator) {
            (false, _) => Placement::Numbers,
            (true, Some(allocator)) => Placement::Allocator(allocator),
            (true, None) => {
                return Err(refuse(format!(
                    "the module has no allocator for the arguments: an export `{}` of type `{allocator_type}`",
                    ALLOCATORS.join("`, `")
                )));
            }
        };
        functions.push(Entry::new(guest, signature, export, placement));
    }
    let declared = functions.len();
    let exports: HashMap<&str, Export> = guest.exports().collect();
    for export in guest.info().extension_functions() {
        let (ExternType::Function(ty), Some(called)) = (&export.ty, exports.get(export.name.as_str()).copied()) else {
            continue;
        };
        let is_declared = functions[..declared].iter().any(|other| other.signature.name == export.name);
        if let Some(signature) = of_numbers(&export.name, ty).filter(|_| !is_declared) {
            functions.push(Entry::new(guest, signature, called, Placement::Numbers));
        }
    }
    Ok(functions)
}

impl Entry {
    fn new(guest: &Guest, signature: Signature, export: Export, placement: Placement) -> Self {
        #[cfg(feature = "arrow")]
        let batch = {
            let name = format!("{}{}", guest_abi::function::EXPORT_BATCH, signature.name);
            let has_it = guest.info().exported_function(&name) == Some(&numbers(3));
            guest.export(&name).filter(|_| has_it)
        };
        #[cfg(not(feature = "arrow"))]
        let _ = guest;
        Self {
            shape: Shape::of(&signature),
            signature,
            export,
            #[cfg(feature = "arrow")]
            batch,
            placement,
        }
    }
}

/// The type of the export that a function of this signature is called by for one row.
fn crossing_of(signature: &Signature) -> WasmType {
    let params: Vec<ValueType> = signature.params.iter().flat_map(|field| crossing(field.ty)).collect();
    let results: Vec<ValueType> = signature.results.iter().map(|field| crossing_result(field.ty)).collect();
    WasmType::new(params, results)
}

/// The type of an export that takes so many addresses and counts, and returns a number.
fn numbers(params: usize) -> WasmType {
    WasmType::new(vec![ValueType::I32; params], [ValueType::I32])
}

/// The export of a function, if it has the type as which the function's signature crosses.
fn crossing_export(guest: &Guest, export: &str, expected: &WasmType) -> Result<Export, String> {
    match (guest.info().exported_function(export), guest.export(export)) {
        (Some(found), Some(function)) if found == expected => Ok(function),
        (Some(found), _) => Err(format!("exports `{export}` as `{found}`, and its signature crosses as `{expected}`")),
        (None, _) => Err(format!("has no export `{export}`; its signature crosses as `{expected}`")),
    }
}

/// The signature of an export of numbers that has one result.
fn of_numbers(name: &str, ty: &WasmType) -> Option<Signature> {
    let number = |ty: &ValueType| match ty {
        ValueType::I32 => Some(Type::of(Scalar::I32)),
        ValueType::I64 => Some(Type::of(Scalar::I64)),
        ValueType::F32 => Some(Type::of(Scalar::F32)),
        ValueType::F64 => Some(Type::of(Scalar::F64)),
        _ => None,
    };
    let [result] = ty.results.as_slice() else {
        return None;
    };
    let mut signature = Signature::new(Kind::Scalar, name);
    for (at, param) in ty.params.iter().enumerate() {
        signature.params.push(Field::new(format!("p{at}"), number(param)?));
    }
    signature.results = vec![Field::new("", number(result)?)];
    Some(signature)
}
