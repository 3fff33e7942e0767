//! Instances from a pool: each borrower has one to itself, as its snapshot has it, whatever the one before did to it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use guest_build::Allocator;
use guest_host::{
    AdmissionError, Engine, EngineConfig, Guest, Instance, InstanceAllocation, InstanceConfig, LoadError, Pool,
    PoolConfig, PoolError, PooledInstance, Residue, RestorePolicy, RestoreStrategy, StateError, Status,
};
use guest_prepare::PrepareOptions;

use super::state_machine::{FAIL, Next, PANIC, Panicking, calls_before};
use super::{config, config_with_policy, field, load, module, state_of};

/// Gives up nothing where it matters: only a failure waits as long.
const LONG: Duration = Duration::from_secs(60);

fn sizes(warm: usize, max: usize) -> PoolConfig {
    let mut config = PoolConfig::default();
    (config.warm, config.max) = (warm, max);
    config
}

/// A pool of adversaries that are restored after every call.
fn pool(warm: usize, max: usize) -> Pool {
    pool_by(&config(RestoreStrategy::BumpReset, Residue::Keep), &sizes(warm, max))
}

fn pool_by(instance: &InstanceConfig, pool: &PoolConfig) -> Pool {
    let guest = load("adversary", Allocator::BumpReset);
    Pool::new(&guest, instance, pool, || Ok(state_of("adversary"))).expect("the guest is admitted")
}

/// How many instances the pool has, and how many of them are idle.
fn there(pool: &Pool) -> (usize, usize) {
    let status = pool.status();
    assert_eq!(status.waiting, 0);
    (status.instances, status.idle)
}

#[test]
fn it_can_be_used_from_any_thread() {
    fn is_send_and_sync<T: Send + Sync + Clone + 'static>() {}
    fn is_send<T: Send>() {}
    is_send_and_sync::<Pool>();
    is_send::<PooledInstance<'static>>();
}

#[test]
fn sizes_that_make_no_sense_are_refused() {
    let guest = load("adversary", Allocator::BumpReset);
    let refused = |warm, max| {
        let config = config(RestoreStrategy::BumpReset, Residue::Keep);
        let made = Pool::new(&guest, &config, &sizes(warm, max), || Ok(state_of("adversary")));
        made.expect_err("it makes no sense")
    };
    assert!(matches!(refused(0, 0), PoolError::SizeZero));
    assert!(matches!(refused(1, 0), PoolError::SizeZero));
    assert!(matches!(refused(3, 2), PoolError::WarmAboveMax { warm: 3, max: 2 }));
    assert!(matches!(refused(0, 65), PoolError::AboveEngine { max: 65, instances: 64 }));
    assert!(matches!(refused(66, 65), PoolError::WarmAboveMax { .. }));
}

#[test]
fn it_grows_from_its_warm_size_to_its_bound_and_shrinks_back() {
    let pool = pool(1, 3);
    assert_eq!(there(&pool), (1, 1));
    let taken: Vec<_> = (0..3).map(|_| pool.take().expect("there is room")).collect();
    assert_eq!(there(&pool), (3, 0));
    let refused = pool.try_take().expect_err("all are taken");
    assert!(matches!(refused, PoolError::Exhausted { max: 3 }), "{refused}");
    let refused = pool.take_within(Duration::from_millis(1)).expect_err("none comes back");
    assert!(matches!(refused, PoolError::TimedOut { max: 3, limit } if limit == Duration::from_millis(1)));
    drop(taken);
    assert_eq!(there(&pool), (3, 3));
    assert_eq!(pool.shrink(), 2);
    assert_eq!(there(&pool), (1, 1));
}

#[test]
fn who_waits_gets_what_comes_back() {
    let pool = pool(0, 1);
    let mut taken = pool.take().expect("there is room");
    assert_eq!(calls_before(&mut taken), 0);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| calls_before(&mut pool.take_within(LONG).expect("it comes back")));
        while pool.status().waiting == 0 {
            thread::yield_now();
        }
        drop(taken);
        assert_eq!(waiting.join().expect("it does not panic"), 0);
    });
}

