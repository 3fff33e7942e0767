//! libFuzzer's wrapper of [`fuzz::allocators`].
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(allocators);
