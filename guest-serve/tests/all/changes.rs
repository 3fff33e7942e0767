//! Any sequence of changes, in the folder and through the catalog, ends in guests that are served as the folder says.

use std::collections::BTreeMap;
use std::fs;

use guest_serve::catalog::{Catalog, Look, Put};
use guest_serve::deployment::Loader;
use guest_serve::folder::{GuestFolder, GuestName};
use guest_serve::monitor::Monitor;
use guest_serve::registry::Registry;
use proptest::prelude::*;

use crate::guests::Guests;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// A part of a guest in the folder: `None` if it is broken.
type Part = Option<usize>;

#[derive(Debug, Clone)]
enum Change {
    /// Files are written: the number that the function returns, and the number of the mount.
    Module(usize, Part),
    Config(usize, Part),
    /// The folder is removed.
    Remove(usize),
    /// Through the catalog.
    PutModule(usize, Part),
    PutConfig(usize, Part),
    Delete(usize),
    /// Looks between two changes, which may not be enough to settle.
    Look,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let guest = || 0..NAMES.len();
    // One in four is broken.
    let part = || prop_oneof![3 => (0..3_usize).prop_map(Some), 1 => Just(None)];
    let change = prop_oneof![
        3 => (guest(), part()).prop_map(|(guest, part)| Change::Module(guest, part)),
        3 => (guest(), part()).prop_map(|(guest, part)| Change::Config(guest, part)),
        1 => guest().prop_map(Change::Remove),
        2 => (guest(), part()).prop_map(|(guest, part)| Change::PutModule(guest, part)),
        2 => (guest(), part()).prop_map(|(guest, part)| Change::PutConfig(guest, part)),
        1 => guest().prop_map(Change::Delete),
        3 => Just(Change::Look),
    ];
    prop::collection::vec(change, 1..25)
}

