//! The memory that images on the slow lane take: those that wait there for their turn, and those of calls that run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::folder::GuestName;
use crate::lanes::Full;

/// The part of all bytes that the images of one guest may take.
const PARTS: usize = 4;

/// Bytes of images on the slow lane, of all threads.
#[derive(Debug)]
pub(super) struct Load {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_guest: HashMap<GuestName, usize>,
}

/// The bytes of one image, as long as this exists.
#[derive(Debug)]
pub(super) struct Share {
    load: Arc<Load>,
    guest: GuestName,
    bytes: usize,
}

impl Load {
    /// At most `most` bytes, and a quarter of them of one guest. Each guest may have one image, however large it is.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    /// Takes room for an image.
    ///
    /// # Errors
    /// [`Full`].
    pub(super) fn take(self: &Arc<Self>, guest: &GuestName, bytes: usize) -> Result<Share, Full> {
        let mut taken = self.lock();
        // Images of no bytes are those of tenants that begin.
        if let Some(of_guest) = taken.by_guest.get(guest).filter(|of_guest| **of_guest > 0) {
            if of_guest.saturating_add(bytes) > self.most / PARTS {
                return Err(Full::Guest);
            }
            if taken.all.saturating_add(bytes) > self.most {
                return Err(Full::All);
            }
        }
        taken.all += bytes;
        *taken.by_guest.entry(guest.clone()).or_default() += bytes;
        Ok(Share { load: Arc::clone(self), guest: guest.clone(), bytes })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.load.lock();
        taken.all -= self.bytes;
        if let Some(of_guest) = taken.by_guest.get_mut(&self.guest) {
            *of_guest -= self.bytes;
            if *of_guest == 0 {
                taken.by_guest.remove(&self.guest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_has_one_image_in_any_case_and_further_ones_within_its_part() {
        let (one, other): (GuestName, GuestName) = ("one".parse().unwrap(), "other".parse().unwrap());
        let load = Load::new(400);
        let large = load.take(&one, 1000).unwrap();
        assert_eq!(load.take(&one, 1).unwrap_err(), Full::Guest);
        let first = load.take(&other, 60).unwrap();
        assert_eq!(load.take(&other, 30).unwrap_err(), Full::All);
        drop(large);
        let second = load.take(&other, 40).unwrap();
        assert_eq!(load.take(&other, 1).unwrap_err(), Full::Guest);
        drop((first, second));
        let empty = load.take(&one, 0).unwrap();
        drop((load.take(&one, 1000).unwrap(), empty));
        assert!(load.lock().all == 0 && load.lock().by_guest.is_empty());
    }
}
