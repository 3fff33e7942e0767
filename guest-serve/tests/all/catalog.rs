//! Guests that are deployed from a folder, and changed in it or through the catalog.

use std::fs;
use std::sync::Arc;

use guest_serve::catalog::{Catalog, Look, Put};
use guest_serve::deployment::{Deployment, Loader};
use guest_serve::folder::{GuestFolder, GuestName};
use guest_serve::monitor::ring::RingReader;
use guest_serve::monitor::{Monitor, Writer};
use guest_serve::registry::Registry;
use serde_json::Value;

use crate::guests::{GCD, GCD_ROUTE, Guests};

/// A catalog over a folder of guests, with its events.
struct Served {
    guests: Guests,
    catalog: Catalog,
    writer: Writer,
}

impl Served {
    /// After a first look.
    fn new(guests: Guests) -> Self {
        let folder = GuestFolder::open(guests.path()).unwrap();
        let (monitor, writer) = Monitor::start(&folder.own(), 1 << 20).unwrap();
        let loader = Loader::new(test_support::compiled::engine(), monitor.clone());
        let catalog = Catalog::new(folder, loader, Registry::default(), monitor);
        catalog.look(Look::AtOnce);
        Self { guests, catalog, writer }
    }

    /// Looks as often as it takes for a change to be settled.
    fn look(&self) {
        self.catalog.look(Look::Settled);
        self.catalog.look(Look::Settled);
    }

    fn deployment(&self, name: &str) -> Option<Arc<Deployment>> {
        self.catalog.status(name).and_then(|status| status.deployment)
    }

    fn version(&self, name: &str) -> Option<u64> {
        self.deployment(name).map(|deployment| deployment.version)
    }

    fn error(&self, name: &str) -> String {
        self.catalog.status(name).and_then(|status| status.error).unwrap_or_default()
    }

    fn gcd(&self, name: &str) -> i64 {
        let loaded = self.deployment(name).unwrap().loaded().unwrap();
        loaded.functions[0].typed().unwrap().call((48_i64, 18_i64)).unwrap()
    }

    /// The events so far, each as its kind and guest. It ends the monitor.
    fn events(self) -> Vec<String> {
        let own = self.catalog.folder().own();
        self.writer.close();
        let text = RingReader::new(&Writer::events(&own)).read().unwrap();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events
            .map(|event| format!("{} {}", event["event"].as_str().unwrap(), event["guest"].as_str().unwrap()))
            .collect()
    }
}

fn name(text: &str) -> GuestName {
    text.parse().unwrap()
}

/// As [`GCD`], with another result.
const SEVEN: &str = r#"(module (func (export "gcd") (param i64 i64) (result i64) (i64.const 7)))"#;

#[test]
fn guests_are_deployed_changed_and_removed_by_their_folders() {
    let guests = Guests::new();
    guests.put("one", GCD_ROUTE, GCD);
    guests.put("two", GCD_ROUTE, GCD);
    fs::create_dir(guests.path().join("no-guest")).unwrap();
    let served = Served::new(guests);
    let names: Vec<_> = served.catalog.statuses().into_iter().map(|status| status.name).collect();
    assert_eq!(names, ["one", "two"]);
    served.look();
    assert_eq!((served.version("one"), served.version("two")), (Some(1), Some(2)), "nothing changed");
    served.guests.put("one", GCD_ROUTE, SEVEN);
    served.catalog.look(Look::Settled);
    assert_eq!((served.version("one"), served.gcd("one")), (Some(1), 6), "it may still be written");
    served.catalog.look(Look::Settled);
    assert_eq!((served.version("one"), served.gcd("one"), served.version("two")), (Some(3), 7, Some(2)));
    // The same contents in new files are the same version.
    served.guests.put("one", GCD_ROUTE, SEVEN);
    served.look();
    assert_eq!(served.version("one"), Some(3));
    served.guests.put("three", GCD_ROUTE, GCD);
    fs::remove_dir_all(served.guests.path().join("two")).unwrap();
    served.catalog.look(Look::Settled);
    assert!(served.version("two").is_some(), "it may be on its way to another folder");
    served.catalog.look(Look::Settled);
    assert_eq!(served.version("two"), None);
    assert!(served.catalog.status("two").is_none() && served.version("three").is_some());
    assert_eq!(served.events(), ["deployed one", "deployed two", "deployed one", "deployed three", "removed two"]);
}

