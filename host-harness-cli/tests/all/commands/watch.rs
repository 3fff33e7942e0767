//! `watch` on the command line: a crate that is changed, broken, mended and left.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::folder::Folder;

/// The longest time that a line may take: a standard library may have to be built.
const PATIENCE: Duration = Duration::from_mins(20);

/// A watch that runs, and the lines of its standard output.
struct Running {
    process: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, lines }
    }

    /// The lines up to the one with which a run ends.
    fn run(&self) -> String {
        let mut text = String::new();
        while !text.contains("waiting for a change") {
            text += &self.lines.recv_timeout(PATIENCE).unwrap();
            text.push('\n');
        }
        text
    }
}

#[test]
fn a_change_is_shown_a_broken_crate_is_waited_for_and_an_interrupt_ends_it() {
    let folder = Folder::new();
    let place = super::new::FixedFolder::new();
    let made = place.crates().join("watched");
    assert_eq!(folder.run(&format!("new {}", made.display())).status, Some(0));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::copy(root.join("Cargo.lock"), made.join("Cargo.lock")).unwrap();
    let line = "watch --allocator leaking --strategy reinstantiate --calls 1 --manifest-path";
    let mut command = folder.command(line);
    command.arg(made.join("Cargo.toml"));
    let mut running = Running::start(command);
    let first = running.run();
    assert!(first.contains("watched-leaking: ") && first.contains("  add_order: 1 allocations, "), "{first}");

    let source = made.join("src/lib.rs");
    let text = std::fs::read_to_string(&source).unwrap();
    std::fs::write(&source, format!("{text}broken")).unwrap();
    assert!(running.run().contains("nothing was measured"));
    let summing = "let total: i64 = amounts.iter().sum();";
    let copying = "let total: i64 = std::hint::black_box(amounts.clone()).iter().sum();";
    assert!(text.contains(summing));
    std::fs::write(&source, text.replace(summing, copying)).unwrap();
    let changed = running.run();
    assert!(changed.contains("worse   add_order: allocations 1 -> 2 (+100.0%)  (watched-leaking)"), "{changed}");
    std::fs::write(&source, text).unwrap();
    let back = running.run();
    assert!(back.contains("better  add_order: allocations 2 -> 1 (-50.0%)  (watched-leaking)"), "{back}");
    assert!(back.contains(" 0 worse\n"), "{back}");

    let id = running.process.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(running.process.wait().unwrap().code(), Some(130));
    folder.refuses_in_one_line(
        "watch --manifest-path missing/Cargo.toml",
        &["missing/Cargo.toml: there is no such file"],
    );
}
