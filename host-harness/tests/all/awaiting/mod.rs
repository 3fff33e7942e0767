//! Instances whose calls are futures: they do what blocking ones do, hold no thread while they wait, and can be given up.

mod equal;
mod pool;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use guest_abi::key::Key;
use guest_abi::value::ValueRef;
use guest_host::{
    AsyncState, Cause, Guest, InstanceConfig, LoadError, MemoryState, PrepareOptions, Replaced, RestoreStrategy,
    StartError, StateError, Status,
};
use test_support::text_guests;
use tokio::time::timeout;

/// A state that waits before each answer, forever while `hangs` is set, and counts its answers.
#[derive(Clone, Default)]
struct Slow {
    state: MemoryState,
    hangs: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
}

impl Slow {
    async fn wait(&self) {
        tokio::task::yield_now().await;
        while self.hangs.load(Relaxed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.answers.fetch_add(1, Relaxed);
    }
}

impl AsyncState for Slow {
    async fn get(&mut self, key: &Key<'_>) -> Result<Option<Vec<u8>>, StateError> {
        self.wait().await;
        AsyncState::get(&mut self.state, key).await
    }

    async fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, room: usize) -> Result<Vec<u8>, StateError> {
        self.wait().await;
        AsyncState::read(&mut self.state, key, after, room).await
    }
}

/// `reads` asks for one record and logs how often it was called; `spins` never ends; `__guest_init` reads as well.
fn guest(init: &str) -> Guest {
    let wasm = text_guests::guest(
        r#"(import "extension" "get" (func $get (param i32 i32 i32 i32) (result i32)))
           (import "extension" "log" (func $log (param i32 i32 i32)))"#,
        &format!(
            r#"(data (i32.const 64) "\68sys.View\61e\a1\62Id\01")
               (global $calls (mut i32) (i32.const 0))
               (func $read (drop (call $get (i32.const 64) (i32.const 16) (i32.const 512) (i32.const 64))))
               (func (export "reads") (result i64)
                 (i32.store (i32.const 1024) (i32.add (i32.load (i32.const 1024)) (i32.const 1)))
                 (call $read)
                 (call $log (i32.const 2) (i32.const 65) (i32.load (i32.const 1024))) i64.const 0)
               (func (export "spins") (result i64) (loop $again (br $again)) i64.const 0)
               {init}"#
        ),
    );
    let engine = test_support::compiled::engine();
    Guest::load(&engine, "awaiting", &wasm, PrepareOptions::default()).expect("the guest keeps the contract")
}

fn slow() -> Slow {
    let mut state = MemoryState::new();
    state.declare_storage("sys.View");
    Slow { state, ..Slow::default() }
}

const STRATEGIES: [RestoreStrategy; 3] =
    [RestoreStrategy::FullCopy, RestoreStrategy::DirtyCards, RestoreStrategy::Reinstantiate];

#[tokio::test]
async fn a_call_that_is_given_up_is_forgotten_and_its_state_stays() {
    let guest = guest("");
    let reads = guest.function("reads").expect("it is there");
    for strategy in STRATEGIES {
        let state = slow();
        let config = InstanceConfig::default().with_strategy(strategy);
        let mut instance = guest.instantiate_async(&config, state.clone()).await.expect("the guest is admitted");
        let replaced = |found: Option<Replaced>| found.is_some();
        instance.invoke(reads).await.expect("the state answers");
        assert_eq!(replaced(instance.last_stats().replaced), strategy == RestoreStrategy::Reinstantiate);
        state.hangs.store(true, Relaxed);
        assert!(timeout(Duration::from_millis(20), instance.invoke(reads)).await.is_err(), "nothing answers");
        assert_eq!(instance.status(), Status::Running);
        assert!(timeout(Duration::from_millis(20), instance.invoke(reads)).await.is_err(), "still nothing does");
        state.hangs.store(false, Relaxed);
        let outcome = instance.invoke(reads).await.expect("the state answers again");
        // In a fresh instance the guest's counter is 1 after the call, and it logs as many bytes.
        assert_eq!(outcome.log().map(|(_, line)| line.len()).collect::<Vec<_>>(), [1], "{strategy}");
        assert_eq!(outcome.stats().crossings, 2);
        assert!(instance.is_pristine());
        assert_eq!(state.answers.load(Relaxed), 2, "a read that was given up was asked for anew");
    }
}