#[test]
fn a_bad_version_keeps_the_old_one_and_a_bad_guest_the_others() {
    let guests = Guests::new();
    guests.put("good", GCD_ROUTE, GCD);
    guests.put("Bad", GCD_ROUTE, GCD);
    guests.write("bad", "guest.toml", "mount = 1");
    guests.put("worse", GCD_ROUTE, GCD);
    guests.write("worse", "worse.wasm", "no module");
    let served = Served::new(guests);
    assert_eq!(served.gcd("good"), 6);
    assert_eq!(served.error("bad"), "bad/guest.toml:1:9: `mount` must be a string, not a number");
    assert!(served.error("worse").starts_with("worse/worse.wasm: "), "{}", served.error("worse"));
    assert!(served.error("Bad").starts_with("`Bad` is not a guest's name"), "{}", served.error("Bad"));

    let fault = format!("{GCD_ROUTE}[limits]\nmemory = \"lots\"\n");
    for (config, wat, error) in [
        (fault.as_str(), GCD, "good/guest.toml:5:10: `memory`: `lots` is not a size"),
        (
            &GCD_ROUTE.replace("\"gcd\"", "\"gdc\""),
            GCD,
            "good/guest.toml:3:12: the module `good` has no function `gdc`; there is `gcd`",
        ),
        (GCD_ROUTE, "(module)", "good/guest.toml:3:12: the module `good` has no function `gcd`; there is none"),
        (GCD_ROUTE, r#"(module (import "a" "b" (func)))"#, "good/good.wasm: "),
        (
            GCD_ROUTE,
            r#"(module (memory 500) (export "memory" (memory 0)) (func (export "gcd") (param i64) (result i64) local.get 0))"#,
            "good/good.wasm: ",
        ),
        (
            "module = \"none.wasm\"\nstatic = \"x\"",
            GCD,
            "good/guest.toml:1:10: there is no module good/none.wasm; put it there, or name another by `module`",
        ),
        ("static = \"public\"", GCD, "good/guest.toml:1:10: there is no folder "),
        (
            "static = \"public\"\nsecrets = [\"A\"]",
            GCD,
            "good/guest.toml:2:12: there is no secret `A`: secrets.toml has none",
        ),
    ] {
        served.guests.put("good", config, wat);
        served.look();
        let found = served.error("good");
        assert!(found.starts_with(error), "{found}\n{error}");
        assert_eq!((served.version("good"), served.gcd("good")), (Some(1), 6), "{error}");
    }
    // A fault that is mended has an event, also if no new version is served.
    served.guests.put("good", GCD_ROUTE, GCD);
    served.look();
    assert_eq!((served.error("good"), served.version("good")), (String::new(), Some(1)));
    served.look();
    served.guests.put("good", GCD_ROUTE, SEVEN);
    served.look();
    assert_eq!((served.error("good"), served.gcd("good")), (String::new(), 7));
    let events = served.events();
    assert_eq!(events.iter().filter(|event| *event == "failed good").count(), 9, "{events:?}");
    assert_eq!(events.iter().filter(|event| *event == "failed bad").count(), 1, "an error is told once: {events:?}");
}

#[cfg(unix)]
#[test]
fn a_guest_that_cannot_be_read_is_none_that_is_not_there() {
    use std::os::unix::fs::symlink;

    let guests = Guests::new();
    guests.put("good", &format!("static = \"public\"\n{GCD_ROUTE}"), GCD);
    guests.write("good", "public/file", "x");
    guests.write("other", "file", "no guest");
    let served = Served::new(guests);
    let folder = served.guests.path();
    assert_eq!((served.version("good"), served.error("good").as_str()), (Some(1), ""));
    // Each fault replaces the one before.
    for file in ["first", "second"] {
        symlink("/etc/passwd", folder.join("good/public").join(file)).unwrap();
        served.look();
        assert!(served.error("good").contains(file), "{}", served.error("good"));
        fs::remove_file(folder.join("good/public").join(file)).unwrap();
    }
    // The system does not say what is there, as it does not where a folder may not be read.
    let config = folder.join("good/guest.toml");
    fs::remove_file(&config).unwrap();
    symlink("guest.toml", &config).unwrap();
    served.look();
    assert!(served.error("good").contains("cannot read"), "{}", served.error("good"));
    assert_eq!((served.version("good"), served.gcd("good")), (Some(1), 6));
    assert!(served.catalog.status("other").is_none());
    assert_eq!(served.events(), ["deployed good", "failed good", "failed good", "failed good"]);
}

#[test]
fn the_first_guest_of_a_mount_keeps_it_and_the_other_gets_it_once_it_is_free() {
    let same = format!("mount = \"/same\"\n{GCD_ROUTE}");
    let guests = Guests::new();
    guests.put("b", &same, GCD);
    guests.put("c", &same, SEVEN);
    let served = Served::new(guests);
    assert_eq!((served.gcd("b"), served.version("c")), (6, None));
    assert_eq!(
        served.error("c"),
        "the guests `c` and `b` have the mount /same, and `b` is served there; give `c` another `mount`"
    );
    // Also an earlier name takes nothing away from a guest that is served.
    served.guests.put("a", &same, GCD);
    served.look();
    assert!(served.version("a").is_none() && served.error("a").contains("`a` and `b`"), "{}", served.error("a"));
    served.guests.put("b", GCD_ROUTE, GCD);
    served.look();
    assert_eq!((served.gcd("b"), served.gcd("a"), served.error("a")), (6, 6, String::new()));
    assert!(served.version("c").is_none());
}

#[test]
fn static_files_and_secrets_make_new_versions() {
    let guests = Guests::new();
    guests.put("site", "static = \"public\"", GCD);
    guests.write("site", "public/index.html", "one");
    let served = Served::new(guests);
    let index = || {
        let deployment = served.deployment("site").unwrap();
        let found = deployment.files.respond(&hyper::Method::GET, "/site", "/", &hyper::HeaderMap::new());
        String::from_utf8(found.unwrap().into_body().to_vec()).unwrap()
    };
    assert_eq!(index(), "one");
    served.guests.write("site", "public/index.html", "two");
    served.look();
    assert_eq!((index(), served.version("site")), ("two".to_owned(), Some(2)));

    served.guests.write("site", "guest.toml", "static = \"public\"\nsecrets = [\"KEY\"]");
    served.look();
    assert!(served.error("site").contains("there is no secret `KEY`"), "{}", served.error("site"));
    let secrets = served.guests.path().join("secrets.toml");
    fs::write(&secrets, "[site]\nKEY = 1\n").unwrap();
    served.look();
    assert!(served.error("site").contains("they cannot be read: "), "{}", served.error("site"));
    fs::write(&secrets, "[site]\nKEY = \"k\"\n").unwrap();
    served.look();
    assert_eq!((served.error("site"), served.version("site")), (String::new(), Some(3)));
    let value = || served.deployment("site").unwrap().config.secret_values.get("KEY").map(str::to_owned);
    assert_eq!(value().as_deref(), Some("k"));
    // One that the guest does not name makes no version.
    fs::write(&secrets, "[site]\nKEY = \"k\"\nOTHER = \"o\"\n").unwrap();
    served.look();
    assert_eq!(served.version("site"), Some(3));
    fs::write(&secrets, "[site]\nKEY = \"new\"\nOTHER = \"o\"\n").unwrap();
    served.look();
    assert_eq!((value().as_deref(), served.error("site")), (Some("new"), String::new()));
}

#[test]
fn parts_of_guests_are_put_and_only_what_can_be_served_is_written() {
    let served = Served::new(Guests::new());
    let (catalog, one) = (&served.catalog, name("one"));
    let wasm = |wat: &str| wat::parse_str(wat).unwrap();
    let file = |file: &str| fs::read(served.guests.path().join("one").join(file)).ok();
    assert!(matches!(catalog.put_module(&one, wasm(GCD)), Ok(Put::Lacks(file)) if file == "guest.toml"));
    assert!(catalog.put_config(&one, "x").is_err() && file("guest.toml").is_none());
    let Ok(Put::Served(first)) = catalog.put_config(&one, GCD_ROUTE) else { panic!("it is complete") };
    assert_eq!((served.gcd("one"), served.version("one")), (6, Some(first.version)));
    // The folder has what is served: a look changes nothing.
    served.look();
    assert_eq!(served.version("one"), Some(first.version));
    assert!(catalog.put_module(&one, b"no module".to_vec()).is_err());
    assert!(catalog.put_module(&one, wasm("(module)")).is_err());
    assert_eq!(file("one.wasm"), Some(wasm(GCD)));
    assert!(matches!(catalog.put_module(&one, wasm(SEVEN)), Ok(Put::Served(_))));
    assert_eq!((served.gcd("one"), file("one.wasm")), (7, Some(wasm(SEVEN))));

    let two = name("two");
    let config = format!("module = \"build/x.wasm\"\nmount = \"/one\"\n{GCD_ROUTE}");
    assert!(matches!(catalog.put_config(&two, &config), Ok(Put::Lacks(file)) if file == "build/x.wasm"));
    let error = catalog.put_module(&two, wasm(GCD)).unwrap_err().to_string();
    assert!(error.contains("`two` and `one` have the mount /one"), "{error}");
    let module = served.guests.path().join("two/build/x.wasm");
    assert!(!module.exists(), "a guest that cannot be served is not written");
    assert!(catalog.remove(&one).unwrap() && !catalog.remove(&one).unwrap());
    assert!(matches!(catalog.put_module(&two, wasm(GCD)), Ok(Put::Served(_))));
    assert!(module.exists() && served.catalog.status("one").is_none());
    let removed = served.guests.path().join(".serve/removed/one");
    assert!(removed.join("one.wasm").exists());
    assert!(fs::read_dir(served.guests.path().join("two")).unwrap().count() == 2, "no file is left over");
    served.look();
    assert_eq!(served.events(), ["deployed one", "deployed one", "removed one", "deployed two"]);
}
