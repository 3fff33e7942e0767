//! Results on standard output.

use std::io::{BufWriter, Stdout, Write as _};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::writer::{ArrayWriter, WriterBuilder};
use datafusion::arrow::util::pretty::pretty_format_batches;
use guest_datafusion::guest_functions::guest_host::text::printable_lines;

use crate::arguments::Format;
use crate::error::Error;

/// Writes results as they come, but for a table, whose columns are as wide as their widest cell.
pub(crate) struct Output {
    writer: Writer,
    returned: u64,
}

enum Writer {
    Table { schema: SchemaRef, batches: Vec<RecordBatch> },
    Csv { writer: Box<csv::Writer<BufWriter<Stdout>>>, schema: SchemaRef },
    Json(Box<ArrayWriter<BufWriter<Stdout>>>),
}

impl Output {
    pub(crate) fn new(format: Format, schema: SchemaRef) -> Self {
        let stdout = BufWriter::new(std::io::stdout());
        let writer = match format {
            Format::Table => Writer::Table { schema, batches: Vec::new() },
            Format::Csv => {
                let writer = csv::WriterBuilder::new().with_header(true).build(stdout);
                Writer::Csv { writer: Box::new(writer), schema }
            }
            Format::Json => Writer::Json(Box::new(WriterBuilder::new().with_explicit_nulls(true).build(stdout))),
        };
        Self { writer, returned: 0 }
    }

    /// Takes the next rows.
    pub(crate) fn write(&mut self, batch: RecordBatch) -> Result<(), Error> {
        self.returned += batch.num_rows() as u64;
        match &mut self.writer {
            Writer::Table { batches, .. } => batches.push(batch),
            Writer::Csv { writer, .. } => writer.write(&batch).map_err(error)?,
            Writer::Json(writer) => writer.write(&batch).map_err(error)?,
        }
        Ok(())
    }

    /// Writes what is left, and returns how many rows there were.
    pub(crate) fn end(self) -> Result<u64, Error> {
        match self.writer {
            Writer::Table { schema, mut batches } => {
                batches.push(RecordBatch::new_empty(schema));
                let table = pretty_format_batches(&batches).map_err(error)?;
                let mut stdout = std::io::stdout();
                writeln!(stdout, "{}", printable_lines(&table.to_string()))?;
                stdout.flush()?;
            }
            Writer::Csv { mut writer, schema } => {
                // Without any row there would be no line of names either.
                if self.returned == 0 {
                    writer.write(&RecordBatch::new_empty(schema)).map_err(error)?;
                }
                writer.into_inner().flush()?;
            }
            Writer::Json(mut writer) => {
                writer.finish().map_err(error)?;
                let mut stdout = writer.into_inner();
                writeln!(stdout)?;
                stdout.flush()?;
            }
        }
        Ok(self.returned)
    }
}

fn error(error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, error) => error.into(),
        ArrowError::CsvError(text) if text.contains("roken pipe") => Error::Unread,
        error => Error::failed(anyhow::anyhow!("{error}; another --format may have a form for it")),
    }
}
