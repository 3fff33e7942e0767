//! Functions of routes with `format = "http"`.

use guest_functions::{Scalar, Signature, Type};

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
