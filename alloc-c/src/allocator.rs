//! The allocator behind the functions, by feature. Two are an error; without one there are no functions.

macro_rules! at_most_one {
    ($($one:literal and $other:literal;)+) => {$(
        #[cfg(all(feature = $one, feature = $other))]
        compile_error!(concat!(
            "alloc-c: the features `", $one, "` and `", $other, "` are both on, but a guest has one allocator: ",
            "leave out one of them"
        ));
    )+};
}

at_most_one! {
    "alloc-leaking" and "alloc-bump-reset";
    "alloc-leaking" and "alloc-freelist";
    "alloc-bump-reset" and "alloc-freelist";
}

// Each `not` keeps the error above the only one. The allocator is Rust's global one too: dependencies could allocate, though
// none does, and Rust code that is linked with C shares it.

#[cfg(all(target_arch = "wasm32", feature = "alloc-leaking"))]
#[global_allocator]
pub(crate) static ALLOCATOR: alloc_leaking::LeakingAllocator = alloc_leaking::LeakingAllocator::new();

#[cfg(all(target_arch = "wasm32", feature = "alloc-bump-reset", not(feature = "alloc-leaking")))]
#[global_allocator]
pub(crate) static ALLOCATOR: alloc_bump_reset::BumpResetAllocator = alloc_bump_reset::BumpResetAllocator::new();

#[cfg(all(
    target_arch = "wasm32",
    feature = "alloc-freelist",
    not(any(feature = "alloc-leaking", feature = "alloc-bump-reset"))
))]
#[global_allocator]
pub(crate) static ALLOCATOR: alloc_freelist::FreelistAllocator = alloc_freelist::FreelistAllocator::new();
