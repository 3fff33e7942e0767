//! Records of tenants.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::Admin;
use super::answer::{Refusal, respond};
use super::api::blocking;
use super::extract::{GuestPath, Options};
use super::tenants;
use crate::folder::GuestName;
use crate::monitor::hex;
use crate::programs::tenant_of;
use crate::records::{self, ListError, RecordsError};

/// Records that a listing has, if nothing else is asked for, and at most.
const RECORDS: usize = 100;
const MOST_RECORDS: usize = 1000;

/// The records of a tenant, also of a guest that was removed: `storage`, `entity`, `tenant`, `limit`, and `after` of the listing
/// before.
pub(super) async fn list(
    State(admin): State<Admin>,
    GuestPath(name): GuestPath,
    options: Options,
) -> Result<Response, Refusal> {
    options.known(&["storage", "entity", "tenant", "limit", "after"])?;
    let guest: GuestName = name.parse()?;
    let entrance = tenants::programs(&admin)?.clone();
    let named = |option: &str, example: &str| {
        let missing =
            || Refusal::bad(&format!("`{option}` is missing: records are listed by storage and entity; add {example}"));
        options.get(option).map(str::to_owned).ok_or_else(missing)
    };
    let storage = named("storage", "storage=sys.Record")?;
    let entity = named("entity", "entity=shop.Order, or entity= for one without a name")?;
    // That of a guest whose routes have no tenant.
    let tenant = tenant_of(&guest, options.get("tenant").unwrap_or(&name));
    let after = options
        .get("after")
        .map(|text| bytes_of_hex(text).ok_or_else(|| Refusal::bad("`after` is not that of a listing")));
    let after = after.transpose()?;
    let most = options.limit(RECORDS, MOST_RECORDS)?;
    let listed = blocking(move || {
        records::list(entrance.records_reader(), &tenant, (&storage, &entity), after.as_deref(), most)
    })
    .await?;
    let (records, last) = listed.map_err(|error| match error {
        ListError::Request(error) => Refusal::bad(&error.to_string()),
        ListError::Store(error) => Refusal::Records(RecordsError::Store(error).into()),
    })?;
    Ok(respond(StatusCode::OK, &json!({ "records": records, "after": last.map(|last| hex(&last)) })))
}

/// Forgets the records of a tenant, also of a guest that was removed.
pub(super) async fn forget(
    State(admin): State<Admin>,
    GuestPath(name): GuestPath,
    options: Options,
) -> Result<Response, Refusal> {
    options.known(&["tenant"])?;
    let guest: GuestName = name.parse()?;
    let entrance = tenants::programs(&admin)?;
    let key =
        options.get("tenant").ok_or_else(|| {
            let message = "name the tenant whose records are removed: ?tenant=KEY; that of routes without `{tenant}` is the guest's name";
            Refusal::bad(message)
        })?;
    let removed = entrance.forget_records(tenant_of(&guest, key)).await.map_err(Refusal::Records)?;
    Ok(respond(StatusCode::OK, &json!({ "removed": removed })))
}

/// Reads what [`hex`] writes.
fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let pairs = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    if rest.is_empty() { pairs.collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_are_read_back() {
        assert_eq!(bytes_of_hex(&hex(&[0, 0xAF, 0x10])), Some(vec![0, 0xAF, 0x10]));
        assert_eq!((bytes_of_hex("0"), bytes_of_hex("0g"), bytes_of_hex("")), (None, None, Some(Vec::new())));
    }
}
