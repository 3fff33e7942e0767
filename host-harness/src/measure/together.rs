//! Measures rows that are compared with each other: their counts one by one, their times in turns.

use super::bare::BareCall;
use super::row::round;
use super::statistics::{Estimate, median};
use super::times::{ROUNDS, Stopwatch, clock_cost};
use super::{MeasureOptions, NO_RESTORE, Noise, Ratios, Row, Subject, Variant, counts};
use crate::functions::arguments_of;
use guest_host::{LoadError, MemoryState};

/// What one row is of.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The guest.
    pub subject: &'a Subject,
    /// Its function.
    pub function: &'a str,
    /// The way of restoring.
    pub variant: Variant,
}

/// The rows of candidates that were measured together.
#[derive(Debug)]
#[non_exhaustive]
pub struct Together {
    /// A row for each candidate, in their order, or why no instance of it could be made.
    pub rows: Vec<Result<Row, LoadError>>,
    /// Nanoseconds of wasmtime's typed call of an empty function: the samples of all rounds.
    pub bare_call: Vec<f64>,
    /// How much the machine changed its speed from round to round.
    pub noise: Option<Noise>,
}

/// Measures candidates that are compared with each other, each as [`measure`](super::measure) does, their times in
/// [rounds](super::times#rounds). Ratios are to the baselines among the candidates.
///
/// `progress` gets the steps done and all steps, now and then.
///
/// # Errors
/// [`LoadError`] when there is no such engine. Of a candidate of which no instance can be made, the row is the error.
pub fn measure_together(
    candidates: &[Candidate<'_>],
    options: &MeasureOptions,
    state: &MemoryState,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Together, LoadError> {
    let Some(first) = candidates.first() else {
        return Ok(Together { rows: Vec::new(), bare_call: Vec::new(), noise: None });
    };
    let steps = candidates.len() as u64 + u64::from(ROUNDS);
    let mut entries = Vec::with_capacity(candidates.len());
    for (done, candidate) in candidates.iter().enumerate() {
        entries.push(Entry::new(*candidate, options, state));
        progress(done as u64 + 1, steps);
    }
    let clock = clock_cost();
    let mut bare = BareCall::new(first.subject.timing.engine())?;
    let (mut bare_samples, mut bare_rounds) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let samples = bare.batches(BARE_BATCHES, clock)?;
        bare_rounds.push(median(samples.clone()));
        bare_samples.extend(samples);
        // Each round begins with another candidate, and every second one runs backwards, so that none has the same neighbour
        // before it all the time.
        let begin = entries.len() * round as usize / ROUNDS as usize;
        let order = (0..entries.len()).map(|step| (begin + step) % entries.len());
        let order: Vec<usize> = if round % 2 == 0 { order.collect() } else { order.rev().collect() };
        for index in order {
            entries[index].round(round, clock);
        }
        progress(candidates.len() as u64 + u64::from(round) + 1, steps);
    }
    let mut rows: Vec<Result<Row, LoadError>> = entries.into_iter().map(Entry::finish).collect();
    relate(&mut rows, &bare_rounds);
    Ok(Together { rows, bare_call: bare_samples, noise: Noise::of(&bare_rounds) })
}

/// Batches of the bare call in each round.
const BARE_BATCHES: u64 = 10;

/// A candidate that is being measured.
struct Entry {
    row: Result<Row, LoadError>,
    stopwatch: Option<Stopwatch>,
}

impl Entry {
    fn new(candidate: Candidate<'_>, options: &MeasureOptions, state: &MemoryState) -> Self {
        let Candidate { subject, function, variant } = candidate;
        let mut row = Row::new(subject.guest(), function, variant);
        let arguments = arguments_of(subject.guest(), &options.config.arguments);
        let options = &options.clone().with_config(options.config.clone().with_arguments(arguments));
        match counts::count(&subject.counting, function, variant, options, state) {
            Ok(Ok(counted)) => row.counts = Some(counted),
            Ok(Err(failed)) => {
                row.failure = Some(failed);
                return Self { row: Ok(row), stopwatch: None };
            }
            Err(error) => return Self { row: Err(error), stopwatch: None },
        }
        match Stopwatch::new(&subject.timing, function, variant, options, state) {
            Ok(Ok(stopwatch)) => Self { row: Ok(row), stopwatch: Some(stopwatch) },
            Ok(Err(failed)) => {
                row.failure = Some(failed);
                Self { row: Ok(row), stopwatch: None }
            }
            Err(error) => Self { row: Err(error), stopwatch: None },
        }
    }

    fn round(&mut self, round: u32, clock: f64) {
        let Some(stopwatch) = &mut self.stopwatch else { return };
        match stopwatch.round(round, clock) {
            Ok(Ok(())) => return,
            Ok(Err(failed)) => {
                if let Ok(row) = &mut self.row {
                    row.failure = Some(failed);
                }
            }
            Err(error) => self.row = Err(error),
        }
        self.stopwatch = None;
    }

    fn finish(self) -> Result<Row, LoadError> {
        let mut row = self.row?;
        row.times = self.stopwatch.map(Stopwatch::times);
        Ok(row)
    }
}

/// Sets the ratios of each row to its baselines: those of the same guest and function, and the bare call.
fn relate(rows: &mut [Result<Row, LoadError>], bare: &[f64]) {
    let baseline = |row: &Row| row.strategy == NO_RESTORE || row.is_reinstantiate();
    let baselines: Vec<Row> = rows.iter().flatten().filter(|row| baseline(row)).cloned().collect();
    let rounds_of = |row: &Row| row.times.as_ref().map(|times| times.rounds.clone());
    for row in rows.iter_mut().flatten() {
        let Some(rounds) = rounds_of(row) else { continue };
        let to = |other: &[f64]| Estimate::of_ratio(&rounds, other).map(|ratio| round(ratio.median, 4));
        let find = |is_new: bool| {
            let found = baselines.iter().find(|other| {
                other.guest == row.guest && other.function == row.function && other.is_reinstantiate() == is_new
            });
            to(&rounds_of(found?)?)
        };
        let ratios = Ratios { to_bare_call: to(bare), to_no_restore: find(false), to_reinstantiate: find(true) };
        if let Some(times) = &mut row.times {
            times.ratios = ratios;
        }
    }
}
