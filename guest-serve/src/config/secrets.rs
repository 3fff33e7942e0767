//! `secrets.toml`: values that guests may read, in a table for each guest.

use std::collections::BTreeMap;
use std::path::Path;

use super::GuestConfig;
use super::table::{Source, Table, nearest};
use crate::error::ServeError;

/// The secrets of all guests. They are shown nowhere.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    by_guest: BTreeMap<String, guest_host::Secrets>,
    /// Why they could not be read.
    fault: Option<String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// Name of the file.
    pub const FILE: &'static str = "secrets.toml";

    /// Reads the text of the file at `path`.
    ///
    /// # Errors
    /// [`ServeError::File`] at the first fault. It has no value of a secret in it.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ServeError> {
        let source = Source::new(path, text);
        let root = source.parse()?;
        let mut by_guest = BTreeMap::new();
        for (guest, table) in Table::all_tables(&source, root.get_ref(), "a table with the name of a guest")? {
            let secrets = Table::all_texts(&source, table)?;
            for (key, _) in &secrets {
                check_name(key.text).map_err(|message| key.error(message))?;
            }
            let secrets = secrets.iter().map(|(key, value)| (key.text, value.text)).collect();
            by_guest.insert(guest.to_owned(), secrets);
        }
        Ok(Self { by_guest, fault: None })
    }

    /// No secrets, as the file has this fault: guests that read none are served all the same.
    #[must_use]
    pub fn unreadable(fault: String) -> Self {
        Self { by_guest: BTreeMap::new(), fault: Some(fault) }
    }

    /// The fault of the file.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// The secrets of a guest, by name.
    #[must_use]
    pub fn of(&self, guest: &str) -> Option<&guest_host::Secrets> {
        self.by_guest.get(guest)
    }

    /// Gives a guest the secrets that it names.
    ///
    /// # Errors
    /// [`ServeError::File`] with a place in `guest.toml` if one of them does not exist.
    pub fn give(&self, guest: &str, config: &mut GuestConfig) -> Result<(), ServeError> {
        let of_guest = self.of(guest);
        let value = |name: &str| of_guest?.get(name);
        let Some((missing, place)) = config.secret_places.iter().find(|(name, _)| value(name).is_none()) else {
            config.secret_values =
                config.secrets.iter().filter_map(|name| Some((name.as_str(), value(name)?))).collect();
            return Ok(());
        };
        if let Some(fault) = &self.fault {
            return Err(place.error(format!("the guest reads secrets, and they cannot be read: {fault}")));
        }
        let names: Vec<&str> = of_guest.map(|of| of.names().collect()).unwrap_or_default();
        let file = Self::FILE;
        Err(place.error(match names.as_slice() {
            [] => format!(
                "there is no secret `{missing}`: {file} has none for this guest; add a table `[{guest}]` with it"
            ),
            names => format!("there is no secret `{missing}` in `[{guest}]` of {file}: {}", nearest(missing, names)),
        }))
    }
}

/// Checks the name of a secret.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    match begins && name.len() <= 64 && name.bytes().all(is_known) {
        true => Ok(()),
        false => Err(format!(
            "`{name}` is not the name of a secret: use 1 to 64 letters, digits and `_`, and do not begin with a digit"
        )),
    }
}
