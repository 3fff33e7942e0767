//! How advice reads.

use super::super::gather::gather;
use super::super::section::{Body, Section, TO_PASTE};
use crate::advice::Advice;

/// Advice on guests, each piece once with the guests that it is for; `None` where there is none.
pub(super) fn section<'a>(guests: impl IntoIterator<Item = (&'a str, &'a [Advice])>) -> Option<Section> {
    let of_guests = guests.into_iter().flat_map(|(guest, advice)| advice.iter().map(move |advice| (advice, guest)));
    // Sentences may have figures of one guest in them.
    let pieces = gather(of_guests, |one, other| one.kind == other.kind && one.lines == other.lines);
    let mut lines = Vec::new();
    for (advice, guests) in &pieces {
        lines.push(format!("{}: {}. In {}:", guests.join(", "), advice.sentence, advice.file));
        lines.extend(advice.lines.iter().map(|line| format!("{TO_PASTE}{line}")));
    }
    (!lines.is_empty()).then(|| Section::new("Advice", Body::Lines(lines)))
}
