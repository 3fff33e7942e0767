//! The errors among all that cargo and the compiler said.

/// The width of the column in which cargo says what it does, such as `   Compiling`.
const STATUS: usize = 12;

/// The errors in what cargo said, each with the lines that belong to it: without the packages that compiled, and without the
/// warnings. Where there is no error, all but the lines of what cargo did; where nothing else is there, everything.
///
/// Without colours, which a build script may print though cargo and the compiler do not.
pub(crate) fn errors(told: &str) -> String {
    let told = plain(told);
    let lines = || told.lines().filter(|line| !is_status(line));
    let mut errors = String::new();
    let mut is_of_an_error = false;
    for line in lines() {
        if line.starts_with("error") {
            is_of_an_error = true;
        } else if line.starts_with("warning") {
            is_of_an_error = false;
        }
        if is_of_an_error {
            errors.push_str(line);
            errors.push('\n');
        }
    }
    let chosen = match errors.trim_end() {
        "" => lines().collect::<Vec<_>>().join("\n"),
        errors => errors.to_owned(),
    };
    match chosen.trim() {
        "" => told.trim_end().to_owned(),
        _ => chosen.trim_end().to_owned(),
    }
}

/// Whether cargo says in this line what it does: one capitalised word, set to the right in its column.
fn is_status(line: &str) -> bool {
    let Some((word, rest)) = line.split_at_checked(STATUS) else { return false };
    let word = word.trim_start_matches(' ');
    let is_word = word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.chars().skip(1).all(|other| other.is_ascii_lowercase());
    is_word && rest.starts_with(' ')
}

/// The text without the sequences that colour it.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, sequence)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let end = sequence.find(|char: char| char.is_ascii_alphabetic()).map_or(sequence.len(), |end| end + 1);
        rest = &sequence[end..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "    Updating index\n   Compiling serde v1.0.0\n   Compiling shop v0.1.0 (/shop)\n\
        warning: unused variable: `x`\n --> src/lib.rs:1:5\n  |\n1 | let x = 1;\n  |     ^\n\n\
        error[E0425]: cannot find value `y` in this scope\n --> src/lib.rs:2:5\n  |\n2 |     y\n  |     ^ not found\n\n\
        For more information about this error, try `rustc --explain E0425`.\n\
        warning: `shop` (lib) generated 1 warning\n\
        error: could not compile `shop` (lib) due to 1 previous error; 1 warning emitted\n";

    #[test]
    fn only_the_errors_stay() {
        assert_eq!(
            errors(TOLD),
            "error[E0425]: cannot find value `y` in this scope\n --> src/lib.rs:2:5\n  |\n2 |     y\n  |     ^ not found\n\n\
             For more information about this error, try `rustc --explain E0425`.\n\
             error: could not compile `shop` (lib) due to 1 previous error; 1 warning emitted"
        );
    }

    #[test]
    fn colours_go_and_do_not_hide_what_a_line_is() {
        let told =
            "\u{1b}[1m\u{1b}[92m   Compiling\u{1b}[0m shop\n\u{1b}[0m\u{1b}[1m\u{1b}[38;5;9merror\u{1b}[0m: no\n";
        assert_eq!(errors(told), "error: no");
    }

    #[test]
    fn what_has_no_error_is_not_lost() {
        assert_eq!(errors("   Compiling shop\nkilled by the system\n"), "killed by the system");
        assert_eq!(errors("   Compiling shop\n"), "   Compiling shop");
        assert_eq!(errors(""), "");
    }
}
