//! Which process owns which partition: what one process does next about it, of what it sees. Nothing here talks to NATS.
//!
//! A process is a member as long as its entry changes. One whose entry stays the same for longer than the time of a lease, by the clock
//! of another process, is removed; only then are its partitions free. Each takes free partitions up to its share, and gives up
//! what it has beyond.

use std::time::Duration;

/// The entries as one process sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Members, this process among them.
    pub members: Vec<Member>,
    /// The owner of each partition, and the revision of the entry that says so; `None` if it never had one.
    pub partitions: Vec<Option<Owner>>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// Revision of its entry.
    pub revision: u64,
    /// How long the entry has been the same, as this process saw it.
    pub unchanged: Duration,
}

/// An owner of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The member; empty if the last one gave it up.
    pub id: String,
    /// Revision of the entry.
    pub revision: u64,
}

/// Steps that a process takes next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steps {
    /// Members to remove, if their entry still has this revision.
    pub remove: Vec<(String, u64)>,
    /// Partitions to take, if their entry still has this revision.
    pub take: Vec<(u32, u64)>,
    /// Partitions to give up.
    pub give: Vec<u32>,
}

/// The part of its surplus that a process gives up at once, as a divisor: others must have time to take.
const GRADUALLY: usize = 4;

/// The next steps of the process `own`, for leases of this time.
#[must_use]
pub fn steps(view: &View, own: &str, lease: Duration) -> Steps {
    let is_dead = |member: &&Member| member.id != own && member.unchanged > lease;
    let remove = view.members.iter().filter(is_dead).map(|member| (member.id.clone(), member.revision)).collect();
    let others = view.members.iter().filter(|member| member.id != own && !is_dead(member)).count();
    let share = view.partitions.len().div_ceil(others + 1);
    let (mut mine, mut free) = (Vec::new(), Vec::new());
    for (partition, owner) in (0..).zip(&view.partitions) {
        match owner {
            None => free.push((partition, 0)),
            Some(owner) if owner.id == own => mine.push(partition),
            Some(owner) if !view.members.iter().any(|member| member.id == owner.id) => {
                free.push((partition, owner.revision))
            }
            Some(_) => {}
        }
    }
    // Each begins elsewhere, so that few try to take the same.
    if !free.is_empty() {
        let first = own.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let length = free.len();
        free.rotate_left(first % length);
    }
    free.truncate(share.saturating_sub(mine.len()));
    let surplus = mine.len().saturating_sub(share);
    let give = mine.split_off(mine.len() - surplus.div_ceil(GRADUALLY));
    Steps { remove, take: free, give }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(3);

    fn member(id: &str, seconds: u64) -> Member {
        Member { id: id.to_owned(), revision: 1, unchanged: Duration::from_secs(seconds) }
    }

    /// The entries, on which processes work one after the other as the server lets them.
    struct Entries {
        view: View,
        revision: u64,
    }

    impl Entries {
        fn new(partitions: usize) -> Self {
            Self { view: View { members: Vec::new(), partitions: vec![None; partitions] }, revision: 1 }
        }

        fn run(&mut self, own: &str, view: &View) {
            let steps = steps(view, own, LEASE);
            self.view.members.retain(|member| !steps.remove.contains(&(member.id.clone(), member.revision)));
            for (partition, revision) in steps.take {
                let entry = &mut self.view.partitions[partition as usize];
                if entry.as_ref().map_or(0, |entry| entry.revision) == revision {
                    self.revision += 1;
                    *entry = Some(Owner { id: own.to_owned(), revision: self.revision });
                }
            }
            for partition in steps.give {
                self.revision += 1;
                self.view.partitions[partition as usize] = Some(Owner { id: String::new(), revision: self.revision });
            }
        }

        /// All members take turns; each acts on what it saw before the others did.
        fn rounds(&mut self, count: usize) {
            for _ in 0..count {
                let view = self.view.clone();
                let alive = |member: &&Member| member.unchanged <= LEASE;
                let ids: Vec<String> = view.members.iter().filter(alive).map(|member| member.id.clone()).collect();
                ids.iter().for_each(|id| self.run(id, &view));
            }
        }

        fn counts(&self) -> Vec<usize> {
            let owned = |id: &str| {
                self.view.partitions.iter().filter(|owner| owner.as_ref().is_some_and(|owner| owner.id == id)).count()
            };
            self.view.members.iter().map(|member| owned(&member.id)).collect()
        }
    }

    #[test]
    fn partitions_are_shared_by_those_who_are_there() {
        for (partitions, members) in [(64, 1), (64, 3), (7, 3), (3, 5), (200, 23)] {
            let mut entries = Entries::new(partitions);
            for number in 0..members {
                entries.view.members.push(member(&format!("member-{number}"), 0));
                entries.rounds(3);
            }
            entries.rounds(60);
            let counts = entries.counts();
            assert_eq!(counts.iter().sum::<usize>(), partitions, "{counts:?}");
            assert!(counts.iter().all(|count| *count <= partitions.div_ceil(members)), "{counts:?}");
            // Then nobody does anything more.
            let before = entries.view.clone();
            entries.rounds(3);
            assert_eq!(entries.view, before);
        }
    }

    #[test]
    fn the_partitions_of_a_member_that_died_are_free_once_it_is_removed() {
        let mut entries = Entries::new(8);
        entries.view.members = vec![member("a", 0), member("b", 0)];
        entries.rounds(10);
        entries.view.members[0].unchanged = LEASE;
        assert_eq!(steps(&entries.view, "b", LEASE), Steps::default(), "it is late, and no more");
        entries.view.members[0].unchanged = LEASE + Duration::from_millis(1);
        let first = steps(&entries.view, "b", LEASE);
        assert_eq!((first.remove, first.take), (vec![("a".to_owned(), 1)], Vec::new()));
        entries.rounds(3);
        assert_eq!((entries.view.members.len(), entries.counts()), (1, vec![8]));
    }

    #[test]
    fn a_surplus_is_given_up_bit_by_bit() {
        let mut entries = Entries::new(64);
        entries.view.members = vec![member("a", 0)];
        entries.rounds(1);
        entries.view.members.push(member("b", 0));
        let give = |entries: &Entries| steps(&entries.view, "a", LEASE).give.len();
        assert_eq!(give(&entries), 8);
        entries.rounds(1);
        assert_eq!(give(&entries), 6);
        entries.rounds(20);
        assert_eq!(entries.counts(), [32, 32]);
    }
}
