//! Building guests in C of this test's own, with the compiler that there is.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::SystemTime,
};

use guest_build::{CGuest, CModel, Clang, Error, Toolchain};

fn clang() -> &'static Clang {
    static CLANG: OnceLock<Clang> = OnceLock::new();
    CLANG.get_or_init(|| {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests-build");
        let toolchain = Toolchain::find_or_install(&target).expect("`cargo xtask setup` finds a toolchain");
        Clang::find_or_install(&toolchain, None).expect("`cargo xtask setup` finds clang")
    })
}

/// A guest written into a folder that goes away again.
struct Written {
    folder: tempfile::TempDir,
}

impl Written {
    fn new(source: &str) -> Self {
        let written = Self { folder: tempfile::tempdir().unwrap() };
        written.write("guest.c", source);
        written.write("headers/answer.h", "#define ANSWER 42\n");
        written
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn guest(&self, model: CModel) -> CGuest {
        CGuest::new(self.path("guest.c"), model).headers(self.path("headers")).arguments(["-O2"])
    }

    fn build(&self, guest: &CGuest) -> Result<PathBuf, Error> {
        let module = self.path("out/guest.wasm");
        guest.build(clang(), &self.path("build"), &module).map(|()| module)
    }

    /// When the compiler wrote last.
    fn compiled(&self) -> SystemTime {
        fs::metadata(self.path("build/guest.wasm")).unwrap().modified().unwrap()
    }
}

const SOURCE: &str = r#"
#include "answer.h"
__attribute__((export_name("answer"))) int answer(void) { return ANSWER; }
int kept(void) { return 1; }
"#;

#[test]
fn nothing_is_compiled_where_nothing_has_changed() {
    let written = Written::new(SOURCE);
    let guest = written.guest(CModel::Freestanding);
    let module = written.build(&guest).unwrap();
    let (first, bytes) = (written.compiled(), fs::read(&module).unwrap());
    assert!(bytes.starts_with(b"\0asm"));

    written.build(&guest).unwrap();
    assert_eq!(written.compiled(), first);

    written.write("headers/answer.h", "#define ANSWER 43\n");
    written.build(&guest).unwrap();
    let second = written.compiled();
    assert!(second > first, "a header has changed");
    assert_ne!(fs::read(&module).unwrap(), bytes);

    let guest = written.guest(CModel::Freestanding).exports(["kept", "not_there"]);
    written.build(&guest).unwrap();
    assert!(written.compiled() > second, "the command has changed");

    fs::remove_file(&module).unwrap();
    written.build(&guest).unwrap();
    assert!(module.is_file());
}

#[test]
fn every_model_is_linked() {
    let has = |module: &Path, name: &str| {
        let bytes = fs::read(module).unwrap();
        bytes.windows(name.len()).any(|window| window == name.as_bytes())
    };
    let source = "#include <stdlib.h>\n__attribute__((export_name(\"take\"))) void *take(void) { return malloc(8); }\n\
                  #ifdef COMMAND\nextern void __wasm_call_ctors(void);\n\
                  __attribute__((export_name(\"_start\"))) void _start(void) { __wasm_call_ctors(); }\n#endif\n";
    let written = Written::new(source);
    let reactor = written.build(&written.guest(CModel::Reactor)).unwrap();
    assert!(has(&reactor, "_initialize") && has(&reactor, "take"));
    let command = written.build(&written.guest(CModel::Command).arguments(["-DCOMMAND"])).unwrap();
    assert!(has(&command, "_start") && !has(&command, "take.command_export"));
}

/// Uses both headers of the workspace, in C++.
const CPP: &str = r#"
#include "exttinygo.h"
#include "guest_alloc.h"
EXT_SPEAKS_VERSION_0_0_1
EXT_START
EXT_ON_READ_VALUE(key, value) { (void)ext_equal(ext_key_string(key, EXT("Name")), ext_bytes_at(value, 0)); }
EXT_FUNCTION(count_up) {
    ext_handle key = ext_key(EXT("sys.Record"), EXT("shop.Counter"));
    ext_put_qname(key, EXT_KEY, EXT("Name"), EXT("shop"), EXT("orders"));
    ext_put_bool(ext_intent_new(key), EXT_INTENT, EXT("Value"), __allocator_control_block.flags != 0);
    void *memory = malloc(10);
    if (memory == nullptr) ext_out_of_memory();
    free(memory);
}
"#;

#[test]
fn the_headers_are_for_cpp_as_well() {
    let written = Written::new("");
    written.write("guest.cc", CPP);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let strict =
        ["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fno-exceptions", "-Wl,--allow-undefined"];
    let guest = CGuest::new(written.path("guest.cc"), CModel::Freestanding)
        .headers(root.join("alloc-c/include"))
        .headers(root.join("guests/c"))
        .arguments(strict);
    written.build(&guest).unwrap();
}

#[test]
fn what_does_not_compile_is_told_and_what_was_there_stays() {
    let written = Written::new(SOURCE);
    let guest = written.guest(CModel::Freestanding);
    let module = written.build(&guest).unwrap();
    written.write("guest.c", "int wrong(void) { return not_declared; }\n");
    let error = written.build(&guest).unwrap_err();
    assert!(matches!(error, Error::CompileC { .. }));
    let told = error.to_string();
    assert!(told.contains("`guest` does not compile") && told.contains("not_declared"), "{told}");
    assert!(module.is_file());
}
