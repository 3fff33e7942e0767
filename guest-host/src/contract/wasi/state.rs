//! An instance's WASI state: what the host granted, and what the guest can change. A restore puts the latter back.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use guest_image::HostState;
use sha2::{Digest as _, Sha256};

use super::config::{Clock, Randomness, WasiConfig};
use super::errno::Errno;

/// An instance's part of WASI.
#[derive(Debug)]
pub(crate) struct Wasi {
    pub(super) arguments: Strings,
    pub(super) environment: Strings,
    clock: Clock,
    randomness: Randomness,
    /// Where the monotonic clock of a system's time starts.
    origin: Instant,
    now: Changing,
    saved: Changing,
    /// Whether the two may differ.
    changed: bool,
    /// Restores nothing, as a specimen of what verification must find.
    #[cfg(feature = "specimens")]
    pub(crate) forgetful: bool,
}

/// The part that a guest can change and observe.
#[derive(Debug, Clone, PartialEq)]
struct Changing {
    /// Flags of the descriptors 0 to 2 that are open.
    descriptors: [Option<u16>; 3],
    /// Nanoseconds by which the clocks are ahead of where they start: what a fixed clock has passed, and what was slept.
    elapsed: u64,
    random: SeededBytes,
    /// Whether the guest was told what the system's monotonic clock says.
    told_monotonic: bool,
    /// Nanoseconds by which that clock is ahead, so that it does not go back for a guest that began in another process.
    lead: u64,
}

impl Changing {
    /// The flag of a descriptor that only appends, which is what those for output do.
    const APPEND: u16 = 1;

    fn at_start(randomness: Randomness) -> Self {
        let seed = match randomness {
            Randomness::Seeded(seed) => seed,
            Randomness::System => 0,
        };
        Self {
            descriptors: [Some(0), Some(Self::APPEND), Some(Self::APPEND)],
            elapsed: 0,
            random: SeededBytes { seed, position: 0 },
            told_monotonic: false,
            lead: 0,
        }
    }
}

/// Random bytes that depend on a seed alone: the SHA-256 digests of seed and block number, one behind the other. A copy is
/// two words, which a restore puts back.
#[derive(Debug, Clone, Copy, PartialEq)]
struct SeededBytes {
    seed: u64,
    /// Bytes that were taken.
    position: u64,
}

impl SeededBytes {
    /// Bytes of a block.
    const BLOCK: u64 = 32;

    fn fill(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let number = self.position / Self::BLOCK;
            let digest =
                Sha256::new().chain_update(self.seed.to_le_bytes()).chain_update(number.to_le_bytes()).finalize();
            // Less than a block.
            let block = &digest[(self.position % Self::BLOCK) as usize..];
            let (now, later) = bytes.split_at_mut(block.len().min(bytes.len()));
            now.copy_from_slice(&block[..now.len()]);
            self.position += now.len() as u64;
            bytes = later;
        }
    }
}

/// A clock that a guest can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClockId {
    Realtime,
    Monotonic,
}

impl ClockId {
    /// The clock of this number. Those of the processor's time do not exist here.
    pub(super) fn of(number: u32) -> Result<Self, Errno> {
        match number {
            0 => Ok(Self::Realtime),
            1 => Ok(Self::Monotonic),
            _ => Err(Errno::INVAL),
        }
    }
}

impl Default for Wasi {
    fn default() -> Self {
        Self::new(&WasiConfig::default())
    }
}

impl Wasi {
    /// For an instance of this configuration, as it is at its start.
    pub(crate) fn new(config: &WasiConfig) -> Self {
        let start = Changing::at_start(config.randomness);
        let variables = config.environment.iter().map(|(name, value)| format!("{name}={value}"));
        Self {
            arguments: Strings::of(config.arguments.iter().cloned()),
            environment: Strings::of(variables),
            clock: config.clock,
            randomness: config.randomness,
            origin: Instant::now(),
            now: start.clone(),
            saved: start,
            changed: false,
            #[cfg(feature = "specimens")]
            forgetful: false,
        }
    }

    /// An instance is made anew: nothing was changed yet.
    pub(crate) fn start(&mut self) {
        self.now = Changing::at_start(self.randomness);
        self.changed = true;
    }

    /// Makes the current state the one that restores put back.
    pub(crate) fn snapshot(&mut self) {
        self.saved.clone_from(&self.now);
        self.changed = false;
    }

    /// Puts back what was changed since the snapshot.
    #[inline]
    pub(crate) fn restore(&mut self) {
        if self.changed {
            self.put_back();
        }
    }

    #[inline(never)]
    fn put_back(&mut self) {
        #[cfg(feature = "specimens")]
        if self.forgetful {
            return;
        }
        self.now.clone_from(&self.saved);
        self.changed = false;
    }

