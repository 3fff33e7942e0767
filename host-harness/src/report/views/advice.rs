//! How advice reads.

use super::super::data::GuestSummary;
use super::super::section::{Body, Section};
use crate::advice::Advice;

/// Begins lines to paste.
const TO_PASTE: &str = "    ";

/// Advice on the guests that were measured; `None` where there is none.
pub(in super::super) fn of_guests(guests: &[GuestSummary]) -> Option<Section> {
    section(guests.iter().map(|guest| (guest.guest.as_str(), guest.advice.as_slice())))
}

/// Advice on guests, each piece once with the guests that it is for; `None` where there is none.
pub(super) fn section<'a>(guests: impl IntoIterator<Item = (&'a str, &'a [Advice])>) -> Option<Section> {
    let mut pieces: Vec<(&Advice, Vec<&str>)> = Vec::new();
    for (guest, advice) in guests {
        for advice in advice {
            // Sentences may have figures of one guest in them.
            match pieces.iter_mut().find(|(known, _)| known.kind == advice.kind && known.lines == advice.lines) {
                Some((_, guests)) => guests.push(guest),
                None => pieces.push((advice, vec![guest])),
            }
        }
    }
    let mut lines = Vec::new();
    for (advice, guests) in &pieces {
        lines.push(format!("{}: {}. In {}:", guests.join(", "), advice.sentence, advice.file));
        lines.extend(advice.lines.iter().map(|line| format!("{TO_PASTE}{line}")));
    }
    (!lines.is_empty()).then(|| Section::new("Advice", Body::Lines(lines)))
}
