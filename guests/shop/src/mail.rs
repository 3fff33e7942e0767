//! The mail about an order.

use crate::sdk::{Context, KeyBuilder, QName, Result, extension, storage};

use crate::checksum::crc32;
use crate::order::total_of;

/// Sends the customer a mail about the order, built from the order's items and the customer.
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

    let mut copies = String::new();
    for copy in customer.get("Copies")?.items()? {
        if !copies.is_empty() {
            copies.push_str(", ");
        }
        copies.push_str(copy.as_str()?);
    }
    let to = format!("{} <{}>", customer.get_str("Name")?, customer.get_str("Mail")?);

    let mut mail = cx.new_value(&KeyBuilder::new(storage::SEND_MAIL, ""))?;
    mail.put_str("To", &to).put_str("Cc", &copies);
    mail.put_str("Subject", &format!("Your order {number}")).put_str("Body", &body);
    mail.put_qname("Template", QName { package: "shop", entity: "OrderTaken" });
    mail.put_str("MessageId", &format!("<{number}.{:08x}@example.com>", crc32(body.as_bytes())));
    mail.put_f64("Discount", discount).put_bool("Html", false);
    mail.put_str("AttachmentName", "logo.png").put_bytes("Attachment", customer.get_bytes("Logo")?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::tests::ordered;
    use crate::sdk::ErrorCode;
    use crate::sdk::testing::{Failure, Host};

    #[test]
    fn the_mail_has_addresses_a_body_and_an_attachment() {
        let mut state = ordered(storage::EVENT, 400);
        let put = state.put(
            storage::RECORD,
            "shop.Customer",
            |key| {
                key.put_i64("Id", 7);
            },
            |customer| {
                customer.put_str("Name", "Söhne").put_str("Mail", "a@example.com").put_f64("Discount", 0.125);
                customer.put_bytes("Logo", b"png");
                customer.put_array("Copies", |copies| {
                    copies.push_str("b@example.com").push_str("c@example.com");
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
        assert_eq!(mail.get_str("To"), Ok("Söhne <a@example.com>"));
        assert_eq!(mail.get_str("Cc"), Ok("b@example.com, c@example.com"));
        assert_eq!(mail.get_qname("Template"), Ok(QName { package: "shop", entity: "OrderTaken" }));
        let message_id = format!("<4711.{:08x}@example.com>", crc32(body.as_bytes()));
        assert_eq!(mail.get_str("MessageId"), Ok(message_id.as_str()));
        assert_eq!(mail.get_bytes("Attachment"), Ok(&b"png"[..]));
    }

    #[test]
    fn a_customer_must_be_there() {
        let outcome = Host::new(ordered(storage::EVENT, 400)).call(send_mail);
        let message = "no record of `sys.Record shop.Customer` has the key".into();
        assert_eq!(*outcome.unwrap_failure(), Failure::Error { code: ErrorCode::Absent, message });
    }
}
