//! Topics: each policy by itself, publishers that wait, subscribers that fail, and guests as subscribers.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use guest_blocks::{Block, Frame, Full, Mode, PublishError, ReceiveError, Subscriber, Topic, Violation};

use crate::guest::{Guest, Way};

/// Longer than any thread needs. Tests that pass never wait so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Long enough for a call that must give up to have waited.
const MOMENT: Duration = Duration::from_millis(5);

fn shared(bytes: &[u8]) -> Block {
    Block::from_bytes(bytes.to_vec()).unwrap()
}

fn full(names: &[&str]) -> PublishError {
    PublishError::Full { subscribers: names.iter().map(|&name| name.to_owned()).collect() }
}

/// The sequence numbers of the frames that have arrived.
fn arrived(subscriber: &Subscriber) -> Vec<u64> {
    std::iter::from_fn(|| subscriber.try_receive().ok()).map(|frame| frame.sequence()).collect()
}

/// Returns when at least `waits` publications of the topic have had to wait.
fn until_waits(topic: &Topic, waits: u64) {
    let until = Instant::now() + PATIENCE;
    while topic.metrics().waits < waits {
        assert!(Instant::now() < until, "nobody waits");
        thread::yield_now();
    }
}

/// A thread that may wait forever if the topic is broken: the test fails then, and leaves it.
struct Running<T>(mpsc::Receiver<T>);

fn start<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Running<T> {
    let (answer, answered) = mpsc::channel();
    thread::spawn(move || answer.send(run()));
    Running(answered)
}

impl<T> Running<T> {
    fn end(self) -> T {
        self.0.recv_timeout(PATIENCE).expect("the thread ends")
    }
}

/// Publishes on another thread. Returns when that publication is the one with number `waits` that has had to wait.
fn start_waiting(topic: &Topic, waits: u64, bytes: &[u8]) -> Running<Result<u64, PublishError>> {
    let (publisher, block) = (topic.clone(), shared(bytes));
    let running = start(move || publisher.publish(&block));
    until_waits(topic, waits);
    running
}

#[test]
fn topics_and_frames_go_between_threads() {
    fn is_send_and_sync<T: Send + Sync + 'static>() {}
    is_send_and_sync::<Topic>();
    is_send_and_sync::<Subscriber>();
    is_send_and_sync::<Frame>();
    is_send_and_sync::<PublishError>();
}

#[test]
fn subscribers_receive_the_same_block() {
    let topic = Topic::new();
    let subscribers = ["one", "other"].map(|name| topic.subscribe(name, 2, Full::Refuse));
    let bytes = vec![7; 1000];
    let place = bytes.as_ptr();
    topic.publish(&Block::from_bytes(bytes).unwrap()).unwrap();
    let frames = subscribers.map(|subscriber| subscriber.try_receive().unwrap());
    for frame in &frames {
        frame.bytes(|bytes| assert_eq!((bytes.len(), bytes.as_ptr()), (1000, place)));
        frame.block().read().unwrap().bytes(|bytes| assert_eq!(bytes.as_ptr(), place));
    }
}

#[test]
fn a_subscriber_that_refuses_keeps_the_frame_from_all() {
    let topic = Topic::new();
    let refuse = topic.subscribe("refuse", 1, Full::Refuse);
    let latest = topic.subscribe("latest", 1, Full::DropOldest);
    let roomy = topic.subscribe("roomy", 9, Full::Wait);
    let block = shared(b"frame");
    assert_eq!(topic.publish(&block), Ok(0));
    for error in [topic.publish(&block), topic.try_publish(&block), topic.publish_timeout(&block, PATIENCE)] {
        assert_eq!(error, Err(full(&["refuse"])));
    }
    assert_eq!(arrived(&refuse), [0]);
    // The number of the refused frame is used by the next one.
    assert_eq!(topic.publish(&block), Ok(1));
    assert_eq!((arrived(&latest), arrived(&roomy), arrived(&refuse)), (vec![1], vec![0, 1], vec![1]));
    assert_eq!((topic.metrics().published, topic.metrics().refused, topic.metrics().waits), (2, 3, 0));
}

