//! The pool on plain numbers: bounds, order, and nothing lost, by one thread against a model and by many at once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc;

use proptest::prelude::*;

use super::*;

const NOW: Patience = Patience::None;

/// Takes one, made where there is leave to.
fn take(objects: &ObjectPool<u64>, patience: Patience) -> Result<Box<u64>, TakeError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    objects.take(patience).map(|grant| match grant {
        Grant::Item(item) => item,
        Grant::Permit(permit) => {
            permit.used();
            Box::new(NEXT.fetch_add(1, Relaxed))
        }
    })
}

fn lose(objects: &ObjectPool<u64>, item: Box<u64>) {
    drop((item, objects.permit_for_lent()));
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

#[test]
fn a_thread_gets_what_it_gave_back_last() {
    let objects = ObjectPool::new(2);
    let item = take(&objects, NOW).unwrap();
    let number = *item;
    assert!(objects.put(item).is_none());
    assert_eq!(*take(&objects, NOW).unwrap(), number);
}

#[test]
fn what_another_thread_gave_back_is_found() {
    let objects = ObjectPool::with_slots(2, 64);
    let items = [(); 2].map(|()| take(&objects, NOW).unwrap());
    thread::scope(|scope| {
        scope.spawn(|| items.into_iter().for_each(|item| assert!(objects.put(item).is_none())));
    });
    assert_eq!(objects.counts(), Counts { total: 2, idle: 2, waiting: 0 });
    let (one, other) = (take(&objects, NOW).unwrap(), take(&objects, NOW).unwrap());
    assert_ne!(one, other);
    assert_eq!(take(&objects, NOW), Err(TakeError::Exhausted));
}

#[test]
fn patience_ends() {
    let objects = ObjectPool::new(1);
    let item = take(&objects, NOW).unwrap();
    assert_eq!(take(&objects, Patience::UpTo(Duration::ZERO)), Err(TakeError::TimedOut));
    assert_eq!(take(&objects, Patience::UpTo(Duration::from_millis(5))), Err(TakeError::TimedOut));
    assert_eq!(objects.counts().waiting, 0);
    assert_eq!(objects.attention.load(SeqCst), 0, "the short way is open again");
    assert!(objects.put(item).is_none());
    take(&objects, Patience::UpTo(Duration::MAX)).unwrap();
}

#[test]
fn who_came_first_is_served_first_and_newcomers_queue_behind() {
    const WAITING: usize = 8;
    let objects = ObjectPool::with_slots(1, 1);
    let item = take(&objects, NOW).unwrap();
    let (served, order) = mpsc::channel();
    thread::scope(|scope| {
        for number in 0..WAITING {
            let (served, objects) = (served.clone(), &objects);
            scope.spawn(move || {
                let item = take(objects, Patience::Endless).unwrap();
                served.send(number).unwrap();
                assert!(objects.put(item).is_none());
            });
            until(|| objects.counts().waiting == number + 1);
        }
        assert_eq!(take(&objects, NOW), Err(TakeError::Exhausted));
        assert!(objects.put(item).is_none());
        assert!((0..WAITING).eq(order.iter().take(WAITING)));
    });
    assert_eq!(objects.counts(), Counts { total: 1, idle: 1, waiting: 0 });
}

#[test]
fn one_who_gives_up_does_not_hold_up_those_behind() {
    let objects = ObjectPool::new(1);
    let item = take(&objects, NOW).unwrap();
    thread::scope(|scope| {
        let impatient = scope.spawn(|| take(&objects, Patience::UpTo(Duration::from_millis(20))));
        let patient = scope.spawn(|| take(&objects, Patience::Endless));
        assert_eq!(impatient.join().unwrap(), Err(TakeError::TimedOut));
        assert!(objects.put(item).is_none());
        patient.join().unwrap().unwrap();
    });
}

#[test]
fn an_answer_that_is_on_its_way_is_taken_after_the_time() {
    let objects = ObjectPool::<u64>::new(1);
    let waiter = Arc::new(Waiter { answer: Mutex::new(Waiting::Unanswered(None)), answered: Condvar::new() });
    // As when the time passed between the two halves of `put_central`.
    assert!(waiter.wait(Patience::UpTo(Duration::ZERO)).is_none());
    assert!(waiter.tell(Answer::Item(Box::new(7))).is_none());
    assert!(matches!(objects.give_up(&waiter), Ok(Answer::Item(item)) if *item == 7));
}

#[test]
fn what_is_lost_makes_room_for_whoever_waits() {
    let objects = ObjectPool::new(1);
    let item = take(&objects, NOW).unwrap();
    let number = *item;
    thread::scope(|scope| {
        let waiting = scope.spawn(|| take(&objects, Patience::Endless));
        until(|| objects.counts().waiting == 1);
        lose(&objects, item);
        assert_ne!(*waiting.join().unwrap().unwrap(), number);
    });
    assert_eq!(objects.counts().total, 1);
}

#[test]
fn leave_that_was_not_used_goes_to_the_next() {
    let objects = ObjectPool::<u64>::new(1);
    let Ok(Grant::Permit(permit)) = objects.take(NOW) else { panic!("there is none yet") };
    thread::scope(|scope| {
        let waiting = scope.spawn(|| take(&objects, Patience::Endless));
        until(|| objects.counts().waiting == 1);
        // As when making one fails.
        drop(permit);
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn closing_sends_away_all_who_wait_and_takes_nothing_back() {
    let objects = ObjectPool::new(3);
    let items: Vec<_> = (0..3).map(|_| take(&objects, NOW).unwrap()).collect();
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| take(&objects, Patience::Endless))).collect();
        until(|| objects.counts().waiting == 3);
        assert!(objects.close().is_empty());
        for thread in waiting {
            assert_eq!(thread.join().unwrap(), Err(TakeError::Closed));
        }
    });
    assert_eq!(take(&objects, NOW), Err(TakeError::Closed));
    assert!(matches!(objects.permit_below(3), Err(TakeError::Closed)));
    assert!(items.into_iter().all(|item| objects.put(item).is_some()));
    assert_eq!(objects.counts(), Counts { total: 0, idle: 0, waiting: 0 });
    assert!(objects.close().is_empty(), "closing twice is closing");
}

