//! `schema`.

use anyhow::Result;
use host_harness::report::schema;

use crate::arguments::Common;
use crate::output::Destination;

/// Prints the schema. It is no report, so it is not exported as one.
pub(crate) fn run(common: &Common) -> Result<()> {
    if common.exports_a_report() {
        anyhow::bail!("`schema` prints the schema and makes no report; leave out the options that export one");
    }
    let text = format!("{}\n", serde_json::to_string_pretty(&schema())?);
    Ok(Destination::Stdout.write(text.as_bytes())?)
}
