//! Makes modules of the Rust samples in the pages of the book: see `src/lib.rs`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The lines of a page that belong to one module, by their numbers from 0.
type Lines<'a> = BTreeMap<usize, &'a str>;

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let pages = fs::canonicalize(here.join("../src"))?;
    for read in [&pages, &here.join("build.rs"), &here.join("tests")] {
        println!("cargo::rerun-if-changed={}", read.display());
    }
    let mut program = String::new();
    for page in markdown_below(&pages)? {
        let text = fs::read_to_string(&page)?;
        let name = page.strip_prefix(&pages)?.to_string_lossy().replace('\\', "/");
        let module = name.trim_end_matches(".md").replace(|character: char| !character.is_ascii_alphanumeric(), "_");
        let mut samples = String::new();
        for (sample, lines) in samples_of(&text).map_err(|fault| format!("docs/src/{name}:{fault}"))? {
            if sample.starts_with("alone_") {
                if !here.join(format!("tests/{sample}.rs")).is_file() {
                    return Err(format!("docs/src/{name}: there is no docs/samples/tests/{sample}.rs").into());
                }
                fs::write(out.join(format!("{sample}.rs")), source(&lines))?;
                continue;
            }
            let file = out.join(&sample).join(&name);
            fs::create_dir_all(file.parent().ok_or("a file has a folder")?)?;
            let mut source = source(&lines);
            let has_main =
                lines.values().any(|line| line.starts_with("fn main()") || line.starts_with("async fn main()"));
            if has_main && !sample.starts_with("no_run") {
                source.push_str("#[test]\nfn the_sample_runs() {\n    crate::succeeds(main);\n}\n");
            }
            let checks = here.join(format!("tests/checks/{module}_{sample}.rs"));
            if checks.is_file() {
                let _ = writeln!(source, "#[path = {:?}]\nmod checks;", checks.display().to_string());
            }
            fs::write(&file, source)?;
            let _ = writeln!(samples, "    #[path = {:?}]\n    mod {sample};", file.display().to_string());
        }
        if !samples.is_empty() {
            let _ = writeln!(program, "mod {module} {{\n{samples}}}");
        }
    }
    fs::write(out.join("pages.rs"), program)?;
    Ok(())
}

/// The page's samples by name. A fault is the line and what is wrong there.
fn samples_of(text: &str) -> Result<BTreeMap<String, Lines<'_>>, String> {
    let mut samples: BTreeMap<String, Lines<'_>> = BTreeMap::new();
    let mut open: Option<(String, usize)> = None;
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some(info) = line.trim_start().strip_prefix("```") else {
            if let Some((name, indent)) = &open {
                samples.entry(name.clone()).or_default().insert(number, line.get(*indent..).unwrap_or_default());
            }
            continue;
        };
        if open.take().is_some() {
            continue;
        }
        let (language, name) = info.split_once(',').unwrap_or((info, ""));
        if language != "rust" {
            continue;
        }
        let at = number + 1;
        let name = match name {
            "" => format!("line_{at}"),
            "no_run" => format!("no_run_line_{at}"),
            "ignore" => return Err(format!("{at}: a sample that is not compiled")),
            name => name.to_owned(),
        };
        open = Some((name, indent));
    }
    Ok(samples)
}

/// The lines where they stand in the page, and empty lines between.
fn source(lines: &Lines<'_>) -> String {
    let mut source = String::new();
    for (number, line) in lines {
        let above = source.matches('\n').count();
        source.push_str(&"\n".repeat(number - above));
        source.push_str(line);
        source.push('\n');
    }
    source
}

fn markdown_below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(markdown_below(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
