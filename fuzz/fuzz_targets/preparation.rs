//! libFuzzer's wrapper of [`fuzz::preparation`].
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(preparation);
