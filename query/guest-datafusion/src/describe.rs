//! What every kind of function says of itself to DataFusion: its volatility, its parameters, its documentation.

use crate::types::{coerce, sql_type};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{DocSection, Documentation, Signature, Volatility};

/// The volatility that a module declares for a function.
pub(crate) fn volatility(of: &guest_functions::Signature) -> Volatility {
    match of.volatility {
        guest_functions::Volatility::Immutable => Volatility::Immutable,
        guest_functions::Volatility::Stable => Volatility::Stable,
        _ => Volatility::Volatile,
    }
}

/// The signature for DataFusion: the types are checked by [`coerce_all`].
pub(crate) fn signature(of: &guest_functions::Signature) -> Signature {
    let volatility = volatility(of);
    if of.params.is_empty() {
        return Signature::nullary(volatility);
    }
    let names: Vec<String> = of.params.iter().map(|param| param.name.clone()).collect();
    let signature = Signature::user_defined(volatility);
    // Calls with named arguments are left out where two parameters have the same name.
    signature.clone().with_parameter_names(names).unwrap_or(signature)
}

/// The types that arguments of these types are cast to. `name` is that of the function in the session.
pub(crate) fn coerce_all(
    name: &str,
    signature: &guest_functions::Signature,
    arg_types: &[DataType],
) -> Result<Vec<DataType>> {
    if arg_types.len() != signature.params.len() {
        let given = arg_types.len();
        return plan_err!("`{name}` takes {} arguments, not {given}: `{signature}`", signature.params.len());
    }
    let coerced = arg_types.iter().zip(&signature.params).map(|(given, param)| match coerce(given, param.ty) {
        Some(coerced) => Ok(coerced),
        None => plan_err!(
            "the parameter `{}` of `{name}` has type {}, which a {given} is not cast to; write CAST(... AS {}) around the argument",
            param.name,
            param.ty,
            sql_type(param.ty)
        ),
    });
    coerced.collect()
}

/// The documentation, as the module has it. `name` is that of the function in the session.
pub(crate) fn documentation(of: &guest_functions::Signature, name: &str) -> Documentation {
    const SECTION: DocSection = DocSection {
        include: true,
        label: "WebAssembly Functions",
        description: Some("Functions of WebAssembly modules."),
    };
    let names: Vec<&str> = of.params.iter().map(|param| param.name.as_str()).collect();
    let syntax = format!("{name}({})", names.join(", "));
    let mut builder = Documentation::builder(SECTION, of.documentation.as_str(), syntax);
    for param in &of.params {
        builder = builder.with_argument(param.name.as_str(), format!("Of type {}.", param.ty));
    }
    builder.build()
}
