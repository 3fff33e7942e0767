use std::collections::HashMap;
use std::sync::mpsc;

use proptest::prelude::*;

use super::*;

fn guest(name: &str) -> GuestName {
    name.parse().unwrap()
}

#[test]
fn guests_and_their_tenants_have_turns() {
    let mut turns = Turns::new(100, usize::MAX);
    let (one, two) = (guest("one"), guest("two"));
    for number in 0..4 {
        turns.push(&one, "a", 10, format!("one a {number}")).unwrap();
    }
    turns.push(&one, "b", 10, "one b 0".to_owned()).unwrap();
    for number in 0..2 {
        turns.push(&two, "a", 10, format!("two a {number}")).unwrap();
    }
    let order: Vec<String> = std::iter::from_fn(|| turns.pop().map(|(_, job)| job)).collect();
    assert_eq!(order, ["one a 0", "two a 0", "one b 0", "two a 1", "one a 1", "one a 2", "one a 3"]);
    assert_eq!((turns.waiting(), turns.pop()), (0, None));
}

#[test]
fn each_bound_refuses_by_its_name() {
    let mut turns = Turns::new(8, 1);
    let names = ["a", "b", "c", "d", "e"].map(guest);
    assert_eq!(turns.push(&names[0], "x", 0, 0), Err(Full::Tenant));
    turns.push(&names[0], "x", 1, 0).unwrap();
    assert_eq!(turns.push(&names[0], "x", 1, 0), Err(Full::Tenant));
    turns.push(&names[0], "y", 1, 0).unwrap();
    assert_eq!(turns.push(&names[0], "z", 1, 0), Err(Full::Guest), "a quarter");
    for name in &names[1..4] {
        turns.push(name, "x", 1, 0).unwrap();
        turns.push(name, "y", 1, 0).unwrap();
    }
    assert_eq!(turns.push(&names[4], "x", 1, 0), Err(Full::All));
    turns.pop().unwrap();
    turns.push(&names[4], "x", 1, 0).unwrap();
}

proptest! {
    /// Each job is served once, and while a guest waits no other one is served twice.
    #[test]
    fn nobody_is_passed_over(jobs in proptest::collection::vec((0..4_usize, 0..3_usize), 0..60)) {
        let guests = ["a", "b", "c", "d"].map(guest);
        let tenants = ["x", "y", "z"];
        let mut turns = Turns::new(1000, usize::MAX);
        let mut left: HashMap<(usize, usize), usize> = HashMap::new();
        for job in &jobs {
            turns.push(&guests[job.0], tenants[job.1], 1000, *job).unwrap();
            *left.entry(*job).or_default() += 1;
        }
        let mut served: Vec<(usize, usize)> = Vec::new();
        while let Some((_, job)) = turns.pop() {
            *left.get_mut(&job).unwrap() -= 1;
            let waits = |found: &dyn Fn(&(usize, usize)) -> bool| left.iter().any(|(job, left)| *left > 0 && found(job));
            for other in (0..4).filter(|other| *other != job.0 && waits(&|job| job.0 == *other)) {
                let since = served.iter().rev().take_while(|served| served.0 != other);
                prop_assert!(since.filter(|served| served.0 == job.0).count() <= 1, "{:?} before {}", served, other);
            }
            served.push(job);
        }
        prop_assert_eq!(served.len(), jobs.len());
    }
}

#[test]
fn jobs_are_done_in_turn_by_the_threads_and_a_panic_ends_none() {
    let (sender, done) = mpsc::channel();
    let lane = Lane::start(1, 100, move |_| {
        let sender = sender.clone();
        move |job: u32| {
            assert!(job != 1, "this job is a fault");
            sender.send(job).unwrap();
        }
    })
    .unwrap();
    let entrance = lane.entrance();
    for job in [0, 1, 2] {
        entrance.enter(&guest("a"), "x", 10, job).unwrap();
    }
    assert_eq!([done.recv().unwrap(), done.recv().unwrap()], [0, 2]);
    drop(lane);
    assert_eq!(entrance.enter(&guest("a"), "x", 10, 3), Err(Full::Closed));
    assert!(done.recv().is_err(), "the threads ended");
}

/// A lane of this many threads; where jobs that spin are released, and what has ended.
fn spinning(threads: usize) -> (Lane<&'static str>, mpsc::Sender<()>, mpsc::Receiver<&'static str>) {
    let (sender, done) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let lane = Lane::start(threads, 100, move |_| {
        let (sender, released) = (sender.clone(), Arc::clone(&released));
        move |job: &'static str| {
            if job == "spins" {
                released.lock().unwrap().recv().unwrap();
            }
            sender.send(job).unwrap();
        }
    });
    (lane.unwrap(), release, done)
}

#[test]
fn a_spinning_tenant_holds_up_nobody_for_longer_than_its_turn() {
    let (lane, release, done) = spinning(1);
    let entrance = lane.entrance();
    let enter = |guest_name: &str, job| entrance.enter(&guest(guest_name), "x", 2, job);
    enter("bad", "spins").unwrap();
    // The first may run already; then one more waits.
    while entrance.waiting() > 0 {
        thread::yield_now();
    }
    enter("bad", "spins").unwrap();
    enter("bad", "spins").unwrap();
    assert_eq!(enter("bad", "spins"), Err(Full::Tenant));
    enter("good", "honest").unwrap();
    release.send(()).unwrap();
    assert_eq!(done.recv().unwrap(), "spins");
    release.send(()).unwrap();
    let next = [done.recv().unwrap(), done.recv().unwrap()];
    assert!(next.contains(&"honest"), "{next:?}");
    release.send(()).unwrap();
    assert_eq!(done.recv().unwrap(), "spins");
}

#[test]
fn a_thread_without_jobs_rests() {
    struct Rests(mpsc::Sender<()>);

    impl Work<()> for Rests {
        fn work(&mut self, (): ()) {}

        fn rest(&mut self) {
            let _ = self.0.send(());
        }
    }

    let (sender, rested) = mpsc::channel();
    let lane = Lane::start(1, 1, move |_| Rests(sender.clone())).unwrap();
    rested.recv().unwrap();
    drop(lane);
}

#[test]
fn a_guest_does_not_have_all_threads() {
    let (lane, release, done) = spinning(2);
    let enter = |name: &str, job| lane.entrance().enter(&guest(name), "x", 10, job).unwrap();
    for _ in 0..3 {
        enter("bad", "spins");
    }
    // None of the others is released before these are done.
    for _ in 0..5 {
        enter("good", "honest");
        assert_eq!(done.recv().unwrap(), "honest");
    }
    for _ in 0..3 {
        release.send(()).unwrap();
        assert_eq!(done.recv().unwrap(), "spins");
    }
}

#[test]
fn a_guest_whose_jobs_run_waits_and_is_not_forgotten() {
    let mut turns = Turns::new(100, 1);
    let (one, two) = (guest("one"), guest("two"));
    for job in 0..2 {
        turns.push(&one, "x", 10, job).unwrap();
    }
    assert_eq!((turns.pop(), turns.pop()), (Some((one.clone(), 0)), None));
    turns.push(&two, "x", 10, 2).unwrap();
    assert_eq!((turns.pop(), turns.waiting()), (Some((two.clone(), 2)), 1));
    turns.done(&one);
    turns.done(&two);
    assert_eq!((turns.pop(), turns.pop(), turns.waiting()), (Some((one, 1)), None, 0));
}
