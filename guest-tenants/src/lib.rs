#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod error;
mod program;
mod store;
mod tenants;

#[cfg(feature = "redb")]
mod redb_store;

pub use error::TenantError;
pub use program::Program;
/// redb, in the version that [`RedbStore`] writes its file with.
#[cfg(feature = "redb")]
pub use redb;
#[cfg(feature = "redb")]
pub use redb_store::{RedbReader, RedbStore, RedbStoreError};
pub use store::{Image, MemoryStore, MemoryStoreError, Store};
pub use tenants::{Status, Tenants, TenantsConfig};
