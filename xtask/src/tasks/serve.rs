//! `serve`: the example service, with the sample guest.

use std::process::Command;

use anyhow::{Context, Result};
use guest_build::Allocator;

use super::{guests, setup};
use crate::cargo::cargo;
use crate::console::Console;
use crate::folders;

/// The guest that is served.
const GUEST: &str = "shop";

/// The binary of the service. It is selected in the whole workspace: alone, its package has fewer features of the engine than the
/// tests have, and the engine would be compiled again after them.
const SERVICE: &str = "example-service";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Options for the service, such as `--listen 127.0.0.1:9000`; `-- --help` lists them.
    #[arg(last = true, value_name = "ARGUMENT")]
    pub(super) more: Vec<String>,
}

/// Builds guest and service, and becomes the service. The profile is that of tests: it compiles in a fraction of the time, and
/// everything below the workspace's own crates is optimised in it.
pub(super) fn run(console: &Console, arguments: &Arguments) -> Result<()> {
    console.begin("setup");
    let toolchain = setup::toolchain(console)?;
    let asked = guests::Arguments { guest: vec![GUEST.to_owned()], allocator: vec![Allocator::BumpReset] };
    guests::build(console, &toolchain, &asked)?;

    console.begin("example-service");
    console.run(cargo().args(["build", "--bin", SERVICE]))?;
    console.end();

    let folder = folders::target().join("service");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let mut service = cargo();
    service
        .args(["run", "--quiet", "--bin", SERVICE, "--", "--guest"])
        .arg(folders::guests_out().join(format!("{GUEST}-{}.wasm", Allocator::BumpReset)))
        .arg("--store")
        .arg(folder.join("records.redb"))
        // Of options that are given twice, the service takes the last.
        .args(&arguments.more);
    become_it(console, &mut service)
}

/// Signals go to the service alone, so that this ends when it has ended.
#[cfg(unix)]
fn become_it(console: &Console, service: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt as _;
    console.say(&format!("$ {}", crate::console::describe(service)));
    Err(service.exec()).context("cannot run the service")
}

#[cfg(not(unix))]
fn become_it(console: &Console, service: &mut Command) -> Result<()> {
    console.pass_through(service)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::parse;

    #[test]
    fn what_stands_behind_the_dashes_is_for_the_service() {
        let arguments: Arguments = parse("serve -- --listen 127.0.0.1:0").unwrap();
        assert_eq!(arguments.more, ["--listen", "127.0.0.1:0"]);
    }
}
