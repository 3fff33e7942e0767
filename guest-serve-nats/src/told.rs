//! Faults that last are told once, however often something is tried again.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

/// Different faults that are told until something works again. Further ones are not: they would be the same in other words.
const MOST: usize = 32;

/// Faults of which people were told, and at what they came up.
#[derive(Debug, Default)]
pub struct Told(Mutex<HashMap<String, String>>);

impl Told {
    /// Prints a fault that came up at something, unless it was printed since that worked last. Others may have the same fault: it is
    /// printed once for all of them.
    pub fn fault(&self, at: &str, fault: &impl Display) {
        if self.is_new(at, &fault.to_string()) {
            eprintln!("{}", guest_host::text::printable(&fault.to_string()));
        }
    }

    /// Something works: its faults are told again when they come back.
    pub fn works(&self, at: &str) {
        self.faults().retain(|_, first| first != at);
    }

    fn is_new(&self, at: &str, fault: &str) -> bool {
        let mut faults = self.faults();
        let is_new = faults.len() < MOST && !faults.contains_key(fault);
        if is_new {
            faults.insert(fault.to_owned(), at.to_owned());
        }
        is_new
    }

    fn faults(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_once_until_that_works_again_at_which_it_came_up() {
        let told = Told::default();
        let tell = |at: &str, faults: &[&str]| faults.iter().filter(|fault| told.is_new(at, fault)).count();
        assert_eq!(tell("one", &["full", "full", "away", "full"]), 2);
        assert_eq!(tell("two", &["full", "away", "denied"]), 1, "others have the same");
        told.works("two");
        assert_eq!(tell("one", &["full", "away"]), 0, "it works at another one");
        told.works("one");
        assert_eq!(tell("two", &["full", "denied"]), 2);
        let many: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(tell("three", &many.iter().map(String::as_str).collect::<Vec<_>>()), MOST - 2);
    }
}
