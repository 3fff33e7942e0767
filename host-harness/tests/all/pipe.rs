//! Pipelines of the sample guests and of small ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use guest_build::Allocator;
use guest_host::blocks::Block;
use guest_host::{Guest, InstanceConfig, Level, LoadError, PrepareOptions, RestoreStrategy};
use host_harness::pipe::{
    Observer, OnFailure, PipeConfig, PipeError, PipeReport, Pipeline, Source, StageConfig, StageReport, WhenFull,
    generate,
};

use crate::blocks::on_demand;
use crate::guests::{engine, load, root};

/// Loads the sample guest for every module of this name, and small guests by theirs.
fn guest(path: &Path) -> Result<Guest, LoadError> {
    let text = match path.file_stem().and_then(|name| name.to_str()) {
        Some("exchange-bump-reset" | "exchange") => return Ok(load("exchange", Allocator::BumpReset)),
        Some("traps") => TRAPS,
        Some("plain") => "(module (func (export \"f\") (param i32) (result i32) (local.get 0)))",
        _ => return Guest::from_file(engine(), path, PrepareOptions::default()),
    };
    Guest::load(engine(), "small", &wat::parse_str(text).unwrap(), PrepareOptions::default())
}

/// A bare module: `every_third` traps at the third, sixth and so on, tick; `pass` returns its block.
const TRAPS: &str = r#"(module
    (import "test:shm/exchange" "[static]memory-block.add-storage" (func $add_storage (param i32 i32 i32)))
    (import "test:shm/exchange" "[method]memory-block.attach" (func $attach (param i32 i32 i32)))
    (import "test:shm/exchange" "[method]memory-block.detach" (func $detach (param i32 i32)))
    (memory (export "memory") 2)
    (func (export "_initialize") (call $add_storage (i32.const 65536) (i32.const 65536) (i32.const 0)))
    (func (export "every_third") (param $block i32) (result i32)
        (call $attach (local.get $block) (i32.const 0) (i32.const 0))
        (if (i32.eq (i32.rem_u (i32.load (i32.load (i32.const 4))) (i32.const 3)) (i32.const 2)) (then (unreachable)))
        (call $detach (local.get $block) (i32.const 0))
        (local.get $block))
    (func (export "pass") (param i32) (result i32) (local.get 0)))"#;

/// Collects log lines and the contents of blocks, by stage.
#[derive(Default)]
struct Collected {
    frames: Mutex<u64>,
    lines: Mutex<BTreeMap<String, Vec<String>>>,
    blocks: Mutex<BTreeMap<String, Vec<Vec<u8>>>>,
}

impl Collected {
    fn lines(&self, stage: &str) -> Vec<String> {
        self.lines.lock().unwrap().get(stage).cloned().unwrap_or_default()
    }

    fn blocks(&self, stage: &str) -> Vec<Vec<u8>> {
        self.blocks.lock().unwrap().get(stage).cloned().unwrap_or_default()
    }
}

impl Observer for Collected {
    fn frame(&self) {
        *self.frames.lock().unwrap() += 1;
    }

    fn log(&self, stage: &str, _level: Level, line: &str) {
        self.lines.lock().unwrap().entry(stage.to_owned()).or_default().push(line.to_owned());
    }

    fn returned(&self, stage: &str, block: &Block) {
        let content = block.read().map_or_else(|_| Vec::new(), |reading| reading.bytes(<[u8]>::to_vec));
        self.blocks.lock().unwrap().entry(stage.to_owned()).or_default().push(content);
    }
}

fn run_with(config: PipeConfig, instance: &InstanceConfig) -> (PipeReport, Collected) {
    let pipeline = Pipeline::new(config, instance, guest).unwrap_or_else(|error| panic!("{error}"));
    let collected = Collected::default();
    let report = pipeline.run(&collected).unwrap_or_else(|error| panic!("{error}"));
    for stage in &report.stages {
        let StageReport { stage: name, calls, queue, .. } = stage;
        assert_eq!(*calls, queue.delivered, "{name}");
        assert!(queue.most_queued <= u64::from(queue.capacity), "{name}");
    }
    (report, collected)
}

fn run(config: PipeConfig) -> (PipeReport, Collected) {
    run_with(config, &InstanceConfig::default().with_deadline(None))
}

/// A pipeline of the samples.
fn sample(name: &str) -> PipeConfig {
    let path = root().join("guests/exchange/pipelines").join(name);
    PipeConfig::from_file(&path).unwrap_or_else(|error| panic!("{error}"))
}

fn ticks(count: u64) -> PipeConfig {
    PipeConfig::new(Source::Ticks { count, every: Duration::from_millis(500) })
}

fn stage(module: &str, function: &str) -> StageConfig {
    StageConfig::new(module, function)
}