#[test]
fn closing_returns_all_that_was_idle() {
    let objects = ObjectPool::with_slots(3, 1);
    let items: Vec<_> = (0..3).map(|_| take(&objects, NOW).unwrap()).collect();
    items.into_iter().for_each(|item| assert!(objects.put(item).is_none()));
    let idle: HashSet<_> = objects.close().into_iter().collect();
    assert_eq!(idle.len(), 3);
    assert_eq!(objects.counts().total, 0);
}

#[test]
fn bounds_for_making_ahead_and_for_dropping() {
    let objects = ObjectPool::<u64>::new(2);
    let first = objects.permit_below(9).unwrap().unwrap();
    objects.permit_below(2).unwrap().unwrap().used();
    assert!(objects.permit_below(9).unwrap().is_none(), "the pool's own bound holds");
    drop(first);
    assert_eq!(objects.counts().total, 1);
    assert!(objects.put(Box::new(1)).is_none());
    assert!(objects.take_above(1).is_none());
    assert_eq!(objects.take_above(0), Some(Box::new(1)));
    assert_eq!(objects.counts(), Counts { total: 0, idle: 0, waiting: 0 });
}

/// A step of one thread.
#[derive(Debug, Clone, Copy)]
enum Step {
    Take,
    Give(usize),
    Lose(usize),
    Prepare(usize),
    Shrink(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Take),
        3 => any::<usize>().prop_map(Step::Give),
        1 => any::<usize>().prop_map(Step::Lose),
        1 => (0..8_usize).prop_map(Step::Prepare),
        1 => (0..8_usize).prop_map(Step::Shrink),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn one_thread_sees_what_a_model_says(steps in steps(), max in 1..6_usize) {
        let objects = ObjectPool::with_slots(max, 2);
        let (mut lent, mut idle) = (Vec::new(), HashSet::new());
        for step in steps {
            let at = |number: usize| number % lent.len().max(1);
            match step {
                Step::Take => match take(&objects, NOW) {
                    Ok(item) => {
                        // What is idle comes before what is new.
                        prop_assert!(idle.remove(&*item) || idle.is_empty());
                        prop_assert!(!lent.contains(&item));
                        lent.push(item);
                    }
                    Err(refused) => prop_assert_eq!((refused, lent.len()), (TakeError::Exhausted, max)),
                },
                Step::Give(number) if !lent.is_empty() => {
                    let item = lent.remove(at(number));
                    idle.insert(*item);
                    prop_assert!(objects.put(item).is_none());
                }
                Step::Lose(number) if !lent.is_empty() => {
                    let item = lent.remove(at(number));
                    lose(&objects, item);
                }
                Step::Give(_) | Step::Lose(_) => {}
                Step::Prepare(bound) => {
                    let permit = objects.permit_below(bound).unwrap();
                    prop_assert_eq!(permit.is_some(), lent.len() + idle.len() < bound.min(max));
                }
                Step::Shrink(bound) => match objects.take_above(bound) {
                    Some(item) => {
                        prop_assert!(lent.len() + idle.len() > bound);
                        prop_assert!(idle.remove(&*item));
                    }
                    None => prop_assert!(lent.len() + idle.len() <= bound || idle.is_empty()),
                },
            }
            let expected = Counts { total: lent.len() + idle.len(), idle: idle.len(), waiting: 0 };
            prop_assert_eq!(objects.counts(), expected);
        }
    }

