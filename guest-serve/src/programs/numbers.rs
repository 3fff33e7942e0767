//! Numbers of connections, which no other connection has ever had.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::ServeError;
use crate::folder;

/// The file that has the number from which a later process may go on.
const FILE: &str = "connections";

/// Numbers that a process can give out, more than it can have connections.
const EACH: i64 = 1 << 32;

/// Seconds since 1970 that stand for the first number.
const FIRST: u64 = 1_700_000_000;

/// Numbers of connections. A program may remember them longer than the process lives.
#[derive(Debug)]
pub(super) struct Numbers {
    next: AtomicI64,
}

impl Numbers {
    /// Goes on behind all numbers of earlier processes, whatever the clock says.
    pub(super) fn open(own: &Path) -> Result<Self, ServeError> {
        let path = own.join(FILE);
        let last = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().unwrap_or(0),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(ServeError::io("read", &path)(error)),
        };
        // If the file was lost, the time tells the numbers apart.
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let now = i64::try_from(seconds.saturating_sub(FIRST)).unwrap_or(i64::MAX).saturating_mul(EACH);
        let first = now.max(last).min(i64::MAX - EACH);
        folder::write(&path, (first + EACH).to_string().as_bytes())?;
        Ok(Self { next: AtomicI64::new(first) })
    }

    /// A number that no other connection has.
    pub(super) fn next(&self) -> i64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_given_out_twice() {
        let folder = tempfile::tempdir().unwrap();
        let mut last = 0;
        for _ in 0..3 {
            let numbers = Numbers::open(folder.path()).unwrap();
            for _ in 0..10 {
                let next = numbers.next();
                assert!(next > last);
                last = next;
            }
        }
        // A clock that went back, and a file that is none.
        fs::write(folder.path().join(FILE), (i64::MAX / 2).to_string()).unwrap();
        assert_eq!(Numbers::open(folder.path()).unwrap().next(), i64::MAX / 2);
        // One that is damaged is made anew.
        fs::write(folder.path().join(FILE), "text").unwrap();
        assert!(Numbers::open(folder.path()).unwrap().next() > EACH);
    }
}
