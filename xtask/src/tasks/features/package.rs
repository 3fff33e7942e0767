//! A package's features and their combinations.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result};
use cargo_metadata::Package as CargoPackage;

use super::{graph::Graph, target::Target};

/// Members of the workspace that are never part of a guest; a procedural macro runs in the compiler.
const HOST_ONLY: [&str; 20] = [
    "benches",
    "book-samples",
    "example-service",
    "fuzz",
    "guest-blocks",
    "guest-build",
    "guest-functions",
    "guest-image",
    "guest-prepare",
    "guest-sdk-macros",
    "guest-serve",
    "guest-serve-nats",
    "guest-tenants",
    "host-harness",
    "host-harness-cli",
    "report-charts",
    "test-support",
    "third-party",
    "wasm-guest-host",
    "xtask",
];

/// Features for tests that run on the host, with dependencies that no guest can have.
const HOST_FEATURES: [&str; 2] = ["state-file", "testing"];

/// The features that pick an allocator, of which a guest may have one at most, begin like this.
pub(super) const ALLOCATOR_PREFIX: &str = "alloc-";

/// A package with features.
#[derive(Clone, Debug)]
pub(in super::super) struct Package {
    /// Its name.
    pub(in super::super) name: String,
    /// The features that can be combined at will and change what is compiled.
    free: Vec<String>,
    /// Each of these is given once alone, and otherwise all of them or none: the features of a guest that do nothing but
    /// turn one of another package of the workspace on, where it is combined at will, and the features of a package for
    /// the host alone with which third-party packages are compiled anew.
    grouped: Vec<String>,
    /// The features that change nothing: they enable nothing, and no source file asks for them.
    inert: Vec<String>,
    /// The features of which one at most may be given.
    pub(super) allocators: Vec<String>,
    /// Whether it is one of the guests' workspace.
    pub(super) is_guest: bool,
    /// Whether it is compiled for wasm32 too.
    pub(super) is_for_wasm: bool,
}

impl Package {
    pub(super) fn new(package: &CargoPackage, graph: &Graph, is_guest: bool) -> Result<Self> {
        let name = package.name.to_string();
        let is_for_wasm = is_guest || !HOST_ONLY.contains(&name.as_str());
        let (allocators, others): (Vec<_>, Vec<_>) = package
            .features
            .keys()
            .filter(|feature| *feature != "default")
            .cloned()
            .partition(|feature| feature.starts_with(ALLOCATOR_PREFIX));
        let folder = package.manifest_path.parent().map(|folder| folder.as_std_path().to_owned());
        let mut sources = String::new();
        if let Some(folder) = folder {
            read_sources(&folder, &mut sources)?;
        }
        let (inert, others): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|feature| is_inert(feature, &package.features, &sources));
        let (grouped, free) = others.into_iter().partition(|feature| {
            (is_guest && is_forwarded(feature, &package.features, &sources))
                || (!is_for_wasm && changes_third_party(graph, &name, feature))
        });
        Ok(Self { name, free, grouped, inert, allocators, is_guest, is_for_wasm })
    }

    /// Whether it has no feature: then it has one combination, which clippy of the whole workspace checks.
    pub(super) fn has_one_combination(&self) -> bool {
        [&self.free, &self.grouped, &self.inert, &self.allocators].iter().all(|features| features.is_empty())
    }

    /// The combinations that are compiled for `target`.
    pub(super) fn combinations_for(&self, target: Target) -> Vec<Vec<String>> {
        let is_there = |features: &Vec<String>| match target {
            Target::Host => true,
            Target::Wasm => !features.iter().any(|feature| HOST_FEATURES.contains(&feature.as_str())),
        };
        if target == Target::Wasm && !self.is_for_wasm {
            return Vec::new();
        }
        self.combinations().into_iter().filter(is_there).collect()
    }

    /// Every set of free features, with none of the grouped ones and with all of them, each with no allocator and with
    /// each one; the grouped ones each alone; the inert ones together once.
    pub(super) fn combinations(&self) -> Vec<Vec<String>> {
        let mut sets = subsets(&self.free);
        if !self.grouped.is_empty() {
            let with_all: Vec<_> = sets.iter().map(|set| [set.as_slice(), &self.grouped].concat()).collect();
            sets.extend(with_all);
        }
        let mut all = Vec::new();
        for set in sets {
            all.push(set.clone());
            for allocator in &self.allocators {
                let mut with = set.clone();
                with.push(allocator.clone());
                all.push(with);
            }
        }
        if self.grouped.len() > 1 {
            all.extend(self.grouped.iter().map(|feature| vec![feature.clone()]));
        }
        if !self.inert.is_empty() {
            all.push(self.inert.clone());
        }
        all
    }
}

/// Whether a feature turns third-party packages on, or features of theirs.
fn changes_third_party(graph: &Graph, package: &str, feature: &str) -> bool {
    let with = |features: &[String]| graph.resolve(package, features, Target::Host).third_party;
    with(&[feature.to_owned()]) != with(&[])
}

