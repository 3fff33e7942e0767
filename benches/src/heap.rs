//! An instance whose calls dirty as much of its memory as they are told, and what puts it back: ours, or a plain copy and
//! fill of the same bytes.

use std::hint::black_box;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use guest_host::restore::{Promise, Restore, RestoreError, Restored, Target, Used, Watermark};
use guest_host::snapshot::RegionKind;
use guest_host::{Engine, Function, Instance, Residue, RestorePolicy, RestoreStrategy};

use crate::guests::{self, Way};
use crate::turns::{Measured, nanoseconds};

/// Bytes of a card, as by default.
const CARD: usize = 1024;

/// A page of the system's.
const PAGE: usize = 4096;

/// Bytes of a memory that are taken before a call asks for any: stack, statics, exchange region, and some to spare.
const TAKEN: usize = 192 << 10;

/// How a call dirties memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// All bytes, one after the other.
    Filled,
    /// One byte in each 4 KiB.
    Touched,
}

/// How much a call dirties, of a memory of which size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dirt {
    /// Bytes that memory physically has, and may have.
    pub memory: usize,
    /// Of these, what the call dirties; all is as much as the guest can have.
    pub share: f64,
    /// How.
    pub pattern: Pattern,
}

impl Dirt {
    /// Bytes of heap that the call asks for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a memory's bytes")]
        let bytes = (crate::turns::as_f64(self.memory as u64) * self.share) as usize;
        bytes.min(self.most())
    }

    fn most(&self) -> usize {
        self.memory - TAKEN
    }
}

/// What a plain copy or fill is measured for: the least that could restore the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Least {
    /// Copying the statics.
    Statics,
    /// Zeroing the heap that the call used, or copying what the snapshot has of it: the dearer of both.
    Used,
    /// Copying or zeroing the cards of the heap that the call wrote.
    Cards,
}

/// Does by plain calls what is the least, keeps how long that took, and then restores.
#[derive(Debug)]
struct Plain {
    least: Least,
    pattern: Pattern,
    took: Arc<Mutex<Duration>>,
}

impl Plain {
    fn measure(&self, target: &mut Target<'_>) -> Result<Duration, RestoreError> {
        let Used { memory, snapshot, heap, .. } = target.used()?;
        let saved = snapshot.memory();
        let (top, used) = (heap.saved.image.top as usize, (heap.high_water as usize).min(memory.len()));
        let statics = snapshot.regions().statics();
        let copy = |memory: &mut [u8], range: Range<usize>| {
            memory[range.clone()].copy_from_slice(&saved[range]);
        };
        let timed = |memory: &mut [u8], work: &mut dyn FnMut(&mut [u8])| {
            let start = Instant::now();
            work(memory);
            let took = start.elapsed();
            black_box(memory);
            took
        };
        Ok(match self.least {
            Least::Statics => timed(memory, &mut |memory| copy(memory, statics.clone())),
            Least::Used => {
                let zeroed = timed(memory, &mut |memory| memory[top..used].fill(0));
                let copied = timed(memory, &mut |memory| copy(memory, statics.end..top));
                zeroed.max(copied)
            }
            Least::Cards => {
                let put_back = |memory: &mut [u8], range: Range<usize>| {
                    let cut = saved.len().clamp(range.start, range.end);
                    copy(memory, range.start..cut);
                    memory[cut..range.end].fill(0);
                };
                let cards = top / CARD * CARD..used.next_multiple_of(CARD).min(memory.len());
                match self.pattern {
                    Pattern::Filled => timed(memory, &mut |memory| put_back(memory, cards.clone())),
                    Pattern::Touched => timed(memory, &mut |memory| {
                        for start in cards.clone().step_by(PAGE) {
                            put_back(memory, start..(start + CARD).min(cards.end));
                        }
                    }),
                }
            }
        })
    }
}

impl Restore for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn promise(&self, region: RegionKind, residue: Residue) -> Promise {
        Watermark.promise(region, residue)
    }

    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
        *self.took.lock().unwrap_or_else(PoisonError::into_inner) = self.measure(target)?;
        Watermark.restore(target)
    }
}

