//! Intents as the text that snapshots keep.

use guest_sdk::testing::{Host, Outcome};
use guest_sdk::{Context, KeyBuilder, QName, Result, storage};

fn outcome(extension: impl FnOnce(&mut Context<'_>) -> Result<()>) -> Outcome {
    let outcome = Host::default().call(extension);
    outcome.unwrap();
    outcome
}

/// Leaves an intent with every type, and one without fields.
fn every_type(cx: &mut Context<'_>) -> Result<()> {
    let mut key = KeyBuilder::new(storage::RECORD, "shop.Kinds");
    key.put_str("Name", "a\nb")
        .put_i32("Id", 7)
        .put_f32("Part", 0.5)
        .put_bytes("Hash", &[0, 255])
        .put_bool("Last", true);
    key.put_qname("Kind", QName { package: "shop", entity: "Order" });
    let mut intent = cx.new_value(&key)?;
    intent.put_i64("Integer", i64::MIN).put_f32("Narrow", 1.1).put_f64("Wide", 1.1).put_f64("None", f64::NAN);
    intent.put_f64("Whole", 2.0).put_str("Text", "\"größe\"").put_bytes("Nothing", &[]).put_bool("Truth", false);
    intent.put_bytes("Picture", &[0xAB; 40]).put_str("Body", "Dear Ada,\nthank you.\n");
    intent.put_str("an odd: name", "x").put_object("Empty", |_| ());
    intent.put_array("Numbers", |array| {
        array.push_i32(1).push_f32(2.5).push_str("three");
        array.push_array(|array| array.push_array(|_| ()));
    });
    intent.put_array("Long", |array| {
        array.push_str(&"x".repeat(60)).push_str(&"y".repeat(60));
    });
    intent.put_array("Items", |array| {
        array.push_object(|item| {
            item.put_str("Name", "tea").put_i32("Quantity", 2).put_object("Inner", |inner| {
                inner.put_qname("Kind", QName { package: "shop", entity: "Leaf" });
            });
        });
        array.push_array(|array| {
            array.push_object(|item| {
                item.put_i32("Deep", 1);
            });
            array.push_str("a\nb");
        });
    });
    drop(intent);
    let _ = cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?;
    Ok(())
}

#[test]
fn every_type_has_a_readable_form() {
    insta::assert_snapshot!(outcome(every_type).intents(), @r#"
    new sys.Record shop.Kinds {Hash: h'00ff', Id: 7, Kind: qname("shop", "Order"), Last: true, Name: "a\nb", Part: 0.5_f32}
      Body:
        "Dear Ada,\n"
        "thank you.\n"
      Empty: {}
      Integer: -9223372036854775808
      Items:
        - Inner:
            Kind: qname("shop", "Leaf")
          Name: "tea"
          Quantity: 2
        - - Deep: 1
          - "a\n"
            "b"
      Long:
        - "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        - "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
      Narrow: 1.1_f32
      None: NaN_f64
      Nothing: h''
      Numbers: [1, 2.5_f32, "three", [[]]]
      Picture:
        h'abababababababababababababababababababababababababababababababab'
        h'abababababababab'
      Text: "\"größe\""
      Truth: false
      Whole: 2.0_f64
      Wide: 1.1_f64
      "an odd: name": "x"

    new sys.Result
    "#);
}

#[test]
fn a_debug_snapshot_is_the_same_text() {
    let outcome = outcome(|cx| {
        cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?.put_i32("Answer", 42);
        cx.new_value(&KeyBuilder::new(storage::SEND_MAIL, ""))?.put_str("Subject", "Hello");
        Ok(())
    });
    insta::assert_debug_snapshot!(outcome.intents(), @r#"
    new sys.Result
      Answer: 42

    new sys.SendMail
      Subject: "Hello"
    "#);
    insta::assert_debug_snapshot!(outcome.intents().next().unwrap(), @r"
    new sys.Result
      Answer: 42
    ");
    assert_eq!(format!("{:#?}", outcome.intents()), outcome.intents().to_string());
    let line = format!("{:?}", outcome.intents());
    assert!(line.starts_with("[Intent { operation: New, storage: \"sys.Result\"") && !line.contains('\n'), "{line}");
}

#[test]
fn the_order_of_puts_does_not_matter_and_the_last_of_a_name_counts() {
    let one = outcome(|cx| {
        let mut key = KeyBuilder::new(storage::VIEW, "shop.Months");
        key.put_i32("Year", 2026).put_i32("Month", 11);
        cx.new_value(&key)?.put_i32("B", 1).put_i32("A", 2).put_i32("B", 3);
        Ok(())
    });
    let other = outcome(|cx| {
        let mut key = KeyBuilder::new(storage::VIEW, "shop.Months");
        key.put_i64("Month", 11).put_i64("Year", 2026);
        cx.new_value(&key)?.put_i64("A", 2).put_i64("B", 3);
        Ok(())
    });
    assert_ne!(one.encoded_intents(), other.encoded_intents());
    assert_eq!(one.intents().to_string(), other.intents().to_string());
    assert_eq!(one.intents().to_string(), "new sys.View shop.Months {Month: 11, Year: 2026}\n  A: 2\n  B: 3");
    assert_eq!(outcome(|_| Ok(())).intents().to_string(), "");
}
