//! Tenants in a file of redb.

use guest_tenants::{RedbStore, Store as _, TenantError, Tenants};

use super::{call, config, engine, program};

#[test]
fn tenants_are_there_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenants.redb");
    let engine = engine();
    let program = program(&engine, "one");
    for round in 1..=2 {
        let store = RedbStore::open(&path, 1 << 20).unwrap();
        // There is room for few of them.
        let mut tenants = Tenants::new(config(2, 3000), store);
        for tenant in 0..100 {
            let added =
                tenants.call(&format!("tenant {tenant}"), &program, |instance| call(instance, "add", 0, tenant));
            match added {
                Ok(value) => assert_eq!(value, round * tenant),
                Err(error) => assert!(tenant == 0 && matches!(error, TenantError::Failed(_)), "{error}"),
            }
        }
        let status = tenants.status();
        assert!(status.asleep_bytes <= 3000 && status.asleep < 10, "{status:?}");
        assert!(status.saved >= 80 && (round == 1) == (status.loaded == 0), "{status:?}");
        tenants.save_all().unwrap();
        tenants.store_mut().sync().unwrap();
        assert_eq!(tenants.store_mut().len().unwrap(), 100);
    }
    let mut store = RedbStore::open(&path, 1 << 20).unwrap();
    assert_eq!(store.load("tenant 7").unwrap().unwrap().number, 2);
    store.remove("tenant 7").unwrap();
    assert!(store.load("tenant 7").unwrap().is_none());
}

#[test]
fn a_file_that_is_open_elsewhere_or_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenants.redb");
    let store = RedbStore::open(&path, 1 << 20).unwrap();
    assert!(RedbStore::open(&path, 1 << 20).is_err());
    drop(store);
    let other = folder.path().join("text");
    std::fs::write(&other, "text ".repeat(2000)).unwrap();
    assert!(RedbStore::open(&other, 1 << 20).is_err());
    assert!(std::fs::read_to_string(&other).unwrap().starts_with("text text"));
}

#[test]
fn groups_are_counted_listed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenants.redb");
    let engine = engine();
    let program = program(&engine, "one");
    let mut tenants = Tenants::new(config(1, 1 << 20), RedbStore::open(&path, 1 << 20).unwrap());
    for tenant in ["b/1", "b/2", "b/3", "a/1", "c/1", "b", "b0/1"] {
        tenants.call(tenant, &program, |instance| call(instance, "add", 0, 1)).unwrap();
    }
    let bytes = tenants.find("b/1").unwrap().bytes;
    tenants.save_all().unwrap();
    let store = tenants.store_mut();
    let usage = |store: &RedbStore, group: &str| {
        let usage = store.reader().usage(group).unwrap();
        (usage.tenants, usage.bytes)
    };
    // The name `b` alone is of the group `b`, too, and not below it.
    assert_eq!((usage(store, "b"), usage(store, "a"), usage(store, "d")), ((4, 4 * bytes), (1, bytes), (0, 0)));
    let names = |store: &RedbStore, after: Option<&str>, most| -> Vec<String> {
        store.reader().list("b/", after, most).unwrap().into_iter().map(|listed| listed.tenant).collect()
    };
    assert_eq!(names(store, None, 2), ["b/1", "b/2"]);
    assert_eq!(names(store, Some("b/2"), 2), ["b/3"]);
    assert_eq!(names(store, Some("a"), 1), ["b/1"]);
    assert_eq!(store.reader().list("b/", None, 1).unwrap()[0].bytes, bytes);
    store.set_note("b/1", vec![1]);
    store.sync().unwrap();
    store.remove("b/2").unwrap();
    assert_eq!(usage(store, "b"), (3, 3 * bytes));
    // More than one transaction takes.
    let image = store.load("b/1").unwrap().unwrap();
    let many: Vec<String> = (0..2500).map(|number| format!("b/many {number}")).collect();
    let images: Vec<(&str, &guest_tenants::Image)> = many.iter().map(|name| (name.as_str(), &image)).collect();
    store.save(&images).unwrap();
    assert_eq!(store.remove_all("b/").unwrap(), 2502);
    assert_eq!((usage(store, "b"), usage(store, "a"), usage(store, "b0")), ((1, bytes), (1, bytes), (1, bytes)));
    assert_eq!(store.note("b/1").unwrap(), b"");
    drop(tenants);
    assert_eq!(usage(&RedbStore::open(&path, 1 << 20).unwrap(), "c"), (1, bytes));
}
