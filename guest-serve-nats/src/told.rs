//! Faults that last are told once, however often something is tried again.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Different faults that are told until something works again. Further ones are not: they would be the same in other words.
const MOST: usize = 32;

/// After which time a fault is told again: it lasts, or whatever it came up at is another process's now.
const AGAIN: Duration = Duration::from_secs(600);

/// Faults of which people were told: at what they came up, and when.
#[derive(Debug, Default)]
pub struct Told(Mutex<HashMap<String, (String, Instant)>>);

impl Told {
    /// Prints a fault that came up at something, unless it was printed since that worked last, and in the last ten minutes. Others may
    /// have the same fault: it is printed once for all of them.
    pub fn fault(&self, at: &str, fault: &impl Display) {
        if self.is_new(at, &fault.to_string(), Instant::now()) {
            eprintln!("{}", guest_host::text::printable(&fault.to_string()));
        }
    }

    /// Something works: its faults are told again when they come back.
    pub fn works(&self, at: &str) {
        self.faults().retain(|_, (first, _)| first != at);
    }

    fn is_new(&self, at: &str, fault: &str, now: Instant) -> bool {
        let mut faults = self.faults();
        faults.retain(|_, (_, when)| now.duration_since(*when) < AGAIN);
        let is_new = faults.len() < MOST && !faults.contains_key(fault);
        if is_new {
            faults.insert(fault.to_owned(), (at.to_owned(), now));
        }
        is_new
    }

    fn faults(&self) -> std::sync::MutexGuard<'_, HashMap<String, (String, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_once_until_that_works_again_at_which_it_came_up() {
        let told = Told::default();
        let now = Instant::now();
        let tell = |at: &str, faults: &[&str]| faults.iter().filter(|fault| told.is_new(at, fault, now)).count();
        assert_eq!(tell("one", &["full", "full", "away", "full"]), 2);
        assert_eq!(tell("two", &["full", "away", "denied"]), 1, "others have the same");
        told.works("two");
        assert_eq!(tell("one", &["full", "away"]), 0, "it works at another one");
        told.works("one");
        assert_eq!(tell("two", &["full", "denied"]), 2);
        let many: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(tell("three", &many.iter().map(String::as_str).collect::<Vec<_>>()), MOST - 2);
        assert!(told.is_new("one", "full", now + AGAIN), "it lasts");
    }
}
