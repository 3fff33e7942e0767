//! Names of tenants among those of all guests: that of the guest, and the key of the tenant.

use std::sync::Arc;

use crate::folder::GuestName;

/// Between both. No guest has it in its name.
const SEPARATOR: char = '/';

/// The name of a tenant.
pub(crate) fn tenant_of(guest: &GuestName, key: &str) -> Arc<str> {
    format!("{guest}{SEPARATOR}{key}").into()
}

/// The beginning of the names of a guest's tenants, and of no others.
pub(crate) fn prefix_of(guest: &GuestName) -> String {
    format!("{guest}{SEPARATOR}")
}

/// The key of a tenant, of its name.
pub(super) fn key_of(tenant: &str) -> &str {
    tenant.split_once(SEPARATOR).map_or(tenant, |(_, key)| key)
}
