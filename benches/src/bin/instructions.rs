//! Counts the instructions of every scenario, writes `benches/instructions.json`, and says what has changed.

use anyhow::Result;
use benches::instructions::{compare, count, file, read, record, write};

fn main() -> Result<()> {
    let counted = count()?;
    let mut recorded = read()?;
    for drift in compare(&recorded, &counted).drifts {
        println!("{drift}");
    }
    println!("{} counts of guests built by {}", counted.counts.len(), counted.compiler);
    record(&mut recorded, counted);
    write(&recorded)?;
    println!("written: {}", file().display());
    Ok(())
}
