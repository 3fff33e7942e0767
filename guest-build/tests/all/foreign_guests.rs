//! Building guests in languages of packages, with the compilers that are there; what is not there is left out and said to be.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use guest_build::{Error, ForeignCompiler, ForeignGuest, Language};

/// A compiler that is there. Nothing is installed: `cargo xtask test` has done that where it can be done.
fn compiler(language: Language) -> Option<ForeignCompiler> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools");
    ForeignCompiler::find(language, &tools).map_err(|missing| eprintln!("LEFT OUT: {missing}")).ok()
}

/// The least guest of each language, whose function `answer` gives a number; its source's name; and the compiler's arguments.
fn least(language: Language) -> (&'static str, &'static str, &'static [&'static str]) {
    match language {
        Language::AssemblyScript => {
            ("guest.ts", "export function answer(): i32 { return 42; }\n", &["--runtime", "stub"])
        }
        Language::Zig => (
            "guest.zig",
            "export fn answer() i32 { return 42; }\n",
            &["-target", "wasm32-freestanding", "-fno-entry", "-rdynamic", "-O", "ReleaseSmall"],
        ),
        Language::Go => (
            "guest.go",
            "package main\n\n//go:wasmexport answer\nfunc answer() int32 { return 42 }\n\nfunc main() {}\n",
            &["-buildmode=c-shared"],
        ),
        other => panic!("{other} has no guest here"),
    }
}

struct Written {
    folder: tempfile::TempDir,
    source: &'static str,
    guest: ForeignGuest,
}

impl Written {
    fn new(language: Language) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (source, text, arguments) = least(language);
        let sources = folder.path().join("sources");
        fs::create_dir(&sources).unwrap();
        fs::write(sources.join(source), text).unwrap();
        let guest = ForeignGuest::new(sources, source).arguments(arguments.iter().copied());
        Self { folder, source, guest }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn change(&self, from: &str, to: &str) {
        let source = self.path("sources").join(self.source);
        let text = fs::read_to_string(&source).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&source, text.replace(from, to)).unwrap();
    }

    /// The compiler's cache is that of the project's own guests, as the first use of a library takes long.
    fn build(&self, compiler: &ForeignCompiler) -> Result<Vec<u8>, Error> {
        let language = compiler.language().name().to_lowercase();
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests-build").join(language).join("cache");
        let module = self.path("out/guest.wasm");
        self.guest.clone().cache(cache).build(compiler, &self.path("build"), &module)?;
        Ok(fs::read(&module).unwrap())
    }

    /// When the compiler wrote last.
    fn compiled(&self) -> SystemTime {
        fs::metadata(self.path("build/guest.wasm")).unwrap().modified().unwrap()
    }
}

#[test]
fn a_guest_is_built_anew_where_its_source_has_changed() {
    for compiler in Language::ALL.into_iter().filter_map(compiler) {
        let written = Written::new(compiler.language());
        let first = written.build(&compiler).unwrap();
        assert!(first.starts_with(b"\0asm"), "{compiler}");
        assert!(first.windows(6).any(|window| window == b"answer"), "{compiler}");
        let compiled = written.compiled();
        assert_eq!(written.build(&compiler).unwrap(), first, "{compiler}");
        assert_eq!(written.compiled(), compiled, "{compiler}");
        written.change("42", "4711");
        assert_ne!(written.build(&compiler).unwrap(), first, "{compiler}");
    }
}

#[test]
fn what_does_not_compile_is_told() {
    for compiler in Language::ALL.into_iter().filter_map(compiler) {
        let written = Written::new(compiler.language());
        written.change("42", "not_declared");
        let error = written.build(&compiler).unwrap_err();
        assert!(matches!(error, Error::CompileForeign { .. }), "{compiler}");
        let told = error.to_string();
        assert!(told.contains("does not compile") && told.contains("not_declared"), "{told}");
    }
}
