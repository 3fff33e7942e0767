//! Programs that a test makes and starts.
//!
//! A file that anybody holds open for writing cannot be started ("Text file busy"). While one thread of a test writes a program,
//! another may start a process of its own, which holds the same open file until it has become its program. So another process
//! writes the file here: what that process opened, nobody else inherits.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

/// Writes a shell script that can be started at once. Folders above it must be there.
///
/// # Panics
/// Without a shell, and if the file cannot be written.
pub fn script(path: &Path, text: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(path).stdin(Stdio::piped());
    let mut child = shell.spawn().expect("there is a shell");
    child.stdin.take().expect("it is a pipe").write_all(text.as_bytes()).expect("the shell reads");
    let status = child.wait().expect("the shell ends");
    assert!(status.success(), "cannot write {}", path.display());
}

/// Copies a program to where nothing is yet; the copy can be started at once.
///
/// # Panics
/// If it cannot be copied.
pub fn copy(program: &Path, path: &Path) {
    // A second name needs no bytes to be written. Another file system needs them.
    if std::fs::hard_link(program, path).is_err() {
        let status = Command::new("cp").arg(program).arg(path).status().expect("there is `cp`");
        assert!(status.success(), "cannot copy {} to {}", program.display(), path.display());
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{path::Path, process::Command, sync::Arc, thread};

    #[test]
    fn programs_start_while_other_threads_start_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let folder: Arc<Path> = folder.path().into();
        let threads = [0, 1, 2, 3].map(|thread| {
            let folder = Arc::clone(&folder);
            thread::spawn(move || {
                for time in 0..100 {
                    let path = folder.join(format!("{thread}-{time}"));
                    super::script(&path, "#!/bin/sh\nexit 7\n");
                    let status = Command::new(&path).status().unwrap_or_else(|error| panic!("{error}"));
                    assert_eq!(status.code(), Some(7));
                }
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