fn named(name: &str, function: &str) -> StageConfig {
    stage("exchange.wasm", function).with_name(Some(name.to_owned()))
}

fn from(stage: StageConfig, from: &str) -> StageConfig {
    stage.with_from(Some(from.to_owned()))
}

#[test]
fn two_subscribers_get_the_same_numbers_in_order() {
    let (report, collected) = run(sample("numbers.toml"));
    assert!(report.passed());
    assert_eq!((report.frames, report.bytes, report.refused), (20, 320, 0));
    let expected: Vec<_> = (0..20).map(|tick| format!("received {}", tick * tick)).collect();
    assert_eq!((collected.lines("one"), collected.lines("other")), (expected.clone(), expected));
    assert_eq!(*collected.frames.lock().unwrap(), 20);
    let numbers = &report.stages[0];
    assert_eq!((numbers.calls, numbers.published, numbers.failed_calls), (20, 20, 0));
    let froms: Vec<_> = report.stages.iter().map(|stage| stage.from.as_str()).collect();
    assert_eq!(froms, ["source", "numbers", "numbers"]);
}

#[test]
#[cfg(target_os = "linux")]
fn frames_of_the_source_are_mapped_where_the_instance_says_so() {
    for (mapped_from, copied, mapped) in [(0, 0, 2), (17, 2 * 16, 0)] {
        let mut instance = InstanceConfig::default().with_deadline(None).with_strategy(RestoreStrategy::DirtyCards);
        instance.limits = instance.limits.with_blocks_mapped_from(mapped_from);
        let config = ticks(2).with_stage(stage("traps.wasm", "every_third"));
        let load = |path: &Path| guest(path).map(|guest| on_demand(&guest));
        let report = Pipeline::new(config, &instance, load).unwrap().run(&()).unwrap();
        assert!(report.passed());
        let found = &report.stages[0];
        assert_eq!((found.handed_over_bytes, found.copied_bytes, found.mapped), (2 * 16, copied, mapped));
    }
}

#[test]
fn a_list_of_strings_is_read_in_place_by_two_guests() {
    let (report, collected) = run(sample("strings.toml"));
    assert!(report.passed());
    for stage in ["one", "other"] {
        assert_eq!(collected.lines(stage), ["10000 strings, the longest is `word 9999`"]);
    }
    let size = collected.blocks("list")[0].len() as u64;
    assert_eq!(report.stages[1].handed_over_bytes, size);
}

#[test]
fn frames_go_through_three_stages_as_they_would_natively() {
    for strategy in [RestoreStrategy::DirtyCards, RestoreStrategy::BumpReset, RestoreStrategy::Reinstantiate] {
        let mut config = sample("frames.toml");
        let count = 12;
        config.source = Source::Generated { frames: count, frame: 1 << 20, seed: 7 };
        let instance = InstanceConfig::default().with_strategy(strategy).with_deadline(None);
        let (report, collected) = run_with(config, &instance);
        assert!(report.passed());
        assert_eq!((report.frames, report.bytes), (count, count << 20));
        let blended = collected.blocks("blend");
        assert_eq!((blended.len() as u64, collected.lines("measure").len() as u64), (count, count));
        for (number, (blended, line)) in (0..).zip(blended.iter().zip(collected.lines("measure"))) {
            let mut pixels = vec![0; 1 << 20];
            generate(7, number, &mut pixels);
            pixels.iter_mut().for_each(|pixel| *pixel = pixel.saturating_add(16));
            let last = pixels.last().copied();
            let expected: Vec<u8> = pixels.windows(2).map(|pair| pair[0].midpoint(pair[1])).chain(last).collect();
            assert!(*blended == expected, "{strategy}, frame {number}");
            let sum: u64 = expected.iter().map(|pixel| u64::from(*pixel)).sum();
            assert_eq!(line, format!("1048576 pixels, mean {}", sum >> 20));
        }
        let handed_over: Vec<_> = report.stages.iter().map(|stage| stage.handed_over_bytes >> 20).collect();
        assert_eq!(handed_over, [12, 24, 12]);
        assert!(report.stages.iter().all(|stage| stage.strategy == strategy.name()));
    }
}

