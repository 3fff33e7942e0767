//! The registry: modules by name, for many threads.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use guest_host::{Engine, EngineConfig, EngineError};

use crate::argument::Arguments;
use crate::error::{FunctionError, nearest};
use crate::module::{Function, Module, ModuleConfig};
use crate::returned::Returned;

/// Modules by name. Cheap to clone; all clones are the same registry.
///
/// A module that is replaced or unloaded serves the calls that are under way, and everybody who still has it: nothing is
/// taken from under a call. Its memory is given back when the last of them is done.
///
/// ```
/// use guest_functions::{ModuleConfig, Runtime};
///
/// let module = |body: &str| wat::parse_str(format!(r#"(module (func (export "answer") (result i32) {body}))"#));
/// let runtime = Runtime::new()?;
/// runtime.register("deep", &module("i32.const 41")?, ModuleConfig::default().with_version("1"))?;
/// assert_eq!(runtime.call::<_, i32>("deep", "answer", ())?, 41);
///
/// let old = runtime.replace("deep", &module("i32.const 42")?, ModuleConfig::default().with_version("2"))?;
/// assert_eq!(runtime.call::<_, i32>("deep", "answer", ())?, 42);
/// assert_eq!(old.function("answer")?.call::<_, i32>(())?, 41);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Runtime {
    engine: Engine,
    modules: Arc<RwLock<Modules>>,
}

#[derive(Debug, Default)]
struct Modules {
    closed: bool,
    by_name: BTreeMap<String, Module>,
}

impl Runtime {
    /// A registry over an engine with the default configuration.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn new() -> Result<Self, EngineError> {
        Ok(Self::with_engine(&Engine::new(&EngineConfig::default())?))
    }

    /// A registry over this engine.
    #[must_use]
    pub fn with_engine(engine: &Engine) -> Self {
        Self { engine: engine.clone(), modules: Arc::default() }
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Loads a module, or an artefact, and registers it under a name that is free.
    ///
    /// # Errors
    /// [`FunctionError::ModuleExists`], [`FunctionError::Closed`], and those of [`Module::load`].
    pub fn register(&self, name: &str, bytes: &[u8], config: ModuleConfig) -> Result<Module, FunctionError> {
        self.change(|modules| modules.is_free(name))?;
        // Compiled without the lock, so that calls go on.
        let module = Module::load(&self.engine, name, bytes, config)?;
        self.change(|modules| {
            modules.is_free(name)?;
            modules.by_name.insert(name.to_owned(), module.clone());
            Ok(module)
        })
    }

    /// Loads a module and puts it in the place of the one of this name, which it returns. Calls that are under way finish on
    /// the old one.
    ///
    /// # Errors
    /// [`FunctionError::UnknownModule`], [`FunctionError::Closed`], and those of [`Module::load`]; the old module stays then.
    pub fn replace(&self, name: &str, bytes: &[u8], config: ModuleConfig) -> Result<Module, FunctionError> {
        self.change(|modules| modules.find(name).map(drop))?;
        let module = Module::load(&self.engine, name, bytes, config)?;
        self.change(|modules| {
            let old = modules.find(name)?;
            modules.by_name.insert(name.to_owned(), module);
            Ok(old)
        })
    }

    /// The module of this name.
    ///
    /// # Errors
    /// [`FunctionError::UnknownModule`], which offers similar names, or some of those that there are.
    pub fn get(&self, name: &str) -> Result<Module, FunctionError> {
        self.modules.read().unwrap_or_else(PoisonError::into_inner).find(name)
    }

    /// All modules, by name.
    #[must_use]
    pub fn modules(&self) -> Vec<Module> {
        self.modules.read().unwrap_or_else(PoisonError::into_inner).by_name.values().cloned().collect()
    }

    /// All functions of all modules that give one result for each row, by name of the module and in the module's order.
    #[must_use]
    pub fn functions(&self) -> Vec<Function> {
        let of = |module: &Module| -> Vec<Function> {
            module.signatures().filter_map(|signature| module.function(&signature.name).ok()).collect()
        };
        self.modules().iter().flat_map(of).collect()
    }

    /// Takes a module out of the registry, and returns it.
    ///
    /// # Errors
    /// As for [`Runtime::get`].
    pub fn unload(&self, name: &str) -> Result<Module, FunctionError> {
        self.change(|modules| {
            let module = modules.find(name)?;
            modules.by_name.remove(name);
            Ok(module)
        })
    }

    /// Takes all modules out, closes their pools and registers none from now on. Calls that are under way finish. A
    /// [`Caller`](crate::Caller), and a module that was replaced or unloaded before, still serve whoever has them.
    pub fn close(&self) {
        let modules = {
            let mut modules = self.modules.write().unwrap_or_else(PoisonError::into_inner);
            modules.closed = true;
            std::mem::take(&mut modules.by_name)
        };
        modules.values().for_each(Module::close);
    }

    /// Calls a function of a module, see [`Function::call`]. To call it many times, keep the [`Function`].
    ///
    /// # Errors
    /// [`FunctionError`].
    pub fn call<A: Arguments, R: Returned>(
        &self,
        module: &str,
        function: &str,
        arguments: A,
    ) -> Result<R, FunctionError> {
        self.get(module)?.function(function)?.call(arguments)
    }

    /// Changes an open registry.
    fn change<T>(&self, change: impl FnOnce(&mut Modules) -> Result<T, FunctionError>) -> Result<T, FunctionError> {
        let mut modules = self.modules.write().unwrap_or_else(PoisonError::into_inner);
        if modules.closed { Err(FunctionError::Closed) } else { change(&mut modules) }
    }
}

impl Modules {
    fn find(&self, name: &str) -> Result<Module, FunctionError> {
        if self.closed {
            return Err(FunctionError::Closed);
        }
        self.by_name.get(name).cloned().ok_or_else(|| FunctionError::UnknownModule {
            name: name.to_owned(),
            nearest: nearest(name, self.by_name.keys().map(String::as_str)),
        })
    }

    fn is_free(&self, name: &str) -> Result<(), FunctionError> {
        if self.by_name.contains_key(name) {
            return Err(FunctionError::ModuleExists { name: name.to_owned() });
        }
        Ok(())
    }
}
