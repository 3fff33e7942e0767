//! Progress where there is no terminal: lines on standard error, which the options make more or fewer.

use crate::folder::Folder;

#[test]
fn a_step_that_lasts_is_said_with_its_time() {
    let folder = Folder::new();
    let said = folder.run("run plain.wasm spin --deadline 2s");
    assert_eq!(said.status, Some(1), "{}", said.stderr);
    let [line] = said.progress.as_slice() else { panic!("{:?}", said.progress) };
    assert!(line.ends_with("] calling spin of plain"), "{line}");
    assert_eq!(said.stderr, "");
    assert!(!said.stdout.contains("calling spin"), "{}", said.stdout);
}

#[test]
fn more_is_said_with_verbose_and_nothing_with_quiet() {
    let folder = Folder::new();
    for (option, lines) in [("-v", 1), ("--verbose", 1), ("-q", 0), ("--quiet", 0)] {
        let said = folder.run(&format!("run plain.wasm do_nothing {option}"));
        assert_eq!((said.status, said.stderr.as_str()), (Some(0), ""), "{option}");
        assert_eq!(said.progress.len(), lines, "{option}: {:?}", said.progress);
    }
    let said = folder.run("run plain.wasm spin --deadline 2s --quiet");
    assert_eq!((said.status, said.progress.len()), (Some(1), 0));
    folder.refuses("run plain.wasm do_nothing -q -v", &["cannot be used with"]);
}

#[test]
fn the_parsers_own_text_is_coloured_as_asked() {
    let folder = Folder::new();
    let help = |words: &str| String::from_utf8(folder.command(words).output().unwrap().stdout).unwrap();
    assert!(help("run --help --color always").contains('\u{1b}'));
    for line in ["run --help", "run --help --color never", "run --help --color auto"] {
        assert!(!help(line).contains('\u{1b}'), "{line}");
    }
}
