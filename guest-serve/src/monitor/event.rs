//! Events: what the server did with guests, as lines of JSON.

use guest_host::text::printable;
use serde_json::{Value, json};

use super::MESSAGE;

/// Something that happened to a guest, or to the server.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A version of a guest is served.
    Deployed {
        /// The guest.
        guest: &'a str,
        /// The number of the version.
        version: u64,
        /// The path below which it is served.
        mount: &'a str,
        /// The module's SHA-256.
        module: [u8; 32],
    },
    /// A version of a guest is not served, or what was wrong is mended and the version that is served is the latest again.
    Failed {
        /// The guest, or the name of its folder.
        guest: &'a str,
        /// Why; `None` if it is mended.
        error: Option<&'a str>,
        /// The number of the version that is served.
        serving: Option<u64>,
    },
    /// A guest is not served any more.
    Removed {
        /// The guest.
        guest: &'a str,
    },
    /// A tenant made more calls than it may.
    Limited {
        /// The guest.
        guest: &'a str,
        /// The tenant.
        tenant: &'a str,
        /// The limit, for people.
        reason: &'a str,
    },
    /// A tenant of a program lost the memory that it kept.
    Begun {
        /// The guest.
        guest: &'a str,
        /// The tenant.
        tenant: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// The file of programs and records cannot be read or written, or can be again.
    Store {
        /// Why; `None` if it can be used again.
        error: Option<&'a str>,
    },
    /// Instances of a guest cannot be made, or can be again.
    Instances {
        /// The guest.
        guest: &'a str,
        /// Why; `None` if they can be made again.
        error: Option<&'a str>,
    },
    /// The folder of guests cannot be read, or can be again.
    Folder {
        /// Why; `None` if it can be read again.
        error: Option<&'a str>,
    },
}

impl Event<'_> {
    /// The event as a line of JSON, with the time of now and without the end of the line.
    #[must_use]
    pub fn line(&self) -> String {
        let cut = |text: &str| guest_host::text::cut(text, MESSAGE).into_owned();
        let (event, rest) = match self {
            Self::Deployed { guest, version, mount, module } => {
                ("deployed", json!({"guest": guest, "version": version, "mount": mount, "module": hex(module)}))
            }
            Self::Failed { guest, error, serving } => {
                ("failed", json!({"guest": guest, "error": error.map(cut), "serving": serving}))
            }
            Self::Removed { guest } => ("removed", json!({"guest": guest})),
            Self::Limited { guest, tenant, reason } => {
                ("limited", json!({"guest": guest, "tenant": cut(tenant), "reason": reason}))
            }
            Self::Begun { guest, tenant, reason } => {
                ("begun", json!({"guest": guest, "tenant": cut(tenant), "reason": reason}))
            }
            Self::Store { error } => ("store", json!({"error": error.map(cut)})),
            Self::Instances { guest, error } => ("instances", json!({"guest": guest, "error": error.map(cut)})),
            Self::Folder { error } => ("failed", json!({"guest": null, "error": error.map(cut)})),
        };
        line(&now(), "event", event, &rest)
    }
}

/// An object of JSON that begins with the time and with the entry `key`, which people look for first.
pub(super) fn line(time: &str, key: &str, value: &str, rest: &Value) -> String {
    let rest = rest.to_string();
    format!("{{\"time\":{},\"{key}\":{},{}", json!(time), json!(value), &rest[1..])
}

/// The bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The time of now to the millisecond, as RFC 3339 has it.
pub(super) fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

/// A line of a log as people read it.
pub(crate) fn line_for_people(line: &str) -> String {
    let parsed: Value = serde_json::from_str(line).unwrap_or_default();
    let text = |key: &str| parsed[key].as_str().map(printable);
    match (text("time"), text("level"), text("tenant"), text("function"), text("line")) {
        (Some(time), Some(level), Some(tenant), Some(function), Some(line)) => {
            format!("{time} {level:<5} {tenant} {function}: {line}")
        }
        // Written by another version.
        _ => printable(line).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_harmless() {
        let line =
            r#"{"time":"2026-01-01T00:00:00.000Z","level":"info","tenant":"blue","function":"f","line":"a\nb\u001b"}"#;
        assert_eq!(line_for_people(line), "2026-01-01T00:00:00.000Z info  blue f: a\\nb\\u001b");
        assert_eq!(line_for_people("other\u{1b}"), "other\\u001b");
    }
}
