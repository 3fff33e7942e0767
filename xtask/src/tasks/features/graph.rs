//! Which features of which packages a set of features turns on, as cargo resolves them.
//!
//! Only the packages of the two workspaces are followed; of third-party packages it is noted what is asked of them.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{Dependency, DependencyKind, Package as CargoPackage};

use super::target::Target;

/// The packages of both workspaces, with their features and dependencies.
#[derive(Debug, Default)]
pub(in super::super) struct Graph(BTreeMap<String, Node>);

/// A package.
#[derive(Debug, Default)]
struct Node {
    features: BTreeMap<String, Vec<String>>,
    dependencies: Vec<Edge>,
}

/// A dependency that is compiled with the package: no dev-dependency.
#[derive(Debug)]
struct Edge {
    /// By what name the package's features mention it.
    key: String,
    package: String,
    /// Whether it is a package of one of the workspaces.
    is_local: bool,
    is_optional: bool,
    is_for_wasm: bool,
    features: Vec<String>,
}

/// The features and packages that are on if a package is compiled with some features.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Resolution {
    /// The features of each package of the workspaces that takes part.
    pub(in super::super) local: BTreeMap<String, BTreeSet<String>>,
    /// The third-party packages that take part, and, as `package/feature`, what is asked of them.
    pub(in super::super) third_party: BTreeSet<String>,
}

impl Graph {
    /// The graph of these packages.
    pub(in super::super) fn new<'a>(packages: impl IntoIterator<Item = &'a CargoPackage>) -> Self {
        let node = |package: &CargoPackage| Node {
            features: package.features.clone().into_iter().collect(),
            dependencies: package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind != DependencyKind::Development)
                .map(Edge::new)
                .collect(),
        };
        Self(packages.into_iter().map(|package| (package.name.to_string(), node(package))).collect())
    }

    /// Whether `package` names `other` as a dependency, by its name or by the one that it gives it.
    pub(super) fn depends_on(&self, package: &str, other: &str) -> bool {
        let is_other = |edge: &Edge| edge.key == other || edge.package == other;
        self.0.get(package).is_some_and(|node| node.dependencies.iter().any(is_other))
    }

    /// The features and packages that are on if `package` is compiled for `target` with `features`, without its default ones.
    pub(in super::super) fn resolve(&self, package: &str, features: &[String], target: Target) -> Resolution {
        let mut all = Resolution::default();
        all.local.insert(package.to_owned(), features.iter().cloned().collect());
        let mut optional = BTreeSet::new();
        // Each round adds what the features that are on so far turn on, until nothing is added.
        loop {
            let before = (all.clone(), optional.len());
            for (name, on) in &before.0.local {
                if let Some(node) = self.0.get(name) {
                    self.extend(&mut all, &mut optional, name, node, on, target);
                }
            }
            if (&all, optional.len()) == (&before.0, before.1) {
                return all;
            }
        }
    }

    /// One round for the package `name`, of which the features `on` are on.
    fn extend(
        &self,
        all: &mut Resolution,
        optional: &mut BTreeSet<(String, String)>,
        name: &str,
        node: &Node,
        on: &BTreeSet<String>,
        target: Target,
    ) {
        let mut asked = Vec::new();
        for value in on.iter().filter_map(|feature| node.features.get(feature)).flatten() {
            if let Some(key) = value.strip_prefix("dep:") {
                optional.insert((name.to_owned(), key.to_owned()));
            } else if let Some((key, feature)) = value.split_once('/') {
                let only_where_on = key.strip_suffix('?');
                if only_where_on.is_none() {
                    optional.insert((name.to_owned(), key.to_owned()));
                }
                asked.push((only_where_on.unwrap_or(key), feature));
            } else {
                all.local.entry(name.to_owned()).or_default().insert(value.clone());
            }
        }
        for edge in &node.dependencies {
            let is_on = !edge.is_optional || optional.contains(&(name.to_owned(), edge.key.clone()));
            if !is_on || (target == Target::Wasm && !edge.is_for_wasm) {
                continue;
            }
            let of_features = asked.iter().filter(|(key, _)| *key == edge.key).map(|(_, feature)| *feature);
            let features: Vec<_> = edge.features.iter().map(String::as_str).chain(of_features).collect();
            if edge.is_local {
                let has_default = self.0.get(&edge.package).is_some_and(|node| node.features.contains_key("default"));
                let there = features.into_iter().filter(|feature| *feature != "default" || has_default);
                all.local.entry(edge.package.clone()).or_default().extend(there.map(str::to_owned));
            } else {
                all.third_party.insert(edge.package.clone());
                all.third_party.extend(features.iter().map(|feature| format!("{}/{feature}", edge.package)));
            }
        }
    }
}