#[test]
fn a_refusal_names_all_queues_that_are_full_and_drop_nothing() {
    let topic = Topic::new();
    let subscriptions =
        [("one", Full::Refuse), ("latest", Full::DropOldest), ("two", Full::Wait), ("gone", Full::Refuse)];
    let mut subscribers = subscriptions.map(|(name, full)| Some(topic.subscribe(name, 0, full)));
    topic.publish(&shared(b"frame")).unwrap();
    subscribers[3] = None;
    let error = topic.try_publish(&shared(b"frame")).unwrap_err();
    assert_eq!(error, full(&["one", "two"]));
    assert!(error.to_string().contains("one, two"), "{error}");
}

#[test]
fn a_queue_that_drops_the_oldest_shows_the_gap() {
    let topic = Topic::new();
    let latest = topic.subscribe("latest", 3, Full::DropOldest);
    for number in 0..10 {
        assert_eq!(topic.publish(&shared(&[number])), Ok(u64::from(number)));
    }
    let frames: Vec<Frame> = (0..3).map(|_| latest.try_receive().unwrap()).collect();
    let seen: Vec<(u64, u64)> = frames.iter().map(|frame| (frame.sequence(), frame.dropped())).collect();
    assert_eq!(seen, [(7, 7), (8, 0), (9, 0)]);
    assert_eq!(latest.try_receive().unwrap_err(), ReceiveError::Empty);
    let metrics = &topic.metrics().subscribers[0];
    assert_eq!((metrics.delivered, metrics.dropped, metrics.queued, metrics.most_queued), (3, 7, 0, 3));
}

#[test]
fn only_shared_bytes_are_published() {
    let topic = Topic::new();
    let subscriber = topic.subscribe("one", 9, Full::Refuse);
    let block = Block::new(100);
    assert_eq!(topic.publish(&block), Err(PublishError::NothingToRead));
    block.write().unwrap().publish(100);
    {
        // A block with one reader at a time stays free for its reader.
        let _reading = block.read().unwrap();
        assert_eq!(topic.publish(&block), Err(PublishError::NotShared));
    }
    assert_eq!(topic.publish(&block), Err(PublishError::NotShared));
    block.write_shared().unwrap().publish(100);
    {
        let _writing = block.write_shared().unwrap();
        assert_eq!(topic.publish(&block), Err(PublishError::Busy));
    }
    assert_eq!(topic.publish(&block), Err(PublishError::NothingToRead), "its writer gave up");
    block.write_shared().unwrap().publish(100);
    let part = block.part(0..10, Mode::Write).unwrap();
    assert_eq!(topic.publish(&block), Err(PublishError::Busy));
    part.write_shared().unwrap().publish(5);
    assert_eq!(topic.publish(&part), Ok(0), "a part is a block of its own");
    assert_eq!(subscriber.try_receive().unwrap().bytes(<[u8]>::len), 5);
    assert_eq!(topic.metrics().refused, 0);
}

#[test]
fn a_block_is_not_written_as_long_as_there_is_a_frame_of_it() {
    let topic = Topic::new();
    let latest = topic.subscribe("latest", 1, Full::DropOldest);
    let blocks = [Block::new(8), Block::new(8)];
    for block in &blocks {
        block.write_shared().unwrap().publish(8);
        topic.publish(block).unwrap();
    }
    assert!(blocks[0].write_shared().is_ok(), "its frame was dropped");
    assert!(blocks[1].write_shared().is_err());
    let frame = latest.try_receive().unwrap();
    let other = frame.clone();
    drop(frame);
    assert!(blocks[1].write_shared().is_err());
    drop(other);
    assert!(blocks[1].write_shared().is_ok());
    // An unsubscribed queue, and a publication without subscribers or with a full queue, keep nothing.
    blocks[0].write_shared().unwrap().publish(8);
    let refuse = topic.subscribe("refuse", 1, Full::Refuse);
    topic.publish(&blocks[0]).unwrap();
    assert!(topic.publish(&blocks[0]).is_err());
    drop((latest, refuse));
    topic.publish(&blocks[0]).unwrap();
    assert!(blocks[0].write_shared().is_ok());
}

