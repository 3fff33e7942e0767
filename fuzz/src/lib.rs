//! What the fuzz targets do with their input: plain functions of bytes, on the stable compiler.
//!
//! Each module is a target: its `run` takes any bytes and says what they led to, or which property they break. The
//! same function is called by libFuzzer, which looks for bytes that break one, by a property test on random bytes, and
//! by a test on the saved corpus in `corpus/<target>/`. What a target needs to prove of itself, namely that it can fail,
//! is in `tests/all/`.
//!
//! Under `cfg(fuzzing)`, which cargo-fuzz sets, the programs in `fuzz_targets/` are libFuzzer's. Otherwise they run the
//! files that they are given, which needs neither libFuzzer nor a nightly compiler:
//!
//! ```text
//! cargo run -p fuzz --bin restores -- fuzz/artifacts/restores/crash-*
//! ```

pub mod allocators;
pub mod containers;
pub mod crossing;
pub mod exttinygo;
mod functions;
mod guests;
pub mod modules;
pub mod preparation;
mod puppet;
pub mod restores;
pub mod suspensions;

#[cfg(fuzzing)]
#[doc(hidden)]
pub use libfuzzer_sys;

/// A target: says what its input led to, in a word or two, or what is wrong.
pub type Target = fn(&[u8]) -> Result<String, String>;

/// Every target, by its name.
pub const TARGETS: [(&str, Target); 7] = [
    ("allocators", allocators::run),
    ("containers", containers::run),
    ("crossing", crossing::run),
    ("exttinygo", exttinygo::run),
    ("preparation", preparation::run),
    ("restores", restores::run),
    ("suspensions", suspensions::run),
];

/// The main program of a target.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        $crate::libfuzzer_sys::fuzz_target!(|input: &[u8]| {
            $crate::must(fuzz::$name::run(input));
        });

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::run_files(fuzz::$name::run)
        }
    };
}

/// Ends the process where a property is broken.
///
/// # Panics
/// With what is wrong.
pub fn must(result: Result<String, String>) {
    if let Err(wrong) = result {
        panic!("{wrong}");
    }
}

/// Runs a target on each file that the program was given, and says what it led to.
#[must_use]
pub fn run_files(target: Target) -> std::process::ExitCode {
    let mut worst = std::process::ExitCode::SUCCESS;
    for path in std::env::args_os().skip(1) {
        let result = std::fs::read(&path).map_err(|error| error.to_string()).and_then(|input| target(&input));
        let told = result.unwrap_or_else(|wrong| {
            worst = std::process::ExitCode::FAILURE;
            format!("FAILED: {wrong}")
        });
        println!("{}: {told}", path.display());
    }
    worst
}
