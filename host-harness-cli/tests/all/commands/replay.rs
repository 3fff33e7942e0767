//! `replay` on the command line, with the built guests.

use std::path::Path;

use host_harness::report::{Content, read};

use crate::folder::Folder;

const TRACE: &[u8] = b"Alloc(100),\nAlloc(24),\nRealloc(0, 5000),\nFree(1),\nAlloc(24),\nFree(0),\n";

/// The arguments that name the built guests.
fn guests() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests");
    format!("--guests {}", folder.display())
}

/// A folder with a trace that counts from 0, and with the same counted from 1.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.file("zero.trace", TRACE);
    folder.file("one.trace", b"Alloc(100),\nAlloc(24),\nRealloc(1, 5000),\nFree(2),\nAlloc(24),\nFree(1),\n");
    folder
}

#[test]
fn a_trace_is_replayed_with_every_allocator_or_those_that_are_named() {
    let folder = folder();
    let guests = guests();
    let all = folder
        .run(&format!("replay zero.trace {guests} --allocators all --repeats 2 --format json --export-html page.html"));
    assert_eq!(all.status, Some(0), "{}", all.stderr);
    let report = read(&all.stdout).unwrap();
    let Content::Replay(replay) = &report.content else { panic!("{:?}", report.content) };
    let names: Vec<_> = replay.rows.iter().map(|row| row.allocator.as_str()).collect();
    assert_eq!(
        names,
        ["system", "leaking", "bump-reset", "freelist", "wee", "lol-alloc", "mini-alloc", "rlsf", "talc", "wee-alloc"]
    );
    assert_eq!((replay.traces.len(), replay.traces[0].peak_live_bytes), (1, 5_048 - 24));
    for row in &replay.rows {
        let counts = row.counts.as_ref().unwrap();
        assert_eq!((counts.failed_operations, counts.live_bytes, counts.peak_live_bytes), (0, 24, 5_024), "{row:?}");
    }
    assert_eq!(
        format!("{}\n", serde_json::to_string_pretty(&report).unwrap()),
        all.stdout,
        "what is read back is what was written"
    );
    let html = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(html.contains("Replays of") && html.contains("bump-reset"), "{html}");

    // A file that is named twice is replayed once, and another with the same name is another trace.
    std::fs::create_dir(folder.path().join("more")).unwrap();
    folder.file("more/zero.trace", TRACE);
    let line =
        format!("replay zero.trace ./zero.trace more/zero.trace {guests} --allocators wee,leaking,wee --repeats 1");
    let named = folder.run(&line).stdout;
    let rows: Vec<_> =
        named.lines().filter(|line| line.starts_with("| wee") || line.starts_with("| leaking")).collect();
    assert_eq!(rows.len(), 4, "{named}");
    assert!(named.contains("Replays of `zero.trace`") && named.contains("Replays of `more/zero.trace`"));
    assert!(rows[0].starts_with("| wee") && rows[1].starts_with("| leaking"), "{named}");
}

#[test]
fn a_trace_may_count_from_1() {
    let folder = folder();
    let counts = |line: &str| {
        let said = folder.run(&format!("replay {line} {} --allocators freelist --repeats 1 --format json", guests()));
        assert_eq!(said.status, Some(0), "{}", said.stderr);
        let Content::Replay(replay) = read(&said.stdout).unwrap().content else { panic!("{}", said.stdout) };
        (replay.traces[0].peak_live_bytes, replay.rows[0].counts)
    };
    assert_eq!(counts("zero.trace"), counts("one.trace --count-from 1"));
}

#[test]
fn a_bad_trace_is_refused_with_file_line_and_what_was_expected() {
    let folder = folder();
    let long = format!("Alloc(8),{}\n", " ".repeat(200));
    let cases: [(&str, &[u8], &[&str]); 10] = [
        (
            "syntax.trace",
            b"Alloc(8),\nMalloc(8),\n",
            &["syntax.trace:2:1: expected `Alloc(bytes),`, `Free(n),`", "`Malloc(8),`"],
        ),
        ("cut.trace", b"Alloc(8),\nFree(0", &["cut.trace:2:7: expected `)`", "the line ends"]),
        ("never.trace", b"Alloc(8),\n\nFree(3),\n", &["never.trace:3:6: allocation 3 was never made", "from 0 to 0"]),
        (
            "twice.trace",
            b"Alloc(8),\nFree(0),\nFree(0),\n",
            &["twice.trace:3:6: allocation 0 is freed twice", "line 2"],
        ),
        (
            "dead.trace",
            b"Alloc(8),\nFree(0),\nRealloc(0, 9),\n",
            &["dead.trace:3:9: allocation 0 is not alive", "line 2"],
        ),
        ("long.trace", long.as_bytes(), &["long.trace:1:101: expected one operation a line", "209 bytes"]),
        ("large.trace", b"Alloc(2147483648),\n", &["large.trace:1:7: expected a size of at most 2147483640 bytes"]),
        ("noise.trace", b"\x1b[31m\xff\0", &["noise.trace:1:1: expected", "\\u001b[31m"]),
        ("empty.trace", b"", &["empty.trace: the trace has no operation"]),
        ("one.trace", b"Alloc(8),\nFree(1),\n", &["one.trace:2:6", "`--count-from 1`"]),
    ];
    for (name, text, words) in cases {
        folder.file(name, text);
        // Before anything is built or loaded, and whatever the other traces are.
        folder.refuses_in_one_line(&format!("replay zero.trace {name} --export-json r.json"), words);
    }
    folder.refuses_in_one_line("replay missing.trace", &["cannot read the trace missing.trace"]);
    folder.refuses_in_one_line("replay .", &["cannot read the trace", "it is a folder"]);
}

#[test]
fn what_cannot_be_done_is_told() {
    let folder = folder();
    let guests = guests();
    folder.refuses("replay", &["<TRACE>"]);
    folder.refuses("replay zero.trace --count-from 2", &["from 0 or from 1"]);
    folder.refuses("replay zero.trace --repeats 0", &["whole number from 1"]);
    for (line, words) in [
        ("replay zero.trace --allocators slab", "there is no allocator `slab`"),
        ("replay zero.trace --guests .", "there is no module `replay-NAME.wasm`"),
        ("replay zero.trace --guests nowhere", "nowhere: cannot be read"),
        ("replay zero.trace --manifest-path nowhere.toml", "there is no manifest at nowhere.toml"),
        ("replay zero.trace --restore never", "leave out --restore"),
        ("replay zero.trace --strategy full-copy,watermark", "one strategy"),
        ("replay zero.trace --export-json zero.trace", "it is what the command reads"),
    ] {
        folder.refuses_in_one_line(line, &[words]);
    }
    folder.refuses_in_one_line(
        &format!("replay zero.trace {guests} --allocators slab"),
        &["`replay-slab.wasm`", "freelist"],
    );
    folder.file("replay-plain.wasm", &test_support::text_guests::plain());
    folder
        .refuses_in_one_line("replay zero.trace --guests .", &["replay-plain.wasm", "no extension function `replay`"]);
    let refused =
        folder.run(&format!("replay zero.trace {guests} --allocators system,leaking --strategy watermark --repeats 1"));
    assert_eq!(refused.status, Some(1), "{}", refused.stderr);
    assert!(refused.stdout.contains("not-restorable") && refused.stdout.contains("full-copy"), "{}", refused.stdout);
}