#[test]
fn many_threads_each_have_a_pristine_instance_to_themselves() {
    for policy in [RestorePolicy::EveryCall, RestorePolicy::Never, RestorePolicy::OnError] {
        let pool = pool_by(&config_with_policy(RestoreStrategy::BumpReset, policy), &sizes(1, 3));
        thread::scope(|scope| {
            for thread in 0..6 {
                let pool = &pool;
                scope.spawn(move || {
                    for round in 0..60 {
                        let mut taken = pool.take_within(LONG).expect("there is enough time");
                        assert!(taken.is_pristine());
                        assert_eq!(calls_before(&mut taken), 0, "{policy}");
                        match (thread + round) % 5 {
                            0 => drop(taken.invoke_by_name("leave_static_and_fail").expect_err("it fails")),
                            1 => drop(taken.invoke_by_name("leave_stack_pointer").expect_err("it traps")),
                            2 => drop(taken.invoke_by_name("leave_static").expect("it succeeds")),
                            3 => taken.discard(),
                            _ => {}
                        }
                    }
                });
            }
        });
        let (instances, idle) = there(&pool);
        assert!((0..=3).contains(&instances) && instances == idle, "{idle} of {instances} are idle");
    }
}

#[test]
fn under_a_lazy_policy_it_is_restored_when_it_comes_back() {
    let lazy = config_with_policy(RestoreStrategy::BumpReset, RestorePolicy::Never);
    let pool = pool_by(&lazy, &sizes(1, 1));
    for _ in 0..2 {
        let mut taken = pool.take().expect("it is there");
        let seen: Vec<i64> = (0..3).map(|_| calls_before(&mut taken)).collect();
        assert_eq!(seen, [0, 1, 2], "within one borrow the policy holds");
        assert!(!taken.is_pristine());
    }
    let mut kept = sizes(1, 1);
    kept.restore_on_return = false;
    let pool = pool_by(&lazy, &kept);
    for expected in 0..3 {
        assert_eq!(calls_before(&mut pool.take().expect("it is there")), expected);
    }
    assert_eq!(there(&pool), (1, 1));
}

#[test]
fn a_panic_of_the_borrower_costs_the_instance_and_nothing_else() {
    let pool = pool(1, 1);
    let panicked = catch_unwind(|| {
        let taken = pool.take().expect("it is there");
        assert_eq!(taken.status(), Status::Ready);
        // As a panic does, but silently.
        resume_unwind(Box::new("the borrower"));
    });
    assert!(panicked.is_err());
    assert_eq!(there(&pool), (0, 0));
    assert_eq!(calls_before(&mut pool.take().expect("another is made")), 0);
    assert_eq!(there(&pool), (1, 1));
}

#[test]
fn an_instance_that_is_taken_during_a_panic_and_used_well_is_kept() {
    struct CallsAtItsEnd<'a>(&'a Pool);
    impl Drop for CallsAtItsEnd<'_> {
        fn drop(&mut self) {
            assert_eq!(calls_before(&mut self.0.take().expect("it is there")), 0);
        }
    }
    let pool = pool(1, 1);
    let panicked = catch_unwind(|| {
        let _last = CallsAtItsEnd(&pool);
        resume_unwind(Box::new("something else"));
    });
    assert!(panicked.is_err());
    assert_eq!(there(&pool), (1, 1));
}

