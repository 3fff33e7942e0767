//! The page of the book about this service: each of its `curl` commands does what the page says.
//!
//! It needs the guest `shop`, which `cargo xtask guests --guest shop` builds, and `curl`.

use std::path::Path;
use std::process::Command;

use crate::process::Home;

const PAGE: &str = include_str!("../../../docs/src/service.md");
/// Where the page's service listens.
const ADDRESS: &str = "localhost:8080";

/// The commands of the page's console blocks, each with the output that follows.
fn commands() -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    for block in PAGE.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap();
        for line in block.lines() {
            match (line.strip_prefix("$ "), commands.last_mut()) {
                (Some(command), _) => commands.push((command.to_owned(), String::new())),
                // A quoted argument that is still open goes on in this line.
                (None, Some((command, _))) if command.matches('\'').count() % 2 == 1 => {
                    command.push('\n');
                    command.push_str(line);
                }
                (None, Some((_, output))) => {
                    output.push_str(line);
                    output.push('\n');
                }
                (None, None) => panic!("output without a command: {line}"),
            }
        }
    }
    commands
}

#[test]
fn the_commands_of_the_page_do_what_it_says() {
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests/shop-bump-reset.wasm");
    assert!(guest.exists(), "{} is missing: run `cargo xtask guests --guest shop`", guest.display());
    if Command::new("curl").arg("--version").output().is_err() {
        println!("LEFT OUT: there is no curl");
        return;
    }
    let home = Home::new();
    let service = home.start_guest(&guest, &[]);
    let mut curls = 0;
    for (command, shown) in commands() {
        if !command.starts_with("curl ") {
            continue;
        }
        curls += 1;
        let command = command.replace(ADDRESS, &service.address.to_string());
        // Without the meter that curl shows where its output is not a terminal.
        let output = Command::new("sh").args(["-c", &command.replacen("curl ", "curl -sS ", 1)]).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), shown.trim(), "{command}");
    }
    assert_eq!(curls, 6, "commands of the page");
}
