//! What restoring costs when a guest has dirtied 2, 8 and 67 MiB: beside a plain zero-fill and a plain copy of the same
//! bytes, in the memory of an instance that was dirtied in the same way.
//!
//! Not by criterion: it plans by the time that is measured, which is nanoseconds, where dirtying takes milliseconds.

use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use benches::guests;
use benches::ratios::{Ratios, Target as Goal};
use benches::turns::{Measured, nanoseconds};
use host_harness::restore::{FullCopy, Promise, Restore, RestoreError, Restored, Target, Watermark};
use host_harness::snapshot::RegionKind;
use host_harness::{Engine, Function, Guest, Instance, InstanceConfig, Residue, RestorePolicy, RestoreStrategy};

/// MiB that are dirty before a restore, at least, and in how many rounds that is measured.
const SIZES: [(usize, usize); 3] = [(2, 101), (8, 61), (67, 15)];

/// Bytes that are more than any cache of the machine holds.
const OTHER: usize = 256 << 20;

/// Zeroes or copies by one plain call what `then` restores, and keeps how long the plain call took.
#[derive(Debug)]
struct Plain<R> {
    how: How,
    then: R,
    took: Arc<Mutex<Duration>>,
}

#[derive(Debug)]
enum How {
    /// Fills the heap that the guest used with zeros.
    Fill,
    /// Copies as many bytes as the memory has.
    Copy(Vec<u8>),
}

impl<R: Restore> Restore for Plain<R> {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn promise(&self, region: RegionKind, residue: Residue) -> Promise {
        self.then.promise(region, residue)
    }

    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
        let (memory, _, heap) = target.heap()?;
        let range = heap.saved.image.effective_high_water() as usize..heap.high_water as usize;
        let took = match &mut self.how {
            How::Fill => {
                let start = Instant::now();
                memory[range].fill(0);
                start.elapsed()
            }
            How::Copy(from) => {
                // Not counted: the source is made as large as the memory the first time.
                from.resize(memory.len(), 1);
                let start = Instant::now();
                memory.copy_from_slice(from);
                start.elapsed()
            }
        };
        black_box(memory);
        *self.took.lock().unwrap_or_else(PoisonError::into_inner) = took;
        self.then.restore(target)
    }
}

/// An instance that is dirtied and restored.
struct Subject {
    instance: Instance,
    append: Function,
    /// Where the time is, if it is not that of the whole restore.
    took: Option<Arc<Mutex<Duration>>>,
    measured: Measured,
    /// The same of a second restore right after the first, which finds in the caches what it needs.
    again: Measured,
    /// The same of one before which something else has taken all caches.
    cold: Measured,
    /// Bytes of heap in use before the last restore.
    dirty: usize,
}

impl Subject {
    fn new(engine: &Engine, name: &str, make: impl FnOnce(&Guest, &InstanceConfig) -> Result<Made>) -> Result<Self> {
        let guest = guests::load(engine, "bench-bump-reset")?;
        let append = guest.function("append_10000")?;
        let mut config = guests::config(RestoreStrategy::FullCopy, RestorePolicy::Never, Residue::Keep);
        config.memory_limit = 1 << 30;
        config.deadline = None;
        let (instance, took) = make(&guest, &config)?;
        let measured = |name: String| Measured { name, rounds: Vec::new() };
        let [measured, again, cold] = [name.to_owned(), format!("{name} again"), format!("{name} cold")].map(measured);
        Ok(Self { instance, append, took, measured, again, cold, dirty: 0 })
    }

    /// Ours, by a strategy.
    fn ours(engine: &Engine, strategy: RestoreStrategy, residue: Residue) -> Result<Self> {
        Self::new(engine, strategy.name(), |guest, config| {
            let mut config = config.clone();
            config.strategy = strategy;
            config.residue = residue;
            Ok((guest.instantiate(&config, guests::state()?)?, None))
        })
    }

    fn plain(engine: &Engine, name: &str, how: How) -> Result<Self> {
        Self::new(engine, name, |guest, config| {
            let took = Arc::<Mutex<Duration>>::default();
            let restore: Box<dyn Restore> = match how {
                How::Fill => Box::new(Plain { how, then: Watermark, took: Arc::clone(&took) }),
                How::Copy(_) => Box::new(Plain { how, then: FullCopy, took: Arc::clone(&took) }),
            };
            Ok((guest.instantiate_with(restore, config, guests::state()?)?, Some(took)))
        })
    }

    fn used(&self) -> Result<usize> {
        let (memory, snapshot) = self.instance.memory().context("the instance is there")?;
        let saved = snapshot.control_block().context("the guest has a control block")?;
        let now = guest_abi::ControlBlockImage::parse(&memory[saved.address..])
            .map_err(|error| anyhow::anyhow!("the control block cannot be read: {error:?}"))?;
        Ok((now.top - saved.image.top) as usize)
    }

