//! What tenants write, on its way into the stream of outputs: each once, and in order.
//!
//! A message says which message of its subject it follows. If that is not the last one, another process has published since, and the
//! last message tells how far: what it is ahead of is left out. So it does not matter how long a process was away.

use async_nats::HeaderMap;
use async_nats::header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID};
use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::stream::{DirectGetErrorKind, Stream};

use crate::error::Unavailable;
use crate::names::{Prefix, Tenant};
use crate::record::{Body, Chain, Output, Place};

/// Header of a message that tells the kind of a failure.
pub const KIND: &str = "Serve-Error-Kind";

/// Header of a message that tells why an event failed.
pub const MESSAGE: &str = "Serve-Error";

/// Header of a message that tells the sequence of its event.
pub const EVENT: &str = "Serve-Event";

/// Characters of an error in a header.
const LONGEST: usize = 1000;

/// Publishes outputs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outputs {
    context: Context,
    stream: Stream,
    prefix: Prefix,
}

/// The id of an output, which no other message has.
#[must_use]
pub fn id_of(tenant: &Tenant, place: Place) -> String {
    format!("{}.{}.{}", tenant.token(), place.event, place.index)
}

/// The place of the output that has an id.
#[must_use]
pub fn place_of(tenant: &Tenant, id: &str) -> Option<Place> {
    let (event, index) = id.strip_prefix(tenant.token())?.strip_prefix('.')?.split_once('.')?;
    Some(Place { event: event.parse().ok()?, index: index.parse().ok()? })
}

impl Outputs {
    /// Outputs go into this stream.
    #[must_use]
    pub const fn new(context: Context, stream: Stream, prefix: Prefix) -> Self {
        Self { context, stream, prefix }
    }

    /// Publishes outputs of a tenant, in order, but for those that are published. `chain` is what the record says, or a later one.
    ///
    /// # Errors
    /// [`Unavailable`]; some may be published then.
    pub async fn publish(&self, tenant: &Tenant, outputs: &[Output], chain: &mut Chain) -> Result<(), Unavailable> {
        for output in outputs {
            let (subject, last) = match &output.body {
                Body::Written(_) => (self.prefix.output(tenant), &mut chain.written),
                Body::Failed { .. } => (self.prefix.failed(tenant), &mut chain.failed),
            };
            while !self.publish_one(tenant, &subject, output, last).await? {}
        }
        Ok(())
    }

    /// Publishes an output, if it is not. Says whether it is; otherwise its place in the chain is known now.
    async fn publish_one(
        &self,
        tenant: &Tenant,
        subject: &str,
        output: &Output,
        last: &mut u64,
    ) -> Result<bool, Unavailable> {
        let (headers, payload) = message(tenant, output, *last);
        let published = self.context.publish_with_headers(subject.to_owned(), headers, payload.into()).await;
        let acknowledged = match published {
            Ok(waiting) => waiting.await,
            Err(error) => Err(error),
        };
        match acknowledged {
            // Of a duplicate, it is the first one's: there may be later ones, and the next output finds out.
            Ok(ack) => {
                *last = ack.sequence;
                Ok(true)
            }
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => {
                let (sequence, place) = self.last(tenant, subject).await?;
                *last = sequence;
                Ok(place.is_some_and(|place| place >= output.place))
            }
            Err(error) => Err(Unavailable::of(error)),
        }
    }

    /// The sequence of a subject's last message, and the place of its output; 0 if there is none.
    async fn last(&self, tenant: &Tenant, subject: &str) -> Result<(u64, Option<Place>), Unavailable> {
        match self.stream.direct_get_last_for_subject(subject).await {
            Ok(message) => {
                let id = message.headers.get(NATS_MESSAGE_ID).map(|id| id.as_str().to_owned());
                Ok((message.sequence, id.and_then(|id| place_of(tenant, &id))))
            }
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok((0, None)),
            Err(error) => Err(Unavailable::of(error)),
        }
    }

    /// Publishes an event that belongs to no tenant among those that failed. Its words are those of its subject.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn refuse(
        &self,
        words: &str,
        sequence: u64,
        kind: &str,
        reason: &str,
        event: Vec<u8>,
    ) -> Result<(), Unavailable> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, format!("{words}.{sequence}.0").as_str());
        put_failure(&mut headers, sequence, kind, reason);
        let subject = format!("{}.failed.{words}", self.prefix);
        let published = self.context.publish_with_headers(subject, headers, event.into()).await;
        published.map_err(Unavailable::of)?.await.map_err(Unavailable::of)?;
        Ok(())
    }
}

fn message(tenant: &Tenant, output: &Output, follows: u64) -> (HeaderMap, Vec<u8>) {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, id_of(tenant, output.place).as_str());
    headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, follows.to_string().as_str());
    match &output.body {
        Body::Written(bytes) => {
            headers.insert(EVENT, output.place.event.to_string().as_str());
            (headers, bytes.clone())
        }
        Body::Failed { kind, message, event } => {
            put_failure(&mut headers, output.place.event, kind, message);
            (headers, event.clone())
        }
    }
}

fn put_failure(headers: &mut HeaderMap, sequence: u64, kind: &str, reason: &str) {
    headers.insert(EVENT, sequence.to_string().as_str());
    put_error(headers, kind, reason);
}

/// Puts an error into headers.
pub(crate) fn put_error(headers: &mut HeaderMap, kind: &str, reason: &str) {
    headers.insert(KIND, kind);
    // A header is one line.
    headers.insert(MESSAGE, &*guest_host::text::printable_within(reason, LONGEST));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_the_place() {
        let tenant = Tenant::new("chat".parse().unwrap(), "blue").unwrap();
        let place = Place { event: 12, index: 3 };
        assert_eq!(id_of(&tenant, place), "chat.blue.12.3");
        assert_eq!(place_of(&tenant, "chat.blue.12.3"), Some(place));
        for other in ["chat.blue.12", "chat.blue.x.3", "chat.red.12.3", ""] {
            assert_eq!(place_of(&tenant, other), None, "{other}");
        }
        assert!(Place { event: 11, index: 9 } < place && place < Place { event: 12, index: 4 });
    }
}
