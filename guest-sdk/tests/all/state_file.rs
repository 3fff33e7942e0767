//! A test's host begins with the records of a state file.

use std::panic::{AssertUnwindSafe, catch_unwind};

use guest_sdk::testing::{Host, StateFileError, load_state_file};
use guest_sdk::{KeyBuilder, storage};

const STATE: &str = r#"[
  {"storage": "sys.Event", "value": {"Amount": {"$f32": 1.1}}},
  {"storage": "sys.View", "entity": "shop.Months", "key": {"Month": 11}, "value": {"Total": 400}}
]"#;

#[test]
fn extensions_read_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    std::fs::write(&path, STATE).unwrap();
    let outcome = Host::from_state_file(&path).call(|cx| {
        let event = cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?;
        assert_eq!(event.get_f32("Amount")?, 1.1);
        let mut key = KeyBuilder::new(storage::VIEW, "shop.Months");
        key.put_i32("Month", 11);
        let month = cx.get_value(&key)?;
        cx.update_value(&key, &month)?.put_i64("Total", month.get_i64("Total")? + 1);
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(outcome.intents().to_string(), "update sys.View shop.Months {Month: 11}\n  Total: 401");
}

#[test]
fn a_fault_is_told_with_file_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    std::fs::write(&path, STATE.replace("400", "null")).unwrap();
    let place = format!("{}:3:93: record 1 (storage `sys.View`): value at `Total`: null", path.display());

    let error = load_state_file(&path).unwrap_err();
    assert!(matches!(error, StateFileError::Record { line: 3, column: 93, index: 1, .. }), "{error:?}");
    assert!(error.to_string().starts_with(&place), "{error}");

    let panic = catch_unwind(AssertUnwindSafe(|| Host::from_state_file(&path))).unwrap_err();
    assert_eq!(panic.downcast_ref::<String>(), Some(&error.to_string()));

    let missing = load_state_file(&folder.path().join("none.json")).unwrap_err();
    assert!(matches!(missing, StateFileError::Read { .. }), "{missing}");
}
