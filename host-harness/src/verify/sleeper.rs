//! An instance that sleeps between calls, and those on which it can go on.

use std::fmt::Display;

use guest_host::Instance;
use guest_host::guest_image::{Change, Delta, Image};

/// An instance that sleeps between calls as bytes, and goes on on one of two instances.
#[derive(Debug)]
pub struct Sleeper {
    instances: [Instance; 2],
    /// The one that it is on now.
    on: usize,
    last: Option<Delta>,
}

/// How an instance falls asleep and wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sleep {
    /// Whether it is written as the change since it slept last, if it did; otherwise all of it is written.
    pub as_change: bool,
    /// Whether it goes on on the other instance.
    pub on_other: bool,
}

impl Sleep {
    /// A way that depends on two bits of a number.
    #[must_use]
    pub const fn of_bits(bits: u64) -> Self {
        Self { as_change: bits & 1 == 0, on_other: bits & 2 != 0 }
    }
}

impl Sleeper {
    /// One that is on the first of two instances, which must be restored by the same strategy.
    #[must_use]
    pub const fn new(instances: [Instance; 2]) -> Self {
        Self { instances, on: 0, last: None }
    }

    /// The instance that it is on.
    pub fn instance(&mut self) -> &mut Instance {
        &mut self.instances[self.on]
    }

    /// Both instances.
    pub fn instances(&mut self) -> &mut [Instance; 2] {
        &mut self.instances
    }

    /// Suspends the instance, writes and reads what it sleeps as, and resumes that. Before, `asleep` sees the instance on which it
    /// was, and may change what is resumed: a specimen that a check must catch.
    ///
    /// # Errors
    /// The step that failed. The instance is pristine then.
    pub fn sleep(&mut self, how: Sleep, asleep: impl FnOnce(&mut Instance, &mut Delta)) -> Result<Delta, String> {
        let delta = self.instance().suspend().map_err(text)?;
        if !self.instance().is_pristine() {
            return Err("the instance is not pristine after it was suspended".to_owned());
        }
        let mut read = match self.last.as_ref().filter(|_| how.as_change) {
            Some(last) => change_through_bytes(last, &delta)?,
            None => through_bytes(&delta)?,
        };
        if read != delta {
            return Err("the state that is read is not the one that was written".to_owned());
        }
        asleep(&mut self.instances[self.on], &mut read);
        self.on ^= usize::from(how.on_other);
        self.instances[self.on].resume(&read).map_err(text)?;
        self.last = Some(delta.clone());
        Ok(delta)
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}

fn through_bytes(delta: &Delta) -> Result<Delta, String> {
    let mut bytes = Vec::new();
    delta.write_to(1, &mut bytes).map_err(text)?;
    let read = Delta::read_from(&mut &bytes[..]).map_err(text)?;
    read.map(|(delta, _)| delta).map_err(text)
}

fn change_through_bytes(last: &Delta, delta: &Delta) -> Result<Delta, String> {
    let mut bytes = Vec::new();
    let change = Change::between(last, delta).map_err(text)?;
    change.write_to(1, 2, &mut bytes).map_err(text)?;
    match Image::from_bytes(&bytes) {
        Ok(Image::Change { change, .. }) => change.apply(last).map_err(text),
        other => Err(format!("a change is read as {other:?}")),
    }
}
