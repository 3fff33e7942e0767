//! A pool whose instances are awaited.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use guest_host::{
    AsyncInstance, AsyncPool, AsyncPooledInstance, Engine, EngineConfig, InstanceAllocation, InstanceConfig,
    PoolConfig, PoolError, RestorePolicy, StateError,
};
use tokio::time::timeout;

use super::{Slow, guest, slow};

async fn pool(config: &InstanceConfig, warm: usize, max: usize) -> (AsyncPool, Slow) {
    let state = slow();
    let config_of_pool = PoolConfig::default().with_warm(warm).with_max(max);
    let made = {
        let state = state.clone();
        AsyncPool::new(&guest(""), config, &config_of_pool, move || {
            let state = state.clone();
            async move { Ok(state) }
        })
        .await
    };
    (made.expect("the guest is admitted"), state)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_share_few_instances_and_each_call_is_pristine() {
    let (pool, state) = pool(&InstanceConfig::default(), 1, 2).await;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut instance = pool.take().await.expect("one comes back");
                let outcome = instance.invoke_by_name("reads").await.expect("the state answers");
                outcome.log().map(|(_, line)| line.len()).sum::<usize>()
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.expect("it does not panic"), 1);
    }
    assert_eq!(state.answers.load(Relaxed), 50);
    let status = pool.status();
    assert_eq!((status.waiting, status.idle), (0, status.instances));
    assert!((1..=2).contains(&status.instances), "{status:?}");
    assert_eq!(pool.shrink(), status.instances - 1);
}

#[tokio::test]
async fn who_gives_up_leaves_no_trace() {
    let (pool, state) = pool(&InstanceConfig::default(), 0, 1).await;
    let mut held = pool.take().await.expect("there is room for one");
    assert!(matches!(pool.try_take().await, Err(PoolError::Exhausted { max: 1 })));
    assert!(timeout(Duration::from_millis(10), pool.take()).await.is_err(), "it is lent");
    assert_eq!(pool.status().waiting, 0);
    // A call that is given up takes its instance along, and makes room for another.
    state.hangs.store(true, Relaxed);
    assert!(timeout(Duration::from_millis(10), held.invoke_by_name("reads")).await.is_err(), "nothing answers");
    drop(held);
    assert_eq!(pool.status().instances, 0);
    state.hangs.store(false, Relaxed);
    let mut next = pool.take().await.expect("there is room for one");
    next.invoke_by_name("reads").await.expect("the state answers");
    drop(next);
    assert_eq!((pool.status().instances, pool.status().idle), (1, 1));
    pool.take().await.expect("it is idle").discard();
    assert_eq!(pool.status().instances, 0);
}

#[tokio::test]
async fn an_instance_under_a_lazy_policy_is_restored_when_it_comes_back() {
    let config = InstanceConfig::default().with_policy(RestorePolicy::Never);
    let (pool, _) = pool(&config, 1, 1).await;
    for _ in 0..3 {
        let mut instance = pool.take().await.expect("it is idle");
        for calls in 1..=2 {
            let outcome = instance.invoke_by_name("reads").await.expect("the state answers");
            assert_eq!(outcome.log().map(|(_, line)| line.len()).sum::<usize>(), calls);
        }
    }
    assert_eq!(pool.status().idle, 1);
}

#[tokio::test]
async fn a_pool_that_is_closed_sends_away_all_that_wait() {
    let (pool, _) = pool(&InstanceConfig::default(), 0, 1).await;
    let held = pool.take().await.expect("there is room for one");
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.take().await.map(drop) }
    });
    while pool.status().waiting == 0 {
        tokio::task::yield_now().await;
    }
    pool.close();
    assert!(matches!(waiting.await.expect("it does not panic"), Err(PoolError::Closed)));
    assert!(matches!(pool.take().await, Err(PoolError::Closed)) && pool.is_closed());
    drop(held);
    assert_eq!(pool.status().instances, 0);
}

#[tokio::test]
async fn a_state_that_cannot_be_made_leaves_room_for_the_next() {
    let made = Arc::new(AtomicU64::new(0));
    let config = PoolConfig::default().with_warm(0).with_max(1);
    let pool = AsyncPool::new(&guest(""), &InstanceConfig::default(), &config, {
        let made = Arc::clone(&made);
        move || {
            let first = made.fetch_add(1, Relaxed) == 0;
            async move { if first { Err(StateError::new("not yet")) } else { Ok(slow()) } }
        }
    })
    .await
    .expect("nothing is made yet");
    assert!(matches!(pool.take().await, Err(PoolError::State(_))));
    pool.take().await.expect("the second is made");
    let small = EngineConfig::default().with_allocation(InstanceAllocation::pooling(2));
    let engine = Engine::new(&small).expect("the machine can run the engine");
    let wasm = test_support::text_guests::plain();
    let guest = guest_host::Guest::load(&engine, "plain", &wasm, guest_host::PrepareOptions::default()).expect("it is");
    let many = PoolConfig::default().with_max(3);
    let refused = AsyncPool::new(&guest, &InstanceConfig::default(), &many, || async { Ok(slow()) }).await;
    assert!(matches!(refused, Err(PoolError::AboveEngine { max: 3, instances: 2 })));
}

/// Tasks move between threads.
#[test]
fn futures_and_guards_are_send() {
    fn is_send<T: Send>(_: &T) {}
    fn type_is_send<T: Send + 'static>() {}
    type_is_send::<AsyncInstance>();
    type_is_send::<AsyncPooledInstance>();
    #[expect(unused, reason = "it need only compile")]
    fn futures(pool: &AsyncPool, instance: &mut AsyncInstance) {
        is_send(&pool.take());
        is_send(&pool.warm_up());
        is_send(&instance.restore());
        is_send(&instance.invoke_by_name("f"));
    }
}