    #[test]
    fn many_threads_never_exceed_the_bound_nor_lose_anything(
        max in 1..5_usize,
        threads in 1..9_usize,
        slots in prop_oneof![Just(1_usize), Just(2), Just(16)],
        seed in any::<u64>(),
    ) {
        let objects = ObjectPool::with_slots(max, slots);
        let used: Vec<AtomicBool> = (0..threads * ROUNDS).map(|_| AtomicBool::new(false)).collect();
        let made = AtomicUsize::new(0);
        let alive = AtomicUsize::new(0);
        thread::scope(|scope| {
            for thread in 0..threads as u64 {
                let (objects, used, made, alive) = (&objects, &used, &made, &alive);
                scope.spawn(move || worker(objects, used, made, alive, max, seed.wrapping_add(thread)));
            }
        });
        let counts = objects.counts();
        prop_assert_eq!(counts.idle, counts.total);
        prop_assert_eq!(counts.total, alive.load(SeqCst));
        prop_assert_eq!(objects.attention.load(SeqCst), 0);
        prop_assert_eq!(objects.close().len(), counts.total);
    }
}

const ROUNDS: usize = 300;

/// Takes and gives back at random, loses some and fails to make some. Waits without end: it hangs where one is lost.
fn worker(
    objects: &ObjectPool<usize>,
    used: &[AtomicBool],
    made: &AtomicUsize,
    alive: &AtomicUsize,
    max: usize,
    mut seed: u64,
) {
    for _ in 0..ROUNDS {
        // Knuth's generator for 64 bits.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let choice = (seed >> 40) % 100;
        let patience = match choice % 3 {
            0 => Patience::None,
            1 => Patience::UpTo(Duration::from_micros(choice)),
            _ => Patience::Endless,
        };
        let item = match objects.take(patience) {
            Ok(Grant::Item(item)) => item,
            Ok(Grant::Permit(permit)) if choice < 90 => {
                permit.used();
                assert!(alive.fetch_add(1, SeqCst) < max, "more were made than there may be");
                Box::new(made.fetch_add(1, SeqCst))
            }
            Ok(Grant::Permit(_)) | Err(TakeError::Exhausted | TakeError::TimedOut) => continue,
            Err(TakeError::Closed) => panic!("nobody closes it"),
        };
        assert!(!used[*item].swap(true, SeqCst), "two threads have the same");
        if choice.is_multiple_of(5) {
            thread::yield_now();
        }
        assert!(used[*item].swap(false, SeqCst));
        if choice < 5 {
            alive.fetch_sub(1, SeqCst);
            drop((item, objects.permit_for_lent()));
        } else {
            assert!(objects.put(item).is_none());
        }
    }
}

#[test]
fn closing_amid_traffic_strands_nobody() {
    for round in 0..50 {
        let objects = ObjectPool::with_slots(2, 2);
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    while let Ok(item) = take(&objects, Patience::Endless) {
                        drop(objects.put(item));
                    }
                });
            }
            for _ in 0..round {
                thread::yield_now();
            }
            drop(objects.close());
        });
        assert_eq!(objects.counts(), Counts { total: 0, idle: 0, waiting: 0 });
    }
}

#[cfg(feature = "async")]
mod turns {
    use std::pin::Pin;
    use std::sync::atomic::AtomicU32;
    use std::task::{Context, Poll, Wake, Waker};

