//! The book's page "Many small tenants" has what there is.

use std::path::Path;
use std::time::Duration;

use guest_serve::config::{GuestConfig, Limits, RecordsConfig};

const PAGE: &str = include_str!("../../../docs/src/serve.md");

#[test]
fn the_sample_has_every_key_and_the_defaults() {
    let sample = PAGE.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let config = GuestConfig::parse("numbers", Path::new("guest.toml"), sample).unwrap();
    assert_eq!((config.limits, config.records), (Limits::default(), RecordsConfig::default()));
    assert_eq!((config.mount.as_str(), config.routes[0].path.has_tenant()), ("/numbers", true));
    assert_eq!(config.limits.deadline, Duration::from_millis(50));
    // A key that nobody has is answered with all keys that there are.
    for (table, text) in [
        ("", "x = 1"),
        ("[[routes]]", "[[routes]]\nx = 1"),
        ("[program]", "[program]\nx = 1"),
        ("[records]", "[records]\nx = 1"),
        ("[limits]", "[limits]\nx = 1"),
    ] {
        let error = GuestConfig::parse("numbers", Path::new("guest.toml"), text).unwrap_err().to_string();
        let (_, keys) = error.split_once("use one of ").unwrap();
        for key in keys
            .split(", ")
            .map(|key| key.trim_matches('`'))
            .filter(|key| !["routes", "program", "records", "limits"].contains(key))
        {
            assert!(
                sample.lines().any(|line| line.starts_with(&format!("{key} = "))),
                "{table} {key} is not in the sample"
            );
        }
    }
}

#[test]
fn the_files_of_new_crates_are_read() {
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host-harness-cli/templates");
    for kind in ["extension", "functions", "program"] {
        let text =
            std::fs::read_to_string(templates.join(kind).join("guest.toml")).unwrap().replace("{{name}}", "shop");
        let config =
            GuestConfig::parse("shop", Path::new("guest.toml"), &text).unwrap_or_else(|error| panic!("{error}"));
        let source = std::fs::read_to_string(templates.join(kind).join("src/lib.rs")).unwrap();
        for route in &config.routes {
            assert!(source.contains(&format!("fn {}(", route.function)), "{kind} has no {}", route.function);
        }
    }
}

#[test]
fn the_fault_on_the_page_is_the_one_that_is_reported() {
    let text = "[[routes]]\npath = \"/gcd\"\nfunction = \"gcd\"\n\n[limits]\nmemry = \"1MiB\"\n";
    let error = GuestConfig::parse("numbers", Path::new("numbers/guest.toml"), text).unwrap_err().to_string();
    assert!(PAGE.lines().any(|line| line == error), "{error}");
}
