//! A function of a module under its name in a session: the part that functions of rows, aggregates and table functions share.

use std::borrow::Cow;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::execution::memory_pool::{MemoryPool, UnboundedMemoryPool};
use datafusion::logical_expr::{Documentation, Signature, Volatility};
use guest_functions::{FunctionError, Module};

use crate::describe::{documentation, signature};
use crate::kind::ModuleFunction;
use crate::query::{Instances, Query, Reading, short_hash};

/// A function of a module, of any kind, as a function of DataFusion.
///
/// Two are equal if they have the same name and call the same function of modules with the same bytes.
///
/// # Instances
///
/// [`WasmQueryPlanner`](crate::WasmQueryPlanner) gives each plan instances of its own, at most one for each thread that calls;
/// they are charged to the session's memory pool and end with the plan. A function that such a planner did not see, for
/// instance because the optimizer computes a call of constants, makes an instance for the call.
#[derive(Debug, Clone)]
pub struct WasmFunction<F> {
    function: F,
    name: String,
    signature: Signature,
    documentation: Documentation,
    /// Pays for instances outside of a query.
    memory: Arc<dyn MemoryPool>,
    bound: Option<Bound<F>>,
    /// Keeps the module among those that are loaded.
    #[expect(dead_code, reason = "held for as long as the function is there")]
    lease: Option<Arc<Module>>,
}

/// A function on the instances of a query.
#[derive(Debug, Clone)]
struct Bound<F> {
    /// The name in physical plans.
    shown: String,
    function: F,
    query: Arc<Query>,
}

impl<F: ModuleFunction> WasmFunction<F> {
    /// The function, under the name that it has in its module.
    #[must_use]
    pub fn new(function: F) -> Self {
        let name = function.signature().name.clone();
        Self::named(function, name)
    }

    /// The function under another name.
    #[must_use]
    pub fn named(function: F, name: impl Into<String>) -> Self {
        let name = name.into();
        let (signature, documentation) = (signature(function.signature()), documentation(function.signature(), &name));
        let memory = Arc::new(UnboundedMemoryPool::default());
        Self { function, name, signature, documentation, memory, bound: None, lease: None }
    }

    /// Charges instances outside of a query to this pool.
    #[must_use]
    pub fn with_memory_pool(self, memory: Arc<dyn MemoryPool>) -> Self {
        Self { memory, ..self }
    }

    /// Sets another volatility than the module's, if there is one.
    #[must_use]
    pub fn with_volatility(mut self, volatility: Option<Volatility>) -> Self {
        self.signature.volatility = volatility.unwrap_or(self.signature.volatility);
        self
    }

    pub(crate) fn with_lease(self, lease: Arc<Module>) -> Self {
        Self { lease: Some(lease), ..self }
    }

    /// The function of the module.
    #[must_use]
    pub fn function(&self) -> &F {
        &self.function
    }

    /// The name by which SQL calls the function, also in a plan that shows another one.
    #[must_use]
    pub fn sql_name(&self) -> &str {
        &self.name
    }

    /// How far equal arguments give equal results, as SQL sees it.
    #[must_use]
    pub fn volatility(&self) -> Volatility {
        self.signature.volatility
    }

    /// The same on instances of its own, at most one for each thread that calls. They are charged to its
    /// [memory pool](Self::with_memory_pool) and dropped with it and its clones. It is for plans that no
    /// [`WasmQueryPlanner`](crate::WasmQueryPlanner) makes, for instance those that come from another process.
    ///
    /// # Errors
    /// As for [`guest_functions::Module::with_instances`].
    pub fn with_own_instances(&self) -> Result<Self, FunctionError> {
        self.bind(&mut self.own_instances())
    }

    /// Somebody begins to read results for which the function is called. When all who did are dropped, a call that is under
    /// way ends within a tick of the engine's clock, with an error. `None` if the function has no
    /// [instances of a query](Self::with_own_instances).
    #[must_use]
    pub fn begin(&self) -> Option<Reading> {
        self.bound.as_ref().map(|bound| bound.query.begin())
    }

    /// The same on instances of a query.
    pub(crate) fn bind(&self, instances: &mut Instances) -> Result<Self, FunctionError> {
        let shown = format!("{}@{}", self.name, short_hash(self.function.module()));
        let (function, query) = (instances.function(&self.function)?, Arc::clone(instances.query()));
        Ok(Self { bound: Some(Bound { shown, function, query }), ..self.clone() })
    }

    /// Whether it has instances of a query.
    pub(crate) fn is_bound(&self) -> bool {
        self.bound.is_some()
    }

    /// The same as it is in logical plans.
    pub(crate) fn unbound(&self) -> Cow<'_, Self> {
        match &self.bound {
            None => Cow::Borrowed(self),
            Some(_) => Cow::Owned(Self { bound: None, ..self.clone() }),
        }
    }

    /// The function on instances of the query, or on some of its own where it has none of a query.
    pub(crate) fn callable(&self) -> Result<Cow<'_, F>, FunctionError> {
        match &self.bound {
            Some(bound) => Ok(Cow::Borrowed(&bound.function)),
            None => self.own_instances().function(&self.function).map(Cow::Owned),
        }
    }

    /// The name in plans: once the function has the instances of a query, with the first digits of the module's hash.
    pub(crate) fn shown(&self) -> &str {
        self.bound.as_ref().map_or(&self.name, |bound| &bound.shown)
    }

    /// The signature that DataFusion sees.
    pub(crate) fn planned(&self) -> &Signature {
        &self.signature
    }

    pub(crate) fn documented(&self) -> &Documentation {
        &self.documentation
    }

    fn own_instances(&self) -> Instances {
        Instances::new(Query::new(Arc::clone(&self.memory)))
    }
}

impl<F: ModuleFunction> PartialEq for WasmFunction<F> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.function.module().hash() == other.function.module().hash()
            && self.function.signature() == other.function.signature()
            && self.signature == other.signature
    }
}

impl<F: ModuleFunction> Eq for WasmFunction<F> {}

impl<F: ModuleFunction> Hash for WasmFunction<F> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.function.module().hash().hash(state);
        self.function.signature().name.hash(state);
    }
}
