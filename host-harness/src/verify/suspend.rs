//! The oracle of suspension: an instance that sleeps between calls must behave, and look, like one that never sleeps.
//!
//! Three instances of the strategy under test begin alike. One runs a random sequence of calls and is never suspended. The *sleeper*
//! makes the same calls on the other two. At random points it is suspended, goes through bytes, all of them or those that changed, and is
//! resumed on either instance. After each suspension the instance must look like its snapshot again. After each resumption memory
//! and globals are compared with those of the instance that never slept, byte by byte; after each call the outcomes are, as in the
//! [verification](super) of restores.
//!
//! A call that fails is undone on both sides by resuming the state before it. So sequences go on, and each failure tests a
//! resumption. After some calls both begin anew: guests that are written to be restored keep what they allocate.
//!
//! Where an image cannot keep what a call left of memory blocks, both sides begin anew, too.

use rand::Rng as _;

use super::blocks::Input;
use super::draw::{Callee, Draw};
use super::observe::Observed;
use super::sleeper::{Sleep, Sleeper};
use super::tally::Tally;
use super::{
    Difference, Ended, RETRIES, RegionFinding, Unsuspended, Verdict, VerifyOptions, What, image, subject_config,
};
use guest_host::guest_image::Delta;
use guest_host::snapshot::RegionKind;
use guest_host::{Guest, Instance, LoadError, MemoryState, Residue, RestorePolicy, SuspendError};

/// Calls after which both sides begin anew.
const SEQUENCE: u64 = 32;

/// A fault that a specimen puts into a state before it is resumed.
pub(super) type Break = fn(&mut Delta);

/// Why suspension of a guest was not verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotSuspended {
    /// An instance that cannot be made.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Instances that cannot be suspended.
    #[error(transparent)]
    Suspend(#[from] SuspendError),
}

/// Verifies that instances of the guest, restored by the strategy of `options.config`, can be suspended and resumed between calls.
///
/// `progress` is told the number of calls made, now and then.
///
/// ```
/// use guest_host::{Engine, EngineConfig, Guest, MemoryState, PrepareOptions};
/// use host_harness::verify::{VerifyOptions, verify_suspension};
///
/// # let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-host/examples/shop.wat")))?;
/// # let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
/// let options = VerifyOptions::default().with_functions(Some(vec!["count_up".to_owned()])).with_calls(100);
/// let verdict = verify_suspension(&guest, &options, &MemoryState::new(), &mut |_calls| ())?;
/// assert!(verdict.passed(), "{:?}", verdict.differences);
/// assert!(verdict.suspensions > Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`NotSuspended`] if instances cannot be made, or not suspended.
pub fn verify_suspension(
    guest: &Guest,
    options: &VerifyOptions,
    state: &MemoryState,
    progress: &mut dyn FnMut(u64),
) -> Result<Verdict, NotSuspended> {
    run(guest, options, state, progress, |_| {})
}

pub(super) fn run(
    guest: &Guest,
    options: &VerifyOptions,
    state: &MemoryState,
    progress: &mut dyn FnMut(u64),
    broken: Break,
) -> Result<Verdict, NotSuspended> {
    let config = subject_config(options).with_policy(RestorePolicy::OnError);
    let instance = || guest.instantiate(&config, state.clone());
    let mut pair = Pair { guest, awake: instance()?, sleeper: Sleeper::new([instance()?, instance()?]), broken };
    pair.awake.identity()?;
    let mut draw = Draw::new(guest, options)?;
    let mut verdict = Verdict::new(pair.awake.strategy_name(), options.seed);
    let mut suspensions = 0;
    let mut tally = Tally::default();
    let (mut previous, mut refused, mut unsuspended) = (None, None, 0);
    let mut is_new = true;
    while let Some((call, callee)) = draw.next(&tally, &mut verdict) {
        let mut differences = Vec::new();
        if call % SEQUENCE == 0 {
            pair.begin(state)?;
        } else if draw.random.random_range(0..3) > 0 {
            // To sleep before anything happened proves nothing.
            suspensions += u64::from(!is_new);
            pair.sleep(Sleep::of_bits(draw.random.random()), &mut differences, &mut verdict.regions);
        }
        // States that differ give outcomes that do.
        let input = draw.input(callee);
        let calls = differences.is_empty();
        let ended = calls.then(|| pair.call(callee, input.as_ref(), &mut differences)).transpose()?;
        let differs = !differences.is_empty();
        for what in differences {
            verdict.add(Difference {
                call: call + 1,
                function: callee.name.to_owned(),
                previous: previous.map(str::to_owned),
                again: 0,
                residue: Vec::new(),
                what,
            });
        }
        if let Some(mut ended) = ended {
            draw.inputs.learn(ended.take_block());
            tally.add(callee, ended);
        }
        let left = pair.awake.delta().err().filter(leaves_blocks);
        is_new = differs || left.is_some();
        if is_new {
            pair.begin(state)?;
        }
        if let Some(error) = left {
            unsuspended += 1;
            refused = Some(error);
        }
        previous = Some(callee.name);
        progress(call + 1);
    }
    match refused {
        Some(error) if suspensions == 0 => return Err(error.into()),
        refused => {
            let message = refused.map(|error| error.to_string());
            verdict.unsuspended = message.map(|message| Unsuspended { calls: unsuspended, message });
        }
    }
    verdict.suspensions = Some(suspensions);
    tally.conclude(&mut verdict, &draw.functions, &options.allow_failing);
    Ok(verdict)
}

