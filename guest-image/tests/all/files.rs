//! Files: written again and again, by processes that are killed and on disks that are full.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use guest_image::{Delta, Durability, FileError, GlobalValue, ImageFile};
use proptest::prelude::*;

use crate::model::{PAGE, State, Step, base, step};

/// Names the file that a process of [`a_process_that_writes`] writes to.
const WRITES_TO: &str = "GUEST_IMAGE_WRITES_TO";

/// The state with this number. The bytes of each card tell the number of the state that wrote it last.
fn state(number: u64) -> State {
    let base = base(3);
    let mut state = State::of(&base);
    for earlier in number.saturating_sub(40)..=number {
        let at = usize::try_from(earlier * 7919 % (PAGE as u64 - 600)).unwrap();
        let length = usize::try_from(earlier % 600).unwrap();
        Step::Fill { at, length, byte: (earlier % 251) as u8 }.run(&mut state, &base);
    }
    state.globals[1] = GlobalValue::I64(number);
    state
}

fn delta(number: u64) -> Delta {
    state(number).delta(&base(3))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_file_has_the_last_state(steps in prop::collection::vec((prop::collection::vec(step(), 0..4), any::<bool>()), 1..25)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let base = base(3);
        let mut state = State::of(&base);
        let (mut file, _) = ImageFile::open(&path, Durability::Unsynced).unwrap();
        let mut largest = 0;
        for (number, (steps, reopens)) in (10..).zip(steps) {
            steps.iter().for_each(|step| step.run(&mut state, &base));
            file.write(number, &state.delta(&base)).unwrap();
            if reopens {
                drop(file);
                let (again, stored) = ImageFile::open(&path, Durability::Unsynced).unwrap();
                let stored = stored.unwrap();
                prop_assert_eq!(stored.number, number);
                prop_assert_eq!(&State::from_delta(&stored.delta, &base), &state);
                file = again;
            }
            largest = largest.max(state.delta(&base).encoded_bytes());
            // A header, and two areas for one and a half times the largest delta.
            prop_assert!(std::fs::metadata(&path).unwrap().len() <= 3 * largest + 5 * 4096);
        }
        prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left there");
    }
}

/// The bytes in which two files differ, if one has been written where the other ends.
fn written(before: &[u8], after: &[u8]) -> Vec<usize> {
    (0..after.len()).filter(|at| before.get(*at).unwrap_or(&0) != &after[*at]).collect()
}

#[test]
fn a_write_takes_as_many_bytes_as_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let base = base(3);
    let mut state = State::of(&base);
    state.memory[..40_000].fill(200);
    let (mut file, _) = ImageFile::open(&path, Durability::Synced).unwrap();
    file.write(1, &state.delta(&base)).unwrap();
    let before = std::fs::read(&path).unwrap();
    state.memory[50_000] = 1;
    file.write(2, &state.delta(&base)).unwrap();
    let places = written(&before, &std::fs::read(&path).unwrap());
    let most = guest_image::HEADER + 8 + guest_image::CARD;
    assert!(places[places.len() - 1] - places[0] < most && places[0] >= before.len());
    let refused = file.write(2, &state.delta(&base)).unwrap_err();
    assert!(refused.to_string().ends_with("the change follows the state 2, and this is the state 2"), "{refused}");
}

/// Whatever part of a write came to the disk, the file has the state before or the one that was written.
#[test]
fn a_part_of_a_write_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let (mut file, _) = ImageFile::open(&path, Durability::Unsynced).unwrap();
    file.write(1, &delta(1)).unwrap();
    let (mut changes, mut wholes) = (0, 0);
    for number in 2..40 {
        let before = std::fs::read(&path).unwrap();
        file.write(number, &delta(number)).unwrap();
        let after = std::fs::read(&path).unwrap();
        let places = written(&before, &after);
        // It is another file that took its place.
        if places[0] < 4096 {
            continue;
        }
        let (first, last) = (places[0], places[places.len() - 1]);
        changes += u32::from(after[first..].starts_with(b"wasmimg\0\x01\0\x02"));
        wholes += u32::from(after[first..].starts_with(b"wasmimg\0\x01\0\x01"));
        let other = folder.path().join("part");
        for end in (first..=last).step_by(61).chain([last]) {
            let mut part = before.clone();
            part.resize(after.len().max(before.len()), 0);
            part[first..end].copy_from_slice(&after[first..end]);
            std::fs::write(&other, &part).unwrap();
            let (mut file, stored) = ImageFile::open(&other, Durability::Unsynced).unwrap();
            let stored = stored.unwrap();
            assert_eq!((stored.number, &*stored.delta), (number - 1, &delta(number - 1)), "{first}..{end} of ..{last}");
            file.write(number + 1, &delta(number + 1)).unwrap();
            drop(file);
            let (_, stored) = ImageFile::open(&other, Durability::Unsynced).unwrap();
            let stored = stored.unwrap();
            assert_eq!((stored.number, &*stored.delta), (number + 1, &delta(number + 1)));
        }
    }
    assert!(changes > 3 && wholes > 0, "{changes} {wholes}");
}

#[test]
fn a_file_that_is_no_image_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let (mut file, _) = ImageFile::open(&path, Durability::Unsynced).unwrap();
    file.write(1, &delta(1)).unwrap();
    drop(file);
    let whole = std::fs::read(&path).unwrap();
    let refuses = |bytes: &[u8], message: &str| {
        std::fs::write(&path, bytes).unwrap();
        let refused = ImageFile::open(&path, Durability::Unsynced).map(drop).unwrap_err();
        assert!(matches!(refused, FileError::Image { .. }) && refused.to_string().contains(message), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    };
    refuses(b"text", "no image");
    refuses(&whole[..31], "no image");
    refuses(&whole[..4096], "no image");
    refuses(&whole[..4200], "ends after 104 of 136 bytes");
    refuses(&whole[..whole.len() - 1], "ends after");
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    refuses(&flipped(8), "format 0");
    refuses(&flipped(13), "damaged");
    refuses(&flipped(4400), "damaged");
}

