//! Intents as the text that snapshots keep.

use guest_sdk_exttinygo::testing::Host;
use guest_sdk_exttinygo::{KeyBuilder, storage};

#[test]
fn intents_have_the_form_of_the_native_contract() {
    let outcome = Host::default().call(|cx| {
        let mut key = KeyBuilder::new(storage::VIEW, "shop.Months");
        key.put_i32("Year", 2026).put_i64("Month", -11);
        cx.new_value(&key)?.put_f32("Part", 0.5).put_i32("Total", 400).put_bytes("Hash", &[1, 2]);
        cx.new_value(&KeyBuilder::new(storage::SEND_MAIL, ""))?.put_str("Subject", "Hello");
        Ok(())
    });
    outcome.unwrap();
    insta::assert_snapshot!(outcome.intents(), @r#"
    new sys.View shop.Months {Month: -11, Year: 2026}
      Hash: h'0102'
      Part: 0.5_f32
      Total: 400

    new sys.SendMail
      Subject: "Hello"
    "#);
}
