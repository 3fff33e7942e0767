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
