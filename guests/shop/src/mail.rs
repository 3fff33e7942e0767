//! The mail about an order.

use guest_sdk::{Context, KeyBuilder, QName, Result, extension, storage};

use crate::checksum::crc32;
use crate::order::total_of;

/// Sends the customer a mail about the order, built from nested values.
#[extension]
fn send_mail(cx: &mut Context) -> Result<()> {
    let event = cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?;
    let order = event.get("ArgumentObject")?;
    let mut key = KeyBuilder::new(storage::RECORD, "shop.Customer");
    key.put_i64("Id", order.get_i64("Customer")?);
    let customer = cx.get_value(&key)?;

    let number = order.get_i64("Number")?;
    let mut lines = Vec::new();
    for item in order.get("Items")?.items()? {
        lines.push(format!("{} x {}", item.get_i32("Quantity")?, item.get_str("Article")?));
    }
    let discount = customer.get_f64("Discount")?;
    let body = format!(
        "Dear {},\n\nthank you for your order:\n{}\n\nTotal: {}\n",
        customer.get_str("Name")?,
        lines.join("\n"),
        total_of(&order)?
    );

    let mut mail = cx.new_value(&KeyBuilder::new(storage::SEND_MAIL, ""))?;
    mail.put_string("Subject", &format!("Your order {number}")).put_string("Body", &body);
    mail.put_array("To", |to| {
        to.push_object(|address| {
            address.put_string("Name", customer.get_str("Name")?).put_string("Address", customer.get_str("Mail")?);
            Ok::<_, guest_sdk::Error>(())
        })
    })?;
    mail.put_array("Copies", |copies| {
        for copy in customer.get("Copies")?.items()? {
            copies.push_string(copy.as_str()?);
        }
        Ok::<_, guest_sdk::Error>(())
    })?;
    mail.put_object("Headers", |headers| {
        headers.put_qname("Template", QName { package: "shop", entity: "OrderTaken" });
        headers.put_string("Message-Id", &format!("<{number}.{:08x}@example.com>", crc32(body.as_bytes())));
        headers.put_f64("Discount", discount).put_bool("Html", false);
    });
    mail.put_array("Attachments", |attachments| {
        attachments.push_object(|attachment| {
            attachment.put_string("Name", "logo.png").put_bytes("Content", customer.get_bytes("Logo")?);
            Ok::<_, guest_sdk::Error>(())
        })
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::tests::ordered;
    use guest_sdk::ErrorCode;
    use guest_sdk::testing::{Failure, Host};

    #[test]
    fn the_mail_has_addresses_headers_and_an_attachment() {
        let mut state = ordered(storage::EVENT, 400);
        let put = state.put(
            storage::RECORD,
            "shop.Customer",
            |key| {
                key.put_i64("Id", 7);
            },
            |customer| {
                customer.put_string("Name", "Söhne").put_string("Mail", "a@example.com").put_f64("Discount", 0.125);
                customer.put_bytes("Logo", b"png");
                customer.put_array("Copies", |copies| {
                    copies.push_string("b@example.com");
                });
            },
        );
        put.unwrap();
        let mut host = Host::new(state);
        let outcome = host.call(send_mail);
        outcome.unwrap();
        let intent = outcome.intents().next().unwrap();
        assert_eq!(intent.storage, storage::SEND_MAIL);
        let mail = intent.value;
        assert_eq!(mail.get_str("Subject"), Ok("Your order 4711"));
        let body = "Dear Söhne,\n\nthank you for your order:\n2 x ink\n3 x ink\n\nTotal: 400\n";
        assert_eq!(mail.get_str("Body"), Ok(body));
        assert_eq!(mail.get("To").unwrap().item(0).unwrap().get_str("Address"), Ok("a@example.com"));
        assert_eq!(mail.get("Copies").unwrap().get_str_at(0), Ok("b@example.com"));
        let headers = mail.get("Headers").unwrap();
        assert_eq!(headers.get_qname("Template"), Ok(QName { package: "shop", entity: "OrderTaken" }));
        assert_eq!(
            headers.get_str("Message-Id").unwrap(),
            format!("<4711.{:08x}@example.com>", crc32(body.as_bytes()))
        );
        assert_eq!(mail.get("Attachments").unwrap().item(0).unwrap().get_bytes("Content"), Ok(&b"png"[..]));
    }

    #[test]
    fn a_customer_must_be_there() {
        let outcome = Host::new(ordered(storage::EVENT, 400)).call(send_mail);
        let message = "no record of `sys.Record shop.Customer` has the key".into();
        assert_eq!(*outcome.unwrap_failure(), Failure::Error { code: ErrorCode::Absent, message });
    }
}