impl Edge {
    fn new(dependency: &Dependency) -> Self {
        let mut features = dependency.features.clone();
        if dependency.uses_default_features {
            features.push("default".to_owned());
        }
        // Of conditions on the target the manifests have no others that tell wasm32 from the host.
        let is_for_wasm = dependency
            .target
            .as_ref()
            .is_none_or(|target| !target.to_string().contains("not(target_arch = \"wasm32\")"));
        Self {
            key: dependency.rename.clone().unwrap_or_else(|| dependency.name.clone()),
            package: dependency.name.clone(),
            is_local: dependency.path.is_some(),
            is_optional: dependency.optional,
            is_for_wasm,
            features,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn edge(key: &str, package: &str, is_local: bool, is_optional: bool) -> Edge {
        Edge {
            key: key.to_owned(),
            package: package.to_owned(),
            is_local,
            is_optional,
            is_for_wasm: true,
            features: vec!["default".to_owned()],
        }
    }

    fn node(features: &[(&str, &[&str])], dependencies: Vec<Edge>) -> Node {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Node {
            features: features.iter().map(|(name, enabled)| ((*name).to_owned(), names(enabled))).collect(),
            dependencies,
        }
    }

    /// A guest, its SDK with an optional allocator, and an engine that only a host package uses.
    pub(in super::super) fn graph() -> Graph {
        let sdk = [
            ("default", &["std"][..]),
            ("std", &[]),
            ("alloc-a", &["dep:allocator"]),
            ("counters", &["allocator?/counters"]),
        ];
        let guest = [("alloc-a", &["sdk/alloc-a"][..]), ("counters", &["sdk/counters"])];
        let host = [("async", &["engine/async"][..]), ("trace", &["dep:trace"]), ("own", &[])];
        Graph(
            [
                ("allocator", node(&[("counters", &[])], Vec::new())),
                ("sdk", node(&sdk, vec![edge("allocator", "allocator", true, true)])),
                ("guest", node(&guest, vec![edge("sdk", "sdk", true, false)])),
                ("other", node(&guest, vec![edge("sdk", "sdk", true, false)])),
                (
                    "host",
                    node(&host, vec![edge("engine", "engine", false, false), edge("trace", "tracing", false, true)]),
                ),
            ]
            .into_iter()
            .map(|(name, node)| (name.to_owned(), node))
            .collect(),
        )
    }

    fn on(resolution: &Resolution, package: &str) -> Option<Vec<String>> {
        resolution.local.get(package).map(|on| on.iter().cloned().collect())
    }

    #[test]
    fn features_are_followed_through_packages() {
        let graph = graph();
        let both = graph.resolve("guest", &["alloc-a".to_owned(), "counters".to_owned()], Target::Wasm);
        let sdk = ["alloc-a", "counters", "default", "std"].map(str::to_owned).to_vec();
        assert_eq!(on(&both, "sdk"), Some(sdk));
        assert_eq!(on(&both, "allocator"), Some(vec!["counters".to_owned()]));
        let weak = graph.resolve("guest", &["counters".to_owned()], Target::Wasm);
        assert_eq!(on(&weak, "allocator"), None, "`?` turns no dependency on");
    }

    #[test]
    fn third_party_packages_are_noted_with_what_is_asked_of_them() {
        let all = graph().resolve("host", &["async".to_owned(), "trace".to_owned()], Target::Host);
        let asked: Vec<_> = all.third_party.iter().map(String::as_str).collect();
        assert_eq!(asked, ["engine", "engine/async", "engine/default", "tracing", "tracing/default"]);
    }
}
