//! Links between a producer and its takers: a queue for one, a topic for several.

use guest_host::blocks::{Block, Frame, PublishError, Subscriber, Topic};

use super::config::StageConfig;
use super::queue::{Figures, NotSent, Receiver, Sender, queue};

/// The end of a producer. Its takers see that it has ended when it is dropped.
#[derive(Debug)]
pub(super) enum Output {
    /// No stage takes from it.
    Nobody,
    One(Sender),
    Several(Topic),
}

/// The end of a taker. Its producer does not wait for it any more when it is dropped.
#[derive(Debug)]
pub(super) enum Input {
    Queue(Receiver),
    Topic {
        /// The topic, for the figures.
        topic: Topic,
        subscriber: Subscriber,
        name: String,
    },
}

/// A block in the hands of a taker.
#[derive(Debug)]
pub(super) enum Received {
    Own(Block),
    /// Keeps the block from being written until it is dropped.
    Shared(Frame),
}

/// The reason that a block was not handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotHandedOn {
    /// A full queue that refuses.
    Refused,
    /// No takers any more.
    Gone,
    /// A block that several takers cannot have.
    Unfit(PublishError),
}

/// The two ends of a link between a producer and these takers.
pub(super) fn link(takers: &[&StageConfig]) -> (Output, Vec<Input>) {
    match takers {
        [] => (Output::Nobody, Vec::new()),
        [taker] => {
            let (sender, receiver) = queue(taker.queue as usize, taker.when_full);
            (Output::One(sender), vec![Input::Queue(receiver)])
        }
        takers => {
            let topic = Topic::new();
            let input = |taker: &&StageConfig| {
                let subscriber = topic.subscribe(taker.name(), taker.queue as usize, taker.when_full.into());
                Input::Topic { topic: topic.clone(), subscriber, name: taker.name().to_owned() }
            };
            let inputs = takers.iter().map(input).collect();
            (Output::Several(topic), inputs)
        }
    }
}

impl Output {
    /// Hands a block to all takers, and waits for room if their queues say so.
    pub(super) fn hand_on(&self, block: Block) -> Result<(), NotHandedOn> {
        match self {
            Self::Nobody => Ok(()),
            Self::One(sender) => sender.send(block).map_err(|error| match error {
                NotSent::Full => NotHandedOn::Refused,
                NotSent::Gone => NotHandedOn::Gone,
            }),
            Self::Several(topic) => match topic.publish(&block) {
                Ok(_sequence) => Ok(()),
                Err(PublishError::Full { .. }) => Err(NotHandedOn::Refused),
                Err(PublishError::Closed) => Err(NotHandedOn::Gone),
                Err(unfit) => Err(NotHandedOn::Unfit(unfit)),
            },
        }
    }

    /// Whether blocks must be shared.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Several(_))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // Takers have clones of it.
        if let Self::Several(topic) = self {
            topic.close();
        }
    }
}

impl Input {
    /// The next block; `None` if the producer has ended, and all its blocks were received.
    pub(super) fn receive(&self) -> Option<Received> {
        match self {
            Self::Queue(receiver) => receiver.receive().map(Received::Own),
            Self::Topic { subscriber, .. } => subscriber.receive().ok().map(Received::Shared),
        }
    }

    pub(super) fn figures(&self) -> Figures {
        match self {
            Self::Queue(receiver) => receiver.figures(),
            Self::Topic { topic, name, .. } => {
                let subscribers = topic.metrics().subscribers;
                let own = subscribers.into_iter().find(|subscriber| subscriber.name == *name).unwrap_or_default();
                let most_queued = own.most_queued as u64;
                Figures { delivered: own.delivered, dropped: own.dropped, most_queued }
            }
        }
    }
}

impl Received {
    pub(super) fn block(&self) -> &Block {
        match self {
            Self::Own(block) => block,
            Self::Shared(frame) => frame.block(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &str) -> StageConfig {
        StageConfig::new("m.wasm", name)
    }

    fn published(shared: bool) -> Block {
        let block = Block::new(8);
        block.write_as(shared).unwrap().publish(8);
        block
    }

    #[test]
    fn the_only_taker_may_write() {
        let (output, inputs) = link(&[&stage("a")]);
        output.hand_on(published(false)).unwrap();
        drop(output);
        let received = inputs[0].receive().unwrap();
        assert!(received.block().write().is_ok());
        assert!(inputs[0].receive().is_none());
        assert_eq!(inputs[0].figures(), Figures { delivered: 1, dropped: 0, most_queued: 1 });
    }

    #[test]
    fn several_takers_share_and_see_the_end() {
        let (output, inputs) = link(&[&stage("a"), &stage("b")]);
        assert_eq!(output.hand_on(published(false)), Err(NotHandedOn::Unfit(PublishError::NotShared)));
        output.hand_on(published(true)).unwrap();
        drop(output);
        for input in &inputs {
            let received = input.receive().unwrap();
            assert!(received.block().write().is_err());
            assert!(input.receive().is_none());
            assert_eq!(input.figures(), Figures { delivered: 1, dropped: 0, most_queued: 1 });
        }
    }

    #[test]
    fn takers_that_have_ended_keep_nobody_waiting() {
        for takers in 1..=2 {
            let stages = [stage("a").with_queue(1), stage("b").with_queue(1)];
            let (output, inputs) = link(&stages.iter().take(takers).collect::<Vec<_>>());
            drop(inputs);
            for _ in 0..3 {
                let handed = output.hand_on(published(true));
                assert!(matches!(handed, Ok(()) | Err(NotHandedOn::Gone)), "{handed:?}");
            }
        }
    }
}