#[tokio::test]
async fn an_instance_that_is_given_up_while_it_is_made_keeps_its_state() {
    let guest = guest(r#"(func (export "__guest_init") (result i32) (call $read) i32.const 0)"#);
    let reads = guest.function("reads").expect("it is there");
    let state = slow();
    let config = InstanceConfig::default().with_strategy(RestoreStrategy::Reinstantiate);
    let mut instance = guest.instantiate_async(&config, state.clone()).await.expect("the state answers");
    assert_eq!(state.answers.load(Relaxed), 1);
    state.hangs.store(true, Relaxed);
    for _ in 0..2 {
        assert!(timeout(Duration::from_millis(20), instance.restore()).await.is_err(), "initialisation waits");
        assert_eq!(instance.status(), Status::Poisoned);
    }
    state.hangs.store(false, Relaxed);
    instance.invoke(reads).await.expect("it is made now");
    assert_eq!(state.answers.load(Relaxed), 1 + 3, "by two initialisations and a call");
}

#[tokio::test(flavor = "current_thread")]
async fn guest_code_that_runs_for_long_lets_other_tasks_run_and_ends_at_the_deadline() {
    let guest = guest("");
    let deadline = Duration::from_millis(50);
    let config = InstanceConfig::default().with_deadline(Some(deadline));
    let mut instance = guest.instantiate_async(&config, slow()).await.expect("the guest is admitted");
    let (turns, counted) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let other = tokio::spawn({
        let turns = Arc::clone(&turns);
        async move {
            loop {
                turns.fetch_add(1, Relaxed);
                tokio::task::yield_now().await;
            }
        }
    });
    let failure = instance.invoke_by_name("spins").await.expect_err("it never ends");
    counted.store(turns.load(Relaxed), Relaxed);
    other.abort();
    assert!(matches!(failure.cause, Cause::DeadlineExceeded { deadline: passed } if passed == deadline), "{failure}");
    assert!(counted.load(Relaxed) > 1, "the only thread was held");
    assert!(instance.is_pristine());
}

#[tokio::test]
async fn a_read_that_fails_ends_the_call_with_the_states_own_words() {
    /// Answers nothing.
    struct Broken;

    impl AsyncState for Broken {
        async fn get(&mut self, _key: &Key<'_>) -> Result<Option<Vec<u8>>, StateError> {
            tokio::task::yield_now().await;
            Err(StateError::new("the store is away"))
        }

        async fn read(&mut self, _: &Key<'_>, _: Option<ValueRef<'_>>, _: usize) -> Result<Vec<u8>, StateError> {
            Err(StateError::new("the store is away"))
        }
    }

    let guest = guest("");
    let config = InstanceConfig::default();
    let mut instance = guest.instantiate_async(&config, Broken).await.expect("the guest is admitted");
    for _ in 0..2 {
        let failure = instance.invoke_by_name("reads").await.expect_err("nothing answers");
        assert!(matches!(&failure.cause, Cause::State(error) if error.to_string() == "the store is away"), "{failure}");
        assert!(instance.is_pristine());
    }
    instance.set_state(slow());
    instance.invoke_by_name("reads").await.expect("the new state answers");
    let missing = instance.invoke_by_name("reds").await.expect_err("there is none");
    assert!(matches!(missing.cause, Cause::MissingExport { .. }), "{missing}");
}

#[tokio::test]
async fn a_trap_in_the_start_is_told_as_by_a_blocking_instance() {
    let guest = guest(r#"(func (export "__guest_init") (result i32) unreachable)"#);
    match guest.instantiate_async(&InstanceConfig::default(), slow()).await {
        Err(LoadError::Start(StartError::Initialise(failure))) => {
            assert!(matches!(failure.cause, Cause::Unreachable), "{failure}")
        }
        other => panic!("{other:?}"),
    }
}
