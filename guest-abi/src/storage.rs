//! Names of the storages that every state knows, whether or not it has a record of them.
//!
//! ```
//! use guest_abi::storage;
//!
//! assert!(storage::is_well_known(storage::VIEW));
//! assert!(!storage::is_well_known("my.Storage"));
//! ```

/// Event or command argument that caused the call.
pub const EVENT: &str = "sys.Event";
/// Records by id.
pub const RECORD: &str = "sys.Record";
/// Views, keyed by the fields of the entity.
pub const VIEW: &str = "sys.View";
/// Log of a workspace's events.
pub const WLOG: &str = "sys.WLog";
/// Arguments of a command.
pub const COMMAND_CONTEXT: &str = "sys.CommandContext";
/// Arguments of a query.
pub const QUERY_CONTEXT: &str = "sys.QueryContext";
/// Arguments of a job.
pub const JOB_CONTEXT: &str = "sys.JobContext";
/// Identity of the caller.
pub const REQUEST_SUBJECT: &str = "sys.RequestSubject";
/// Result of a call.
pub const RESULT: &str = "sys.Result";
/// Response of a call.
pub const RESPONSE: &str = "sys.Response";
/// Outgoing mail.
pub const SEND_MAIL: &str = "sys.SendMail";
/// Outgoing HTTP requests.
pub const HTTP: &str = "sys.Http";
/// Secrets of the application.
pub const APP_SECRET: &str = "sys.AppSecret";
/// Commands to other applications of the federation.
pub const FEDERATION_COMMAND: &str = "sys.FederationCommand";
/// Blobs of other applications of the federation.
pub const FEDERATION_BLOB: &str = "sys.FederationBlob";
/// Uniqueness of values.
pub const UNIQ: &str = "sys.Uniq";
/// Log of the host.
pub const LOGGER: &str = "sys.Logger";

/// All well-known storages.
pub const WELL_KNOWN: [&str; 17] = [
    EVENT,
    RECORD,
    VIEW,
    WLOG,
    COMMAND_CONTEXT,
    QUERY_CONTEXT,
    JOB_CONTEXT,
    REQUEST_SUBJECT,
    RESULT,
    RESPONSE,
    SEND_MAIL,
    HTTP,
    APP_SECRET,
    FEDERATION_COMMAND,
    FEDERATION_BLOB,
    UNIQ,
    LOGGER,
];

/// Whether every state knows this storage.
#[must_use]
pub fn is_well_known(storage: &str) -> bool {
    WELL_KNOWN.contains(&storage)
}
