//! A folder with files, and the program in it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use tempfile::TempDir;

/// A guest that `cargo xtask guests` built.
pub(crate) fn built(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/guests/{name}.wasm"));
    assert!(path.is_file(), "the guest {} is missing: run `cargo xtask guests` first", path.display());
    path.to_str().unwrap().to_owned()
}

/// A folder for one test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn write_module(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), wat::parse_str(text).unwrap()).unwrap();
    }

    /// Writes a file with a column `id`, compressed as most are.
    pub(crate) fn write_parquet(&self, name: &str, ids: &[i64]) {
        let ids: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
        let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let file = File::create(self.path(name)).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    /// The program in the folder.
    pub(crate) fn run(&self) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_host-harness-query"));
        command.current_dir(self.0.path());
        Program(command)
    }

    /// The program with a query.
    pub(crate) fn query(&self, sql: &str) -> Program {
        let mut program = self.run();
        program.args([sql]);
        program
    }
}

/// A run of the program.
pub(crate) struct Program(Command);

/// What it left.
pub(crate) struct Output {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    pub(crate) fn args<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) -> &mut Self {
        self.0.args(words);
        self
    }

    pub(crate) fn command(&mut self) -> &mut Command {
        &mut self.0
    }

    pub(crate) fn output(&mut self) -> Output {
        let output = self.0.output().unwrap();
        Output {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs it; it succeeds and prints this.
    pub(crate) fn prints(&mut self, expected: &str) {
        let Output { status, stdout, stderr } = self.output();
        assert_eq!((status, stdout.as_str()), (0, expected), "{:?}: {stderr}", self.0);
    }

    /// Runs it; it prints nothing, ends with this status, and its error has these words.
    pub(crate) fn fails(&mut self, expected: i32, words: &[&str]) {
        let Output { status, stdout, stderr } = self.output();
        assert_eq!((status, stdout.as_str()), (expected, ""), "{:?}: {stderr}", self.0);
        assert!(words.iter().all(|word| stderr.contains(word)), "{:?}: {stderr}", self.0);
    }
}
