//! How each command's data reads: one file for each kind of data.

mod advice;
mod answer;
pub(super) mod baseline;
mod budget;
pub(super) mod build;
pub(super) mod compile;
pub(super) mod inspect;
pub(super) mod measure;
pub(super) mod pipe;
pub(super) mod replay;
pub(super) mod run;
pub(super) mod verify;

use super::data::Settings;
use super::section::{Body, Section};
use guest_host::AllocationSource;

/// Words in a row, `none` where there are none.
fn list(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

/// A source of allocation counts, in words.
fn allocations_from(source: &str) -> &str {
    const SOURCES: [(AllocationSource, &str); 3] = [
        (AllocationSource::ControlBlock, "the allocator's control block"),
        (AllocationSource::GuestFunctions, "functions of the guest's own, called after the call"),
        (
            AllocationSource::CountedCalls,
            "calls of its allocator's functions, which the harness counts; bytes are those asked for",
        ),
    ];
    SOURCES.into_iter().find(|(known, _)| known.name() == source).map_or(source, |(_, words)| words)
}

/// Notes for the reader. `None` if there are none.
pub(super) fn notes(notes: &[String]) -> Option<Section> {
    (!notes.is_empty()).then(|| Section::new("Notes", Body::Lines(notes.to_vec())))
}

/// How instances were made.
pub(super) fn settings(settings: &Settings) -> Section {
    Section::facts("Settings", measure::settings(settings))
}
