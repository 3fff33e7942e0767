//! SQL over files on a cluster, with functions of WebAssembly modules that come with the query.
//!
//! Data goes to standard output, errors to standard error. Exit status: 0 fine, 1 the query failed while it ran, 2 wrong usage,
//! unreadable input or wrong SQL, 130 after Ctrl-C.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use clap::Parser;
use datafusion::prelude::SessionConfig;
use guest_ballista::object_store::local::LocalFileSystem;
use guest_ballista::{ModuleStore, RemoteSession, SessionError, StoreError};
use host_harness_query::{Error, ModuleFile, Place, QueryArguments, execute, register_tables, run};

/// How long a connection to the scheduler may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Run a SQL query over CSV, JSON Lines and Parquet files on a cluster, with functions of WebAssembly modules.
///
/// The plan brings the modules to the executors, which read the files themselves: each executor must have them under the same path.
/// A query reads; it creates and writes nothing. `host-harness query` runs the same queries in one process.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    query: QueryArguments,
    /// Address of the scheduler.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:50050", value_parser = address)]
    scheduler: String,
    /// Folder of the object store with modules that are too large for plans, which the executors have by `--modules`.
    #[arg(long, value_name = "FOLDER")]
    module_store: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run(async move { query(&arguments).await })
}

async fn query(arguments: &Arguments) -> Result<(), Error> {
    let session = session(arguments).await.map_err(Error::Input)?;
    register_tables(session.context(), &arguments.query.tables).await.map_err(Error::Input)?;
    let ended = execute(session.context(), &arguments.query, Place::Cluster).await;
    let Err(Error::Failed(error)) = ended else { return ended };
    // The error of a query that did not reach the scheduler has neither the address nor what to do. On a thread of its own, so that
    // Ctrl-C is heard meanwhile.
    let address = arguments.scheduler.clone();
    let why = tokio::task::spawn_blocking(move || unreachable(&address)).await.map_err(Error::failed)?;
    let (address, text) = (&arguments.scheduler, format!("{error:#}"));
    Err(Error::Failed(match why {
        Some(why) => anyhow!(
            "there is no scheduler at {address}: {why}; start guest-ballista-scheduler, or give its address by --scheduler \
             (the query: {text})"
        ),
        // The words of a connection on which somebody else answered.
        None if text.contains("Status { code:") => anyhow!(
            "what answers at {address} is no scheduler; give the address of guest-ballista-scheduler by --scheduler \
             (the query: {text})"
        ),
        None => anyhow!(text),
    }))
}

/// Why there is no connection to this address; `None` if there is one.
fn unreachable(address: &str) -> Option<std::io::Error> {
    let mut last = std::io::Error::other("the host has no address");
    match address.to_socket_addrs() {
        Ok(addresses) => {
            for found in addresses {
                match TcpStream::connect_timeout(&found, PATIENCE) {
                    Ok(_) => return None,
                    Err(error) => last = error,
                }
            }
            Some(last)
        }
        Err(error) => Some(error),
    }
}

/// A session that has the functions of the modules.
async fn session(arguments: &Arguments) -> Result<RemoteSession> {
    let files = ModuleFile::read_all(&arguments.query)?;
    let mut store = ModuleStore::default();
    if let Some(folder) = &arguments.module_store {
        let objects = LocalFileSystem::new_with_prefix(folder);
        let objects = objects.with_context(|| format!("{} is no folder for modules", folder.display()))?;
        store = store.with_object_store(Arc::new(objects));
    }
    let config = arguments.query.configure(SessionConfig::new().with_information_schema(true));
    let session = RemoteSession::connect(&format!("df://{}", arguments.scheduler), config, store).await?;
    for file in files {
        let registered = session.register_module(&file.name, &file.bytes, file.config.clone()).await;
        registered.map_err(|error| match error {
            SessionError::Store(StoreError::TooLarge { .. }) => {
                file.error(format!("{error}: a folder, by --module-store here and by --modules of the executors"))
            }
            error => file.error(error),
        })?;
    }
    Ok(session)
}

/// Checks that an address has a host and a port.
fn address(text: &str) -> Result<String, String> {
    let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains('/'));
    match parts.map(|(_, port)| port.parse::<u16>()) {
        Some(Ok(1..)) => Ok(text.to_owned()),
        _ => Err("write the scheduler's host, `:` and its port, such as 127.0.0.1:50050".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_options_is_sound() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for right in ["localhost:50050", "10.0.0.1:1", "[::1]:50050"] {
            assert_eq!(address(right).as_deref(), Ok(right));
        }
        for wrong in ["", "localhost", ":50050", "localhost:", "localhost:0", "localhost:65536", "df://localhost:50050"]
        {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
