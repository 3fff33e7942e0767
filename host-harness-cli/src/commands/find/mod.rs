//! `find`: filters, scores and projects the documents of JSON Lines.

mod calls;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use guest_functions::{Caller, DocumentBuf, JsonOptions, Scalar, Value};
use guest_host::text::printable;
use serde_json::json;

use crate::arguments::{Common, Find, Format, Verbosity};
use crate::commands::call::in_json;
use crate::commands::functions::load;
use crate::progress::Progress;
use calls::{BoundCall, at_line};

/// Bytes that are read at once.
const BLOCK: usize = 256 << 10;

/// Documents between two messages of progress.
const STRIDE: u64 = 1 << 10;

/// Finds documents and prints them.
pub(crate) fn run(arguments: &Find, common: &Common) -> Result<()> {
    let module = load(&arguments.module, common, "find")?;
    let is_number = |scalar| matches!(scalar, Scalar::I32 | Scalar::I64 | Scalar::U64 | Scalar::F32 | Scalar::F64);
    let of = |option: &str, text: &String, takes: &dyn Fn(Scalar) -> bool, results: &str| {
        BoundCall::new(&module, option, text, takes, results)
    };
    let filters = arguments.filters.iter().map(|text| of("--where", text, &|scalar| scalar == Scalar::Bool, "bool"));
    let filters = filters.collect::<Result<Vec<_>>>()?;
    let score = arguments.score.as_ref().map(|text| of("--score", text, &is_number, "a number")).transpose()?;
    let select = arguments.select.as_ref().map(|text| of("--select", text, &|_| true, "no list")).transpose()?;
    if filters.is_empty() && score.is_none() && select.is_none() {
        return Err(anyhow!("`find` needs a function of documents: give --where, --score or --select"));
    }
    let mut options = JsonOptions::default();
    (options.id, options.score) = (arguments.id_member.clone(), arguments.score_member.clone());
    let mut finder = Finder {
        caller: module.caller()?,
        options,
        filters,
        score,
        select,
        best: Best { kept: Vec::new(), top: usize::try_from(arguments.top)? },
        skip_invalid: arguments.skip_invalid,
        output: Output { to: BufWriter::new(io::stdout().lock()), format: common.format, found: 0 },
        told: Told::default(),
    };
    let began = Instant::now();
    let progress = Progress::spinner();
    progress.doing("finding documents");
    let found = arguments.files.iter().try_for_each(|file| finder.file(file, &progress)).and_then(|()| finder.finish());
    drop(progress);
    // What was found before an error stays found.
    let flushed = finder.output.to.flush();
    match (found, flushed) {
        (Ok(()), Ok(())) => {}
        // Whoever read the documents has seen enough.
        (Err(error), _) if is_closed(error.downcast_ref()) => return Ok(()),
        (Ok(()), Err(error)) if is_closed(Some(&error)) => return Ok(()),
        (Ok(()), Err(error)) => return Err(error.into()),
        (Err(error), _) => return Err(error),
    }
    if common.display.verbosity() != Verbosity::Quiet {
        // Nobody may be there to read it.
        let _ = finder.told.print(finder.output.found, began.elapsed());
    }
    Ok(())
}

fn is_closed(error: Option<&io::Error>) -> bool {
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A line that is a document.
struct Line {
    number: u64,
    /// The file that it is in.
    name: String,
    /// The bytes, without the end of the line.
    bytes: Vec<u8>,
}

struct Finder<'o> {
    caller: Caller,
    options: JsonOptions,
    filters: Vec<BoundCall>,
    score: Option<BoundCall>,
    select: Option<BoundCall>,
    best: Best,
    skip_invalid: bool,
    output: Output<'o>,
    told: Told,
}

impl Finder<'_> {
    /// Goes through the lines of a file.
    fn file(&mut self, path: &PathBuf, progress: &Progress) -> Result<()> {
        let is_input = path.as_path() == Path::new("-");
        let name = if is_input { "standard input".to_owned() } else { path.display().to_string() };
        let unread = || format!("cannot read {name}");
        let source: Box<dyn Read> = if is_input {
            Box::new(io::stdin().lock())
        } else {
            Box::new(File::open(path).map_err(|error| anyhow!("cannot read {name}: {error}"))?)
        };
        let mut lines = BufReader::with_capacity(BLOCK, source);
        let mut line = Line { number: 0, name: name.clone(), bytes: Vec::new() };
        loop {
            if lines.buffer().is_empty() {
                // Reading may wait for a slow source, and what was found should not.
                self.output.to.flush()?;
            }
            line.bytes.clear();
            let read = lines.read_until(b'\n', &mut line.bytes);
            let read = read.map_err(|error| anyhow!("{}: {error}", unread()))?;
            if read == 0 {
                return Ok(());
            }
            line.number += 1;
            self.told.bytes += read as u64;
            if line.bytes.last() == Some(&b'\n') {
                line.bytes.pop();
            }
            if !line.bytes.iter().all(u8::is_ascii_whitespace) {
                self.line(&mut line)?;
            }
            if self.told.documents.is_multiple_of(STRIDE) {
                progress
                    .bar()
                    .set_message(format!("finding: {} of {} documents", self.output.found, self.told.documents));
            }
        }
    }

    /// A line that is not blank.
    fn line(&mut self, line: &mut Line) -> Result<()> {
        let mut document = match self.options.read(&line.bytes) {
            Ok(document) => document,
            Err(error) => {
                let Line { number, name, .. } = line;
                let told = format!("{name}: line {number}, column {}: {}", error.column, error.description());
                if self.skip_invalid {
                    self.told.invalid(told);
                    return Ok(());
                }
                return Err(anyhow!("{told}; --skip-invalid leaves such lines out"));
            }
        };
        self.told.documents += 1;
        for filter in &mut self.filters {
            let result = filter.call(&mut self.caller, document);
            let (result, back) = result.map_err(|error| at_line(error, &line.name, line.number))?;
            if result != Value::Bool(true) {
                return Ok(());
            }
            document = back;
        }
        let Some(score) = &mut self.score else {
            return self.print(line, document, None);
        };
        let result = score.call(&mut self.caller, document);
        let (result, _) = result.map_err(|error| at_line(error, &line.name, line.number))?;
        if let Some(score) = number(&result) {
            let line = Line { number: line.number, name: line.name.clone(), bytes: std::mem::take(&mut line.bytes) };
            self.best.put(score, line);
        }
        Ok(())
    }

    /// Prints a document that was found, or what is selected of it.
    fn print(&mut self, line: &Line, document: DocumentBuf, score: Option<f64>) -> Result<()> {
        let Some(select) = &mut self.select else {
            return Ok(self.output.line(line, score)?);
        };
        let result = select.call(&mut self.caller, document);
        let (result, _) = result.map_err(|error| at_line(error, &line.name, line.number))?;
        if result != Value::Null {
            self.output.selected(line, score, &result)?;
        }
        Ok(())
    }

    /// Prints the documents with the highest scores.
    fn finish(&mut self) -> Result<()> {
        for (score, line) in self.best.take() {
            let document = self.options.read(&line.bytes).context("a line that was a document")?;
            self.print(&line, document, Some(score))?;
        }
        Ok(())
    }
}

