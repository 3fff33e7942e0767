//! Names of subjects, streams, buckets and keys.
//!
//! | name | holds |
//! |---|---|
//! | subject `PREFIX.in.GUEST.TENANT` | where clients publish events |
//! | subject `PREFIX.call.GUEST.TENANT.FUNCTION` | where clients ask for a call of a function |
//! | stream `PREFIX-events`, subjects `PREFIX.events.PARTITION.GUEST.TENANT` | events that were not applied yet |
//! | stream `PREFIX-out`, subjects `PREFIX.out.GUEST.TENANT` and `PREFIX.failed.GUEST.TENANT` | what programs write, and events that failed |
//! | bucket `PREFIX-tenants`, keys `GUEST.TENANT` | the record of each tenant |
//! | bucket `PREFIX-owners`, keys `member.ID` and `partition.NUMBER` | processes, and which of them owns a partition; `version.GUEST.HASH` numbers the versions of a guest; `events` says when the stream was made |
//! | consumer `pPARTITION-eEPOCH` of the stream of events | the events of a partition, for one term of ownership |

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use guest_host::text::printable_within;
use guest_serve::folder::GuestName;

use crate::error::NatsError;

/// Bytes of a prefix, at most.
const LONGEST_PREFIX: usize = 32;

/// Bytes of the key of a tenant, at most.
const LONGEST_KEY: usize = 128;

/// Where the subjects and streams of one group of processes begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(Arc<str>);

impl FromStr for Prefix {
    type Err = NatsError;

    fn from_str(text: &str) -> Result<Self, NatsError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        match begins && text.len() <= LONGEST_PREFIX && text.bytes().all(allowed) {
            true => Ok(Self(text.into())),
            false => Err(NatsError::Prefix(printable_within(text, LONGEST_PREFIX).into_owned())),
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Prefix {
    /// The stream of events.
    #[must_use]
    pub fn events(&self) -> String {
        format!("{self}-events")
    }

    /// The stream of outputs and of events that failed.
    #[must_use]
    pub fn outputs(&self) -> String {
        format!("{self}-out")
    }

    /// The bucket of tenants.
    #[must_use]
    pub fn tenants(&self) -> String {
        format!("{self}-tenants")
    }

    /// The bucket of processes and partitions.
    #[must_use]
    pub fn owners(&self) -> String {
        format!("{self}-owners")
    }

    /// The subjects on which events are published, as a pattern.
    #[must_use]
    pub fn inputs(&self) -> String {
        format!("{self}.in.*.*")
    }

    /// The subject under which the server stores an event: it computes the partition of guest and tenant.
    #[must_use]
    pub fn partitioned(&self, partitions: u32) -> String {
        format!("{self}.events.{{{{partition({partitions},1,2)}}}}.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}")
    }

    /// The number of partitions in [`Prefix::partitioned`].
    #[must_use]
    pub fn partitions_of(&self, destination: &str) -> Option<u32> {
        let number = destination.strip_prefix(&format!("{self}.events.{{{{partition("))?.split(',').next()?;
        let partitions = number.parse().ok()?;
        (partitions > 0 && destination == self.partitioned(partitions)).then_some(partitions)
    }

    /// The subjects of a partition's events, as a pattern.
    #[must_use]
    pub fn partition(&self, partition: u32) -> String {
        format!("{self}.events.{partition}.*.*")
    }

    /// The subject on which events of a tenant are published.
    #[must_use]
    pub fn input(&self, tenant: &Tenant) -> String {
        format!("{self}.in.{}", tenant.token())
    }

    /// The subject of what a tenant's program writes.
    #[must_use]
    pub fn output(&self, tenant: &Tenant) -> String {
        format!("{self}.out.{}", tenant.token())
    }

    /// The subject of a tenant's events that failed.
    #[must_use]
    pub fn failed(&self, tenant: &Tenant) -> String {
        format!("{self}.failed.{}", tenant.token())
    }

    /// The subjects of requests for functions, as a pattern.
    #[must_use]
    pub fn calls(&self) -> String {
        format!("{self}.call.*.*.*")
    }

    /// The tenant and the function that the subject of a request names.
    #[must_use]
    pub fn call_of<'s>(&self, subject: &'s str) -> Option<(Tenant, &'s str)> {
        let words = subject.strip_prefix(&*self.0)?.strip_prefix(".call.")?;
        let (guest, rest) = words.split_once('.')?;
        let (key, function) = rest.split_once('.')?;
        Some((Tenant::new(guest.parse().ok()?, key).ok()?, function))
    }

    /// The guest and the tenant that an event's subject names; `Err` has both words where no tenant can have the name.
    ///
    /// # Errors
    /// The words of the subject.
    pub fn tenant_of<'s>(&self, subject: &'s str) -> Result<Tenant, &'s str> {
        let words = subject.strip_prefix(&*self.0).and_then(|rest| rest.strip_prefix(".events."));
        let words = words.and_then(|rest| rest.split_once('.')).map_or(subject, |(_, words)| words);
        let (guest, key) = words.split_once('.').ok_or(words)?;
        Tenant::new(guest.parse().map_err(|_| words)?, key).map_err(|_| words)
    }
}

