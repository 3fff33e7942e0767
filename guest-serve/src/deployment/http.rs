//! Functions of routes with `format = "http"`.

use guest_abi::function::EXPORT_ROW;
use guest_functions::{Module, Scalar, Signature, Type};
use guest_host::Function;

use crate::config::Route;
use crate::error::ServeError;

/// Checks that a function can get a request and give a response.
pub(super) fn check(route: &Route, signature: &Signature) -> Result<(), ServeError> {
    let bytes = [Type::of(Scalar::Bytes)];
    let takes = signature.params.iter().map(|field| field.ty).eq(bytes);
    let gives = signature.results.iter().map(|field| field.ty).eq(bytes);
    match takes && gives {
        true => Ok(()),
        false => Err(route.function_place.error(format!(
            "`{signature}` is not a function for `format = \"http\"`: it must take bytes and return bytes; write it with \
             `guest_sdk::http`, or leave out `format`"
        ))),
    }
}

/// The function of a route with streams, as the host calls it.
pub(super) fn stream(route: &Route, module: &Module) -> Result<Function, ServeError> {
    let function = module.guest().export(&format!("{EXPORT_ROW}{}", route.function));
    function.ok_or_else(|| {
        route.function_place.error(format!(
            "`{}` cannot have `stream = true`, as its module was not made with `guest-sdk`; leave it out",
            route.function
        ))
    })
}
