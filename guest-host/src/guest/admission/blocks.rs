//! The functions of memory blocks, which guests of every contract may import.

use guest_abi::block;

use super::KnownImport;
use guest_prepare::module_info::{Signature, ValueType};

/// The functions of [memory blocks](guest_abi::block).
#[must_use]
pub fn block_imports() -> Vec<KnownImport> {
    let known = block::IMPORTS.iter().map(|(name, params)| KnownImport {
        module: block::IMPORT_MODULE.to_owned(),
        name: (*name).to_owned(),
        signature: Signature::new(
            vec![ValueType::I32; *params],
            vec![ValueType::I32; usize::from(block::returns(name))],
        ),
    });
    known.collect()
}