#[test]
fn a_poisoned_instance_never_comes_back() {
    let reads = Arc::new(AtomicU32::new(0));
    let guest = load("adversary", Allocator::BumpReset);
    let shared = Arc::clone(&reads);
    let config = config(RestoreStrategy::BumpReset, Residue::Keep);
    let pool = Pool::new(&guest, &config, &sizes(1, 1), move || {
        Ok(Panicking { inner: state_of("adversary"), reads: Arc::clone(&shared) })
    });
    let pool = pool.expect("the guest is admitted");
    let mut taken = pool.take().expect("it is there");
    reads.store(PANIC, Relaxed);
    let call = AssertUnwindSafe(|| drop(taken.invoke_by_name("leave_exchange_address")));
    assert!(catch_unwind(call).is_err());
    reads.store(0, Relaxed);
    assert_ne!(taken.status(), Status::Ready);
    drop(taken);
    assert_eq!(there(&pool), (0, 0), "the borrower did not panic, but the instance is poisoned");
    let mut taken = pool.take().expect("another is made");
    let outcome = taken.invoke_by_name("leave_exchange_address").expect("the state has the event");
    assert_eq!(field(&outcome, "Before"), 0);
}

/// A pool of one instance whose restore does what it is told to do the next time, and which is restored by the pool.
fn pool_with_next() -> (Pool, Arc<AtomicU32>) {
    let what = Arc::new(AtomicU32::new(0));
    let guest = load("adversary", Allocator::Leaking);
    let config = config_with_policy(RestoreStrategy::FullCopy, RestorePolicy::Never);
    let told = Arc::clone(&what);
    let pool = Pool::with(&sizes(1, 1), move || {
        let restore = Box::new(Next { what: Arc::clone(&told) });
        Ok(guest.instantiate_with(restore, &config, state_of("adversary"))?)
    });
    (pool.expect("the guest is admitted"), what)
}

#[test]
fn a_restore_on_return_that_fails_leads_to_a_new_instance() {
    let (pool, what) = pool_with_next();
    let mut taken = pool.take().expect("it is there");
    assert_eq!((calls_before(&mut taken), calls_before(&mut taken)), (0, 1));
    what.store(FAIL, Relaxed);
    drop(taken);
    assert_eq!(what.load(Relaxed), 0, "it was restored");
    assert_eq!(calls_before(&mut pool.take().expect("it was replaced")), 0);
}

#[test]
fn a_restore_on_return_that_panics_makes_room_for_another() {
    let (pool, what) = pool_with_next();
    let mut taken = pool.take().expect("it is there");
    assert_eq!(calls_before(&mut taken), 0);
    what.store(PANIC, Relaxed);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(taken))).is_err());
    assert_eq!(there(&pool), (0, 0));
    assert_eq!(calls_before(&mut pool.take_within(LONG).expect("another is made")), 0);
}

#[test]
fn a_state_that_cannot_be_had_is_told_and_strands_nobody() {
    let guest = load("adversary", Allocator::BumpReset);
    let config = config(RestoreStrategy::BumpReset, Residue::Keep);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let pool = Pool::new(&guest, &config, &sizes(0, 1), move || match count.fetch_add(1, Relaxed) % 3 {
        0 => Err(StateError::new("the state's server is down")),
        1 => resume_unwind(Box::new("the embedder's closure")),
        _ => Ok(state_of("adversary")),
    });
    let pool = pool.expect("none is made yet");
    let refused = pool.take().expect_err("there is no state");
    assert_eq!(refused.to_string(), "cannot make the state of a new instance: the state's server is down");
    assert!(catch_unwind(|| drop(pool.take())).is_err());
    assert_eq!(there(&pool), (0, 0));
    pool.take().expect("the third time there is one").discard();

    // Of those who wait, each tries when its turn comes.
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..9 {
            scope.spawn(|| {
                let taken = catch_unwind(|| pool.take_within(LONG));
                match taken {
                    Ok(Ok(taken)) => {
                        served.fetch_add(1, Relaxed);
                        taken.discard();
                    }
                    Ok(Err(error)) => assert!(matches!(error, PoolError::State(_)), "{error}"),
                    Err(_) => {}
                }
            });
        }
    });
    assert_eq!(served.load(Relaxed), 3);
    assert_eq!(there(&pool), (0, 0));
    let (guest, config) = (load("adversary", Allocator::BumpReset), InstanceConfig::default());
    let warm = Pool::new(&guest, &config, &sizes(1, 1), || Err::<guest_host::MemoryState, _>(StateError::new("none")));
    assert!(matches!(warm, Err(PoolError::State(_))));
}

