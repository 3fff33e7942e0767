//! The description of a pipeline, and its TOML file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use guest_host::RestoreStrategy;
use guest_host::blocks::Full;
use guest_host::text::{line_and_column, memory_size};
use guest_state::input;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::error::PipeError;
use super::source::Source;

/// The name by which stages take from the source.
pub const SOURCE: &str = "source";

/// Blocks in a queue, unless its stage sets another bound.
const QUEUE: u32 = 4;

/// A pipeline: its source and its stages.
///
/// ```
/// use std::path::Path;
/// use host_harness::pipe::PipeConfig;
///
/// let text = r#"
///     [source]
///     ticks = 20
///     every = "500ms"
///
///     [[stage]]
///     module = "exchange.wasm"
///     function = "publish"
///
///     [[stage]]
///     name = "screen"
///     module = "exchange.wasm"
///     function = "subscribe"
///     full = "drop-oldest"
/// "#;
/// let config = PipeConfig::parse(Path::new("pipelines/numbers.toml"), text)?;
/// assert_eq!(config.stages[0].name(), "publish");
/// assert_eq!(config.stages[1].module, Path::new("pipelines/exchange.wasm"));
/// # Ok::<(), host_harness::pipe::PipeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PipeConfig {
    /// The source.
    pub source: Source,
    /// The stages. Each takes from the source or from a stage before it.
    #[serde(rename = "stage", default, deserialize_with = "tables")]
    pub stages: Vec<StageConfig>,
}

/// A stage of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StageConfig {
    /// Its name in the pipeline; `None` for that of the function.
    pub name: Option<String>,
    /// The module.
    #[serde(deserialize_with = "file")]
    pub module: PathBuf,
    /// The function, as [`Guest::stage`](guest_host::Guest::stage) finds it.
    pub function: String,
    /// The stage that it takes from, or [`SOURCE`]; `None` for the stage before it, and the source for the first one.
    pub from: Option<String>,
    /// The most blocks in its queue; 0 counts as 1.
    #[serde(default = "default_queue", deserialize_with = "at_least_one")]
    pub queue: u32,
    /// The action if its queue is full.
    #[serde(rename = "full", default)]
    pub when_full: WhenFull,
    /// The action if a call fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// The way in which its instance is restored; `None` for that of the pipeline.
    pub strategy: Option<RestoreStrategy>,
    /// Bytes of memory that its instance may have; `None` for the limit of the pipeline.
    #[serde(default, deserialize_with = "optional_memory")]
    pub memory_limit: Option<u64>,
    /// Bytes of the memory blocks that its guest made and still has; `None` for the limit of the pipeline.
    #[serde(default, deserialize_with = "optional_memory")]
    pub block_limit: Option<u64>,
    /// The time that a call may take, `Some(None)` for any; `None` for the deadline of the pipeline.
    #[serde(default, deserialize_with = "optional_deadline")]
    pub deadline: Option<Option<Duration>>,
}

/// The action if the queue of a stage is full and another block comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// The stage or source that hands it over waits.
    #[default]
    Wait,
    /// No stage gets the block. The stage or source that hands it over counts it as refused, and goes on.
    Refuse,
    /// The queue loses its oldest block, and counts it.
    DropOldest,
}

/// The action if a call of a stage fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The pipeline stops: the source and the stage end, and the other stages handle the blocks in their queues.
    #[default]
    Stop,
    /// The stage loses the block, and goes on.
    Skip,
}