    /// The state of WASI, if the guest changed it since the snapshot.
    pub(crate) fn changed_since_snapshot(&self) -> Option<HostState> {
        if !self.changed || self.now == self.saved {
            return None;
        }
        let mut host = HostState::default();
        (host.descriptors, host.elapsed) = (self.now.descriptors, self.now.elapsed);
        host.random_position = self.now.random.position;
        host.monotonic = if self.now.told_monotonic { self.time(ClockId::Monotonic) } else { 0 };
        Some(host)
    }

    /// Goes on where another instance stopped.
    pub(crate) fn resume(&mut self, host: &HostState) {
        self.changed = true;
        self.now.descriptors = host.descriptors;
        self.now.elapsed = host.elapsed;
        self.now.random.position = host.random_position;
        self.now.told_monotonic = host.monotonic > 0;
        self.now.lead = 0;
        self.now.lead = host.monotonic.saturating_sub(self.time(ClockId::Monotonic));
    }

    /// The flags of a descriptor.
    pub(super) fn open(&self, descriptor: u32) -> Result<u16, Errno> {
        self.now.descriptors.get(descriptor as usize).copied().flatten().ok_or(Errno::BADF)
    }

    /// Closes a descriptor, by `None`, or gives it other flags.
    pub(super) fn change(&mut self, descriptor: u32, flags: Option<u16>) -> Result<(), Errno> {
        self.open(descriptor)?;
        self.changed = true;
        self.now.descriptors[descriptor as usize] = flags;
        Ok(())
    }

    /// Nanoseconds that a clock tells next.
    pub(super) fn read_clock(&mut self, id: ClockId) -> u64 {
        match self.clock {
            Clock::Fixed { step, .. } => self.pass(step),
            Clock::System if id == ClockId::Monotonic && !self.now.told_monotonic => {
                (self.changed, self.now.told_monotonic) = (true, true);
            }
            Clock::System => {}
        }
        self.time(id)
    }

    /// Nanoseconds that a clock tells, without a reading.
    pub(super) fn time(&self, id: ClockId) -> u64 {
        let nanoseconds = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let start = match (self.clock, id) {
            (Clock::System, ClockId::Realtime) => {
                // A system whose clock stands before 1970 has no time that could be told.
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanoseconds)
            }
            (Clock::System, ClockId::Monotonic) => nanoseconds(self.origin.elapsed()).saturating_add(self.now.lead),
            (Clock::Fixed { realtime, .. }, ClockId::Realtime) => realtime,
            (Clock::Fixed { .. }, ClockId::Monotonic) => 0,
        };
        start.saturating_add(self.now.elapsed)
    }

    /// Nanoseconds between two times that a clock can tell apart.
    pub(super) fn resolution(&self) -> u64 {
        match self.clock {
            Clock::System => 1,
            Clock::Fixed { step, .. } => step.max(1),
        }
    }

    /// Lets time pass, for the guest alone.
    pub(super) fn pass(&mut self, nanoseconds: u64) {
        self.changed = true;
        self.now.elapsed = self.now.elapsed.saturating_add(nanoseconds);
    }

    /// Fills `bytes` with random ones.
    pub(super) fn random(&mut self, bytes: &mut [u8]) -> Result<(), Errno> {
        match self.randomness {
            Randomness::Seeded(_) => {
                self.changed = true;
                self.now.random.fill(bytes);
                Ok(())
            }
            Randomness::System => getrandom::fill(bytes).map_err(|_| Errno::IO),
        }
    }
}

/// Strings as a guest takes them over: each ended by a zero byte.
#[derive(Debug, Default)]
pub(super) struct Strings {
    pub(super) bytes: Vec<u8>,
    /// Where each begins.
    pub(super) starts: Vec<u32>,
}