/// Whether a feature enables nothing, save others like it, and no source file asks for it.
fn is_inert(feature: &str, features: &BTreeMap<String, Vec<String>>, sources: &str) -> bool {
    let enables_nothing =
        features.get(feature).is_some_and(|enabled| enabled.iter().all(|other| is_inert(other, features, sources)));
    enables_nothing && !sources.contains(&format!("\"{feature}\""))
}

/// Whether a feature only turns features of other packages on, and no source file asks for it.
fn is_forwarded(feature: &str, features: &BTreeMap<String, Vec<String>>, sources: &str) -> bool {
    let forwards = features.get(feature).is_some_and(|enabled| enabled.iter().all(|other| other.contains('/')));
    forwards && !sources.contains(&format!("\"{feature}\""))
}

/// Appends all Rust source below `folder`.
fn read_sources(folder: &Path, sources: &mut String) -> Result<()> {
    let context = || format!("reading {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if path.is_dir() {
            if !path.ends_with("target") {
                read_sources(&path, sources)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?);
        }
    }
    Ok(())
}

/// Every subset, the empty one first.
fn subsets(of: &[String]) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    for item in of {
        let with: Vec<_> = all.iter().map(|set| set.iter().chain([item]).cloned().collect()).collect();
        all.extend::<Vec<Vec<String>>>(with);
    }
    all
}

/// Every two of them.
pub(super) fn pairs(of: &[String]) -> Vec<Vec<String>> {
    subsets(of).into_iter().filter(|set| set.len() == 2).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::tasks::features::graph;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// A guest with free features and allocators.
    pub(in super::super) fn guest(name: &str, free: &[&str], allocators: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            free: names(free),
            grouped: Vec::new(),
            inert: Vec::new(),
            allocators: names(allocators),
            is_guest: true,
            is_for_wasm: true,
        }
    }

    #[test]
    fn every_combination_has_one_allocator_at_most() {
        let package = Package {
            grouped: names(&["both", "other"]),
            inert: names(&["old", "older"]),
            ..guest("guest", &["counters", "std"], &["alloc-a", "alloc-b"])
        };
        let all = package.combinations();
        assert_eq!(all.len(), 2 * 4 * 3 + 2 + 1);
        for combination in &all {
            let allocators = combination.iter().filter(|name| name.starts_with("alloc-")).count();
            assert!(allocators <= 1, "{combination:?}");
        }
        assert!(all.contains(&Vec::new()));
        assert!(all.contains(&names(&["counters", "std", "alloc-b"])));
        assert!(all.contains(&names(&["std", "both", "other", "alloc-a"])) && all.contains(&names(&["other"])));
        assert!(!package.has_one_combination() && guest("plain", &[], &[]).has_one_combination());
    }

    #[test]
    fn features_for_the_host_are_not_compiled_for_wasm32() {
        let package = guest("core", &["counters", "testing"], &[]);
        assert_eq!(package.combinations_for(Target::Host).len(), 4);
        assert_eq!(package.combinations_for(Target::Wasm), [Vec::new(), names(&["counters"])]);
    }

    #[test]
    fn a_feature_with_which_third_party_packages_are_compiled_anew_is_known() {
        let graph = graph::tests::graph();
        let changes = |feature| changes_third_party(&graph, "host", feature);
        assert!(changes("async") && changes("trace") && !changes("own"));
    }

    #[test]
    fn a_feature_is_inert_only_where_nothing_depends_on_it() {
        let features: BTreeMap<_, _> = [
            ("asked", names(&[])),
            ("enabling", names(&["dep:some"])),
            ("old", names(&[])),
            ("older", names(&["old"])),
            ("through", names(&["asked"])),
        ]
        .into_iter()
        .map(|(name, enabled)| (name.to_owned(), enabled))
        .collect();
        let inert = |name| is_inert(name, &features, "#[cfg(feature = \"asked\")] fn old() {}");
        assert!(inert("old") && inert("older"));
        assert!(!inert("asked") && !inert("enabling") && !inert("through"));
    }

    #[test]
    fn a_feature_is_forwarded_only_where_it_does_nothing_else() {
        let features: BTreeMap<_, _> = [
            ("asked", names(&["sdk/asked"])),
            ("forwarded", names(&["sdk/forwarded", "sdk/more"])),
            ("own", names(&["sdk/own", "asked"])),
            ("dependency", names(&["dep:sdk"])),
        ]
        .into_iter()
        .map(|(name, enabled)| (name.to_owned(), enabled))
        .collect();
        let forwarded = |name| is_forwarded(name, &features, "#[cfg(feature = \"asked\")] fn old() {}");
        assert!(forwarded("forwarded"));
        assert!(!forwarded("asked") && !forwarded("own") && !forwarded("dependency"));
    }

    #[test]
    fn pairs_are_all_there() {
        assert_eq!(pairs(&names(&["a", "b", "c"])).len(), 3);
        assert_eq!(pairs(&names(&["a"])).len(), 0);
    }
}
