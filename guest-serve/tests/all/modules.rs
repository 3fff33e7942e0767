//! Modules that are loaded when a call needs them, and dropped when others do.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use guest_host::{Engine, EngineConfig};
use guest_serve::catalog::{Catalog, Look};
use guest_serve::deployment::{Deployment, Loader, ModuleBudget};
use guest_serve::folder::GuestFolder;
use guest_serve::monitor::Monitor;
use guest_serve::registry::Registry;

use crate::client::Client;
use crate::guests::Guests;
use crate::process::Server;

const ROUTE: &str = "[[routes]]\npath = \"/number\"\nfunction = \"number\"\n";

const NAMES: [&str; 3] = ["one", "three", "two"];

/// A module that differs from others in a number.
fn module(number: usize) -> String {
    format!(r#"(module (func (export "number") (result i64) (i64.const {number})))"#)
}

fn put_all(guests: &Guests) {
    for (number, name) in NAMES.iter().enumerate() {
        guests.put(name, ROUTE, &module(number));
    }
}

/// A catalog whose loader keeps one module, and that has looked at the folder.
fn look_at(path: &Path) -> Catalog {
    let (engine, monitor) = (Engine::new(&EngineConfig::default()).unwrap(), Monitor::default());
    let folder = GuestFolder::open(path).unwrap();
    let budget = ModuleBudget::default().with_modules(1);
    let loader = Loader::open(engine, monitor.clone(), budget, folder.own().join("modules")).unwrap();
    let catalog = Catalog::new(folder, loader, Registry::default(), monitor);
    catalog.look(Look::AtOnce);
    catalog
}

fn deployment(catalog: &Catalog, name: &str) -> Arc<Deployment> {
    catalog.status(name).and_then(|status| status.deployment).unwrap()
}

fn call(catalog: &Catalog, name: &str) -> i64 {
    deployment(catalog, name).loaded().unwrap().functions[0].typed().unwrap().call(()).unwrap()
}

/// Names of the files of copies, by their endings.
fn copies(guests: &Guests, ending: &str) -> usize {
    let files = fs::read_dir(guests.path().join(".serve/modules")).unwrap();
    files.filter(|file| file.as_ref().unwrap().file_name().to_str().unwrap().ends_with(ending)).count()
}

#[test]
fn modules_are_loaded_again_for_calls_and_not_checked_again_at_the_next_start() {
    let guests = Guests::new();
    put_all(&guests);
    let catalog = look_at(guests.path());
    let usage = catalog.loader().modules();
    assert_eq!((usage.loads, usage.loaded), (3, 1), "each is checked, and the last one stays");
    assert!(deployment(&catalog, "one").loaded_now().is_none());
    for round in 0..2 {
        for (number, name) in NAMES.iter().enumerate() {
            assert_eq!(call(&catalog, name), i64::try_from(number).unwrap(), "{round}");
        }
    }
    assert_eq!(catalog.loader().modules().loads, 9);
    // One that somebody has is not loaded twice.
    let held = deployment(&catalog, "one").loaded().unwrap();
    call(&catalog, "two");
    assert!(!held.is_kept());
    assert!(Arc::ptr_eq(&held, &deployment(&catalog, "one").loaded().unwrap()) && held.is_kept());
    drop(catalog);

    let again = look_at(guests.path());
    assert_eq!(again.loader().modules().loads, 0, "all were checked");
    assert_eq!(call(&again, "two"), 2);
    // With another configuration it is checked once more.
    guests.write("two", "guest.toml", format!("{ROUTE}[limits]\nmemory = \"1MiB\"\n"));
    again.look(Look::AtOnce);
    assert_eq!(again.loader().modules().loads, 2);
    guests.write("two", "guest.toml", "[[routes]]\npath = \"/number\"\nfunction = \"other\"\n");
    again.look(Look::AtOnce);
    assert!(again.status("two").unwrap().error.unwrap().contains("`other`"));
}

#[test]
fn a_version_is_served_whatever_became_of_its_file() {
    let guests = Guests::new();
    put_all(&guests);
    let catalog = look_at(guests.path());
    assert!(deployment(&catalog, "one").loaded_now().is_none());
    guests.write("one", "one.wasm", b"no module");
    catalog.look(Look::AtOnce);
    assert!(catalog.status("one").unwrap().error.is_some());
    assert_eq!(call(&catalog, "one"), 0, "the last good version");
    // A copy and its mark go when nobody can need them any more.
    assert_eq!((copies(&guests, ".wasm"), copies(&guests, ".checked")), (4, 3));
    catalog.loader().sweep();
    assert_eq!((copies(&guests, ".wasm"), copies(&guests, ".checked")), (3, 3));
    fs::remove_dir_all(guests.path().join("two")).unwrap();
    catalog.look(Look::AtOnce);
    catalog.loader().sweep();
    assert_eq!((copies(&guests, ".wasm"), copies(&guests, ".checked")), (2, 2));
}

#[test]
fn requests_to_more_guests_than_modules_fit_memory_are_all_answered() {
    let guests = Guests::new();
    put_all(&guests);
    let server = Server::start(guests.path(), &["--threads=1", "--module-memory=1B", "--wait=50s"]);
    let mut client = Client::new(server.address);
    for round in 0..3 {
        for (number, name) in NAMES.iter().enumerate() {
            let answer = client.post(&format!("/{name}/number"), "[]");
            assert_eq!((answer.status, answer.text().trim()), (200, number.to_string().as_str()), "{round}");
        }
    }
}
