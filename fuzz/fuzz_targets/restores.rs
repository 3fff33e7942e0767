//! libFuzzer's wrapper of [`fuzz::restores`].
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(restores);
