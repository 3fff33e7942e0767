//! The entries of processes and partitions, as this process saw them last.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use async_nats::jetstream::kv::{Entry, Operation};

use crate::placement::{Member, Owner, View};

/// Where the key of a member's entry begins.
const MEMBER: &str = "member.";

/// Where the key of a partition's entry begins.
const PARTITION: &str = "partition.";

/// The key of a member's entry.
#[must_use]
pub fn member_key(id: &str) -> String {
    format!("{MEMBER}{id}")
}

/// The key of a partition's entry.
#[must_use]
pub fn partition_key(partition: u32) -> String {
    format!("{PARTITION}{partition}")
}

/// The entries, as this process saw them last.
#[derive(Debug, Default)]
pub struct Entries {
    members: HashMap<String, Seen>,
    partitions: HashMap<u32, Seen>,
}

#[derive(Debug)]
struct Seen {
    revision: u64,
    /// When it was seen first.
    since: Instant,
    /// The owner of a partition; of a member, empty. `None` if it was removed.
    value: Option<String>,
}

impl Entries {
    /// Takes note of an entry that was read.
    pub fn read(&mut self, entry: &Entry) {
        let value = (entry.operation == Operation::Put).then(|| String::from_utf8_lossy(&entry.value).into_owned());
        self.note(&entry.key, entry.revision, value, Instant::now());
    }

    /// Takes note of a partition's entry that this process wrote. Those of members are read alone: with its own, it has seen all that
    /// were written before.
    pub fn wrote(&mut self, key: &str, revision: u64, value: &str) {
        if key.starts_with(PARTITION) {
            self.note(key, revision, Some(value.to_owned()), Instant::now());
        }
    }

    /// Takes note that there is no such entry.
    pub fn forget(&mut self, key: &str) {
        if let Some(id) = key.strip_prefix(MEMBER) {
            self.members.remove(id);
        } else if let Some(partition) = key.strip_prefix(PARTITION).and_then(|number| number.parse().ok()) {
            self.partitions.remove(&partition);
        }
    }

    fn note(&mut self, key: &str, revision: u64, value: Option<String>, since: Instant) {
        let seen = Seen { revision, since, value };
        let is_newer = |old: Option<&Seen>| old.is_none_or(|old| old.revision < revision);
        if let Some(id) = key.strip_prefix(MEMBER) {
            if is_newer(self.members.get(id)) {
                self.members.insert(id.to_owned(), seen);
            }
        } else if let Some(partition) = key.strip_prefix(PARTITION).and_then(|number| number.parse().ok())
            && is_newer(self.partitions.get(&partition))
        {
            self.partitions.insert(partition, seen);
        }
    }

    /// Counts the time of all entries from now on: while this process saw no changes, there may have been some.
    pub fn begin_again(&mut self) {
        let now = Instant::now();
        self.members.values_mut().for_each(|seen| seen.since = now);
    }

    /// The present members and owners.
    #[must_use]
    pub fn view(&self, partitions: u32, now: Instant) -> View {
        let members = self.members.iter().filter(|(_, seen)| seen.value.is_some());
        let members = members.map(|(id, seen)| Member {
            id: id.clone(),
            revision: seen.revision,
            unchanged: now.saturating_duration_since(seen.since),
        });
        let owner = |partition| {
            let seen = self.partitions.get(&partition)?;
            Some(Owner { id: seen.value.clone().unwrap_or_default(), revision: seen.revision })
        };
        View { members: members.collect(), partitions: (0..partitions).map(owner).collect() }
    }

    /// The revision of a partition's entry, if this member owns it.
    #[must_use]
    pub fn owned(&self, partition: u32, id: &str) -> Option<u64> {
        let seen = self.partitions.get(&partition)?;
        (seen.value.as_deref() == Some(id)).then_some(seen.revision)
    }

    /// Members that were removed longer ago than `time`.
    #[must_use]
    pub fn removed_before(&self, time: Duration, now: Instant) -> Vec<String> {
        let is_old = |seen: &Seen| seen.value.is_none() && now.saturating_duration_since(seen.since) > time;
        self.members.iter().filter(|(_, seen)| is_old(seen)).map(|(id, _)| id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_each_entry_counts() {
        let begun = Instant::now();
        let mut entries = Entries::default();
        entries.note("member.a", 5, Some("host".to_owned()), begun);
        entries.note("member.a", 4, None, begun + Duration::from_secs(1));
        entries.note("partition.1", 6, Some("a".to_owned()), begun);
        entries.note("other", 7, Some("a".to_owned()), begun);
        entries.note("partition.x", 8, Some("a".to_owned()), begun);
        let view = entries.view(2, begun + Duration::from_secs(9));
        assert_eq!(view.members, [Member { id: "a".to_owned(), revision: 5, unchanged: Duration::from_secs(9) }]);
        assert_eq!(view.partitions, [None, Some(Owner { id: "a".to_owned(), revision: 6 })]);
        assert_eq!((entries.owned(1, "a"), entries.owned(1, "b"), entries.owned(0, "a")), (Some(6), None, None));
        entries.wrote("partition.1", 9, "");
        entries.note("member.a", 10, None, begun);
        assert!(entries.view(2, begun).members.is_empty() && entries.owned(1, "a").is_none());
        let second = Duration::from_secs(1);
        assert_eq!(entries.removed_before(second, begun + second), Vec::<String>::new());
        assert_eq!(entries.removed_before(second, begun + second * 2), ["a"]);
        entries.forget("member.a");
        entries.forget("partition.1");
        assert_eq!(entries.view(2, begun), View { members: Vec::new(), partitions: vec![None, None] });
        // Its own entry counts once this process has read it.
        entries.wrote("member.a", 11, "host");
        assert!(entries.view(2, begun).members.is_empty());
    }
}
