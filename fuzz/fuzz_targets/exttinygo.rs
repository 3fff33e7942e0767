//! libFuzzer's wrapper of [`fuzz::exttinygo`].
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(exttinygo);