/// A tenant of a guest. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant {
    guest: GuestName,
    /// `GUEST.TENANT`.
    token: Arc<str>,
}

impl Tenant {
    /// The tenant of a guest with a key.
    ///
    /// # Errors
    /// [`NatsError::TenantKey`] if no subject or no key of a bucket can have the key.
    pub fn new(guest: GuestName, key: &str) -> Result<Self, NatsError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte);
        match (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(allowed) {
            true => Ok(Self { token: format!("{guest}.{key}").into(), guest }),
            false => Err(NatsError::TenantKey(printable_within(key, LONGEST_KEY).into_owned())),
        }
    }

    /// The guest.
    #[must_use]
    pub fn guest(&self) -> &GuestName {
        &self.guest
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.token[self.guest.as_str().len() + 1..]
    }

    /// `GUEST.TENANT`, as subjects and keys have it.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// A consumer of a partition, for one term of ownership.
#[must_use]
pub fn consumer(partition: u32, epoch: u64) -> String {
    format!("p{partition}-e{epoch}")
}

/// The term of which a consumer of a partition is, by its name.
#[must_use]
pub fn epoch_of(partition: u32, name: &str) -> Option<u64> {
    name.strip_prefix(&format!("p{partition}-e"))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let prefix: Prefix = "serve".parse().unwrap();
        assert_eq!(prefix.tenant_of("serve.events.7.chat.blue").unwrap().token(), "chat.blue");
        for (subject, words) in [
            ("serve.events.7.Chat.blue", "Chat.blue"),
            ("serve.events.7.chat.bl/ue", "chat.bl/ue"),
            ("serve.events.7", "serve.events.7"),
            ("other.events.7.chat.blue", "other.events.7.chat.blue"),
        ] {
            assert_eq!(prefix.tenant_of(subject).unwrap_err(), words);
        }
        let (tenant, function) = prefix.call_of("serve.call.numbers.blue.gcd").unwrap();
        assert_eq!((tenant.guest().as_str(), tenant.key(), function), ("numbers", "blue", "gcd"));
        assert_eq!([prefix.call_of("serve.call.numbers.blue"), prefix.call_of("serve.call.A.blue.gcd")], [None, None]);
        assert!(Tenant::new("chat".parse().unwrap(), &"x".repeat(128)).is_ok());
        for key in ["", "a.b", "a b", "*", ">", "ä", &"x".repeat(129)] {
            assert!(matches!(Tenant::new("chat".parse().unwrap(), key), Err(NatsError::TenantKey(_))), "{key}");
        }
        for wrong in ["", "a.b", "Serve", "1a", &"x".repeat(33)] {
            assert!(matches!(wrong.parse::<Prefix>(), Err(NatsError::Prefix(_))), "{wrong}");
        }
    }

    #[test]
    fn the_number_of_partitions_is_read_from_the_stream() {
        let prefix: Prefix = "serve".parse().unwrap();
        assert_eq!(prefix.partitioned(64), "serve.events.{{partition(64,1,2)}}.{{wildcard(1)}}.{{wildcard(2)}}");
        assert_eq!(prefix.partitions_of(&prefix.partitioned(64)), Some(64));
        for other in ["serve.events.{{partition(0,1,2)}}.{{wildcard(1)}}.{{wildcard(2)}}", "serve.events.>", ""] {
            assert_eq!(prefix.partitions_of(other), None);
        }
        assert_eq!(epoch_of(7, &consumer(7, 12)), Some(12));
        assert_eq!([epoch_of(7, "p70-e12"), epoch_of(7, "p7-e"), epoch_of(7, "other")], [None; 3]);
    }
}