    fn dirty(&mut self, bytes: usize) -> Result<()> {
        while self.used()? < bytes {
            self.instance.invoke(self.append)?;
        }
        self.dirty = self.used()?;
        Ok(())
    }

    /// A restore of so much after all caches were taken by something else, whatever the guest did.
    fn round_cold(&mut self, bytes: usize, other: &mut [u8]) -> Result<()> {
        self.dirty(bytes)?;
        for byte in other.iter_mut().step_by(64) {
            *byte = byte.wrapping_add(1);
        }
        black_box(&mut *other);
        let start = Instant::now();
        black_box(self.instance.restore()?);
        self.cold.rounds.push(nanoseconds(start.elapsed()));
        Ok(())
    }

    fn round(&mut self, bytes: usize) -> Result<()> {
        self.dirty(bytes)?;
        let start = Instant::now();
        black_box(self.instance.restore()?);
        let whole = start.elapsed();
        let took = self.took.as_ref().map_or(whole, |took| *took.lock().unwrap_or_else(PoisonError::into_inner));
        self.measured.rounds.push(nanoseconds(took));
        let start = Instant::now();
        black_box(self.instance.restore()?);
        self.again.rounds.push(nanoseconds(start.elapsed()));
        Ok(())
    }
}

type Made = (Instance, Option<Arc<Mutex<Duration>>>);

/// What was measured of all subjects with this much dirty; what reading the clock costs is in every figure.
struct Figures {
    measured: Vec<Measured>,
    /// A second reset right after the first.
    again: Measured,
    /// A reset with cold caches.
    cold: Measured,
    /// Bytes of heap in use.
    dirty: usize,
}

fn measure(engine: &Engine, mebibytes: usize, rounds: usize) -> Result<Figures> {
    let mut subjects = vec![
        Subject::ours(engine, RestoreStrategy::BumpReset, Residue::Keep)?,
        Subject::ours(engine, RestoreStrategy::Watermark, Residue::Scrub)?,
        Subject::plain(engine, "zero-fill", How::Fill)?,
        Subject::ours(engine, RestoreStrategy::FullCopy, Residue::Keep)?,
        Subject::plain(engine, "copy", How::Copy(Vec::new()))?,
        Subject::ours(engine, RestoreStrategy::Reinstantiate, Residue::Keep)?,
        Subject::ours(engine, RestoreStrategy::DirtyCards, Residue::Keep)?,
    ];
    let mut other = vec![0; OTHER];
    // The first round of each touches pages for the first time.
    for round in 0..=rounds {
        for subject in &mut subjects {
            subject.round(mebibytes << 20)?;
            if round == 0 {
                subject.measured.rounds.clear();
                subject.again.rounds.clear();
            }
        }
        subjects[0].round_cold(mebibytes << 20, &mut other)?;
    }
    let named =
        |one: &Measured| Measured { name: format!("{}, {mebibytes} MiB", one.name), rounds: one.rounds.clone() };
    Ok(Figures {
        measured: subjects.iter().map(|subject| named(&subject.measured)).collect(),
        again: named(&subjects[0].again),
        cold: named(&subjects[0].cold),
        dirty: subjects[0].dirty,
    })
}

fn main() -> Result<()> {
    let engine = guests::engine()?;
    let mut ratios = Ratios::new("recover");
    let mut resets: Vec<[Measured; 3]> = Vec::new();
    for (mebibytes, rounds) in SIZES {
        let Figures { measured, again, cold, dirty } = measure(&engine, mebibytes, guests::rounds(rounds))?;
        let [reset, watermark, fill, full_copy, copy, reinstantiate, dirty_cards] = &measured[..] else {
            unreachable!("as many as there are subjects");
        };
        ratios.add(watermark, fill, Goal::AtMost(1.2));
        ratios.add(full_copy, copy, Goal::AtMost(1.2));
        ratios.add(reinstantiate, fill, Goal::None);
        ratios.add(dirty_cards, fill, Goal::AtMost(1.5));
        ratios.note(format!("{mebibytes} MiB: {dirty} bytes of heap in use when the limit was passed"));
        resets.push([reset.clone(), again, cold]);
    }
    // Not from the same rounds, so by medians.
    for resets_of_size in &resets {
        for (reset, of_the_first_size) in resets_of_size.iter().zip(&resets[0]) {
            ratios.add_medians(reset, of_the_first_size, Goal::AtMost(2.0));
        }
    }
    ratios.note("the first reset after a call finds its own data pushed out of the caches by what the call wrote;");
    ratios.note(
        "\"again\" is a second one right after it, over the same dirty memory; before \"cold\" something else has",
    );
    ratios
        .note("taken all caches, whatever the call wrote. A full copy zeroes what was grown and so reads none of it.");
    ratios.finish()
}
