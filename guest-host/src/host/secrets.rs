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
    use crate::failure::{Cause, InvalidData};
    use crate::{
        Engine, EngineConfig, Guest, HostCall, Instance, InstanceConfig, LoadError, MemoryState, PrepareOptions,
        RestorePolicy, RestoreStrategy, StartError,
    };

    #[test]
    fn names_are_shown_and_values_are_not() {
        let secrets: Secrets = [("B", "one"), ("A", "two"), ("B", "three")].into_iter().collect();
        assert_eq!(format!("{secrets:?}"), r#"{"A", "B"}"#);
        assert_eq!((secrets.get("B"), secrets.get("C")), (Some("three"), None));
        assert_eq!(Secrets::default(), [("", ""); 0].into_iter().collect());
        assert_eq!(Secrets::default().get(""), None);
    }

    /// `tell` logs a secret, in memory from address 4096 on. `begin` runs before the snapshot.
    fn guest(begin: &str) -> Guest {
        let text = format!(
            r#"(module
            (import "extension" "secret" (func $secret (param i32 i32 i32 i32) (result i32)))
            (import "extension" "log" (func $log (param i32 i32 i32)))
            (memory (export "memory") 2)
            (data (i32.const 512) "KEY")
            (func (export "__guest_exchange") (param i32) (result i32) (i32.const 65536))
            (func (export "__guest_init") (result i32) {begin} (i32.const 0))
            (func $read (result i32) (call $secret (i32.const 512) (i32.const 3) (i32.const 4096) (i32.const 100)))
            (func (export "tell") (result i64)
                (call $log (i32.const 2) (i32.const 4096) (call $read)) (i64.const 0))
            (func (export "outside") (result i64)
                (drop (call $secret (i32.const 512) (i32.const 3) (i32.const 131071) (i32.const 2))) (i64.const 0))
            (@custom "guest-abi" "\01\00\00\00"))"#
        );
        let engine = Engine::new(&EngineConfig::default()).unwrap();
        Guest::load(&engine, "test", &wat::parse_str(text).unwrap(), PrepareOptions::default()).unwrap()
    }

    fn config() -> InstanceConfig {
        let secrets = [("KEY", "swordfish"), ("OTHER", "trout")].into_iter().collect();
        InstanceConfig::default().with_exchange_size(Some(1024)).with_secrets(secrets).with_trace(true)
    }

    #[test]
    fn an_extension_reads_a_secret_and_nothing_of_it_is_left() {
        let guest = guest("");
        for strategy in [RestoreStrategy::Auto, RestoreStrategy::FullCopy, RestoreStrategy::Reinstantiate] {
            let mut instance = guest.instantiate(&config().with_strategy(strategy), MemoryState::new()).unwrap();
            let is_left = |instance: &mut Instance| {
                let (memory, _) = instance.memory().unwrap();
                memory.windows(5).any(|bytes| bytes == b"sword")
            };
            for _ in 0..3 {
                let outcome = instance.invoke_by_name("tell").unwrap();
                assert_eq!(outcome.log().map(|(_, line)| line).collect::<Vec<_>>(), ["swordfish"], "{strategy}");
                // The trace says that there was one, and neither its length nor its bytes.
                let calls: Vec<_> = outcome.trace().iter().map(|entry| (entry.call, entry.result)).collect();
                assert_eq!(calls[0], (HostCall::Secret, 1));
                assert!(!is_left(&mut instance), "{strategy}");
            }
            let failure = instance.invoke_by_name("outside").unwrap_err();
            assert!(failure.to_string().contains("room for a secret: 2 bytes"), "{failure}");
        }
        // The search itself finds it where nothing is restored.
        let kept = config().with_policy(RestorePolicy::Never);
        let mut instance = guest.instantiate(&kept, MemoryState::new()).unwrap();
        instance.invoke_by_name("tell").unwrap();
        assert!(instance.memory().unwrap().0.windows(5).any(|bytes| bytes == b"sword"));
    }

    #[test]
    fn no_secret_is_read_before_the_snapshot() {
        let error = guest("(drop (call $read))").instantiate(&config(), MemoryState::new()).unwrap_err();
        let LoadError::Start(StartError::Initialise(failure)) = error else { panic!("{error}") };
        let too_early = InvalidData::SecretTooEarly { name: "KEY".to_owned() };
        assert!(matches!(&failure.cause, Cause::InvalidGuestData(found) if *found == too_early), "{failure}");
        assert!(!format!("{failure:?} {failure}").contains("swordfish"));
    }
}