#[test]
fn a_stage_that_fails_stops_the_pipeline_or_loses_the_frame() {
    let config = |on_failure| {
        ticks(10)
            .with_stage(stage("traps.wasm", "every_third").with_on_failure(on_failure))
            .with_stage(stage("traps.wasm", "pass"))
    };
    let numbers = |collected: &Collected| -> Vec<u8> { collected.blocks("pass").iter().map(|tick| tick[0]).collect() };

    let (report, collected) = run(config(OnFailure::Skip));
    assert!(report.passed());
    let failing = &report.stages[0];
    assert_eq!((failing.calls, failing.failed_calls, failing.published, failing.stopped), (10, 3, 7, false));
    assert_eq!(numbers(&collected), [0, 1, 3, 4, 6, 7, 9]);
    let failure = failing.failure.as_ref().unwrap();
    assert_eq!((failure.call, failure.cause.as_str()), (3, "unreachable"));

    let (report, collected) = run(config(OnFailure::Stop));
    assert!(!report.passed());
    let failing = &report.stages[0];
    assert_eq!((failing.calls, failing.failed_calls, failing.published, failing.stopped), (3, 1, 2, true));
    // The next stage handles all that was before the failure.
    assert_eq!(numbers(&collected), [0, 1]);
    assert!(!report.stages[1].stopped && report.stages[1].failure.is_none());
}

#[test]
fn a_stage_that_fails_and_skips_keeps_nothing_from_the_other_takers() {
    let config = ticks(30)
        .with_stage(named("numbers", "publish"))
        .with_stage(named("fails", "check").with_on_failure(OnFailure::Skip))
        .with_stage(from(named("reads", "subscribe").with_queue(1), "numbers"));
    let (report, collected) = run(config);
    assert_eq!((report.stages[1].calls, report.stages[1].failed_calls), (30, 30));
    assert_eq!(collected.lines("reads").len(), 30);
    assert!(report.passed());
}

/// Keeps a stage from going on until the source has ended.
struct Holds {
    stage: &'static str,
    frames: u64,
    seen: Mutex<u64>,
    more: Condvar,
    collected: Collected,
}

impl Observer for Holds {
    fn frame(&self) {
        *self.seen.lock().unwrap() += 1;
        self.more.notify_all();
    }

    fn log(&self, stage: &str, level: Level, line: &str) {
        self.collected.log(stage, level, line);
        if stage == self.stage {
            let seen = self.seen.lock().unwrap();
            let _seen = self.more.wait_while(seen, |seen| *seen < self.frames).unwrap();
        }
    }
}

/// Runs a pipeline in which the stage `slow` ends its first call when the source has ended.
fn run_slow(config: PipeConfig, frames: u64) -> (PipeReport, Collected) {
    let pipeline = Pipeline::new(config, &InstanceConfig::default().with_deadline(None), guest).unwrap();
    let (seen, more, collected) = (Mutex::new(0), Condvar::new(), Collected::default());
    let holds = Holds { stage: "slow", frames, seen, more, collected };
    let report = pipeline.run(&holds).unwrap();
    (report, holds.collected)
}

#[test]
fn a_slow_stage_loses_the_oldest_frames_and_holds_nobody_up() {
    let (report, collected) = run_slow(
        ticks(20)
            .with_stage(from(named("slow", "subscribe"), "source").with_queue(2).with_when_full(WhenFull::DropOldest))
            .with_stage(from(named("every", "subscribe"), "source").with_queue(1)),
        20,
    );
    let [slow, every] = &report.stages[..] else { panic!("{report:?}") };
    assert_eq!((every.queue.delivered, every.queue.dropped), (20, 0));
    let queue = &slow.queue;
    assert_eq!((queue.delivered + queue.dropped, queue.most_queued), (20, 2));
    assert!(queue.dropped >= 15, "{queue:?}");
    // The latest frames are the last that it gets.
    assert!(collected.lines("slow").ends_with(&["received 18".to_owned(), "received 19".to_owned()]));

    // A queue with one taker does the same.
    let (report, collected) = run_slow(
        ticks(20).with_stage(named("slow", "subscribe").with_queue(2).with_when_full(WhenFull::DropOldest)),
        20,
    );
    let queue = &report.stages[0].queue;
    assert_eq!((queue.delivered + queue.dropped, queue.most_queued), (20, 2));
    assert!(collected.lines("slow").ends_with(&["received 18".to_owned(), "received 19".to_owned()]));
}

#[test]
fn a_frame_that_a_queue_refuses_reaches_no_stage_and_is_counted_at_its_producer() {
    for others in [0, 1] {
        let slow = from(named("slow", "subscribe"), "source").with_queue(1).with_when_full(WhenFull::Refuse);
        let mut config = ticks(20).with_stage(slow);
        if others > 0 {
            config = config.with_stage(from(named("other", "subscribe"), "source").with_queue(20));
        }
        let (report, collected) = run_slow(config, 20);
        assert_eq!(report.frames + report.refused, 20);
        assert!(report.refused >= 17, "{report:?}");
        for stage in &report.stages {
            assert_eq!(stage.queue.delivered, report.frames);
            assert_eq!(collected.lines(&stage.stage), collected.lines("slow"));
        }
        assert!(report.passed());
    }
}