/// Whether an instance cannot be suspended for what a call left of memory blocks.
fn leaves_blocks(error: &SuspendError) -> bool {
    matches!(error, SuspendError::LeftAttached | SuspendError::OffersStorage)
}

/// The instance that never sleeps, and the one that does.
struct Pair<'g> {
    guest: &'g Guest,
    awake: Instance,
    sleeper: Sleeper,
    broken: Break,
}

impl Pair<'_> {
    /// Begins a new sequence with this state.
    fn begin(&mut self, state: &MemoryState) -> Result<(), LoadError> {
        let [one, other] = self.sleeper.instances();
        for instance in [&mut self.awake, one, other] {
            instance.restore()?;
            instance.set_state(state.clone());
        }
        Ok(())
    }

    /// Lets the sleeper sleep, and compares it with the one that never does.
    fn sleep(&mut self, how: Sleep, differences: &mut Vec<What>, regions: &mut Vec<RegionFinding>) {
        let broken = self.broken;
        let slept = self.sleeper.sleep(how, |instance, delta| {
            // Nothing of the tenant is left on the instance.
            image::compare(instance, differences, regions);
            broken(delta);
        });
        match (slept, self.awake.delta()) {
            (Ok(slept), Ok(awake)) if slept != awake => {
                differences
                    .push(What::Sleep { reason: "the state that sleeps is not that of the instance".to_owned() });
            }
            (Ok(_), Ok(_)) => {}
            (Err(reason), _) => differences.push(What::Sleep { reason }),
            (_, Err(error)) => differences.push(What::Sleep { reason: error.to_string() }),
        }
        compare(&mut self.awake, self.sleeper.instance(), differences);
    }

    /// Makes one call on both sides, and compares.
    fn call(
        &mut self,
        callee: Callee<'_>,
        input: Option<&Input>,
        differences: &mut Vec<What>,
    ) -> Result<Ended, LoadError> {
        let mut on_sleeper = false;
        let sleep = |error: &dyn std::fmt::Display| What::Sleep { reason: error.to_string() };
        for _ in 0..=RETRIES {
            let before = match self.awake.delta() {
                Ok(before) => before,
                Err(error) => {
                    differences.push(sleep(&error));
                    break;
                }
            };
            let mut expected = Observed::of(&mut self.awake, callee, input);
            let found = Observed::of(self.sleeper.instance(), callee, input);
            let comparable = expected.cut_off == found.cut_off;
            if comparable {
                let mut outcomes = Vec::new();
                expected.compare(&found, self.guest, &mut outcomes);
                let of_sleeper = |what| match what {
                    What::Outcome { aspect, place, expected, found } => {
                        What::ResumedOutcome { aspect, place, expected, found }
                    }
                    what => what,
                };
                differences.extend(outcomes.into_iter().map(of_sleeper));
            }
            if expected.result.is_err() || found.result.is_err() {
                for instance in [&mut self.awake, self.sleeper.instance()] {
                    differences.extend(instance.resume(&before).err().map(|error| sleep(&error)));
                }
                compare(&mut self.awake, self.sleeper.instance(), differences);
            }
            if comparable {
                let [one, other] = self.sleeper.instances();
                for instance in [&mut self.awake, one, other] {
                    if let Some(state) = instance.state_mut() {
                        // The states are equal, so one that refuses them refuses them everywhere.
                        let _ = state.apply(&expected.intents);
                    }
                }
                let block = expected.blocks.result.take();
                return Ok(Ended::Compared { result: expected.result, cut_off: expected.cut_off, block });
            }
            on_sleeper = found.cut_off;
            // Instructions are the same at the next try.
            if !expected.timed_out && !found.timed_out {
                break;
            }
        }
        Ok(Ended::OneSided { on_restored: on_sleeper })
    }
}

/// Compares memory and globals of an instance that was resumed with those of one that was never suspended.
fn compare(awake: &mut Instance, resumed: &mut Instance, differences: &mut Vec<What>) {
    let residue = awake.config().residue;
    // Regions that an image leaves out: no safe guest reads them after a call.
    let left_out =
        |region| residue == Residue::Scrub && matches!(region, RegionKind::ShadowStack | RegionKind::Exchange);
    if let (Some((expected, snapshot)), Some((found, _))) = (awake.memory(), resumed.memory()) {
        // One of them may have pages that earlier calls grew. They are zero behind what the guest sees.
        let byte = |memory: &[u8], at: usize| memory.get(at).copied().unwrap_or(0);
        for (region, range) in snapshot.regions().iter().filter(|(region, _)| !left_out(*region)) {
            let end = range.end.min(expected.len().max(found.len()));
            let both = range.start.min(end)..end.min(expected.len()).min(found.len()).max(range.start.min(end));
            if expected.get(both.clone()) == found.get(both.clone()) && both.end == end {
                continue;
            }
            let mut differing = (range.start..end).filter(|at| byte(expected, *at) != byte(found, *at));
            if let Some(first) = differing.next() {
                differences.push(What::ResumedMemory {
                    region,
                    address: first as u64,
                    expected: byte(expected, first),
                    found: byte(found, first),
                    bytes: 1 + differing.count() as u64,
                });
            }
        }
    }
    for ((name, expected, _), (_, found, _)) in awake.globals().into_iter().zip(resumed.globals()) {
        if image::bits(&expected) != image::bits(&found) {
            let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
            differences.push(What::ResumedGlobal { name, expected, found });
        }
    }
}