fn module(part: Part) -> Vec<u8> {
    match part {
        Some(number) => {
            wat::parse_str(format!(r#"(module (func (export "f") (result i64) (i64.const {number})))"#)).unwrap()
        }
        None => b"no module".to_vec(),
    }
}

fn config(part: Part) -> String {
    match part {
        Some(mount) => format!("mount = \"/m{mount}\"\n[[routes]]\npath = \"/f\"\nfunction = \"f\"\n"),
        None => "mount = 1".to_owned(),
    }
}

/// The folder as it should be: config and module of each guest that has one of them.
#[derive(Debug, Default)]
struct Model {
    files: BTreeMap<usize, (Option<Part>, Option<Part>)>,
}

impl Model {
    /// The number and mount of a guest whose files are whole.
    fn whole(&self, guest: usize) -> Option<(usize, usize)> {
        match self.files.get(&guest) {
            Some((Some(Some(mount)), Some(Some(number)))) => Some((*number, *mount)),
            _ => None,
        }
    }

    fn is_guest(&self, guest: usize) -> bool {
        self.files.get(&guest).is_some_and(|(config, _)| config.is_some())
    }
}

struct Served {
    guests: Guests,
    catalog: Catalog,
    registry: Registry,
    model: Model,
}

impl Served {
    fn new() -> Self {
        let guests = Guests::new();
        let (monitor, registry) = (Monitor::default(), Registry::default());
        let loader = Loader::new(test_support::compiled::engine(), monitor.clone());
        let folder = GuestFolder::open(guests.path()).unwrap();
        let catalog = Catalog::new(folder, loader, registry.clone(), monitor);
        Self { guests, catalog, registry, model: Model::default() }
    }

    fn make(&mut self, change: &Change) {
        let name = |guest: usize| -> GuestName { NAMES[guest].parse().unwrap() };
        match *change {
            Change::Module(guest, part) => {
                self.guests.write(NAMES[guest], &format!("{}.wasm", NAMES[guest]), module(part));
                self.model.files.entry(guest).or_default().1 = Some(part);
            }
            Change::Config(guest, part) => {
                self.guests.write(NAMES[guest], "guest.toml", config(part));
                self.model.files.entry(guest).or_default().0 = Some(part);
            }
            Change::Remove(guest) => {
                let _ = fs::remove_dir_all(self.guests.path().join(NAMES[guest]));
                self.model.files.remove(&guest);
            }
            Change::PutModule(guest, part) => {
                let put = self.catalog.put_module(&name(guest), module(part));
                self.check_put(guest, put.is_ok_and(|put| matches!(put, Put::Served(_))), |files| files.1 = Some(part));
            }
            Change::PutConfig(guest, part) => {
                let put = self.catalog.put_config(&name(guest), &config(part));
                self.check_put(guest, put.is_ok_and(|put| matches!(put, Put::Served(_))), |files| files.0 = Some(part));
            }
            Change::Delete(guest) => {
                let was_there = self.model.files.remove(&guest).is_some();
                assert_eq!(self.catalog.remove(&name(guest)).unwrap(), was_there);
            }
            Change::Look => self.catalog.look(Look::Settled),
        }
    }

    /// Takes over what a put wrote: all that it said that it did, and nothing where it failed.
    fn check_put(&mut self, guest: usize, is_served: bool, put: impl FnOnce(&mut (Option<Part>, Option<Part>))) {
        let folder = self.guests.path().join(NAMES[guest]);
        let before = self.model.files.get(&guest).copied().unwrap_or_default();
        let mut after = before;
        put(&mut after);
        let has = |file: &str, contents: Vec<u8>| fs::read(folder.join(file)).ok() == Some(contents);
        let is = |files: (Option<Part>, Option<Part>)| {
            files.0.is_none_or(|part| has("guest.toml", config(part).into_bytes()))
                && files.1.is_none_or(|part| has(&format!("{}.wasm", NAMES[guest]), module(part)))
        };
        assert!(is(after) || is(before), "a part was written that is neither the old nor the new one");
        if is(after) {
            self.model.files.insert(guest, after);
        }
        if is_served {
            assert_eq!(self.served().get(&guest).copied(), self.model.whole(guest), "what was put is served at once");
        }
    }

    /// The number and mount of each guest that is served.
    fn served(&self) -> BTreeMap<usize, (usize, usize)> {
        let table = self.registry.table();
        let of = |guest: usize| {
            let deployment = table.get(&NAMES[guest].parse().unwrap())?;
            let loaded = deployment.loaded().unwrap();
            let number: i64 = loaded.functions[0].typed().unwrap().call(()).unwrap();
            let mount = deployment.config.mount.strip_prefix("/m").unwrap().parse().unwrap();
            Some((guest, (usize::try_from(number).unwrap(), mount)))
        };
        (0..NAMES.len()).filter_map(of).collect()
    }

    /// Checks what must hold when nothing changes any more.
    fn check_settled(&self) {
        let before = self.served();
        (0..4).for_each(|_| self.catalog.look(Look::Settled));
        let served = self.served();
        (0..2).for_each(|_| self.catalog.look(Look::Settled));
        assert_eq!(self.served(), served, "it settled");
        for (guest, name) in NAMES.iter().enumerate() {
            let found = served.get(&guest).copied();
            let error = self.catalog.status(name).and_then(|status| status.error);
            if !self.model.is_guest(guest) {
                assert!(found.is_none() && self.catalog.status(name).is_none(), "{name} is gone");
                continue;
            }
            match self.model.whole(guest) {
                Some(whole) if found == Some(whole) => assert_eq!(error, None, "{name}"),
                Some((_, mount)) => {
                    let has_it = |(other, (_, taken)): (&usize, &(usize, usize))| *other != guest && *taken == mount;
                    assert!(served.iter().any(has_it), "{name} is whole, and its mount is free: {error:?}");
                    assert!(error.is_some_and(|error| error.contains("have the mount")), "{name}");
                    assert!(found.is_none() || found == before.get(&guest).copied(), "{name} keeps its version");
                }
                None => {
                    assert!(error.is_some(), "{name} is broken");
                    assert!(found.is_none() || found == before.get(&guest).copied(), "{name} keeps its version");
                }
            }
        }
        let mut mounts: Vec<_> = served.values().map(|(_, mount)| mount).collect();
        mounts.sort();
        mounts.dedup();
        assert_eq!(mounts.len(), served.len(), "a mount has one guest");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn guests_are_served_as_the_folder_says(changes in changes()) {
        let mut served = Served::new();
        for change in &changes {
            served.make(change);
        }
        served.check_settled();
    }
}
