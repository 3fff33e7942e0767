#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod error;
mod fresh;
mod meter;
mod program;
mod store;
mod tenants;

#[cfg(feature = "redb")]
mod redb_store;

pub use error::TenantError;
pub use meter::{Counts, Meter};
pub use program::{Program, call_elsewhere};
/// redb, in the version that [`RedbStore`] writes its file with.
#[cfg(feature = "redb")]
pub use redb;
#[cfg(feature = "redb")]
pub use redb_store::{Listed, RedbReader, RedbStore, RedbStoreError, Usage};
pub use store::{Image, MemoryStore, MemoryStoreError, Store};
pub use tenants::{Found, Status, Tenants, TenantsConfig};
