//! Secrets that a guest may read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Values that a guest may read by name, and that are shown nowhere: neither `Debug` nor a serialised configuration has them.
///
/// A guest of the native contract reads them through the import `secret`, with `guest_sdk::secret`, while a call runs. Before its
/// snapshot it cannot. A restore puts back what a call has copied into memory. A value is nevertheless in the guest's hands: it can log
/// or return it.
///
/// ```
/// use guest_host::{InstanceConfig, Secrets};
///
/// let secrets: Secrets = [("API_KEY", "swordfish")].into_iter().collect();
/// assert_eq!(secrets.get("API_KEY"), Some("swordfish"));
/// let config = InstanceConfig::default().with_secrets(secrets);
/// assert!(!format!("{config:?}").contains("swordfish"));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Option<Arc<BTreeMap<Box<str>, Box<str>>>>);

impl Secrets {
    /// The value with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.as_ref()?.get(name).map(AsRef::as_ref)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|secrets| secrets.keys().map(AsRef::as_ref))
    }
}

impl<N: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(N, V)> for Secrets {
    /// Of several values with one name the last counts.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(secrets: I) -> Self {
        let secrets: BTreeMap<_, _> = secrets.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self((!secrets.is_empty()).then(|| Arc::new(secrets)))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_and_values_are_not() {
        let secrets: Secrets = [("B", "one"), ("A", "two"), ("B", "three")].into_iter().collect();
        assert_eq!(format!("{secrets:?}"), r#"{"A", "B"}"#);
        assert_eq!((secrets.get("B"), secrets.get("C")), (Some("three"), None));
        assert_eq!(Secrets::default(), [("", ""); 0].into_iter().collect());
        assert_eq!(Secrets::default().get(""), None);
    }
}