impl Strings {
    fn of(strings: impl Iterator<Item = String>) -> Self {
        let mut all = Self::default();
        for string in strings {
            // What does not fit 32 bits does not fit the guest's memory either.
            all.starts.push(u32::try_from(all.bytes.len()).unwrap_or(u32::MAX));
            all.bytes.extend_from_slice(string.as_bytes());
            all.bytes.push(0);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed() -> WasiConfig {
        WasiConfig { clock: Clock::Fixed { realtime: 1000, step: 10 }, ..WasiConfig::default() }
    }

    /// Everything of it that a guest can observe.
    fn observed(wasi: &mut Wasi) -> (Vec<Result<u16, Errno>>, u64, u64, [u8; 40]) {
        let mut bytes = [0; 40];
        wasi.random(&mut bytes).unwrap();
        let open = (0..4).map(|descriptor| wasi.open(descriptor)).collect();
        (open, wasi.read_clock(ClockId::Realtime), wasi.read_clock(ClockId::Monotonic), bytes)
    }

    #[test]
    fn a_restore_puts_back_everything_that_a_guest_can_change() {
        let mut wasi = Wasi::new(&fixed());
        wasi.start();
        observed(&mut wasi);
        wasi.change(0, None).unwrap();
        wasi.snapshot();
        let first = observed(&mut wasi);
        assert_eq!(first.0, [Err(Errno::BADF), Ok(1), Ok(1), Err(Errno::BADF)]);
        assert_eq!((first.1, first.2), (1030, 40));
        assert_ne!(observed(&mut wasi), first);
        wasi.restore();
        for change in [
            |wasi: &mut Wasi| wasi.change(1, None).unwrap(),
            |wasi: &mut Wasi| wasi.change(2, Some(5)).unwrap(),
            |wasi: &mut Wasi| wasi.pass(u64::MAX),
            |wasi: &mut Wasi| wasi.random(&mut [0; 3]).unwrap(),
            |wasi: &mut Wasi| _ = wasi.read_clock(ClockId::Monotonic),
        ] {
            change(&mut wasi);
            wasi.restore();
            assert_eq!(observed(&mut wasi), first);
            change(&mut wasi);
            wasi.start();
            wasi.change(0, None).unwrap();
            assert_ne!(observed(&mut wasi), first, "as at the start, not as in the snapshot");
            wasi.restore();
        }
    }

    #[test]
    fn what_was_not_used_need_not_be_put_back() {
        let mut wasi = Wasi::new(&WasiConfig::default());
        wasi.snapshot();
        assert!(wasi.change(3, None).is_err() && wasi.open(1).is_ok());
        assert!(wasi.read_clock(ClockId::Realtime) > 1 << 60, "the system's time is after 2006");
        assert!(!wasi.changed && wasi.changed_since_snapshot().is_none());
        let earlier = wasi.read_clock(ClockId::Monotonic);
        assert!(wasi.read_clock(ClockId::Monotonic) >= earlier);
        wasi.pass(1 << 50);
        assert!(wasi.time(ClockId::Monotonic) > 1 << 50 && wasi.changed);
    }

    #[test]
    fn another_instance_goes_on_where_one_stopped() {
        let config = WasiConfig { randomness: Randomness::Seeded(4), ..fixed() };
        let begin = |config: &WasiConfig| {
            let mut wasi = Wasi::new(config);
            wasi.start();
            wasi.snapshot();
            wasi
        };
        for change in [
            |wasi: &mut Wasi| wasi.change(1, None).unwrap(),
            |wasi: &mut Wasi| wasi.pass(1 << 40),
            |wasi: &mut Wasi| wasi.random(&mut [0; 45]).unwrap(),
        ] {
            let (mut one, mut other) = (begin(&config), begin(&config));
            change(&mut one);
            other.resume(&one.changed_since_snapshot().unwrap());
            assert_eq!(other.changed_since_snapshot(), one.changed_since_snapshot());
            assert_eq!(observed(&mut other), observed(&mut one));
            other.restore();
            assert_eq!(observed(&mut other), observed(&mut begin(&config)));
        }
    }

    #[test]
    fn the_systems_monotonic_clock_does_not_go_back_for_a_guest_that_was_told_it() {
        let mut wasi = Wasi::new(&WasiConfig::default());
        wasi.snapshot();
        let mut host = HostState::default();
        host.monotonic = 1 << 60;
        wasi.resume(&host);
        assert!(wasi.read_clock(ClockId::Monotonic) >= 1 << 60);
        assert!(wasi.changed_since_snapshot().is_some_and(|host| host.monotonic >= 1 << 60));
        wasi.restore();
        assert!(wasi.time(ClockId::Monotonic) < 1 << 60);
    }

    #[test]
    fn other_seeds_give_other_bytes_and_the_system_gives_its_own() {
        let bytes = |randomness| {
            let mut bytes = [0; 32];
            let mut wasi = Wasi::new(&WasiConfig { randomness, ..WasiConfig::default() });
            wasi.random(&mut bytes).unwrap();
            (bytes, wasi.changed)
        };
        assert_eq!(bytes(Randomness::Seeded(1)), bytes(Randomness::Seeded(1)));
        assert_ne!(bytes(Randomness::Seeded(1)), bytes(Randomness::Seeded(2)));
        assert_ne!(bytes(Randomness::System).0, bytes(Randomness::System).0);
        assert!(!bytes(Randomness::System).1, "nothing of it is put back");
    }

    #[test]
    fn seeded_bytes_do_not_depend_on_how_many_are_taken_at_a_time() {
        let taken = |sizes: &[usize]| {
            let mut random = SeededBytes { seed: 7, position: 0 };
            let mut all = Vec::new();
            for size in sizes.iter().cycle() {
                let mut bytes = vec![0; *size];
                random.fill(&mut bytes);
                all.extend(bytes);
                if all.len() >= 200 {
                    all.truncate(200);
                    return all;
                }
            }
            all
        };
        let whole = taken(&[200]);
        for sizes in [&[1][..], &[31, 1], &[32], &[33], &[0, 5, 64, 100]] {
            assert_eq!(taken(sizes), whole, "{sizes:?}");
        }
        let ones: u32 = whole.iter().map(|byte| byte.count_ones()).sum();
        assert!((650..950).contains(&ones), "{ones} of 1600 bits");
    }
}
