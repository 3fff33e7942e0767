//! libFuzzer's wrapper of [`fuzz::suspensions`].
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(suspensions);
