//! Serves orders: one on each line of standard input, as a year, a month, and items as quantity, `x` and price.

mod service;
mod store;

use std::error::Error;
use std::io;
use std::thread;

use service::Service;
use store::Store;

/// Threads that serve, and instances of the guest.
const WORKERS: usize = 4;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let path = std::env::args_os()
        .nth(1)
        .ok_or("give the guest: a WebAssembly module")?;
    let guest = std::fs::read(path)?;
    let service = Service::new(&guest, Store::default(), WORKERS)?;
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| serve(&service));
        }
    });
    Ok(())
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
