//! Guests that are loaded and put into the registry.

use std::sync::Arc;

use guest_serve::deployment::{Deployment, Loader};
use guest_serve::error::ServeError;
use guest_serve::folder::{GuestFolder, GuestName};
use guest_serve::monitor::Monitor;
use guest_serve::registry::Registry;

use crate::guests::{GCD, GCD_ROUTE, Guests};

fn loader() -> Loader {
    Loader::new(test_support::compiled::engine(), Monitor::default())
}

fn name(text: &str) -> GuestName {
    text.parse().unwrap()
}

fn load(loader: &Loader, guests: &Guests, guest: &str) -> Result<Arc<Deployment>, ServeError> {
    let folder = GuestFolder::open(guests.path())?;
    Deployment::load(loader, folder.read(&name(guest), &folder.secrets()?)?)
}

#[test]
fn a_guest_is_found_by_its_mount_and_replaced_under_readers() {
    let guests = Guests::new();
    for guest in ["numbers", "others"] {
        guests.put(guest, GCD_ROUTE, GCD);
    }
    guests.put("root", &format!("mount = \"/\"\n{GCD_ROUTE}"), GCD);
    guests.put("inner", &format!("mount = \"/numbers/inner\"\n{GCD_ROUTE}"), GCD);
    let (loader, registry) = (loader(), Registry::default());
    let mut reader = registry.reader();
    assert!(reader.table().find("/numbers/gcd").is_none());
    for guest in ["numbers", "inner", "others"] {
        assert!(registry.replace(load(&loader, &guests, guest).unwrap()).unwrap().is_none());
    }
    let mut found = |path: &'static str| {
        reader.table().find(path).map(|(found, rest)| (found.name.to_string(), found.version, rest))
    };
    assert_eq!(found("/numbers/gcd"), Some(("numbers".to_owned(), 1, "/gcd")));
    assert_eq!(found("/numbers"), Some(("numbers".to_owned(), 1, "")));
    assert_eq!(found("/numbers/"), Some(("numbers".to_owned(), 1, "/")));
    assert_eq!(found("/numbers/inner/x"), Some(("inner".to_owned(), 2, "/x")));
    assert_eq!(found("/numbers/inner2"), Some(("numbers".to_owned(), 1, "/inner2")));
    assert_eq!((found("/numbersx"), found("/"), found(""), found("x")), (None, None, None, None));
    let first = registry.table();
    registry.replace(load(&loader, &guests, "root").unwrap()).unwrap();
    assert_eq!(found("/numbersx"), Some(("root".to_owned(), 4, "/numbersx")));
    let old = registry.replace(load(&loader, &guests, "numbers").unwrap()).unwrap().unwrap();
    assert_eq!((old.version, found("/numbers/gcd").unwrap().1), (1, 5));
    let loaded = old.loaded().unwrap();
    assert_eq!(
        loaded.functions[0].typed().unwrap().call::<_, i64>((48_i64, 18_i64)).unwrap(),
        6,
        "calls go on with it"
    );
    assert_eq!(first.get(&name("numbers")).unwrap().version, 1, "a table that somebody has does not change");
    assert_eq!(registry.remove(&name("numbers")).unwrap().version, 5);
    assert_eq!(found("/numbers/gcd").unwrap().0, "root");
    assert!(registry.remove(&name("numbers")).is_none());
}

#[test]
fn functions_of_a_foreign_module_are_declared() {
    let foreign = r#"(module (memory (export "memory") 1)
        (func (export "malloc") (param i32) (result i32) (i32.const 1024))
        (func (export "length") (param i32 i32) (result i64) (i64.extend_i32_u (local.get 1))))"#;
    let route = "[[routes]]\npath = \"/length\"\nfunction = \"length\"\n";
    let declared = |result: &str| format!("declare = [\"length(text: string) -> {result}\"]\n{route}");
    let guests = Guests::new();
    let loader = loader();
    guests.put("bytes", route, foreign);
    guests.put("texts", &declared("i64"), foreign);
    guests.put("wrong", &declared("f64"), foreign);
    // All have one module: code is shared where the functions are the same alone.
    let bytes = load(&loader, &guests, "bytes").unwrap();
    let texts = load(&loader, &guests, "texts").unwrap();
    let function = |deployment: &Deployment| deployment.loaded().unwrap().functions[0].typed().unwrap().clone();
    assert_eq!(function(&bytes).call::<_, i64>((0, 7)).unwrap(), 7);
    assert_eq!(function(&texts).call::<_, i64>(("four",)).unwrap(), 4);
    let error = load(&loader, &guests, "wrong").unwrap_err().to_string();
    assert!(error.starts_with("wrong/guest.toml:1:12: `length(text: string) -> f64`: "), "{error}");
}

#[test]
fn two_guests_cannot_have_one_mount() {
    let guests = Guests::new();
    for guest in ["one", "two"] {
        guests.put(guest, &format!("mount = \"/same\"\n{GCD_ROUTE}"), GCD);
    }
    let (loader, registry) = (loader(), Registry::default());
    registry.replace(load(&loader, &guests, "one").unwrap()).unwrap();
    let error = registry.replace(load(&loader, &guests, "two").unwrap()).unwrap_err().to_string();
    assert_eq!(
        error,
        "the guests `two` and `one` have the mount /same, and `one` is served there; give `two` another `mount`"
    );
    // A guest may move, and its old mount is free.
    guests.put("one", &format!("mount = \"/moved\"\n{GCD_ROUTE}"), GCD);
    registry.replace(load(&loader, &guests, "one").unwrap()).unwrap();
    registry.replace(load(&loader, &guests, "two").unwrap()).unwrap();
}

#[test]
fn guests_with_the_same_module_share_its_code() {
    let guests = Guests::new();
    guests.put("one", GCD_ROUTE, GCD);
    guests.put("two", &format!("{GCD_ROUTE}[limits]\nmemory = \"1MiB\"\ndeadline = \"7ms\"\n"), GCD);
    let loader = loader();
    let [one, two] = ["one", "two"].map(|guest| load(&loader, &guests, guest).unwrap());
    assert_eq!(one.hash, two.hash);
    assert!(std::ptr::eq(one.loaded().unwrap().module.guest().info(), two.loaded().unwrap().module.guest().info()));
    let limits = |deployment: &Deployment| {
        let module = &deployment.loaded().unwrap().module;
        let instance = &module.config().instance;
        (module.name().to_owned(), instance.memory_limit, instance.deadline.unwrap().as_millis())
    };
    assert_eq!((limits(&one), limits(&two)), (("one".to_owned(), 16 << 20, 50), ("two".to_owned(), 1 << 20, 7)));
}
