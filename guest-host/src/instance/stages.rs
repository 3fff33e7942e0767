//! Calls of stages: functions that take a memory block and return one.

use guest_abi::block::NO_BLOCK;
use guest_blocks::{Block, Counts};
use wasmtime::ValRaw;

use super::Instance;
use super::call_with::{GuestCall, GuestCallError};
use crate::contract::blocks::BlocksView as _;
use crate::failure::{Cause, Failure, Fault, InvalidData};
use crate::guest::Function;

impl GuestCall<'_> {
    /// Gives the guest a memory block, and returns the number by which the guest knows it. At the restore the guest gives it back.
    ///
    /// # Errors
    /// [`GuestCallError`] if the guest imports no functions of memory blocks, or has as many blocks as it may have.
    pub fn give_block(&mut self, block: Block) -> Result<u32, GuestCallError> {
        self.blocks()?.give(block).map_err(GuestCallError::fault)
    }

    /// Takes a memory block from the guest, by its number.
    ///
    /// # Errors
    /// [`GuestCallError`] if the guest has no such block, has it attached, or made it of its own memory.
    pub fn take_block(&mut self, id: u32) -> Result<Block, GuestCallError> {
        self.blocks()?.take(id).map_err(GuestCallError::fault)
    }

    fn blocks(&mut self) -> Result<&mut crate::contract::blocks::Blocks, GuestCallError> {
        let none = || GuestCallError::fault(Fault::InvalidGuestData(InvalidData::NoBlocks));
        self.store_mut().data_mut().contract.blocks().ok_or_else(none)
    }
}

impl Instance {
    /// Calls a [stage](guest_abi::block): a function that takes a memory block and returns one, or none. `input` is none for a stage
    /// that takes none.
    ///
    /// The blocks that the guest keeps are given back with the restore after the call.
    ///
    /// ```
    /// use guest_host::blocks::Block;
    /// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions};
    ///
    /// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/increment.wat")))?;
    /// let engine = Engine::new(&EngineConfig::default())?;
    /// let guest = Guest::load(&engine, "increment", &wasm, PrepareOptions::default())?;
    /// let mut instance = guest.instantiate(&InstanceConfig::default(), MemoryState::new())?;
    ///
    /// let block = Block::new(1024);
    /// let mut writing = block.write()?;
    /// writing.bytes(|bytes| bytes[..3].copy_from_slice(&[1, 2, 3]));
    /// writing.publish(3);
    /// let result = instance.call_stage_by_name("increment", Some(block))?.expect("it returns its block");
    /// assert_eq!(result.read()?.bytes(<[u8]>::to_vec), [2, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Failure`] with its cause. A block that was being written has nothing to read then.
    pub fn call_stage(&mut self, stage: Function, input: Option<Block>) -> Result<Option<Block>, Failure> {
        // Once: a call that failed may have consumed its input.
        self.call_with_once(stage, |call| {
            let input = input.clone().map_or(Ok(NO_BLOCK), |block| call.give_block(block))?;
            let mut slots = [ValRaw::u32(input)];
            call.call(&mut slots)?;
            match slots[0].get_u32() {
                NO_BLOCK => Ok(None),
                id => call.take_block(id).map(Some),
            }
        })
    }

    /// Calls the [stage](guest_abi::block) of this name. See [`Instance::call_stage`].
    ///
    /// # Errors
    /// As for [`Instance::call_stage`], and [`Cause::MissingExport`] with the stages that there are.
    pub fn call_stage_by_name(&mut self, name: &str, input: Option<Block>) -> Result<Option<Block>, Failure> {
        match self.guest().stage(name) {
            Some(stage) => self.call_stage(stage, input),
            None => {
                let stages: Vec<_> = self.guest().stages().map(|(name, _)| name.to_owned()).collect();
                let cause = Cause::missing_export(name, &stages);
                Err(Failure { function: name.to_owned(), cause, backtrace: Vec::new(), retried: false })
            }
        }
    }

    /// The attachments of memory blocks since the instance was made, and their bytes; zeros if its guest imports no functions of theirs.
    #[must_use]
    pub fn block_counts(&mut self) -> Counts {
        let blocks = self.phase.data_mut().and_then(|data| data.contract.blocks());
        blocks.map_or_else(Counts::default, |blocks| blocks.counts())
    }

    /// Makes later restores or attachments wrong: a broken specimen that a checker of restores must catch.
    #[cfg(feature = "specimens")]
    pub fn break_blocks(&mut self, specimen: crate::contract::blocks::BlockSpecimen) {
        if let Some(blocks) = self.phase.data_mut().and_then(|data| data.contract.blocks()) {
            blocks.break_by(specimen);
        }
    }
}