#[test]
fn an_instance_that_cannot_be_made_is_told() {
    let guest = load("adversary", Allocator::System);
    let config = config(RestoreStrategy::BumpReset, Residue::Keep);
    let refused =
        Pool::new(&guest, &config, &sizes(1, 1), || Ok(state_of("adversary"))).expect_err("not this strategy");
    assert!(
        matches!(
            refused,
            PoolError::Load(LoadError::Admission(AdmissionError::Strategy { strategy: "bump-reset", .. }))
        ),
        "{refused}"
    );
}

#[test]
fn a_lost_instance_is_gone_before_another_is_made() {
    let mut engine = EngineConfig::default();
    engine.allocation = InstanceAllocation::pooling(1);
    let engine = Engine::new(&engine).expect("the machine can run the engine");
    let wasm = module("minimal", Allocator::BumpReset);
    let guest = Guest::load(&engine, "minimal", &wasm, PrepareOptions::default()).expect("it is admitted");
    let config = config(RestoreStrategy::Reinstantiate, Residue::Scrub);
    let pool = Pool::new(&guest, &config, &sizes(1, 1), || Ok(state_of("minimal"))).expect("there is room for one");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    pool.take_within(LONG).expect("the engine has room for one").discard();
                }
            });
        }
    });
    assert_eq!(pool.warm_up().expect("the engine has room for one"), 1);
    assert_eq!(pool.warm_up().expect("there is nothing to do"), 0);
}

#[test]
fn a_closed_pool_lends_nothing_and_drops_what_comes_back() {
    let pool = pool(2, 2);
    let (mut lent, idle) = (pool.take().expect("it is there"), pool.take().expect("it is there"));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.take().map(drop));
        while pool.status().waiting == 0 {
            thread::yield_now();
        }
        pool.close();
        assert!(matches!(waiting.join().expect("it does not panic"), Err(PoolError::Closed)));
    });
    drop(idle);
    assert!(pool.is_closed());
    assert!(matches!(pool.try_take(), Err(PoolError::Closed)));
    assert!(matches!(pool.warm_up(), Err(PoolError::Closed)));
    assert_eq!(calls_before(&mut lent), 0, "what is lent can still be used");
    drop(lent);
    assert_eq!(there(&pool), (0, 0));
}

#[test]
fn a_guard_of_its_own_outlives_the_pool_it_came_from() {
    let pool = pool(1, 1);
    let mut taken = pool.take().expect("it is there").into_owned();
    assert_eq!(there(&pool), (1, 0), "it did not come back meanwhile");
    let same = pool.clone();
    drop(pool);
    let before = thread::spawn(move || calls_before(&mut taken)).join().expect("it does not panic");
    assert_eq!(before, 0);
    assert_eq!(there(&same), (1, 1));
}

#[test]
fn a_state_can_be_set_for_each_borrow() {
    let guest = load("adversary", Allocator::BumpReset);
    let config = config(RestoreStrategy::BumpReset, Residue::Keep);
    let pool = Pool::new(&guest, &config, &sizes(1, 1), || Ok(guest_host::MemoryState::new()));
    let pool = pool.expect("the guest is admitted");
    let call = |instance: &mut Instance| instance.invoke_by_name("leave_exchange_address").map(drop);
    let mut taken = pool.take().expect("it is there");
    assert!(call(&mut taken).is_err(), "its state is empty");
    taken.set_state(state_of("adversary"));
    call(&mut taken).expect("this state has the event");
    drop(taken);
    call(&mut pool.take().expect("it is there")).expect("a state stays with its instance");
}
