//! libFuzzer's wrapper of [`fuzz::crossing`].
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(crossing);
