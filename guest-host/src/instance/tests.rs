//! Tests of supervised instances.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Instance, InstanceConfig};
use crate::engine::{Engine, EngineConfig};
use crate::failure::{Cause, Failure};
use crate::guest::Guest;
use crate::guest::error::LoadError;
use crate::host::supervisor::{Supervise, Supervisor};
use crate::restore::policy::RestoreStrategy;
use crate::state::MemoryState;
use guest_prepare::PrepareOptions;

const PAGE: usize = 64 << 10;

/// `spin` never ends; `grow` asks for two pages and traps where it gets none.
const GUEST: &str = r#"(module (memory (export "memory") 2)
    (func (export "spin") (result i32) (loop (br 0)) (unreachable))
    (func (export "nothing") (result i32) (i32.const 0))
    (func (export "grow") (result i32)
        (if (i32.lt_s (memory.grow (i32.const 2)) (i32.const 0)) (then (unreachable)))
        (i32.const 0)))"#;

/// Interrupts after some questions, grants so many bytes, and notes what was asked for.
#[derive(Default)]
struct Watch {
    is_over: AtomicBool,
    asked: AtomicUsize,
    most: AtomicUsize,
    sizes: Mutex<Vec<usize>>,
}

impl Watch {
    fn granting(bytes: usize) -> Arc<Self> {
        Arc::new(Self { most: AtomicUsize::new(bytes), ..Self::default() })
    }

    fn sizes(&self) -> Vec<usize> {
        std::mem::take(&mut *self.sizes.lock().unwrap())
    }
}

impl Supervise for Watch {
    fn is_interrupted(&self) -> bool {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.is_over.load(Ordering::SeqCst)
    }

    fn grants_memory(&self, bytes: usize) -> bool {
        self.sizes.lock().unwrap().push(bytes);
        bytes <= self.most.load(Ordering::SeqCst)
    }
}

fn config(watch: &Arc<Watch>) -> InstanceConfig {
    let supervise: Arc<dyn Supervise> = Arc::clone(watch) as _;
    InstanceConfig::default()
        .with_strategy(RestoreStrategy::FullCopy)
        .with_supervisor(Some(Supervisor::new(supervise)))
        .with_deadline(Some(Duration::from_secs(600)))
}

fn guest() -> Guest {
    let engine = Engine::new(&EngineConfig::default()).unwrap();
    Guest::load(&engine, "supervised", &wat::parse_str(GUEST).unwrap(), PrepareOptions::default()).unwrap()
}

fn cause(instance: &mut Instance, function: &str) -> Option<Cause> {
    instance.invoke_by_name(function).err().map(|failure: Failure| failure.cause)
}

#[test]
fn an_interrupt_ends_a_call_and_the_instance_serves_the_next() {
    let watch = Watch::granting(usize::MAX);
    let mut instance = guest().instantiate(&config(&watch), MemoryState::new()).unwrap();
    for _ in 0..2 {
        let ended = std::thread::scope(|scope| {
            let call = scope.spawn(|| cause(&mut instance, "spin"));
            let before = watch.asked.load(Ordering::SeqCst);
            // The guest runs, and is asked about with each tick.
            while watch.asked.load(Ordering::SeqCst) < before + 3 {
                std::thread::yield_now();
            }
            watch.is_over.store(true, Ordering::SeqCst);
            call.join().unwrap()
        });
        assert!(matches!(ended, Some(Cause::Interrupted)), "{ended:?}");
        watch.is_over.store(false, Ordering::SeqCst);
        assert!(cause(&mut instance, "nothing").is_none() && instance.is_pristine());
    }
}

#[test]
fn a_deadline_holds_beside_a_supervisor() {
    let watch = Watch::granting(usize::MAX);
    // Many ticks long: on a busy machine one question may stand for several of them.
    let config = config(&watch).with_deadline(Some(Duration::from_millis(200)));
    let mut instance = guest().instantiate(&config, MemoryState::new()).unwrap();
    let ended = cause(&mut instance, "spin");
    assert!(matches!(ended, Some(Cause::DeadlineExceeded { .. })), "{ended:?}");
    assert!(watch.asked.load(Ordering::SeqCst) > 0);
}

#[test]
fn a_deadline_counts_the_ticks_between_two_questions() {
    // Each round is one copy that the engine does not interrupt, longer than a tick.
    let text = r#"(module (memory (export "memory") 1024)
        (func (export "fill") (result i32)
            (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 67108864)) (br 0)) (unreachable)))"#;
    let engine = Engine::new(&EngineConfig::default()).unwrap();
    let guest = Guest::load(&engine, "fills", &wat::parse_str(text).unwrap(), PrepareOptions::default()).unwrap();
    let watch = Watch::granting(usize::MAX);
    let config = config(&watch).with_deadline(Some(Duration::from_millis(1000)));
    let mut instance = guest.instantiate(&config, MemoryState::new()).unwrap();
    let ended = cause(&mut instance, "fill");
    assert!(matches!(ended, Some(Cause::DeadlineExceeded { .. })), "{ended:?}");
    // Of the thousand ticks, far fewer were asked about.
    let asked = watch.asked.load(Ordering::SeqCst);
    assert!(asked < 900, "asked {asked} times");
}

#[test]
fn memory_is_asked_for_before_the_guest_has_it() {
    let watch = Watch::granting(4 * PAGE);
    let mut instance = guest().instantiate(&config(&watch), MemoryState::new()).unwrap();
    assert_eq!(watch.sizes(), [2 * PAGE]);
    assert!(cause(&mut instance, "grow").is_none());
    assert_eq!(watch.sizes(), [4 * PAGE]);
    // What the instance has already is not asked for again.
    assert!(cause(&mut instance, "grow").is_none());
    assert_eq!(watch.sizes(), Vec::<usize>::new());

    let watch = Watch::granting(3 * PAGE);
    let mut instance = guest().instantiate(&config(&watch), MemoryState::new()).unwrap();
    let ended = cause(&mut instance, "grow");
    assert!(matches!(ended, Some(Cause::OutOfMemory { .. })), "{ended:?}");
    assert_eq!(watch.sizes(), [2 * PAGE, 4 * PAGE]);
    // A growth that the configuration's own limit forbids is not asked for.
    let limited = config(&watch).with_memory_limit(3 * PAGE as u64);
    let mut instance = guest().instantiate(&limited, MemoryState::new()).unwrap();
    assert!(matches!(cause(&mut instance, "grow"), Some(Cause::OutOfMemory { .. })));
    assert_eq!(watch.sizes(), [2 * PAGE]);
}

#[test]
fn an_instance_that_is_replaced_begins_with_its_first_size() {
    let watch = Watch::granting(4 * PAGE);
    let config = config(&watch).with_strategy(RestoreStrategy::Reinstantiate);
    let mut instance = guest().instantiate(&config, MemoryState::new()).unwrap();
    assert!(cause(&mut instance, "grow").is_none() && cause(&mut instance, "nothing").is_none());
    assert_eq!(watch.sizes()[..3], [2 * PAGE, 4 * PAGE, 2 * PAGE]);
}

#[test]
fn an_instance_whose_first_memory_is_refused_is_not_made() {
    let watch = Watch::granting(PAGE);
    assert!(matches!(guest().instantiate(&config(&watch), MemoryState::new()), Err(LoadError::Start(_))));
    assert_eq!(watch.sizes(), [2 * PAGE]);
}
