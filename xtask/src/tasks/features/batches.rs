//! Combinations of features of different packages, put together where one command checks them all.

use super::{
    graph::{Graph, Resolution},
    package::Package,
    target::Target,
};

/// Packages that are compiled by one command, each with features of its own.
///
/// No package gets a feature that it, or one that it depends on, would not have had alone.
#[derive(Debug)]
pub(super) struct Batch {
    /// Each package's name with its features.
    pub(super) members: Vec<(String, Vec<String>)>,
    together: Resolution,
}

impl Batch {
    /// One package alone.
    pub(super) fn of_one(name: &str, features: Vec<String>) -> Self {
        Self { members: vec![(name.to_owned(), features)], together: Resolution::default() }
    }

    /// Whether the packages that both have in common have the same features in both, and cargo applies each member's
    /// features to that member alone: it takes `one/feature` also for the dependency `one` of another selected package, and
    /// turns that dependency on.
    fn takes(&self, graph: &Graph, name: &str, features: &[String], alone: &Resolution) -> bool {
        let is_equal = |(package, on)| self.together.local.get(package).is_none_or(|there| there == on);
        let is_apart = |(member, with): &(String, Vec<String>)| {
            member != name
                && (with.is_empty() || !graph.depends_on(name, member))
                && (features.is_empty() || !graph.depends_on(member, name))
        };
        self.members.iter().all(is_apart) && alone.local.iter().all(is_equal)
    }

    fn add(&mut self, name: &str, features: Vec<String>, alone: Resolution) {
        self.members.push((name.to_owned(), features));
        self.together.local.extend(alone.local);
    }

    /// The value of `--features`: each feature with its package.
    pub(super) fn features(&self) -> String {
        let of = |(name, features): &(String, Vec<String>)| {
            features.iter().map(|feature| format!("{name}/{feature}")).collect::<Vec<_>>()
        };
        self.members.iter().flat_map(of).collect::<Vec<_>>().join(",")
    }

    /// Its first member, and how many more there are.
    pub(super) fn describe(&self) -> String {
        let first = self.members.first().map(|(name, features)| {
            let with = if features.is_empty() { "none".to_owned() } else { features.join(",") };
            format!("{name} with {with}")
        });
        let more = match self.members.len() {
            0 | 1 => String::new(),
            count => format!(", and {} more", count - 1),
        };
        first.unwrap_or_default() + &more
    }
}

/// All combinations of these packages for `target`, in as few batches as can be had by taking each first fit.
pub(super) fn batches<'a>(
    graph: &Graph,
    packages: impl IntoIterator<Item = &'a Package>,
    target: Target,
) -> Vec<Batch> {
    let mut all: Vec<Batch> = Vec::new();
    for package in packages {
        for features in package.combinations_for(target) {
            let alone = graph.resolve(&package.name, &features, target);
            match all.iter_mut().find(|batch| batch.takes(graph, &package.name, &features, &alone)) {
                Some(batch) => batch.add(&package.name, features, alone),
                None => {
                    all.push(Batch { members: vec![(package.name.clone(), features)], together: alone });
                }
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::features::{graph, package::tests::guest};

    #[test]
    fn packages_share_a_command_only_where_none_gets_more_than_alone() {
        let graph = graph::tests::graph();
        let packages = [guest("guest", &["counters"], &["alloc-a"]), guest("other", &[], &["alloc-a"])];
        let batches = batches(&graph, &packages, Target::Host);
        let all: Vec<_> = batches.iter().map(|batch| (batch.describe(), batch.features())).collect();
        let expected = [
            ("guest with none, and 1 more", ""),
            ("guest with alloc-a, and 1 more", "guest/alloc-a,other/alloc-a"),
            ("guest with counters", "guest/counters"),
            ("guest with counters,alloc-a", "guest/counters,guest/alloc-a"),
        ];
        assert_eq!(all, expected.map(|(told, features)| (told.to_owned(), features.to_owned())));
    }

    #[test]
    fn a_package_with_features_shares_no_command_with_one_that_depends_on_it() {
        let graph = graph::tests::graph();
        let packages = [guest("allocator", &["counters"], &[]), guest("sdk", &["std"], &[])];
        let told: Vec<_> = batches(&graph, &packages, Target::Host).iter().map(Batch::describe).collect();
        // `allocator/counters` would turn the SDK's allocator on.
        assert_eq!(told, ["allocator with none, and 1 more", "allocator with counters", "sdk with std"]);
    }
}