impl PipeConfig {
    /// A pipeline without stages.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self { source, stages: Vec::new() }
    }

    /// Adds a stage.
    #[must_use]
    pub fn with_stage(mut self, stage: StageConfig) -> Self {
        self.stages.push(stage);
        self
    }

    /// Reads the file of a pipeline. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// [`PipeError`] if the file cannot be read, or is wrong.
    pub fn from_file(path: &Path) -> Result<Self, PipeError> {
        let unreadable = |source| PipeError::Unreadable { path: path.to_owned(), source };
        let bytes = input::read(path).map_err(unreadable)?;
        if bytes.starts_with(b"\0asm") {
            return Err(PipeError::Module { path: path.to_owned() });
        }
        let invalid = |_| unreadable(io::Error::new(io::ErrorKind::InvalidData, "it is not text in UTF-8"));
        Self::parse(path, str::from_utf8(&bytes).map_err(invalid)?)
    }

    /// Reads the text of the file at `path`.
    ///
    /// # Errors
    /// [`PipeError`] if the text is wrong.
    pub fn parse(path: &Path, text: &str) -> Result<Self, PipeError> {
        let mut config: Self = toml::from_str(text).map_err(|error: toml::de::Error| {
            let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
            let message = error.message().lines().collect::<Vec<_>>().join("; ");
            PipeError::Syntax { path: path.to_owned(), line, column, message }
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        config.stages.iter_mut().for_each(|stage| stage.module = folder.join(&stage.module));
        if let Source::File { path, .. } = &mut config.source {
            *path = folder.join(&*path);
        }
        config.origins().map_err(|error| error.in_file(path))?;
        Ok(config)
    }

    /// For each stage the index of the stage that it takes from; `None` for the source.
    ///
    /// # Errors
    /// [`PipeError`] if there are no stages, two have the same name, or a stage takes from one that is not before it.
    pub(super) fn origins(&self) -> Result<Vec<Option<usize>>, PipeError> {
        if self.stages.is_empty() {
            return Err(PipeError::NoStages);
        }
        for (at, stage) in self.stages.iter().enumerate() {
            let name = stage.name();
            if stage.name.as_deref().is_some_and(|name| name.trim().is_empty()) {
                return Err(PipeError::EmptyName);
            }
            if name == SOURCE {
                return Err(PipeError::ReservedName);
            }
            if self.stages[..at].iter().any(|other| other.name() == name) {
                return Err(PipeError::DuplicateName { name: name.to_owned() });
            }
        }
        self.stages.iter().enumerate().map(|(at, stage)| self.origin(at, stage)).collect()
    }

    fn origin(&self, at: usize, stage: &StageConfig) -> Result<Option<usize>, PipeError> {
        let before = &self.stages[..at];
        match stage.from.as_deref() {
            None => Ok(at.checked_sub(1)),
            Some(SOURCE) => Ok(None),
            Some(from) => {
                before.iter().position(|other| other.name() == from).map(Some).ok_or_else(|| PipeError::UnknownFrom {
                    stage: stage.name().to_owned(),
                    from: from.to_owned(),
                    known: std::iter::once(SOURCE)
                        .chain(before.iter().map(StageConfig::name))
                        .map(str::to_owned)
                        .collect(),
                })
            }
        }
    }
}

impl StageConfig {
    /// A stage with this function of a module.
    #[must_use]
    pub fn new(module: impl Into<PathBuf>, function: impl Into<String>) -> Self {
        Self {
            name: None,
            module: module.into(),
            function: function.into(),
            from: None,
            queue: QUEUE,
            when_full: WhenFull::default(),
            on_failure: OnFailure::default(),
            strategy: None,
            memory_limit: None,
            block_limit: None,
            deadline: None,
        }
    }

    guest_prepare::setters! {
        /// Sets [`Self::name`].
        with_name(name: Option<String>);
        /// Sets [`Self::from`].
        with_from(from: Option<String>);
        /// Sets [`Self::queue`].
        with_queue(queue: u32);
        /// Sets [`Self::when_full`].
        with_when_full(when_full: WhenFull);
        /// Sets [`Self::on_failure`].
        with_on_failure(on_failure: OnFailure);
        /// Sets [`Self::strategy`].
        with_strategy(strategy: Option<RestoreStrategy>);
        /// Sets [`Self::memory_limit`].
        with_memory_limit(memory_limit: Option<u64>);
        /// Sets [`Self::block_limit`].
        with_block_limit(block_limit: Option<u64>);
        /// Sets [`Self::deadline`].
        with_deadline(deadline: Option<Option<Duration>>);
    }

    /// Its name in the pipeline.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.function)
    }
}