#[test]
fn a_file_is_opened_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let (mut file, _) = ImageFile::open(&path, Durability::Unsynced).unwrap();
    let refused = || ImageFile::open(&path, Durability::Unsynced).map(drop).unwrap_err();
    assert!(matches!(refused(), FileError::InUse { .. }));
    // Another file has its name now.
    file.write(1, &delta(1)).unwrap();
    assert!(refused().to_string().ends_with("the image is in use; close it there first"));
    file.remove().unwrap();
    assert!(ImageFile::open(&path, Durability::Unsynced).unwrap().1.is_none());
    let nowhere = folder.path().join("no folder").join("image");
    assert!(matches!(ImageFile::open(&nowhere, Durability::Synced), Err(FileError::Io { .. })));
}

/// Not a test of its own: the tests below run it in a process of its own. It writes state after state, and prints the
/// number of each that was written, or the error.
#[test]
fn a_process_that_writes() {
    let Some(path) = std::env::var_os(WRITES_TO) else { return };
    let (mut file, stored) = ImageFile::open(Path::new(&path), Durability::Synced).expect("the image can be opened");
    let next = stored.map_or(1, |stored| stored.number + 1);
    let mut out = std::io::stdout();
    for number in next.. {
        let line = match file.write(number, &delta(number)) {
            Ok(()) => format!("\nwrote {number}\n"),
            Err(error) => format!("\nfailed {number} {error}\n"),
        };
        let failed = line.starts_with("\nfailed");
        out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("the parent reads");
        if failed {
            return;
        }
    }
}

fn writer(path: &Path, shell: &str) -> Child {
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell} exec \"$0\" \"$@\"")]).arg(own);
    command.args(["files::a_process_that_writes", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(WRITES_TO, path).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// The lines of a process that begin with a word.
fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.filter(|line| line.starts_with("wrote ") || line.starts_with("failed "))
}

fn number_in(line: &str) -> u64 {
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_process_that_is_killed_leaves_the_last_state_or_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let mut acknowledged = 0;
    for round in 0..40_u64 {
        let mut child = writer(&path, "");
        // Killed while it writes one of the next states, at a moment that nobody chooses.
        let mut output = lines(&mut child);
        for _ in 0..=round * 7 % 23 {
            acknowledged = number_in(&output.next().expect("it writes until it is killed"));
        }
        child.kill().unwrap();
        // What it wrote before it was killed is acknowledged too.
        if let Some(last) = output.last() {
            acknowledged = number_in(&last);
        }
        child.wait().unwrap();
        let (_, stored) = ImageFile::open(&path, Durability::Synced).unwrap();
        let stored = stored.unwrap();
        assert!(stored.number == acknowledged || stored.number == acknowledged + 1, "{} {acknowledged}", stored.number);
        assert_eq!(*stored.delta, delta(stored.number));
    }
    assert!(acknowledged > 100);
}

/// The system cuts a write that would make the file larger than allowed, and refuses the next, as on a full disk.
#[cfg(unix)]
#[test]
fn on_a_full_disk_the_last_state_stays() {
    let folder = tempfile::tempdir().unwrap();
    for blocks in [1, 3, 8, 20, 33] {
        let path = folder.path().join(format!("image-{blocks}"));
        let mut child = writer(&path, &format!("trap '' XFSZ; ulimit -f {blocks};"));
        let all: Vec<String> = lines(&mut child).collect();
        child.wait().unwrap();
        let failed = all.last().expect("it failed at the end");
        assert!(failed.starts_with("failed ") && failed.contains("cannot write the image"), "{failed}");
        let (mut file, stored) = ImageFile::open(&path, Durability::Synced).unwrap();
        let stored = stored.map(|stored| {
            assert_eq!(*stored.delta, delta(stored.number));
            stored.number
        });
        assert_eq!(stored.unwrap_or(0), number_in(failed) - 1);
        // With room again it goes on.
        file.write(number_in(failed), &delta(number_in(failed))).unwrap();
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().ends_with("-new")), "{left:?}");
    }
}

/// A change that a guest has made up in its memory, with a right checksum and its own identity, which lies behind the last state.
#[test]
fn bytes_that_look_like_a_change_are_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let (mut file, _) = ImageFile::open(&path, Durability::Unsynced).unwrap();
    let first = delta(1);
    file.write(1, &first).unwrap();
    drop(file);
    let mut forged = Vec::new();
    let later = delta(2);
    guest_image::Change::between(&first, &later).unwrap().write_to(1, u64::MAX, &mut forged).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(forged);
    std::fs::write(&path, bytes).unwrap();
    let (mut file, stored) = ImageFile::open(&path, Durability::Unsynced).unwrap();
    assert_eq!(stored.unwrap().number, 1);
    file.write(2, &later).unwrap();
}

#[test]
fn a_file_of_another_with_a_similar_name_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (mut other, _) = ImageFile::open(&folder.path().join("room.new"), Durability::Unsynced).unwrap();
    other.write(7, &delta(7)).unwrap();
    let (mut file, _) = ImageFile::open(&folder.path().join("room"), Durability::Unsynced).unwrap();
    for number in 1..30 {
        file.write(number, &delta(number * 20)).unwrap();
    }
    drop(other);
    let (_, stored) = ImageFile::open(&folder.path().join("room.new"), Durability::Unsynced).unwrap();
    assert_eq!(stored.unwrap().number, 7);
}
