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
#[cfg(feature = "redb")]
pub use redb_store::{RedbStore, RedbStoreError};
pub use store::{Image, MemoryStore, MemoryStoreError, Store};
pub use tenants::{Status, Tenants, TenantsConfig};
