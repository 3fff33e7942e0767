//! The environment of a compiler that is not the one this process was started by.
//!
//! `cargo run` and rustup tell their children which toolchain and which flags to use. A guest build may use
//! another toolchain and always uses its own flags, so those variables must not reach it.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::Path,
    process::Command,
};

/// Where cargo looks for its home, registries and the network: facts about the machine, which stay.
const KEPT: [&str; 6] =
    ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRY_", "CARGO_REGISTRIES_", "CARGO_SOURCE_"];

/// What an outer cargo, rustup or user sets for another build.
const REMOVED: [&str; 6] = ["CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS", "RUSTUP_TOOLCHAIN", "RUST_RECURSION_COUNT"];

/// Variables by which cargo and rustup point their children at a toolchain's own shared libraries.
const LIBRARY_PATHS: [&str; 3] = ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"];

/// Takes out of `command`'s environment what an outer cargo, rustup or caller set for another build.
///
/// `PATH`, `HOME`, `CARGO_HOME`, registry settings and proxies stay. Of the library path only the entries of
/// toolchains and of cargo's target folders go.
pub fn clean(command: &mut Command) -> &mut Command {
    for (name, value) in env::vars_os() {
        match verdict(&name, &value) {
            Verdict::Keep => {}
            Verdict::Remove => {
                command.env_remove(&name);
            }
            Verdict::Replace(value) => {
                command.env(&name, value);
            }
        }
    }
    command
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Keep,
    Remove,
    Replace(OsString),
}

fn verdict(name: &OsStr, value: &OsStr) -> Verdict {
    let Some(text) = name.to_str() else {
        return Verdict::Keep;
    };
    if LIBRARY_PATHS.contains(&text) {
        return library_path(value);
    }
    if KEPT.iter().any(|kept| text.starts_with(kept)) {
        return Verdict::Keep;
    }
    let removed = REMOVED.iter().any(|removed| text == *removed || text.starts_with(&format!("{removed}_")))
        || text.starts_with("RUSTDOCFLAGS")
        || text == "__CARGO_DEFAULT_LIB_METADATA";
    if removed { Verdict::Remove } else { Verdict::Keep }
}

fn library_path(value: &OsStr) -> Verdict {
    let entries: Vec<_> = env::split_paths(value).collect();
    let kept: Vec<_> = entries.iter().filter(|entry| !is_of_a_build(entry)).collect();
    if kept.len() == entries.len() {
        return Verdict::Keep;
    }
    match env::join_paths(kept) {
        Ok(path) if !path.is_empty() => Verdict::Replace(path),
        _ => Verdict::Remove,
    }
}

/// Whether a library folder belongs to a toolchain of rustup's or to a target folder of cargo's.
fn is_of_a_build(entry: &Path) -> bool {
    let is_toolchain = entry.components().any(|part| part.as_os_str() == "rustlib" || part.as_os_str() == "toolchains");
    let is_target = ["debug", "release", "deps"].iter().any(|name| entry.ends_with(name))
        || entry.components().any(|part| part.as_os_str() == "target");
    is_toolchain || is_target
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(name: &str, value: &str) -> Verdict {
        verdict(OsStr::new(name), OsStr::new(value))
    }

    #[test]
    fn another_builds_settings_go() {
        for name in [
            "CARGO",
            "CARGO_MANIFEST_DIR",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "CARGO_TARGET_DIR",
            "CARGO_PROFILE_RELEASE_LTO",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTC_BOOTSTRAP",
            "RUSTDOC",
            "RUSTDOCFLAGS",
            "RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
        ] {
            assert_eq!(decide(name, "x"), Verdict::Remove, "{name}");
        }
    }

    #[test]
    fn facts_about_the_machine_stay() {
        for name in [
            "PATH",
            "HOME",
            "CARGO_HOME",
            "CARGO_HTTP_PROXY",
            "CARGO_NET_OFFLINE",
            "CARGO_REGISTRIES_MINE_INDEX",
            "RUSTUP_HOME",
            "RUST_BACKTRACE",
            "HTTPS_PROXY",
            "SSL_CERT_FILE",
        ] {
            assert_eq!(decide(name, "x"), Verdict::Keep, "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_library_path_loses_only_what_builds_added() {
        let added = "/w/target/debug/deps:/w/target/debug:/home/u/.rustup/toolchains/stable/lib";
        assert_eq!(decide("LD_LIBRARY_PATH", added), Verdict::Remove);
        assert_eq!(decide("LD_LIBRARY_PATH", &format!("{added}:/opt/lib")), Verdict::Replace("/opt/lib".into()));
        assert_eq!(decide("LD_LIBRARY_PATH", "/opt/lib"), Verdict::Keep);
    }
}
