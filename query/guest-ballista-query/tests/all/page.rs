//! A page of the book as steps: the files that it has its reader write, and the commands with their output.

/// A step of a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A file to write.
    File {
        /// Its path from the folder that the commands before led to.
        path: String,
        text: String,
    },
    /// A command to run.
    Run {
        /// As it stands in the page, with its line breaks.
        command: String,
        /// The lines that it prints. None if the page shows none, which says nothing about what it prints.
        expected: Vec<String>,
    },
}

/// The steps of a page, in its order.
///
/// A block of `console` has commands behind `$ `, each with the lines that it prints; one of `sh` has a command on each line. A line that
/// ends with `\` goes on in the next. Any other block is a file, and the line of text above it names the file: "In `src/lib.rs`:".
///
/// # Errors
/// A block that says neither what to run nor which file it is, with its line.
pub(crate) fn steps(page: &str) -> Result<Vec<Step>, String> {
    let (mut steps, mut above) = (Vec::new(), "");
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            if !line.trim().is_empty() {
                above = line;
            }
            continue;
        };
        let block: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        let fault = |what: &str| format!("line {}: {what}", number + 1);
        match language {
            "sh" => steps.extend(commands(&block, "").map_err(fault)?),
            "console" => steps.extend(commands(&block, "$ ").map_err(fault)?),
            _ => {
                let path = above.strip_prefix("In `").and_then(|rest| rest.strip_suffix("`:"));
                let path = path.ok_or_else(|| fault("no line above names the file of this block"))?.to_owned();
                steps.push(Step::File { path, text: block.join("\n") + "\n" });
            }
        }
        above = "";
    }
    Ok(steps)
}

/// The commands of a block, each of which begins with `prompt`.
fn commands(block: &[&str], prompt: &str) -> Result<Vec<Step>, &'static str> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block {
        match (steps.last_mut(), line.strip_prefix(prompt)) {
            (Some(Step::Run { command, expected }), _) if command.ends_with('\\') && expected.is_empty() => {
                command.push('\n');
                command.push_str(line);
            }
            (_, Some(command)) => steps.push(Step::Run { command: command.to_owned(), expected: Vec::new() }),
            (Some(Step::Run { expected, .. }), None) => expected.push((*line).to_owned()),
            (_, None) => return Err("output without a command"),
        }
    }
    Ok(steps)
}

#[test]
fn files_and_commands_are_read_in_their_order() {
    let page = "# Page\n\n```sh\none\ntwo \\\n  three\n```\n\nIn `a/b.toml`:\n\n```toml\n[x]\n\ny = 1\n```\n\n\
                Then:\n\n```console\n$ four \\\n    five\nsaid\n\nmore\n$ six\n```\n";
    let run = |command: &str, expected: &[&str]| Step::Run {
        command: command.to_owned(),
        expected: expected.iter().map(|line| (*line).to_owned()).collect(),
    };
    let file = Step::File { path: "a/b.toml".to_owned(), text: "[x]\n\ny = 1\n".to_owned() };
    let expected = [
        run("one", &[]),
        run("two \\\n  three", &[]),
        file,
        run("four \\\n    five", &["said", "", "more"]),
        run("six", &[]),
    ];
    assert_eq!(steps(page).unwrap(), expected);
}

#[test]
fn a_block_that_says_nothing_is_a_fault() {
    let unnamed = "In `a.rs`:\n\n```rust\n```\n\n```rust\n```\n";
    assert_eq!(steps(unnamed).unwrap_err(), "line 6: no line above names the file of this block");
    assert_eq!(steps("```console\nsaid\n```\n").unwrap_err(), "line 1: output without a command");
}
