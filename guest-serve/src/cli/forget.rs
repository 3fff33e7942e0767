//! `serve forget`: forgets what programs kept, while no server serves the folder.

use std::path::PathBuf;

use clap::Parser;
use guest_tenants::Store as _;

use crate::error::ServeError;
use crate::folder::{GuestFolder, GuestName};
use crate::programs::{open_store, prefix_of, tenant_of};
use crate::server;

/// Forget the memory of a program's tenants. No server may serve the folder meanwhile; one that does has an API for it.
#[derive(Debug, Parser)]
#[command(name = "host-harness serve forget", bin_name = "host-harness serve forget", max_term_width = 100)]
pub(super) struct Forget {
    /// The folder of the guests.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The guest, which may have been removed.
    #[arg(value_name = "GUEST")]
    guest: String,
    /// The key of the tenant; without it all tenants are forgotten.
    #[arg(value_name = "TENANT")]
    tenant: Option<String>,
}

/// Forgets them, and says how many there were.
///
/// # Errors
/// If a server serves the folder, or the file of sleeping programs cannot be used.
pub(super) fn run(arguments: &Forget) -> Result<(), ServeError> {
    let folder = GuestFolder::open(&arguments.folder)?;
    let guest: GuestName = arguments.guest.parse()?;
    let own = folder.own();
    let _lock = server::lock_existing(&folder)?;
    let mut store = open_store(&own)?;
    let failed = |error: guest_tenants::RedbStoreError| {
        ServeError::io("write the file of sleeping programs", &own)(std::io::Error::other(error))
    };
    let forgotten = match &arguments.tenant {
        None => store.remove_all(&prefix_of(&guest)).map_err(failed)?,
        Some(key) => {
            let tenant = tenant_of(&guest, key);
            let is_known = store.contains(&tenant).map_err(failed)?;
            store.remove(&tenant).and_then(|()| store.sync()).map_err(failed)?;
            u64::from(is_known)
        }
    };
    server::say(format!("forgotten: {forgotten} of the guest `{guest}`\n").as_bytes())
}
