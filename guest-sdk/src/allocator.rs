//! The guest's global allocator, by feature. Two are refused, none leaves Rust's default one.

#[cfg(all(
    target_arch = "wasm32",
    any(feature = "alloc-leaking", feature = "alloc-bump-reset", feature = "alloc-freelist", feature = "alloc-wee")
))]
use crate::contract::{Global, global};

macro_rules! at_most_one {
    ($($one:literal and $other:literal;)+) => {$(
        #[cfg(all(feature = $one, feature = $other))]
        compile_error!(concat!(
            "guest-sdk: the features `", $one, "` and `", $other, "` are both on, but a guest has one allocator: ",
            "leave out one of them (`cargo tree -e features -i guest-sdk` shows who asks for which)"
        ));
    )+};
}

at_most_one! {
    "alloc-leaking" and "alloc-bump-reset";
    "alloc-leaking" and "alloc-freelist";
    "alloc-leaking" and "alloc-wee";
    "alloc-bump-reset" and "alloc-freelist";
    "alloc-bump-reset" and "alloc-wee";
    "alloc-freelist" and "alloc-wee";
}

// Each `not` keeps the error above the only one.

#[cfg(all(target_arch = "wasm32", feature = "alloc-leaking"))]
#[global_allocator]
static ALLOCATOR: Global<alloc_leaking::LeakingAllocator> = global(alloc_leaking::LeakingAllocator::new());

#[cfg(all(target_arch = "wasm32", feature = "alloc-bump-reset", not(feature = "alloc-leaking")))]
#[global_allocator]
static ALLOCATOR: Global<alloc_bump_reset::BumpResetAllocator> = global(alloc_bump_reset::BumpResetAllocator::new());

#[cfg(all(
    target_arch = "wasm32",
    feature = "alloc-freelist",
    not(any(feature = "alloc-leaking", feature = "alloc-bump-reset"))
))]
#[global_allocator]
static ALLOCATOR: Global<alloc_freelist::FreelistAllocator> = global(alloc_freelist::FreelistAllocator::new());

#[cfg(all(
    target_arch = "wasm32",
    feature = "alloc-wee",
    not(any(feature = "alloc-leaking", feature = "alloc-bump-reset", feature = "alloc-freelist"))
))]
#[global_allocator]
static ALLOCATOR: Global<wee_alloc::WeeAlloc> = global(wee_alloc::WeeAlloc::INIT);