impl WhenFull {
    /// The policy as files have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Refuse => "refuse",
            Self::DropOldest => "drop-oldest",
        }
    }
}

impl From<WhenFull> for Full {
    fn from(when_full: WhenFull) -> Self {
        match when_full {
            WhenFull::Wait => Self::Wait,
            WhenFull::Refuse => Self::Refuse,
            WhenFull::DropOldest => Self::DropOldest,
        }
    }
}

/// Sizes as a file has them.
pub(super) const SIZE: &str = "a size in quotes, such as \"1MiB\"";

/// Times as a file has them.
pub(super) const TIME: &str = "a time in quotes, such as \"500ms\"";

/// Takes a text, and says that it expects this.
pub(super) struct Text(pub(super) &'static str);

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

/// Takes the stages.
struct Tables;

impl<'de> Visitor<'de> for Tables {
    type Value = Vec<StageConfig>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tables `[[stage]]`, in double square brackets")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut tables: A) -> Result<Self::Value, A::Error> {
        let mut stages = Vec::new();
        while let Some(stage) = tables.next_element()? {
            stages.push(stage);
        }
        Ok(stages)
    }
}

fn tables<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<StageConfig>, D::Error> {
    deserializer.deserialize_seq(Tables)
}

fn file<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    match deserializer.deserialize_str(Text("the path of a file in quotes"))? {
        path if path.is_empty() => Err(serde::de::Error::custom("the path is empty; name a file")),
        path => Ok(path.into()),
    }
}

fn default_queue() -> u32 {
    QUEUE
}

fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        0 => Err(serde::de::Error::custom("a queue has room for at least 1 block; leave `queue` out for 4")),
        queue => Ok(queue),
    }
}

fn optional_memory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = deserializer.deserialize_str(Text(SIZE))?;
    memory_size(&text).map(Some).map_err(serde::de::Error::custom)
}

