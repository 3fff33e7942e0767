//! The file after errors of the disk, and what is written beside images.

use guest_host::guest_image::{Delta, Identity};

use super::*;

#[test]
fn a_file_that_an_error_has_closed_is_opened_again_and_has_what_was_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = RedbStore::open(&folder.path().join("tenants.redb"), 1 << 20).unwrap();
    let identity = Arc::new(Identity::of([0; 32], b"", &[0; 65_536], &[]));
    let image = |number| Image { number, delta: Delta::pristine(Arc::clone(&identity), 65_536) };
    store.set_note("ada", b"one".to_vec());
    store.commit(&[("ada", &image(1))]).unwrap();
    store.set_note("ada", b"two".to_vec());
    let failed = store.shared.with(|_| -> Result<(), redb::Error> { Err(redb::Error::PreviousIo) });
    assert!(failed.is_err() && store.shared.database.read().unwrap().is_none());
    // A note that was not written is still set.
    assert_eq!((store.note("ada").unwrap(), store.opened()), (b"two".to_vec(), 1));
    assert_eq!(store.clone().note("ada").unwrap(), b"one");
    assert_eq!((store.load("ada").unwrap(), store.opened()), (Some(image(1)), 2));
    store.save(&[("ada", &image(2))]).unwrap();
    assert_eq!(store.clone().note("ada").unwrap(), b"two");
}

#[test]
fn an_error_of_a_file_that_was_opened_again_meanwhile_does_not_close_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&folder.path().join("tenants.redb"), 1 << 20).unwrap();
    let close = |opened| store.shared.close(&mut store.shared.database.write().unwrap(), opened);
    close(1);
    assert!(!store.is_open());
    store.shared.open_again().unwrap();
    // A thread that met the error at the same time, and comes later.
    close(1);
    assert!(store.is_open());
    close(2);
    assert!(!store.is_open());
}

#[test]
fn a_reader_that_does_not_open_the_file_neither_waits_nor_repairs_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&folder.path().join("tenants.redb"), 1 << 20).unwrap();
    let reader = store.reader().without_opening();
    assert_eq!((reader.usage("a").unwrap().tenants, reader.list("a/", None, 1).unwrap().len()), (0, 0));
    let is_closed = |result: Result<(), RedbStoreError>| matches!(result, Err(RedbStoreError::Redb(error)) if matches!(*error, redb::Error::PreviousIo));
    {
        // Another thread opens it.
        let _opening = store.shared.database.write().unwrap();
        assert!(is_closed(reader.usage("a").map(drop)) && is_closed(reader.list("a/", None, 1).map(drop)));
    }
    assert!(reader.usage("a").is_ok());
    assert!(is_closed(reader.read(|_| Err(redb::Error::PreviousIo))) && !store.is_open());
    assert!(is_closed(reader.usage("a").map(drop)) && is_closed(reader.read(|_| Ok(()))));
    assert_eq!((store.opened(), store.is_open()), (1, false));
    assert!(store.reader().usage("a").is_ok() && reader.usage("a").is_ok());
    assert_eq!((store.opened(), store.is_open()), (2, true));
}

#[test]
fn what_is_written_beside_images_is_kept_with_them_or_not_at_all() {
    const COUNTS: TableDefinition<'_, &str, u64> = TableDefinition::new("counts");
    let folder = tempfile::tempdir().unwrap();
    let mut store = RedbStore::open(&folder.path().join("tenants.redb"), 1 << 20).unwrap();
    let identity = Arc::new(Identity::of([0; 32], b"", &[0; 65_536], &[]));
    let image = |number| Image { number, delta: Delta::pristine(Arc::clone(&identity), 65_536) };
    let count = |transaction: &WriteTransaction, count| {
        transaction.open_table(COUNTS)?.insert("ada", count)?;
        Ok(())
    };
    store.save_with(&[("ada", &image(1))], |transaction| count(transaction, 1)).unwrap();
    let refused = store.commit_with(&[("ada", &image(2))], |transaction| {
        count(transaction, 2)?;
        Err(redb::Error::Corrupted("no".to_owned()))
    });
    assert!(refused.is_err());
    let read = |reader: &RedbReader| {
        reader.read(|transaction| Ok(transaction.open_table(COUNTS)?.get("ada")?.unwrap().value())).unwrap()
    };
    let reader = store.reader();
    assert_eq!((store.load("ada").unwrap(), read(&reader), reader.opened()), (Some(image(1)), 1, 1));
    store.commit_with(&[("ada", &image(2))], |transaction| count(transaction, 2)).unwrap();
    assert_eq!((store.load("ada").unwrap(), read(&reader)), (Some(image(2)), 2));
}

#[test]
fn images_of_a_file_without_counts_are_counted_when_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenants.redb");
    let database = Database::builder().create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    for (tenant, bytes) in [("a/1", 10), ("a/2", 20), ("b/1", 5)] {
        transaction.open_table(IMAGES).unwrap().insert(tenant, vec![0; bytes].as_slice()).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    let store = RedbStore::open(&path, 1 << 20).unwrap();
    let reader = store.reader();
    let usage = |group| reader.usage(group).map(|usage| (usage.tenants, usage.bytes)).unwrap();
    assert_eq!((usage("a"), usage("b"), usage("c")), ((2, 30), (1, 5), (0, 0)));
    assert_eq!(reader.list("a/", None, 10).unwrap()[1].number, None, "it is no image");
}
