//! Bare modules: they speak no contract, so the host offers them WASI and nothing else.

use guest_abi::names;

use super::begin::{Begin, BeginError};
use crate::host::data::ContractData;
use crate::host::mode::Mode;

/// There is no exchange region.
pub(super) const EXCHANGE_SIZE: u32 = 0;

/// Runs what initialises a reactor.
pub(super) async fn begin<M: Mode, X: ContractData>(begin: &mut Begin<'_, X>) -> Result<(), BeginError> {
    begin.initialise::<M>(names::EXPORT_INITIALIZE).await
}