#[test]
fn a_late_subscriber_receives_the_frames_from_its_subscription_on() {
    let topic = Topic::new();
    let early = topic.subscribe("early", 9, Full::Refuse);
    topic.publish(&shared(b"0")).unwrap();
    let late = topic.subscribe("late", 9, Full::Refuse);
    topic.publish(&shared(b"1")).unwrap();
    topic.publish(&shared(b"2")).unwrap();
    let first = late.try_receive().unwrap();
    assert_eq!((first.sequence(), first.dropped()), (1, 0), "frames before its subscription are no gap");
    assert_eq!((arrived(&early), arrived(&late)), (vec![0, 1, 2], vec![2]));
}

#[test]
fn a_closed_topic_delivers_the_frames_in_its_queues() {
    let topic = Topic::new();
    let subscriber = topic.subscribe("one", 9, Full::Wait);
    topic.publish(&shared(b"0")).unwrap();
    topic.publish(&shared(b"1")).unwrap();
    topic.close();
    topic.clone().close();
    assert_eq!(topic.publish(&shared(b"2")), Err(PublishError::Closed));
    assert_eq!(topic.try_publish(&shared(b"2")), Err(PublishError::Closed));
    assert_eq!(subscriber.receive().unwrap().sequence(), 0);
    assert_eq!(subscriber.receive_timeout(PATIENCE).unwrap().sequence(), 1);
    assert_eq!(subscriber.receive().unwrap_err(), ReceiveError::Closed);
    assert_eq!(subscriber.try_receive().unwrap_err(), ReceiveError::Closed);
    assert_eq!(subscriber.receive_timeout(PATIENCE).unwrap_err(), ReceiveError::Closed);
    assert_eq!(topic.subscribe("late", 1, Full::Wait).receive().unwrap_err(), ReceiveError::Closed);
}

#[test]
fn the_last_publisher_closes_the_topic() {
    let topic = Topic::new();
    let subscriber = topic.subscribe("one", 9, Full::Wait);
    let other = topic.clone();
    drop(topic);
    assert_eq!(subscriber.try_receive().unwrap_err(), ReceiveError::Empty);
    let receives = start(move || subscriber.receive().unwrap_err());
    thread::sleep(MOMENT);
    drop(other);
    assert_eq!(receives.end(), ReceiveError::Closed);
}

#[test]
fn a_frame_wakes_its_receivers() {
    let topic = Topic::new();
    let subscriber = Arc::new(topic.subscribe("one", 9, Full::Wait));
    let receivers = [(); 2].map(|()| {
        let subscriber = Arc::clone(&subscriber);
        start(move || subscriber.receive().unwrap().sequence())
    });
    thread::sleep(MOMENT);
    topic.publish(&shared(b"0")).unwrap();
    topic.publish(&shared(b"1")).unwrap();
    let mut received = receivers.map(Running::end);
    received.sort_unstable();
    assert_eq!(received, [0, 1], "each frame goes to one of them");
}

