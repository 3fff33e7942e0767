//! Why a process cannot serve over NATS. Each error says what to do.

use guest_serve::error::ServeError;

/// An error of the NATS client, of whatever kind.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a process cannot serve over NATS, or a client cannot send.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NatsError {
    /// No server answers.
    #[error("cannot connect to NATS at {url}: {source}; start `nats-server -js`, or name another server by --nats")]
    Connect {
        /// The address, as [`shown`](crate::connect::shown).
        url: String,
        /// Why it cannot.
        source: Source,
    },
    /// A file with credentials that cannot be read.
    #[error("cannot read the credentials {}: {source}", path.display())]
    Credentials {
        /// The file.
        path: std::path::PathBuf,
        /// Why it cannot.
        source: std::io::Error,
    },
    /// A server without JetStream.
    #[error("the NATS server at {url} has no JetStream; start it with `-js` and a folder for `-sd`")]
    NoJetStream {
        /// The address, as [`shown`](crate::connect::shown).
        url: String,
    },
    /// A server that lacks what is needed.
    #[error("the NATS server at {url} has version {version}; 2.10 or later is needed")]
    TooOld {
        /// The address, as [`shown`](crate::connect::shown).
        url: String,
        /// Its version.
        version: String,
    },
    /// A prefix that subjects and streams cannot have.
    #[error("`{0}` is not a prefix: use 1 to 32 of the characters a-z, 0-9 and `-`, and begin with a letter")]
    Prefix(String),
    /// A key that no tenant can have over NATS.
    #[error("`{0}` is not the key of a tenant: use 1 to 128 of the characters a-z, A-Z, 0-9, `-`, `_` and `=`")]
    TenantKey(String),
    /// A stream or a bucket that cannot be made or opened.
    #[error("cannot {what} the {kind} `{name}`: {source}")]
    Stream {
        /// The operation.
        what: &'static str,
        /// Stream or bucket.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Why it cannot.
        source: Source,
    },
    /// A stream of that name that something else has made.
    #[error("the stream `{name}` {fault}; give --prefix another name, or remove the stream")]
    OtherStream {
        /// Its name.
        name: String,
        /// In what it differs.
        fault: String,
    },
    /// A stream of events that was made again, while the records of tenants count the events of the one before.
    #[error(
        "the stream `{events}` was removed and made again, and the tenants in the bucket `{tenants}` would take its events for old \
         ones; give --prefix another name, or remove the buckets `{tenants}` and `{owners}`, too: then all tenants begin anew"
    )]
    Remade {
        /// The stream of events.
        events: String,
        /// The bucket of tenants.
        tenants: String,
        /// The bucket of processes and partitions.
        owners: String,
    },
    /// A message that the server did not take.
    #[error("the event was not acknowledged: {0}; send it again with the same --id")]
    NotAcknowledged(#[source] Source),
    /// The folder of guests, or something that the process needs of the system.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// NATS did not do what it was asked for. It may have done it all the same, so the caller reads the state before it tries again.
#[derive(Debug, thiserror::Error)]
#[error("NATS did not answer: {0}")]
pub struct Unavailable(#[from] pub Source);

impl Unavailable {
    /// Of an error of the client.
    pub fn of(error: impl Into<Source>) -> Self {
        Self(error.into())
    }
}