#[test]
fn a_block_for_several_stages_must_be_shared() {
    let config = ticks(1)
        .with_stage(named("maker", "create"))
        .with_stage(named("one", "check"))
        .with_stage(from(named("other", "check"), "maker"));
    let (report, _) = run(config);
    // `create` takes no block, and returns one that is not shared.
    let failure = report.stages[0].failure.as_ref().unwrap();
    assert_eq!(failure.cause, "not-shared");
    assert_eq!(
        failure.message,
        "several stages take from `maker`, and the block that it returned is not shared; in the guest, write it with `write_shared`"
    );
    assert!(report.stages[0].stopped && report.stages[1].calls == 0);
}

#[test]
fn a_file_is_a_source() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pixels"), vec![9; 2500]).unwrap();
    let path = folder.path().join("pipe.toml");
    let text = "[source]\nfile = \"pixels\"\nframe = \"1KiB\"\n[[stage]]\nmodule = \"exchange.wasm\"\nfunction = \"measure\"\n";
    std::fs::write(&path, text).unwrap();
    let (report, collected) = run(PipeConfig::from_file(&path).unwrap());
    assert_eq!((report.frames, report.bytes), (3, 2500));
    let pixels = |count: u32| format!("{count} pixels, mean 9");
    assert_eq!(collected.lines("measure"), [pixels(1024), pixels(1024), pixels(452)]);
}

#[test]
fn a_pipeline_that_cannot_run_says_why_before_anything_runs() {
    let new = |config| Pipeline::new(config, &InstanceConfig::default(), guest).unwrap_err();
    let error = |config| new(config).to_string();
    assert!(error(ticks(1)).contains("has no stages"));
    let twice = ticks(1).with_stage(named("a", "check")).with_stage(named("a", "check"));
    assert!(error(twice).contains("two stages have the name `a`"));
    let unknown = ticks(1).with_stage(from(named("a", "check"), "b"));
    assert!(error(unknown).contains("`from` is one of: source"));
    assert_eq!(
        error(ticks(1).with_stage(named("a", "brigten"))),
        "the stage `a`: exchange.wasm has no stage `brigten`; `function` is one of: blend, brighten, check, create, increment, list, \
         longest, measure, publish, subscribe"
    );
    let plain = error(ticks(1).with_stage(stage("plain.wasm", "f")));
    assert!(plain.contains("plain.wasm has no stage `f`; it has no stages at all: in Rust, put `#[stage]`"), "{plain}");
    let missing = new(ticks(1).with_stage(stage("missing.wasm", "f")));
    assert!(missing.load_error().is_some());
    let missing = missing.to_string();
    assert!(missing.starts_with("the stage `f`: missing.wasm: cannot be read"), "{missing}");
    assert!(missing.ends_with("; `module` is a path relative to the folder of the pipeline's file"), "{missing}");

    let small = named("a", "check").with_memory_limit(Some(65_536));
    let small = Pipeline::new(ticks(1).with_stage(small), &InstanceConfig::default(), guest).unwrap().run(&());
    assert!(matches!(&small, Err(PipeError::Load { stage, .. }) if stage == "a"), "{small:?}");
    let source = Source::File { path: PathBuf::from("missing.bin"), frame: 8 };
    let config = PipeConfig::new(source).with_stage(named("a", "measure"));
    let missing = Pipeline::new(config, &InstanceConfig::default(), guest).unwrap().run(&()).unwrap_err().to_string();
    assert!(missing.starts_with("missing.bin: cannot be read"), "{missing}");
}

#[test]
fn the_settings_of_a_stage_are_its_own() {
    let config = ticks(3)
        .with_stage(named("a", "publish").with_strategy(Some(RestoreStrategy::FullCopy)))
        .with_stage(named("b", "subscribe").with_deadline(Some(Some(Duration::from_secs(60)))));
    let (report, _) = run_with(config, &InstanceConfig::default().with_strategy(RestoreStrategy::BumpReset));
    let strategies: Vec<_> = report.stages.iter().map(|stage| stage.strategy.as_str()).collect();
    assert_eq!(strategies, ["full-copy", "bump-reset"]);
}

#[test]
#[should_panic(expected = "on purpose")]
fn an_observer_that_panics_ends_the_pipeline() {
    struct Panics;
    impl Observer for Panics {
        fn log(&self, _stage: &str, _level: Level, _line: &str) {
            panic!("on purpose");
        }
    }
    // The source would not end in this life.
    let config = ticks(1 << 40)
        .with_stage(named("a", "subscribe"))
        .with_stage(from(named("b", "subscribe"), "source").with_when_full(WhenFull::DropOldest));
    drop(Pipeline::new(config, &InstanceConfig::default(), guest).unwrap().run(&Panics));
}
