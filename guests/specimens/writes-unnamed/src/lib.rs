//! Broken on purpose: it writes into the exchange region what it never names to the host.
//!
//! The contract lets a guest write there only what it hands over in the same call. A restore that goes by what was named
//! does not find the rest.
#![expect(unsafe_code, reason = "it reads and writes where no safe guest can")]

use guest_sdk::{Context, KeyBuilder, Result, extension, storage};

/// Writes nothing.
#[extension]
fn do_nothing(_cx: &mut Context) -> Result<()> {
    Ok(())
}

/// Adds up what lies in the exchange region behind a value, overwrites it, and leaves the sum.
#[extension]
fn sum_behind_a_value(cx: &mut Context) -> Result<()> {
    let text = cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?.get_str("Text")?;
    // Behind the text comes the end of the event, and then nothing for a while.
    let behind = text.as_ptr().wrapping_add(4096).cast_mut();
    let mut sum = 0;
    for at in 0..1024 {
        // SAFETY: in a guest with an exchange region of 8 KiB or more, these bytes are the region's and in no use; in
        // one with less they are memory all the same, and what breaks is this guest alone.
        unsafe {
            let byte = behind.wrapping_add(at);
            sum += i64::from(byte.read_volatile());
            byte.write_volatile(0x55);
        }
    }
    cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?.put_i64("Sum", sum);
    Ok(())
}

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: alloc_bump_reset::BumpResetAllocator = alloc_bump_reset::BumpResetAllocator::new();
