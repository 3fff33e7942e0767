//! Reading a report back from its JSON form.

use super::{Report, SCHEMA_VERSION};

/// Why a text is not a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is not JSON, or not of the schema.
    #[error("not a report of this harness: {0}")]
    Syntax(#[from] serde_json::Error),
    /// It is of a schema that this version does not know.
    #[error("the report has schema version {found}, and this harness reads version {SCHEMA_VERSION}")]
    Version {
        /// Its version.
        found: u64,
    },
}

/// Reads a JSON report.
///
/// # Errors
/// [`ReadError`] when the text is no report, or one of another schema version.
pub fn read(text: &str) -> Result<Report, ReadError> {
    #[derive(serde::Deserialize)]
    struct OnlyVersion {
        schema_version: u64,
    }
    let OnlyVersion { schema_version: found } = serde_json::from_str(text)?;
    if found != u64::from(SCHEMA_VERSION) {
        return Err(ReadError::Version { found });
    }
    Ok(serde_json::from_str(text)?)
}
