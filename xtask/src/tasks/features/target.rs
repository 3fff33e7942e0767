//! The two targets.

/// The target for which code is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Target {
    Host,
    Wasm,
}