/// An instance that is dirtied and put back, in turn with others.
pub struct Subject {
    instance: Instance,
    function: Function,
    /// Where the time is, if it is not that of the whole restore.
    took: Option<Arc<Mutex<Duration>>>,
    /// Nanoseconds of each round.
    pub measured: Measured,
}

impl Subject {
    /// Ours; `None` where the guest is not one for the strategy.
    ///
    /// # Errors
    /// The instance cannot be made or dirtied.
    pub fn ours(engine: &Engine, allocator: &str, way: Way, dirt: Dirt) -> Result<Option<Self>> {
        let guest = guests::load(engine, &format!("bench-{allocator}"))?;
        let mut config = guests::config(way.strategy, RestorePolicy::EveryCall, way.residue);
        Self::limit(&mut config, dirt);
        let Some(mut instance) = guests::instance(&guest, &config)? else {
            return Ok(None);
        };
        let function = Self::begin(&mut instance, dirt)?;
        let measured = Measured { name: format!("{allocator}, {way}"), rounds: Vec::new() };
        Ok(Some(Self { instance, function, took: None, measured }))
    }

    /// The strategy by which the instance is restored now.
    #[must_use]
    pub fn strategy(&self) -> RestoreStrategy {
        self.instance.strategy().strategy
    }

    /// The least that could restore the same.
    ///
    /// # Errors
    /// The instance cannot be made or dirtied.
    pub fn plain(engine: &Engine, allocator: &str, least: Least, dirt: Dirt) -> Result<Self> {
        let guest = guests::load(engine, &format!("bench-{allocator}"))?;
        let way = Way::scrub(RestoreStrategy::FullCopy);
        let mut config = guests::config(way.strategy, way.policy, way.residue);
        Self::limit(&mut config, dirt);
        let took = Arc::<Mutex<Duration>>::default();
        let restore = Plain { least, pattern: dirt.pattern, took: Arc::clone(&took) };
        let mut instance = guest.instantiate_with(Box::new(restore), &config, guests::state_with_bytes(0)?)?;
        let function = Self::begin(&mut instance, dirt)?;
        let name = match least {
            Least::Statics => "copying the statics",
            Least::Used => "zeroing or copying what was used",
            Least::Cards => "copying or zeroing the dirty cards",
        };
        let measured = Measured { name: name.to_owned(), rounds: Vec::new() };
        Ok(Self { instance, function, took: Some(took), measured })
    }

    fn limit(config: &mut guest_host::InstanceConfig, dirt: Dirt) {
        config.memory_limit = dirt.memory as u64;
        config.exchange_size = Some(4096);
        config.deadline = None;
        config.count = true;
        // The size of the memory is what is measured.
        config.retention = None;
    }

    /// Makes memory as large as it may be, by a call before all others.
    fn begin(instance: &mut Instance, dirt: Dirt) -> Result<Function> {
        let fill = instance.guest().function("fill_heap")?;
        instance.set_state(guests::state_with_bytes(dirt.most())?);
        instance.invoke(fill).context("making memory as large as it may be")?;
        instance.set_state(guests::state_with_bytes(dirt.bytes())?);
        Ok(match dirt.pattern {
            Pattern::Filled => fill,
            Pattern::Touched => instance.guest().function("touch_heap")?,
        })
    }

    /// A call that dirties, and a restore that is measured.
    ///
    /// # Errors
    /// The call fails.
    pub fn round(&mut self) -> Result<()> {
        self.instance.invoke(self.function)?;
        let whole = self.instance.last_stats().restore_time.context("the call was followed by a restore")?;
        let took = self.took.as_ref().map_or(whole, |took| *took.lock().unwrap_or_else(PoisonError::into_inner));
        self.measured.rounds.push(nanoseconds(took));
        Ok(())
    }
}

/// Lets all dirty and restore in turns, after a few rounds that do not count: they touch pages for the first time.
///
/// # Errors
/// A call fails.
pub fn take_turns(subjects: &mut [Subject], rounds: usize) -> Result<()> {
    for round in 0..rounds + 3 {
        for subject in &mut *subjects {
            subject.round()?;
            if round < 3 {
                subject.measured.rounds.clear();
            }
        }
    }
    Ok(())
}