fn optional_deadline<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Duration>>, D::Error> {
    let text = deserializer.deserialize_str(Text(TIME))?;
    match text.as_str() {
        "none" => Ok(Some(None)),
        text => guest_host::text::duration(text).map(Some).map(Some).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKS: &str = "[source]\nticks = 1\n";

    fn parse(text: &str) -> Result<PipeConfig, String> {
        PipeConfig::parse(Path::new("some/pipe.toml"), text).map_err(|error| error.to_string())
    }

    /// The text of a stage of this function, with more lines.
    fn stage(function: &str, more: &str) -> String {
        format!("[[stage]]\nmodule = \"m.wasm\"\nfunction = \"{function}\"\n{more}\n")
    }

    #[test]
    fn a_stage_has_all_that_the_file_says() {
        let text = r#"name = "n"
from = "source"
queue = 9
full = "drop-oldest"
on_failure = "skip"
strategy = "full-copy"
memory_limit = "2MiB"
block_limit = "3MiB"
deadline = "none""#;
        let config = parse(&format!("{TICKS}{}{}", stage("f", text), stage("g", "deadline = \"2s\""))).unwrap();
        let expected = StageConfig::new("some/m.wasm", "f")
            .with_name(Some("n".to_owned()))
            .with_from(Some(SOURCE.to_owned()))
            .with_queue(9)
            .with_when_full(WhenFull::DropOldest)
            .with_on_failure(OnFailure::Skip)
            .with_strategy(Some(RestoreStrategy::FullCopy))
            .with_memory_limit(Some(2 << 20))
            .with_block_limit(Some(3 << 20))
            .with_deadline(Some(None));
        assert_eq!(config.stages[0], expected);
        assert_eq!(
            config.stages[1],
            StageConfig::new("some/m.wasm", "g").with_deadline(Some(Some(Duration::from_secs(2))))
        );
    }

    #[test]
    fn a_stage_takes_from_the_one_before_it_unless_it_says_otherwise() {
        let stages =
            [stage("a", ""), stage("b", ""), stage("c", "from = \"a\""), stage("d", "from = \"source\"")].concat();
        let config = parse(&format!("{TICKS}{stages}")).unwrap();
        assert_eq!(config.origins().unwrap(), [None, Some(0), Some(0), None]);
    }

    #[test]
    fn errors_say_where_they_are_and_how_to_mend_them() {
        let cases = [
            ("[source", "some/pipe.toml:1:"),
            (&stage("a", ""), "missing field `source`"),
            (TICKS, "some/pipe.toml: the pipeline has no stages; add a table `[[stage]]`"),
            (&format!("{TICKS}{}", stage("a", "quueue = 1")), "pipe.toml:6:1: unknown field `quueue`, expected one of"),
            (&format!("{TICKS}{}", stage("a", "queue = 0")), "pipe.toml:6:9: a queue has room for at least 1 block"),
            ("[stage]\nmodule = \"m\"", "expected tables `[[stage]]`, in double square brackets"),
            (&format!("{TICKS}[[stage]]\nmodule = \"\""), "pipe.toml:4:10: the path is empty; name a file"),
            (&format!("{TICKS}{}", stage("a", "memory_limit = 7")), "expected a size in quotes, such as \"1MiB\""),
            ("[source]\nframes = 1\nframe = 1024", "expected a size in quotes, such as \"1MiB\""),
            ("[source]\nticks = 1\nevery = 1", "expected a time in quotes, such as \"500ms\""),
            ("[source]\nframes = 1\nframe = \"1MB\"", "pipe.toml:3:9: "),
            ("[source]\nframes = 1\nframe = \"0B\"", "pipe.toml:3:9: a frame has at least 1 byte"),
            ("[source]\nticks = 1\nevery = \"2\"", "pipe.toml:3:9: `2` is not a time"),
            ("[source]\nfile = \"\"\nframe = \"1KiB\"", "`file` is empty; name a file"),
            (&format!("{TICKS}{}", stage("a", "full = \"no\"")), "expected one of `wait`, `refuse`, `drop-oldest`"),
            (&format!("{TICKS}{}", stage("a", "memory_limit = \"2MB\"")), "did you mean `2MiB`?"),
            (&format!("{TICKS}{}", stage("a", "deadline = \"2\"")), "`2` is not a time"),
            (
                &format!("{TICKS}{}", stage("a", "strategy = \"fast\"")),
                "expected one of `auto`, `reinstantiate`, `full-copy`",
            ),
            (&format!("{TICKS}[[stage]]\nmodule = \"m.wasm\""), "missing field `function`"),
            (
                &format!("{TICKS}{}{}", stage("a", ""), stage("a", "")),
                "some/pipe.toml: two stages have the name `a`; give one of them another `name`",
            ),
            (&format!("{TICKS}{}", stage("a", "name = \" \"")), "a stage has an empty `name`; leave it out"),
            (&format!("{TICKS}{}", stage("a", "name = \"source\"")), "`source` is the name of the source"),
            (
                &format!("{TICKS}{}{}", stage("a", "from = \"b\""), stage("b", "")),
                "the stage `a` takes from `b`, and no stage before it has this name; `from` is one of: source",
            ),
            (&format!("{TICKS}{}{}", stage("a", ""), stage("b", "from = \"b\"")), "`from` is one of: source, a"),
        ];
        for (text, expected) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}\n{error}\n{expected}");
        }
        let missing = PipeConfig::from_file(Path::new("some/missing.toml")).unwrap_err().to_string();
        assert!(missing.starts_with("some/missing.toml: cannot be read: "), "{missing}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("given");
        for (bytes, expected) in [
            (&b"\0asm\x01\0\0\0"[..], "is a WebAssembly module, and no pipeline: give a TOML file"),
            (b"[source]\xff", "cannot be read: it is not text in UTF-8"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = PipeConfig::from_file(&path).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
