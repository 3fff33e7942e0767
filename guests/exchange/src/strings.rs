//! A list of 10,000 strings, read in place by as many guests as like to.

use guest_sdk::block::Block;
use guest_sdk::flat::{self, List, Text};
use guest_sdk::{Level, Result, log, stage};

/// Strings of the list.
const COUNT: usize = 10_000;

/// Publishes the list, for all who read it.
#[stage]
pub fn list() -> Result<Block> {
    let words = || (0..COUNT).map(|number| format!("word {number}"));
    let list = flat::items(words());
    let size = flat::measure::<List<Text>>(&list)?;
    let mut block = Block::new(u32::try_from(size).unwrap_or(u32::MAX));
    let mut bytes = block.write_shared()?;
    flat::Builder::new(&mut bytes).build::<List<Text>>(&list)?;
    bytes.publish(size);
    Ok(block)
}

/// Logs how many strings there are, and the longest.
#[stage]
pub fn longest(block: Block) -> Result<()> {
    let bytes = block.read()?;
    let words = flat::read::<List<Text>>(&bytes)?;
    let longest = words.iter().max_by_key(|word| word.len()).unwrap_or_default();
    log(Level::Info, &format!("{} strings, the longest is `{longest}`", words.len()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_in_place() {
        let block = list().unwrap();
        let bytes = block.read().unwrap();
        let words = flat::read::<List<Text>>(&bytes).unwrap();
        assert_eq!((words.len(), words.get(0), words.get(9_999)), (COUNT, Some("word 0"), Some("word 9999")));
        drop(bytes);
        longest(block).unwrap();
        assert!(longest(Block::new(1)).is_err(), "there is nothing to read");
    }
}