#[test]
fn a_time_that_runs_out_changes_nothing() {
    let topic = Topic::new();
    let subscriber = topic.subscribe("waits", 1, Full::Wait);
    assert_eq!(subscriber.receive_timeout(MOMENT).unwrap_err(), ReceiveError::Empty);
    let block = shared(b"frame");
    assert_eq!(topic.publish_timeout(&block, MOMENT), Ok(0));
    assert_eq!(topic.publish_timeout(&block, MOMENT), Err(full(&["waits"])));
    assert_eq!(topic.try_publish(&block), Err(full(&["waits"])));
    assert_eq!((topic.metrics().refused, topic.metrics().waits), (2, 1));
    assert_eq!(arrived(&subscriber), [0]);
    // No publisher is in the line any more.
    assert_eq!(topic.try_publish(&block), Ok(1));
    // A time that no clock reaches.
    assert_eq!(subscriber.receive_timeout(Duration::MAX).unwrap().sequence(), 1);
    assert_eq!(topic.publish_timeout(&block, Duration::MAX), Ok(2));
}

#[test]
fn publishers_wait_in_the_order_in_which_they_came() {
    let topic = Topic::new();
    let waits = topic.subscribe("waits", 1, Full::Wait);
    let latest = topic.subscribe("latest", 1, Full::DropOldest);
    topic.publish(&shared(&[0])).unwrap();
    let publishers: Vec<_> = (1..=4).map(|number| start_waiting(&topic, number.into(), &[number])).collect();
    // Others receive, come and go meanwhile. Nobody overtakes.
    assert_eq!(latest.receive().unwrap().sequence(), 0);
    drop(topic.subscribe("comes and goes", 1, Full::Refuse));
    assert_eq!(topic.try_publish(&shared(b"overtakes")), Err(full(&["waits"])));
    let seen: Vec<u8> = (0..5).map(|_| waits.receive_timeout(PATIENCE).unwrap().bytes(|bytes| bytes[0])).collect();
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    let published: Vec<_> = publishers.into_iter().map(Running::end).collect();
    assert_eq!(published, [Ok(1), Ok(2), Ok(3), Ok(4)]);
    assert_eq!(topic.metrics().waits, 4);
}

#[test]
fn a_publisher_that_gives_up_lets_the_next_one_go_on() {
    let topic = Topic::new();
    let slow = topic.subscribe("slow", 1, Full::Wait);
    topic.publish(&shared(b"0")).unwrap();
    let hasty = topic.clone();
    let gives_up = start(move || hasty.publish_timeout(&shared(b"1"), 10 * MOMENT));
    until_waits(&topic, 1);
    let patient = start_waiting(&topic, 2, b"2");
    assert_eq!(gives_up.end(), Err(full(&["slow"])));
    assert_eq!(slow.try_receive().unwrap().sequence(), 0);
    assert_eq!(patient.end(), Ok(1));
    assert_eq!(slow.try_receive().unwrap().bytes(<[u8]>::to_vec), b"2");
}

#[test]
fn a_subscriber_that_goes_away_wakes_the_publishers() {
    let topic = Topic::new();
    let slow = topic.subscribe("slow", 1, Full::Wait);
    let other = topic.subscribe("other", 9, Full::Refuse);
    topic.publish(&shared(b"0")).unwrap();
    let publishers = [1, 2].map(|waits| start_waiting(&topic, waits, b"1"));
    drop(slow);
    assert_eq!(publishers.map(Running::end), [Ok(1), Ok(2)]);
    assert_eq!(arrived(&other), [0, 1, 2]);
}

#[test]
fn closing_wakes_all() {
    let topic = Topic::new();
    let slow = topic.subscribe("slow", 1, Full::Wait);
    topic.publish(&shared(b"0")).unwrap();
    let publishers = [1, 2].map(|waits| start_waiting(&topic, waits, b"1"));
    let idle = Arc::new(topic.subscribe("idle", 1, Full::DropOldest));
    let receivers = [(); 2].map(|()| {
        let idle = Arc::clone(&idle);
        start(move || idle.receive().unwrap_err())
    });
    thread::sleep(MOMENT);
    topic.close();
    assert_eq!(publishers.map(Running::end), [Err(PublishError::Closed), Err(PublishError::Closed)]);
    assert_eq!(receivers.map(Running::end), [ReceiveError::Closed; 2]);
    assert_eq!(arrived(&slow), [0]);
}

