//! libFuzzer's wrapper of [`fuzz::containers`].
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(containers);
