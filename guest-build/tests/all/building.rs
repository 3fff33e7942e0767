//! Building small guests of this test's own, with the toolchain that there is.
//!
//! Where the standard library must be built, it goes into the folder that the workspace's guests are built in; with
//! their profile and flags it is built once for all.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use guest_build::{Allocator, Error, GuestBuild, Progress};

/// A guest written into a folder that goes away again.
///
/// All of them are compiled in one target folder. There cargo takes packages of one name for the same one and asks only whether
/// a source is newer than what was compiled last. So a package whose source differs needs a name of its own.
struct Written {
    folder: tempfile::TempDir,
}

impl Written {
    fn new(manifest: &str, source: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
        fs::write(folder.path().join("src/lib.rs"), source).unwrap();
        fs::create_dir(folder.path().join(".cargo")).unwrap();
        fs::write(folder.path().join(".cargo/config.toml"), CONFIGURATION).unwrap();
        Self { folder }
    }

    fn manifest(&self) -> PathBuf {
        self.folder.path().join("Cargo.toml")
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn build(&self, allocator: Allocator) -> Result<PathBuf, Error> {
        GuestBuild::new(self.manifest()).allocator(allocator).target_dir(target_dir()).out_dir(self.out()).build()
    }
}

/// Where the workspace's guests are built.
fn target_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests-build")
}

const GUEST: &str = r#"
[package]
name = "written-guest"
version = "0.1.0"
edition = "2024"

[lib]
crate-type = ["cdylib"]

[features]
alloc-leaking = []
extra = []

[profile.release]
opt-level = 3
lto = "fat"
codegen-units = 1
panic = "abort"
debug = false

[workspace]
"#;

/// The flags of the workspace's guests.
const CONFIGURATION: &str = include_str!("../../../guests/.cargo/config.toml");

const SOURCE: &str = r#"
#[unsafe(no_mangle)]
pub extern "C" fn always() -> i64 { 1 }

#[cfg(feature = "alloc-leaking")]
#[unsafe(no_mangle)]
pub extern "C" fn only_with_leaking() -> i64 { 2 }
"#;

fn contains(module: &Path, name: &str) -> bool {
    fs::read(module).unwrap().windows(name.len()).any(|part| part == name.as_bytes())
}

#[test]
fn each_allocator_gets_a_module_of_its_own() {
    let guest = Written::new(GUEST, SOURCE);
    let system = guest.build(Allocator::System).unwrap();
    let leaking = guest.build(Allocator::Leaking).unwrap();
    assert_eq!(system, guest.out().join("written-guest-system.wasm"));
    assert_eq!(leaking, guest.out().join("written-guest-leaking.wasm"));
    assert!(contains(&system, "always") && !contains(&system, "only_with_leaking"));
    assert!(contains(&leaking, "only_with_leaking"));
    // Building the first again, after the second wrote the same file of cargo's, gives the first.
    let again = guest.build(Allocator::System).unwrap();
    assert!(!contains(&again, "only_with_leaking"));
    let left: Vec<_> = fs::read_dir(guest.out()).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_variant_has_a_file_of_its_own() {
    let guest = Written::new(GUEST, SOURCE);
    let build = GuestBuild::new(guest.manifest()).target_dir(target_dir()).out_dir(guest.out());
    let module = build.features(["alloc-leaking", "extra"]).variant("extra").build().unwrap();
    assert_eq!(module, guest.out().join("written-guest-system-extra.wasm"));
    assert!(contains(&module, "only_with_leaking"));
}

#[test]
fn what_does_not_compile_is_told_in_the_compilers_words_and_leaves_the_old_module() {
    let guest = Written::new(&GUEST.replace("written-guest", "later-broken-guest"), SOURCE);
    let module = guest.build(Allocator::System).unwrap();
    let before = fs::read(&module).unwrap();
    fs::write(guest.folder.path().join("src/lib.rs"), "pub fn broken() -> u8 { \"text\" }").unwrap();
    let error = guest.build(Allocator::System).unwrap_err();
    assert!(matches!(error, Error::Compile { .. }), "{error}");
    let told = error.to_string();
    for part in ["error[E0308]", "src/lib.rs:1:25", "mismatched types"] {
        assert!(told.contains(part), "{part} is missing in:\n{told}");
    }
    assert_eq!(fs::read(&module).unwrap(), before);
}

#[test]
fn nothing_that_is_captured_has_colours_even_if_the_user_always_wants_them() {
    let guest = Written::new(&GUEST.replace("written-guest", "broken-guest"), "pub fn broken() -> u8 { \"text\" }");
    let always = format!("{CONFIGURATION}\n[term]\ncolor = \"always\"\n");
    fs::write(guest.folder.path().join(".cargo/config.toml"), always).unwrap();
    let lines = Arc::new(Mutex::new(String::new()));
    let progress: Progress = {
        let lines = Arc::clone(&lines);
        Arc::new(move |line: &str| lines.lock().unwrap().push_str(line))
    };
    let build = GuestBuild::new(guest.manifest()).target_dir(target_dir()).out_dir(guest.out());
    let error = build.progress(progress).build().unwrap_err();
    let Error::Compile { stderr, .. } = &error else { panic!("{error}") };
    let lines = lines.lock().unwrap();
    assert!(lines.contains("Compiling broken-guest") && stderr.contains("error[E0308]"), "{stderr}");
    assert!(!lines.contains('\u{1b}') && !stderr.contains('\u{1b}'), "{stderr:?}");
}

#[test]
fn a_feature_that_is_not_there_is_told_with_those_there_are() {
    let guest = Written::new(GUEST, SOURCE);
    let told = guest.build(Allocator::Freelist).unwrap_err().to_string();
    for part in ["`alloc-freelist`", "alloc-leaking, extra", "guest-sdk/alloc-freelist"] {
        assert!(told.contains(part), "{part} is missing in:\n{told}");
    }
}

#[test]
fn a_package_without_a_module_is_told_what_it_lacks() {
    let guest = Written::new(&GUEST.replace("crate-type = [\"cdylib\"]", ""), SOURCE);
    let error = guest.build(Allocator::System).unwrap_err();
    assert!(matches!(error, Error::NoCdylib { .. }), "{error}");
    assert!(error.to_string().contains("crate-type = [\"cdylib\", \"rlib\"]"));
}

#[test]
fn a_manifest_that_is_not_there_is_told() {
    let error = GuestBuild::new("nowhere/Cargo.toml").build().unwrap_err();
    assert!(matches!(error, Error::NoManifest(_)), "{error}");
    assert!(error.to_string().contains("nowhere/Cargo.toml"));
}

#[test]
fn a_manifest_that_cannot_be_read_is_told_in_cargos_words() {
    let guest = Written::new("[package]\nname = 3\n", "");
    let error = guest.build(Allocator::System).unwrap_err();
    assert!(matches!(error, Error::Metadata { .. }), "{error}");
    assert!(error.to_string().contains("name = 3"), "{error}");
}

#[test]
fn a_package_that_is_not_in_the_workspace_is_told_with_those_that_are() {
    let guest = Written::new(GUEST, SOURCE);
    let error = GuestBuild::new(guest.manifest()).package("other").build().unwrap_err();
    assert!(matches!(error, Error::NoSuchPackage { .. }), "{error}");
    assert!(error.to_string().contains("it has written-guest"), "{error}");
}