#[test]
fn a_subscriber_whose_thread_panics_is_gone() {
    let topic = Topic::new();
    let steady = topic.subscribe("steady", 9, Full::Refuse);
    let panics = topic.subscribe("panics", 1, Full::Wait);
    topic.publish(&shared(b"0")).unwrap();
    let publisher = start_waiting(&topic, 1, b"1");
    let thread = thread::spawn(move || {
        // It owns the subscriber, and has received nothing.
        let _subscriber = panics;
        panic!("on purpose, as a subscriber");
    });
    assert!(thread.join().is_err());
    assert_eq!(publisher.end(), Ok(1));
    // A panic while the bytes are read does no harm either.
    let frame = steady.receive().unwrap();
    let reader = frame.clone();
    assert!(thread::spawn(move || reader.bytes(|_| panic!("on purpose, as a reader"))).join().is_err());
    assert_eq!(frame.bytes(<[u8]>::to_vec), b"0");
    assert_eq!(topic.publish(&shared(b"2")), Ok(2));
    assert_eq!(arrived(&steady), [1, 2]);
    assert_eq!(topic.metrics().subscribers.len(), 1);
}

/// Bytes whose owner uses the topic when they are dropped.
struct Uses {
    bytes: [u8; 4],
    topic: Topic,
}

impl AsRef<[u8]> for Uses {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Uses {
    fn drop(&mut self) {
        // Another thread gets no answer if this one has the lock.
        let topic = self.topic.clone();
        start(move || topic.metrics()).end();
    }
}

#[test]
fn frames_are_dropped_without_the_lock() {
    let topic = Topic::new();
    let publish = || topic.publish(&Block::from_bytes(Uses { bytes: [1; 4], topic: topic.clone() }).unwrap());
    let latest = topic.subscribe("latest", 1, Full::DropOldest);
    publish().unwrap();
    publish().unwrap();
    drop(latest);
    let refuse = topic.subscribe("refuse", 1, Full::Refuse);
    publish().unwrap();
    publish().unwrap_err();
    drop(refuse.try_receive());
    drop(refuse);
    publish().unwrap();
}

#[test]
fn a_guest_that_fails_leaves_the_frame_to_the_others() {
    let topic = Topic::new();
    let subscribers = ["steady", "fails"].map(|name| topic.subscribe(name, 1, Full::Wait));
    topic.publish(&shared(&[5; 3000])).unwrap();
    let frames = subscribers.each_ref().map(|subscriber| subscriber.try_receive().unwrap());
    let mut guests = [Guest::new(Way::Barrier), Guest::new(Way::Barrier)];
    let mut attach = |at: usize| {
        let Guest { memory, table, .. } = &mut guests[at];
        let id = table.insert(frames[at].block().clone()).unwrap();
        (id, table.attach(memory, id, 0).unwrap().unwrap().address)
    };
    let ((steady, address), (fails, violated)) = (attach(0), attach(1));
    guests[1].memory.store(violated as usize, &[6]);
    let Guest { memory, table, .. } = &mut guests[1];
    assert_eq!(table.detach(memory, fails, 0), Err(Violation::WroteWhileReading { address: violated }));
    guests[1].restore();

    let Guest { memory, table, .. } = &mut guests[0];
    assert_eq!(memory.bytes[address as usize..][..3000], [5; 3000]);
    assert_eq!(table.detach(memory, steady, 0), Ok(()));
    // The guest that failed may have the same frame again.
    let id = guests[1].table.insert(frames[1].block().clone()).unwrap();
    let Guest { memory, table, .. } = &mut guests[1];
    let area = table.attach(memory, id, 0).unwrap().unwrap();
    assert_eq!(memory.bytes[area.address as usize..][..3000], [5; 3000]);
}
