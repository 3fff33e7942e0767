//! `schema`.

use anyhow::Result;
use host_harness::report::schema;

use crate::arguments::Common;
use crate::output::Destination;

/// Prints the schema. It is no report, so it is not exported as one.
pub(crate) fn run(common: &Common) -> Result<()> {
    let outputs = &common.outputs;
    let exports = [&common.export_json, &common.export_html, &outputs.markdown, &outputs.junit];
    if exports.into_iter().any(Option::is_some) {
        anyhow::bail!("`schema` prints the schema and makes no report; leave out the options that export one");
    }
    let text = format!("{}\n", serde_json::to_string_pretty(&schema())?);
    Ok(Destination::Stdout.write(text.as_bytes())?)
}
