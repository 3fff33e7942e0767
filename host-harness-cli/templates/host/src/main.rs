//! Serves orders: one on each line of standard input, as a year, a month, and items as quantity, `x` and price.

mod service;
mod store;

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use service::Service;
use store::Store;

/// Threads that serve, and instances of the guest.
const WORKERS: usize = 4;

fn main() -> ExitCode {
    let service = std::env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .ok_or_else(|| "give the guest: a WebAssembly module".to_owned())
        .and_then(|guest| load(&guest));
    match service {
        Ok(service) => {
            thread::scope(|scope| {
                for _ in 0..WORKERS {
                    scope.spawn(|| serve(&service));
                }
            });
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The service with the guest in this file.
///
/// # Errors
/// The file cannot be read, or its guest cannot serve. The text begins with the file's name.
fn load(guest: &Path) -> Result<Service, String> {
    let of_file = |error: &dyn Display| format!("{}: {error}", guest.display());
    let bytes = std::fs::read(guest).map_err(|error| of_file(&error))?;
    Service::new(&bytes, Store::default(), WORKERS).map_err(|error| of_file(&error))
}

/// Serves lines until there are no more.
fn serve(service: &Service) {
    loop {
        let mut line = String::new();
        match io::stdin().read_line(&mut line) {
            Ok(0) => return,
            Ok(_) => match service.order(line.trim()) {
                Ok(answer) => println!("{answer}"),
                Err(error) => eprintln!("{}: {error}", line.trim()),
            },
            Err(error) => {
                eprintln!("standard input: {error}");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_begin_with_the_file() {
        let error = |file: &str| load(Path::new(file)).err().unwrap_or_default();
        let missing = error("missing.wasm");
        assert!(missing.starts_with("missing.wasm: "), "{missing}");
        let no_module = error("Cargo.toml");
        assert!(no_module.starts_with("Cargo.toml: "), "{no_module}");
        assert!(!no_module.contains('{'), "it is for readers: {no_module}");
    }
}
