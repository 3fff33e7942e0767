//! The functions of WASI preview 1, which guests of every contract may import.

use super::KnownImport;
use crate::contract::wasi::{FUNCTIONS, Int, MODULE};
use guest_prepare::module_info::{Signature, ValueType};

/// The functions of WASI preview 1: all of them, although most [deny](crate::contract::wasi) what they are asked for.
#[must_use]
pub fn wasi_imports() -> Vec<KnownImport> {
    let types = |ints: &[Int]| ints.iter().map(|int| ValueType::from(*int)).collect::<Vec<_>>();
    let known = FUNCTIONS.iter().map(|function| KnownImport {
        module: MODULE.to_owned(),
        name: function.name.to_owned(),
        signature: Signature::new(types(function.params), types(function.results())),
    });
    known.collect()
}
