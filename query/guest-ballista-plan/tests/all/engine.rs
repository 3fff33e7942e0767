//! The scheduler has no engine: its packages are listed, and those of an executor beside them.

use std::process::Command;

/// The packages that a package of the workspace is built from.
fn packages(package: &str) -> Vec<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(["--package", package])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let listed = String::from_utf8(tree.stdout).unwrap();
    listed.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn engines(package: &str) -> Vec<String> {
    let is_engine = |name: &String| ["wasmtime", "cranelift-codegen", "wasm-guest-host"].contains(&name.as_str());
    let mut found: Vec<String> = packages(package).into_iter().filter(is_engine).collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn the_scheduler_has_no_engine_and_an_executor_has_one() {
    assert!(packages("guest-ballista-plan").iter().any(|name| name == "ballista-scheduler"));
    assert_eq!(engines("guest-ballista-plan"), Vec::<String>::new());
    assert_eq!(engines("guest-ballista"), ["cranelift-codegen", "wasm-guest-host", "wasmtime"]);
}