/// A result as a score. Null and NaN are none.
fn number(value: &Value) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "scores are compared")]
    let number = match *value {
        Value::I32(value) => value.into(),
        Value::I64(value) => value as f64,
        Value::U64(value) => value as f64,
        Value::F32(value) => value.into(),
        Value::F64(value) => value,
        _ => return None,
    };
    (!number.is_nan()).then_some(number)
}

/// The lines with the highest scores.
struct Best {
    /// In the order in which they came, but for the best of earlier ones, which stand first.
    kept: Vec<(f64, Line)>,
    top: usize,
}

impl Best {
    fn put(&mut self, score: f64, line: Line) {
        self.kept.push((score, line));
        if self.kept.len() >= self.top.saturating_mul(2) + 1024 {
            self.sort();
        }
    }

    /// Sorts by score, where equal ones keep their order, and forgets all but the best.
    fn sort(&mut self) {
        self.kept.sort_by(|one, other| other.0.total_cmp(&one.0));
        self.kept.truncate(self.top);
    }

    fn take(&mut self) -> Vec<(f64, Line)> {
        self.sort();
        std::mem::take(&mut self.kept)
    }
}

/// Standard output.
struct Output<'o> {
    to: BufWriter<io::StdoutLock<'o>>,
    format: Format,
    /// Documents printed.
    found: u64,
}

impl Output<'_> {
    /// A line as it is; with `--format json` as a member of an object.
    fn line(&mut self, line: &Line, score: Option<f64>) -> io::Result<()> {
        self.found += 1;
        match self.format {
            Format::Text => self.to.write_all(&line.bytes)?,
            Format::Json => {
                self.begin(line, score)?;
                self.to.write_all(b",\"document\":")?;
                self.to.write_all(line.bytes.trim_ascii())?;
                self.to.write_all(b"}")?;
            }
        }
        self.to.write_all(b"\n")
    }

    /// The result of a projection.
    fn selected(&mut self, line: &Line, score: Option<f64>, result: &Value) -> io::Result<()> {
        self.found += 1;
        match (self.format, result) {
            (Format::Text, result) => write!(self.to, "{}", printable(&result.to_string()))?,
            (Format::Json, result) => {
                self.begin(line, score)?;
                match result {
                    Value::Document(document) => write!(self.to, ",\"selected\":{}}}", document.to_json())?,
                    result => write!(self.to, ",\"selected\":{}}}", in_json(result))?,
                }
            }
        }
        self.to.write_all(b"\n")
    }

    fn begin(&mut self, line: &Line, score: Option<f64>) -> io::Result<()> {
        write!(self.to, "{{\"file\":{},\"line\":{}", json!(line.name), line.number)?;
        score.map_or(Ok(()), |score| write!(self.to, ",\"score\":{}", in_json(&Value::F64(score))))
    }
}

/// What is said at the end.
#[derive(Default)]
struct Told {
    documents: u64,
    bytes: u64,
    invalid: u64,
    /// The first line that was no document.
    first_invalid: Option<String>,
}

impl Told {
    fn invalid(&mut self, told: String) {
        self.invalid += 1;
        self.first_invalid.get_or_insert(told);
    }

    fn print(&self, found: u64, took: Duration) -> io::Result<()> {
        let mut to = io::stderr().lock();
        if let Some(first) = &self.first_invalid {
            let lines =
                if self.invalid == 1 { "line that is no document" } else { "lines that are no documents, first" };
            writeln!(to, "note: left out {} {lines}: {}", self.invalid, printable(first))?;
        }
        let seconds = took.as_secs_f64().max(1e-9);
        #[expect(clippy::cast_precision_loss, reason = "rates are rounded")]
        let (rate, megabytes) = (self.documents as f64 / seconds, self.bytes as f64 / seconds / 1e6);
        let of = self.documents;
        writeln!(to, "found {found} of {of} documents in {seconds:.2} s: {rate:.0} documents/s, {megabytes:.1} MB/s")
    }
}
