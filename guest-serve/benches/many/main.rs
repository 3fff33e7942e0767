//! Memory of very many: tenants that sleep on disk, tenants that sleep in memory, and guests with modules of their own.
//!
//! Each case runs in a process of its own, whose memory is then that of the case. `anonymous` is memory that belongs to the process
//! alone; the rest of the resident memory is of files, which the system can drop and read again.
//!
//! ```console
//! $ cargo bench -p guest-serve --bench many
//! $ cargo bench -p guest-serve --bench many -- --modules 200 --module target/guests/functions-freelist.wasm
//! ```

mod figures;
mod modules;
mod tenants;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;

use figures::Figures;

#[derive(Parser)]
struct Options {
    /// Tenants of one module that sleep on disk
    #[arg(long, default_value_t = 1_000_000)]
    on_disk: u32,
    /// Tenants of one module that sleep in memory, with 4 KiB each
    #[arg(long, default_value_t = 100_000)]
    in_memory: u32,
    /// Guests, each with another module
    #[arg(long, default_value_t = 10_000)]
    modules: u32,
    /// A module with a function `gcd`, of which each guest has a variant, in the place of small ones
    #[arg(long)]
    module: Option<PathBuf>,
    /// Modules are never dropped
    #[arg(long)]
    all_loaded: bool,
    /// Where the files of the cases are made, and left
    #[arg(long)]
    folder: Option<PathBuf>,
    /// The case that this process is
    #[arg(long, hide = true)]
    case: Option<String>,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
    /// Only checks that it runs, with few of each
    #[arg(long, hide = true)]
    test: bool,
    /// A filter that is meant for other benchmarks
    #[arg(hide = true)]
    _filter: Vec<String>,
}

/// How many of each there are where it is only checked that it runs.
const FEW: u32 = 100;

/// A case, and the most memory that it may have.
struct Case {
    name: &'static str,
    words: String,
    most: Option<f64>,
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    if options.test {
        options = Options { on_disk: FEW, in_memory: FEW, modules: FEW, ..options };
    }
    if let (Some(case), Some(folder)) = (&options.case, &options.folder) {
        run(case, folder, &options);
        return ExitCode::SUCCESS;
    }
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = options.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    let Options { on_disk, in_memory, modules, .. } = options;
    let cases = [
        Case { name: "make-store", words: format!("{on_disk} tenants are written"), most: None },
        Case { name: "on-disk", words: format!("{on_disk} tenants asleep on disk"), most: Some(512.0) },
        Case { name: "in-memory", words: format!("{in_memory} tenants asleep in memory"), most: Some(700.0) },
        Case { name: "first-start", words: format!("{modules} new guests"), most: Some(1024.0) },
        Case { name: "start", words: format!("{modules} guests"), most: Some(1024.0) },
    ];
    println!("{:<36}{:>10}{:>11}{:>8}{:>8}{:>7}", "MiB", "resident", "anonymous", "most", "areas", "files");
    let mut are_met = true;
    for Case { name, words, most } in cases {
        let mut child = Command::new(std::env::current_exe().expect("this program"));
        child.args(std::env::args().skip(1)).arg("--case").arg(name);
        if options.folder.is_none() {
            child.arg("--folder").arg(&folder);
        }
        let output = child.output().expect("a process");
        let figures = Figures::parse(&String::from_utf8_lossy(&output.stdout));
        if !output.status.success() {
            println!("{words}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
            return ExitCode::FAILURE;
        }
        let resident = figures.get("resident MiB");
        let verdict = match most {
            Some(most) if resident > most => "MISSED",
            Some(_) => "met",
            None => "",
        };
        are_met &= verdict != "MISSED";
        println!(
            "{words:<36}{resident:>10.1}{:>11.1}{:>8}{:>8}{:>7}  {verdict}",
            figures.get("anonymous MiB"),
            most.map_or(String::new(), |most| most.to_string()),
            figures.get("areas"),
            figures.get("open files"),
        );
        for (name, value) in figures.others() {
            println!("    {name:<52}{value:>14.2}");
        }
    }
    if are_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(case: &str, folder: &Path, options: &Options) {
    let mut figures = Figures::default();
    match case {
        "make-store" => tenants::make(folder, options.on_disk, &mut figures),
        "on-disk" => tenants::on_disk(folder, options.on_disk, &mut figures),
        "in-memory" => tenants::in_memory(options.in_memory, &mut figures),
        "first-start" => {
            modules::make(folder, options.modules, options.module.as_deref());
            modules::start(folder, !options.all_loaded, &mut figures);
        }
        _ => modules::start(folder, !options.all_loaded, &mut figures),
    }
    print!("{figures}");
}
