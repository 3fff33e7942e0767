//! The guest's global allocator, by feature. Two of the features together do not compile. Without any, a guest has Rust's
//! default allocator or its own.
//!
//! An SDK declares the `#[global_allocator]` itself, because a contract may wrap the allocator.

macro_rules! at_most_one {
    ($($one:literal and $other:literal;)+) => {$(
        #[cfg(all(feature = $one, feature = $other))]
        compile_error!(concat!(
            "guest-sdk: the features `", $one, "` and `", $other, "` are both on, but a guest has one allocator: ",
            "leave out one of them (`cargo tree -e features -i guest-sdk-core` shows which crate asks for which)"
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

macro_rules! chosen {
    ($($feature:literal $(but not $earlier:literal)* => $allocator:ty, $new:expr;)+) => {$(
        /// The allocator that a feature chooses.
        // Each `not` keeps the error above the only one.
        #[cfg(all(feature = $feature, not(any($(feature = $earlier),*))))]
        pub type Chosen = $allocator;

        /// The allocator, for the static of a guest.
        #[cfg(all(feature = $feature, not(any($(feature = $earlier),*))))]
        #[must_use]
        pub const fn chosen() -> Chosen {
            $new
        }
    )+};
}

chosen! {
    "alloc-leaking" => alloc_leaking::LeakingAllocator, alloc_leaking::LeakingAllocator::new();
    "alloc-bump-reset" but not "alloc-leaking"
        => alloc_bump_reset::BumpResetAllocator, alloc_bump_reset::BumpResetAllocator::new();
    "alloc-freelist" but not "alloc-leaking" but not "alloc-bump-reset"
        => alloc_freelist::FreelistAllocator, alloc_freelist::FreelistAllocator::new();
    "alloc-wee" but not "alloc-leaking" but not "alloc-bump-reset" but not "alloc-freelist"
        => wee_alloc::WeeAlloc<'static>, wee_alloc::WeeAlloc::INIT;
}
