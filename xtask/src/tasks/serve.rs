//! `serve`: the example service, with the sample guest.

use std::process::Command;

use anyhow::{Context, Result};
use guest_build::Allocator;

use super::{cargo, guests, setup};
use crate::{cli, console::Console, folders};

/// The guest that is served.
const GUEST: &str = "shop";

/// The package of the service.
const SERVICE: &str = "example-service";

/// Builds guest and service, and becomes the service. The profile is that of tests: it compiles in a fraction of the time, and
/// everything below the workspace's own crates is optimised in it.
pub(super) fn run(console: &Console, arguments: &cli::Serve) -> Result<()> {
    console.begin("setup");
    let toolchain = setup::toolchain(console)?;
    let asked = cli::Guests { guest: vec![GUEST.to_owned()], allocator: vec![Allocator::BumpReset] };
    guests::build(console, &toolchain, &asked)?;

    console.begin("example-service");
    console.run(cargo().args(["build", "--package", SERVICE]))?;
    console.end();

    let folder = folders::target().join("service");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let mut service = cargo();
    service
        .args(["run", "--quiet", "--package", SERVICE, "--", "--guest"])
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
