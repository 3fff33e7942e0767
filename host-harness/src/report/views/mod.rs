//! How each command's data reads: one file for each kind of data.

pub(super) mod compile;
pub(super) mod inspect;
pub(super) mod measure;
pub(super) mod replay;
pub(super) mod run;
pub(super) mod verify;

use super::data::Settings;
use super::section::Section;

/// Words in a row, `none` where there are none.
fn list(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

/// How instances were made.
pub(super) fn settings(settings: &Settings) -> Section {
    Section::facts("Settings", measure::settings(settings))
}
