//! Values that were written are read back, and bytes that are none are told.

extern crate std;

use std::vec::Vec;

use super::*;

fn sample() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut object = ObjectEncoder::begin(&mut bytes);
    object.put_i32("i32", -7).put_i64("i64", 1 << 40).put_f32("f32", 1.5).put_f64("f64", 0.1);
    object.put_str("text", "größe").put_bytes("bytes", &[0, 255]).put_bool("bool", true);
    object.put_qname("name", QName { package: "shop", entity: "Order" });
    object.put_object("object", |inner| {
        inner.put_array("empty", |_| ());
        inner.put_i32("last", 1);
    });
    object.put_array("array", |array| {
        array.push_i32(1).push_str("two");
        array.push_object(|object| {
            object.put_bool("three", false);
        });
        array.push_array(|array| {
            array.push_f64(4.0);
        });
    });
    object.end();
    bytes
}

#[test]
fn what_was_written_is_read_back() {
    let bytes = sample();
    let value = ValueRef::new(&bytes);
    let field = |name: &str| value.field(name).unwrap().unwrap();
    assert_eq!(value.exact_bytes().unwrap(), bytes);
    assert_eq!(field("i32").as_i32(), Ok(-7));
    assert_eq!(field("i64").as_i64(), Ok(1 << 40));
    assert_eq!(field("f32").as_f32(), Ok(1.5));
    assert_eq!(field("f64").as_f64(), Ok(0.1));
    assert_eq!(field("text").as_str(), Ok("größe"));
    assert_eq!(field("bytes").as_bytes(), Ok(&[0, 255][..]));
    assert_eq!(field("bool").as_bool(), Ok(true));
    assert_eq!(field("name").as_qname(), Ok(QName { package: "shop", entity: "Order" }));
    assert_eq!(field("object").field("last").unwrap().unwrap().as_i32(), Ok(1));
    let array: Vec<_> = field("array").items().unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(array.len(), 4);
    assert_eq!(array[1].as_str(), Ok("two"));
    assert_eq!(array[3].items().unwrap().next().unwrap().unwrap().as_f64(), Ok(4.0));
    assert_eq!(value.field("absent"), Ok(None));
    assert_eq!(value.fields().unwrap().count(), 10);
}

#[test]
fn integers_are_read_exactly_or_not_at_all_and_floats_as_the_nearest() {
    let number = |put: &dyn Fn(&mut ArrayEncoder<'_, Vec<u8>>)| {
        let mut bytes = Vec::new();
        let mut array = ArrayEncoder::begin(&mut bytes);
        put(&mut array);
        array.end();
        bytes.remove(0);
        bytes
    };
    let int = |value: i64| {
        number(&move |array| {
            array.push_i64(value);
        })
    };
    let out_of_range = |asked, found| Err(ValueError::OutOfRange { asked, found });
    assert_eq!(ValueRef::new(&int(1 << 31)).as_i32(), out_of_range("i32", Kind::Integer).map(|()| 0));
    assert_eq!(ValueRef::new(&int(i64::MIN)).as_f64(), Ok(-9_223_372_036_854_775_808.0));
    assert_eq!(ValueRef::new(&int((1 << 53) + 1)).as_f64(), out_of_range("f64", Kind::Integer).map(|()| 0.0));
    assert_eq!(ValueRef::new(&int(1 << 24)).as_f32(), Ok(16_777_216.0));
    assert_eq!(ValueRef::new(&int((1 << 24) + 1)).as_f32(), out_of_range("f32", Kind::Integer).map(|()| 0.0));
    assert_eq!(ValueRef::new(&int(0)).as_f32(), Ok(0.0));
    let tenth = number(&|array| {
        array.push_f64(0.1);
    });
    assert_eq!(ValueRef::new(&tenth).as_f32(), Ok(0.1), "the nearest");
    let float = |value: f64| {
        number(&move |array| {
            array.push_f64(value);
        })
    };
    for (value, nearest) in [(1.1, 1.1), (f64::from(f32::MAX), f32::MAX), (1e-60, 0.0), (f64::INFINITY, f32::INFINITY)]
    {
        assert_eq!(ValueRef::new(&float(value)).as_f32(), Ok(nearest), "{value}");
    }
    assert!(ValueRef::new(&float(f64::NAN)).as_f32().unwrap().is_nan());
    for value in [1e39, -1e39] {
        assert_eq!(ValueRef::new(&float(value)).as_f32(), out_of_range("f32", Kind::Float64).map(|()| 0.0), "{value}");
    }
    let wrong = ValueError::WrongType { asked: "i64", found: Kind::Float64 };
    assert_eq!(ValueRef::new(&tenth).as_i64(), Err(wrong), "a float is not read as an integer");
    let text = number(&|array| {
        array.push_str("1");
    });
    assert_eq!(ValueRef::new(&text).as_f64(), Err(ValueError::WrongType { asked: "f64", found: Kind::Text }));
}

#[test]
fn every_truncation_is_an_error_and_never_a_panic() {
    let bytes = sample();
    for cut in 0..bytes.len() {
        let value = ValueRef::new(&bytes[..cut]);
        let read: Result<Vec<_>, _> = value.fields().and_then(Iterator::collect);
        assert!(read.is_err(), "cut at {cut}");
    }
}

#[test]
#[expect(deprecated, reason = "the old names are tested")]
fn the_old_names_of_text_write_the_same() {
    let write = |fill: fn(&mut ObjectEncoder<'_, Vec<u8>>)| {
        let mut bytes = Vec::new();
        let mut object = ObjectEncoder::begin(&mut bytes);
        fill(&mut object);
        object.end();
        bytes
    };
    let old = write(|object| {
        object.put_string("a", "x").put_array("b", |array| {
            array.push_string("y");
        });
    });
    let new = write(|object| {
        object.put_str("a", "x").put_array("b", |array| {
            array.push_str("y");
        });
    });
    assert_eq!(old, new);
}
