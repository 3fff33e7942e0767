//! The events of a partition, in the order of the stream and without a gap, from the oldest that was not acknowledged.
//!
//! Order is what makes a record's last sequence say that all earlier events were applied. A consumer that has delivered events to
//! somebody delivers later ones first, and those again after a while. So each feed has a consumer of its own, which begins with
//! everything that was not acknowledged; and a feed in which an event is missing, or comes again, ends.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{ErrorCode, Message, stream::ConsumerErrorKind};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};

use crate::error::Unavailable;
use crate::names::{Prefix, consumer, epoch_of};

/// Events that are taken at once, at most.
pub const TOGETHER: usize = 256;

/// Bytes of these events, at most, but for the last; and of those that NATS has sent beside.
const BYTES: usize = 2 << 20;

/// Events that were delivered and not acknowledged: any number. Those of tenants that wait are among them, and must not keep those of
/// others away; what is under way is bounded by the pulls.
const PENDING: i64 = -1;

/// After which time an event is delivered again. The feed ends then, so it is long.
const REDELIVERY: Duration = Duration::from_secs(60);

/// How often the server says that the consumer still exists.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// The events of a partition.
pub struct Feed {
    messages: pull::Stream,
    order: Order,
}

/// Why there are no more events.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// Another process has the events: it became the owner later.
    #[error("another process has the events of the partition")]
    Lost,
    /// An event is missing, or came again: the next feed has it.
    #[error("an event is missing, or came again")]
    Gap,
    /// NATS did not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Feed {
    /// The events of a partition, for the term of ownership that began with `epoch`. Feeds of earlier terms end.
    ///
    /// # Errors
    /// [`FeedError`].
    pub async fn open(stream: &Stream, prefix: &Prefix, partition: u32, epoch: u64) -> Result<Self, FeedError> {
        let own = consumer(partition, epoch);
        // A new one begins with everything that was not acknowledged.
        delete(stream, &own).await?;
        let config = pull::Config {
            durable_name: Some(own),
            filter_subject: prefix.partition(partition),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: REDELIVERY,
            max_ack_pending: PENDING,
            ..pull::Config::default()
        };
        let consumer = match stream.create_consumer(config.clone()).await {
            Ok(consumer) => consumer,
            // The server lets no two consumers have the same events.
            Err(error) if is(&error.kind(), ErrorCode::CONSUMER_WQ_CONSUMER_NOT_UNIQUE) => {
                delete_earlier(stream, partition, epoch).await?;
                stream.create_consumer(config).await.map_err(Unavailable::of)?
            }
            Err(error) => return Err(Unavailable::of(error).into()),
        };
        let messages = consumer.stream().max_messages_per_batch(TOGETHER).max_bytes_per_batch(BYTES);
        let messages = messages.heartbeat(HEARTBEAT).messages();
        Ok(Self { messages: messages.await.map_err(Unavailable::of)?, order: Order::default() })
    }

    /// Waits for events, and takes those that have come.
    ///
    /// # Errors
    /// [`FeedError`]; the feed has ended then.
    pub async fn next(&mut self) -> Result<Vec<Message>, FeedError> {
        let first = self.messages.next().await;
        let mut batch = vec![self.check(first)?];
        let mut bytes = batch[0].message.length;
        while batch.len() < TOGETHER
            && bytes < BYTES
            && let Some(next) = self.messages.next().now_or_never()
        {
            // A fault comes again, when these have been applied.
            let Ok(message) = self.check(next) else {
                self.order.is_broken = true;
                break;
            };
            bytes += message.message.length;
            batch.push(message);
        }
        Ok(batch)
    }

    fn check(&mut self, next: Option<Result<Message, pull::MessagesError>>) -> Result<Message, FeedError> {
        let message = match next {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(Unavailable::of(error).into()),
            None => return Err(FeedError::Gap),
        };
        let is_next = message.info().is_ok_and(|info| self.order.is_next(info.consumer_sequence, info.delivered));
        if is_next { Ok(message) } else { Err(FeedError::Gap) }
    }
}

/// Ends the feeds of earlier terms.
async fn delete_earlier(stream: &Stream, partition: u32, epoch: u64) -> Result<(), FeedError> {
    let mut names = stream.consumer_names();
    while let Some(name) = names.try_next().await.map_err(Unavailable::of)? {
        match epoch_of(partition, &name) {
            Some(other) if other > epoch => return Err(FeedError::Lost),
            Some(_) => delete(stream, &name).await?,
            None => {}
        }
    }
    Ok(())
}

/// Deletes a consumer, if it exists.
async fn delete(stream: &Stream, name: &str) -> Result<(), Unavailable> {
    match stream.delete_consumer(name).await {
        Err(error) if !is(&error.kind(), ErrorCode::CONSUMER_NOT_FOUND) => Err(Unavailable::of(error)),
        _ => Ok(()),
    }
}

/// The order of deliveries: a consumer counts them.
#[derive(Debug, Default)]
struct Order {
    last: u64,
    is_broken: bool,
}

impl Order {
    /// Whether a delivery is the one after the last, and the first of its event. None is behind one that is not.
    fn is_next(&mut self, delivery: u64, times: i64) -> bool {
        self.is_broken |= delivery != self.last + 1 || times != 1;
        self.last = delivery;
        !self.is_broken
    }
}

fn is(kind: &ConsumerErrorKind, code: ErrorCode) -> bool {
    matches!(kind, ConsumerErrorKind::JetStream(error) if error.error_code() == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_are_taken_in_order_and_once() {
        let run = |deliveries: &[(u64, i64)]| {
            let mut order = Order::default();
            deliveries.iter().filter(|(delivery, times)| order.is_next(*delivery, *times)).count()
        };
        assert_eq!(run(&[(1, 1), (2, 1), (3, 1)]), 3);
        assert_eq!(run(&[(1, 1), (3, 1), (4, 1)]), 1, "one is missing, and nothing behind it is taken");
        assert_eq!(run(&[(2, 1), (3, 1)]), 0, "the first is missing");
        assert_eq!(run(&[(1, 1), (2, 2), (3, 1)]), 1, "one comes again");
        assert_eq!(run(&[(1, 1), (2, 1), (2, 1)]), 2);
    }
}
