//! The passes: what each of them adds to a module, in the order in which [`prepare`](crate::prepare()) runs them.
//!
//! | pass | adds | a host uses it to |
//! |---|---|---|
//! | [`memory`] | an export of the memory, or an empty memory | reach it |
//! | [`globals`] | exports of mutable globals | put globals back, the shadow-stack pointer above all |
//! | [`growth`] | a logical memory size | put the memory's size back |
//! | [`barrier`] | a write barrier | copy back only what was written |
//! | [`stack`] | the lowest value of the shadow-stack pointer | clean only the stack that was used |
//! | [`entrances`] | entrances that put globals back by themselves | save the calls that read and write globals |
//! | [`allocations`] | counters in the allocator's functions | know what a guest allocates |
//!
//! Each page shows a small module before and after its pass.

pub mod allocations;
mod allocators;
pub mod barrier;
pub mod entrances;
pub mod globals;
pub mod growth;
pub mod memory;
#[cfg(test)]
mod samples;
pub mod stack;

use wasmparser::{FunctionBody, Parser, Payload};

use crate::changes::Changes;
use crate::error::PrepareError;
use crate::module_info::ModuleInfo;

/// The module that passes look at: always the original one, whatever earlier passes have asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// Its bytes.
    pub(crate) wasm: &'a [u8],
    /// Their analysis.
    pub(crate) info: &'a ModuleInfo,
}

impl<'a> Context<'a> {
    /// The bodies of the functions that the module defines, in their order.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = wasmparser::Result<FunctionBody<'a>>> + use<'a> {
        Parser::new(0).parse_all(self.wasm).filter_map(|payload| match payload {
            Ok(Payload::CodeSectionEntry(body)) => Some(Ok(body)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
    }
}

/// One step of the preparation.
///
/// A pass reads the module and records in [`Changes`] what is to change. It does not write the module:
/// [`splice`](crate::splice::splice) makes the changes of all passes at once. So no pass sees what another one adds,
/// and all offsets are offsets in the original module.
///
/// A pass of its own is a unit type, or a type that holds the options of the pass. `Option<P>` is a pass as well: `None`
/// is the pass that the options leave out.
pub(crate) trait Pass {
    /// The facts that a host needs to use what the pass adds. The default stands for no addition.
    type Report: Default;

    /// Records the changes and reports them.
    ///
    /// - If the module needs the pass, record changes and return what they add.
    /// - If the module does not need the pass, or is of a kind for which the pass has no meaning, such as one without
    ///   a memory, record nothing and return `Report::default()`. That is no error: hosts decide by the report, and by
    ///   the analysis, how they can restore such a module.
    ///
    /// # Errors
    /// Return an error only if the options ask for something that this module cannot be given, or if the bytes cannot
    /// be read. The preparation ends then, and nobody looks at the changes.
    fn plan(self, module: &Context<'_>, changes: &mut Changes) -> Result<Self::Report, PrepareError>;
}

impl<P: Pass> Pass for Option<P> {
    type Report = P::Report;

    fn plan(self, module: &Context<'_>, changes: &mut Changes) -> Result<Self::Report, PrepareError> {
        self.map_or_else(|| Ok(P::Report::default()), |pass| pass.plan(module, changes))
    }
}
