//! The parameter and the result of a stage.

use guest_abi::block::NO_BLOCK;

use super::Block;
use crate::Result;

/// The parameter of a [`stage`](macro@crate::stage): a [`Block`], or an `Option` of one.
pub trait StageInput: Sized {
    /// From the number of the block that the host passed; 0 for none.
    #[doc(hidden)]
    fn from_number(number: u32) -> Result<Self>;
}

/// The result of a [`stage`](macro@crate::stage): a [`Block`], an `Option` of one, `()`, or a `Result` of those.
pub trait StageOutput {
    /// To the number of the block; 0 for none.
    #[doc(hidden)]
    fn into_number(self) -> Result<u32>;
}

impl StageInput for Block {
    fn from_number(number: u32) -> Result<Self> {
        Option::from_number(number)?.ok_or_else(|| "the stage takes a block, and the host passed none".into())
    }
}

impl StageInput for Option<Block> {
    fn from_number(number: u32) -> Result<Self> {
        Ok((number != NO_BLOCK).then(|| Block::from_id(number)))
    }
}

impl StageOutput for () {
    fn into_number(self) -> Result<u32> {
        Ok(NO_BLOCK)
    }
}

impl StageOutput for Block {
    fn into_number(self) -> Result<u32> {
        Ok(self.into_id())
    }
}

impl StageOutput for Option<Block> {
    fn into_number(self) -> Result<u32> {
        self.map_or(Ok(NO_BLOCK), StageOutput::into_number)
    }
}

impl<T: StageOutput> StageOutput for Result<T> {
    fn into_number(self) -> Result<u32> {
        self?.into_number()
    }
}