    use super::super::turn::Turn;
    use super::*;

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    impl Woken {
        fn poll<'a>(self: &Arc<Self>, turn: &mut Turn<'a, u64>) -> Poll<Result<Grant<'a, u64>, TakeError>> {
            Pin::new(turn).poll(&mut Context::from_waker(&Waker::from(Arc::clone(self))))
        }

        fn times(&self) -> u32 {
            self.0.load(SeqCst)
        }
    }

    /// A pool of one thing, which is lent.
    fn lent() -> (ObjectPool<u64>, Box<u64>) {
        let objects = ObjectPool::new(1);
        let item = take(&objects, NOW).unwrap();
        (objects, item)
    }

    #[test]
    fn tasks_are_served_in_the_order_of_coming_and_woken_once() {
        let (objects, item) = lent();
        let woken = [Arc::<Woken>::default(), Arc::default()];
        let mut turns = [objects.turn(), objects.turn()];
        for _ in 0..2 {
            for (turn, woken) in turns.iter_mut().zip(&woken) {
                assert!(woken.poll(turn).is_pending());
            }
        }
        assert_eq!(objects.counts().waiting, 2);
        let number = *item;
        assert!(objects.put(item).is_none());
        assert_eq!([woken[0].times(), woken[1].times()], [1, 0]);
        assert!(woken[1].poll(&mut turns[1]).is_pending());
        let Poll::Ready(Ok(Grant::Item(item))) = woken[0].poll(&mut turns[0]) else { panic!("it was given back") };
        assert_eq!(*item, number);
        lose(&objects, item);
        assert_eq!(woken[1].times(), 1);
        assert!(matches!(woken[1].poll(&mut turns[1]), Poll::Ready(Ok(Grant::Permit(_)))));
        drop(turns);
        assert_eq!((objects.counts().total, objects.counts().waiting), (0, 0));
    }

    #[test]
    fn a_turn_that_is_given_up_leaves_the_queue_or_hands_on() {
        let (objects, item) = lent();
        let woken = Arc::<Woken>::default();
        let (mut first, mut second, mut third) = (objects.turn(), objects.turn(), objects.turn());
        for turn in [&mut first, &mut second, &mut third] {
            assert!(woken.poll(turn).is_pending());
        }
        drop(second);
        assert_eq!(objects.counts().waiting, 2);
        assert!(objects.put(item).is_none());
        // It has its answer, and does not want it.
        drop(first);
        let Poll::Ready(Ok(Grant::Item(item))) = woken.poll(&mut third) else { panic!("it was handed on") };
        assert!(objects.put(item).is_none());
        assert_eq!((objects.counts().idle, objects.counts().waiting), (1, 0));
        let mut last = objects.turn();
        assert!(matches!(woken.poll(&mut last), Poll::Ready(Ok(Grant::Item(_)))));
    }

    #[test]
    fn an_answer_to_a_turn_that_is_gone_goes_to_the_next() {
        let (objects, item) = lent();
        let woken = Arc::<Woken>::default();
        let (mut first, mut second) = (objects.turn(), objects.turn());
        assert!(woken.poll(&mut first).is_pending() && woken.poll(&mut second).is_pending());
        // As when it was given up between the two halves of `put_central`.
        let waiter = objects.next(&mut objects.lock()).unwrap();
        drop(first);
        assert!(matches!(waiter.tell(Answer::Leave), Some(Answer::Leave)));
        assert!(objects.put(item).is_none());
        assert!(matches!(woken.poll(&mut second), Poll::Ready(Ok(Grant::Item(_)))));
    }

    #[test]
    fn tasks_and_threads_wait_in_one_queue_and_are_sent_away_alike() {
        let (objects, item) = lent();
        let woken = Arc::<Woken>::default();
        let mut turn = objects.turn();
        assert!(woken.poll(&mut turn).is_pending());
        thread::scope(|scope| {
            let thread = scope.spawn(|| take(&objects, Patience::Endless));
            until(|| objects.counts().waiting == 2);
            assert!(objects.close().is_empty());
            assert_eq!(thread.join().unwrap(), Err(TakeError::Closed));
        });
        assert!(matches!(woken.poll(&mut turn), Poll::Ready(Err(TakeError::Closed))));
        assert!(matches!(woken.poll(&mut objects.turn()), Poll::Ready(Err(TakeError::Closed))));
        assert!(objects.put(item).is_some());
    }
}
