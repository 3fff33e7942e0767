//! A module with functions: what it offers, and calls of it.

mod config;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use guest_abi::function::{Kind, Signature, Type};
use guest_host::{
    Engine, Failure, Guest, Instance, InstanceConfig, MemoryState, Pool, PoolConfig, PoolError, RestorePolicy,
};
use sha2::{Digest as _, Sha256};

use crate::argument::Arguments;
use crate::error::{FunctionError, nearest};
use crate::frame::Frame;
use crate::functions::{Entry, functions};
use crate::returned::Returned;
use crate::returned::take;
use crate::value::Value;
pub use config::{ModuleConfig, Pristine};

/// A loaded module with functions. Cheap to clone; whoever has it may call it, also when it was replaced or unloaded since.
#[derive(Clone)]
pub struct Module {
    loaded: Arc<Loaded>,
    pool: Pool,
    /// Instances for calls of several crossings, which are not restored in between.
    #[cfg(feature = "arrow")]
    sessions: Pool,
}

/// The part of a module that does not depend on its instances.
struct Loaded {
    name: String,
    config: ModuleConfig,
    hash: [u8; 32],
    guest: Guest,
    functions: Arc<[Entry]>,
    by_name: Arc<HashMap<String, usize>>,
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let functions: Vec<String> = self.signatures().map(ToString::to_string).collect();
        f.debug_struct("Module").field("name", &self.name()).field("functions", &functions).finish_non_exhaustive()
    }
}

impl Module {
    /// Loads a module or an artefact.
    ///
    /// # Errors
    /// [`FunctionError`] if it cannot be loaded, or if its functions are not as their signatures say.
    pub fn load(engine: &Engine, name: &str, bytes: &[u8], config: ModuleConfig) -> Result<Self, FunctionError> {
        let guest = Guest::load(engine, name, bytes, config.prepare)?;
        let functions: Arc<[Entry]> = functions(&guest, &config.declarations)?.into();
        let by_name = functions.iter().enumerate().map(|(at, entry)| (entry.signature.name.clone(), at)).collect();
        let (hash, by_name) = (hash(bytes), Arc::new(by_name));
        Self::with_own_instances(Loaded { name: name.to_owned(), config, hash, guest, functions, by_name })
    }

    /// The same functions under another name, on instances of their own with other limits. Nothing is compiled.
    /// [`ModuleConfig::prepare`] and [`ModuleConfig::declarations`] are those of this module. Its functions are those of
    /// another module for a [`Caller`].
    ///
    /// ```
    /// use guest_functions::{ModuleConfig, Runtime};
    ///
    /// let wasm = wat::parse_str(r#"(module (func (export "one") (result i32) (i32.const 1)))"#)?;
    /// let module = Runtime::new()?.register("numbers", &wasm, ModuleConfig::default())?;
    /// let again = module.reconfigured("again", ModuleConfig::default().with_version("2"))?;
    /// assert_eq!((again.name(), again.function("one")?.call::<_, i32>(())?), ("again", 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`FunctionError::Load`] if no instance can be made with these limits.
    pub fn reconfigured(&self, name: &str, config: ModuleConfig) -> Result<Self, FunctionError> {
        let Loaded { config: own, hash, guest, functions, by_name, .. } = &*self.loaded;
        Self::with_own_instances(Loaded {
            name: name.to_owned(),
            config: config.with_prepare(own.prepare).with_declarations(own.declarations.iter().cloned()),
            hash: *hash,
            guest: guest.clone(),
            functions: Arc::clone(functions),
            by_name: Arc::clone(by_name),
        })
    }

    /// The functions on instances as the configuration says.
    fn with_own_instances(mut loaded: Loaded) -> Result<Self, FunctionError> {
        let config = &mut loaded.config;
        config.instance.policy = match config.pristine {
            Pristine::Batch | Pristine::Row => RestorePolicy::EveryCall,
            Pristine::Never => RestorePolicy::Never,
        };
        config.pool.restore_on_return = config.pristine != Pristine::Never;
        let loaded = Arc::new(loaded);
        let pool = &loaded.config.pool;
        Self::over(&loaded, pool, |guest, config| Ok(guest.instantiate(config, MemoryState::new())?))
    }

    /// The same functions on instances of their own, which `make` makes with the module's [guest](Self::guest), for instance
    /// with a [supervisor](InstanceConfig::supervisor). Nothing is compiled. [`ModuleConfig::pool`] and
    /// [`ModuleConfig::instance`] are those of this module still; whoever makes instances starts from the latter.
    ///
    /// ```
    /// use guest_functions::guest_host::{MemoryState, PoolConfig};
    /// use guest_functions::{ModuleConfig, Runtime};
    ///
    /// let wasm = wat::parse_str(r#"(module (func (export "one") (result i32) (i32.const 1)))"#)?;
    /// let module = Runtime::new()?.register("numbers", &wasm, ModuleConfig::default())?;
    /// let query = module.with_instances(&PoolConfig::default().with_warm(0).with_max(4), |guest, config| {
    ///     Ok(guest.instantiate(config, MemoryState::new())?)
    /// })?;
    /// assert_eq!(query.function("one")?.call::<_, i32>(())?, 1);
    /// // Dropping it drops its instances, and none of the module's was used.
    /// assert!(query.is_same(&module));
    /// assert_eq!((query.pool().status().idle, module.pool().status().idle), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Pool::with`].
    pub fn with_instances(
        &self,
        pool: &PoolConfig,
        make: impl Fn(&Guest, &InstanceConfig) -> Result<Instance, PoolError> + Send + Sync + 'static,
    ) -> Result<Self, FunctionError> {
        Self::over(&self.loaded, pool, make)
    }

    /// The functions on instances that `make` makes.
    fn over(
        loaded: &Arc<Loaded>,
        pool: &PoolConfig,
        make: impl Fn(&Guest, &InstanceConfig) -> Result<Instance, PoolError> + Send + Sync + 'static,
    ) -> Result<Self, FunctionError> {
        let make = Arc::new(make);
        let of = |config: InstanceConfig, pool: &PoolConfig| {
            let (loaded, make) = (Arc::clone(loaded), Arc::clone(&make));
            Pool::with(pool, move || make(&loaded.guest, &config))
        };
        Ok(Self {
            #[cfg(feature = "arrow")]
            sessions: {
                let config = loaded.config.instance.clone().with_policy(RestorePolicy::Never);
                // Each call begins at the snapshot, whatever the calls of functions do.
                of(config, &pool.clone().with_warm(0).with_restore_on_return(true))?
            },
            pool: of(loaded.config.instance.clone(), pool)?,
            loaded: Arc::clone(loaded),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.loaded.name
    }

    /// Whether the other one was loaded by the same call, on whatever instances either has its functions.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.loaded, &other.loaded)
    }

    /// How it was loaded.
    #[must_use]
    pub fn config(&self) -> &ModuleConfig {
        &self.loaded.config
    }

    /// SHA-256 of its bytes.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.loaded.hash
    }

    /// The guest.
    #[must_use]
    pub fn guest(&self) -> &Guest {
        &self.loaded.guest
    }

    /// The instances that calls of a [`Function`] take.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The instances that calls of several crossings take.
    #[cfg(feature = "arrow")]
    pub(crate) fn sessions(&self) -> &Pool {
        &self.sessions
    }

    /// Closes its pools: nobody takes an instance of them any more. Calls that are under way finish.
    pub(crate) fn close(&self) {
        self.pool.close();
        #[cfg(feature = "arrow")]
        self.sessions.close();
    }

    /// The signatures of its functions of all kinds, in the module's order.
    pub fn signatures(&self) -> impl Iterator<Item = &Signature> {
        self.loaded.functions.iter().map(|entry| &entry.signature)
    }

    /// The function of this name that gives one result for each row.
    ///
    /// # Errors
    /// [`FunctionError::UnknownFunction`], which offers similar names, or some of those that there are;
    /// [`FunctionError::OtherKind`] if it is an aggregate or a table function.
    pub fn function(&self, name: &str) -> Result<Function, FunctionError> {
        self.of_kind(name, Kind::Scalar)
    }

    /// The function of this name, if it is of this kind.
    pub(crate) fn of_kind(&self, name: &str, asked: Kind) -> Result<Function, FunctionError> {
        let Some(at) = self.loaded.by_name.get(name).copied() else {
            let names = self.signatures().map(|signature| signature.name.as_str());
            let nearest = nearest(name, names.collect::<Vec<_>>().into_iter());
            let (module, function) = (self.name().to_owned(), name.to_owned());
            return Err(FunctionError::UnknownFunction { module, function, nearest });
        };
        let function = Function { module: self.clone(), at };
        match function.signature().kind {
            kind if kind == asked => Ok(function),
            kind => Err(FunctionError::OtherKind { function: name.to_owned(), kind, asked }),
        }
    }

    /// An instance of its own, for a thread that makes many calls: nobody else takes it, and no lock is between its calls.
    ///
    /// # Errors
    /// [`FunctionError::Load`].
    pub fn caller(&self) -> Result<Caller, FunctionError> {
        self.caller_with(|config| config)
    }

    /// The same with other limits: `change` makes its configuration from that of the module. When the instance is restored,
    /// says [`ModuleConfig::pristine`] all the same.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use guest_functions::{ModuleConfig, Runtime};
    ///
    /// let wasm = wat::parse_str(r#"(module (func (export "spin") (result i32) (loop $again (br $again)) (unreachable)))"#)?;
    /// let module = Runtime::new()?.register("spins", &wasm, ModuleConfig::default())?;
    /// let mut caller = module.caller_with(|config| config.with_deadline(Some(Duration::from_millis(2))))?;
    /// let error = caller.call::<_, i32>(&module.function("spin")?, ()).unwrap_err().to_string();
    /// assert_eq!(error, "`spin` failed: the deadline of 2ms passed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Module::caller`].
    pub fn caller_with(&self, change: impl FnOnce(InstanceConfig) -> InstanceConfig) -> Result<Caller, FunctionError> {
        let own = &self.loaded.config.instance;
        let config = change(own.clone()).with_policy(own.policy);
        let instance = self.loaded.guest.instantiate(&config, MemoryState::new())?;
        Ok(Caller { module: self.clone(), instance })
    }
}

/// A function of a module. Cheap to clone.
///
/// ```
/// use guest_functions::{Runtime, Value};
///
/// let wasm = wat::parse_str(
///     r#"(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#,
/// )?;
/// let add = Runtime::new()?.register("sums", &wasm, Default::default())?.function("add")?;
/// assert_eq!(add.call::<_, i32>((40, 2))?, 42);
/// assert_eq!(add.call_values(&[Value::I32(40), Value::I32(2)])?, Value::I32(42));
///
/// let error = add.call::<_, i32>((40, "2")).unwrap_err().to_string();
/// assert_eq!(error, "the parameter `p1` of `add` has type i32, and the argument has type string");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Function {
    module: Module,
    at: usize,
}

impl Function {
    /// The module.
    #[must_use]
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.entry().signature
    }

    #[inline]
    pub(crate) fn entry(&self) -> &Entry {
        &self.module.loaded.functions[self.at]
    }

    /// Calls the function on an instance of the module's pool. Number and types of the arguments, and the type of the
    /// result, are checked before the call.
    ///
    /// # Errors
    /// [`FunctionError`].
    #[inline]
    pub fn call<A: Arguments, R: Returned>(&self, arguments: A) -> Result<R, FunctionError> {
        let entry = self.entry();
        if entry.is_of_numbers::<A, R>() {
            let mut instance = self.module.pool.take()?;
            return entry.call_numbers(&mut instance, &arguments);
        }
        if let Some(null) = entry.check::<A, R>(&arguments)? {
            return Ok(null);
        }
        let mut instance = self.module.pool.take()?;
        entry.call(&mut instance, &arguments)
    }

    /// Calls the function on an instance of the embedder's own, which was made from the module's [guest](Module::guest). Under its policy
    /// it may keep its memory after the call.
    ///
    /// # Errors
    /// As for [`Function::call`], and [`FunctionError::OtherModule`].
    pub fn call_on<A: Arguments, R: Returned>(
        &self,
        instance: &mut Instance,
        arguments: A,
    ) -> Result<R, FunctionError> {
        if !instance.guest().is_same(self.module.guest()) {
            let module = instance.guest().name().to_owned();
            return Err(FunctionError::OtherModule { module, function: self.signature().name.clone() });
        }
        let entry = self.entry();
        match entry.check::<A, R>(&arguments)? {
            Some(null) => Ok(null),
            None => entry.call(instance, &arguments),
        }
    }

    /// Calls the function with values whose types are known at run time.
    ///
    /// # Errors
    /// As for [`Function::call`].
    pub fn call_values(&self, arguments: &[Value]) -> Result<Value, FunctionError> {
        self.call(arguments)
    }
}

/// An instance of a module that belongs to one thread. See [`Module::caller`].
#[derive(Debug)]
pub struct Caller {
    module: Module,
    pub(crate) instance: Instance,
}

impl Caller {
    /// The module.
    #[must_use]
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// The instance.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The instance, for its extension functions and their state.
    pub fn instance_mut(&mut self) -> &mut Instance {
        &mut self.instance
    }

    /// Calls a function of the module, as [`Function::call`] does.
    ///
    /// # Errors
    /// As for [`Function::call`], and [`FunctionError::OtherModule`].
    #[inline]
    pub fn call<A: Arguments, R: Returned>(&mut self, function: &Function, arguments: A) -> Result<R, FunctionError> {
        self.check_module(function)?;
        let entry = function.entry();
        if entry.is_of_numbers::<A, R>() {
            return entry.call_numbers(&mut self.instance, &arguments);
        }
        if let Some(null) = entry.check::<A, R>(&arguments)? {
            return Ok(null);
        }
        entry.call(&mut self.instance, &arguments)
    }

    /// That the function is one of this module's.
    #[inline]
    pub(crate) fn check_module(&self, function: &Function) -> Result<(), FunctionError> {
        if self.module.is_same(&function.module) { Ok(()) } else { Err(self.foreign(function)) }
    }

    #[cold]
    fn foreign(&self, function: &Function) -> FunctionError {
        FunctionError::OtherModule {
            module: self.module.name().to_owned(),
            function: function.signature().name.clone(),
        }
    }
}

impl Entry {
    /// The type of the result.
    #[inline]
    pub(crate) fn result(&self) -> Type {
        // `functions` takes no function without one.
        self.signature.results[0].ty
    }

    /// Whether the function takes just these numbers and returns this one. A comparison: nothing else is to be checked then.
    #[inline]
    fn is_of_numbers<A: Arguments, R: Returned>(&self) -> bool {
        self.shape.is(const { A::NUMBERS.returns(R::NUMBER) })
    }

    /// Calls the function with numbers. Nothing is placed in the guest's memory.
    #[inline]
    fn call_numbers<A: Arguments, R: Returned>(
        &self,
        instance: &mut Instance,
        arguments: &A,
    ) -> Result<R, FunctionError> {
        let mut slots = arguments.slots();
        let slots = slots.as_mut();
        instance.call_numbers(self.export, slots).map_err(|failure| self.named(failure))?;
        slots.first().and_then(|slot| R::of_slot(*slot)).ok_or_else(|| self.null_result())
    }

    /// Checks the arguments and the type of the result. Returns null where it is the result without a call.
    #[inline]
    fn check<A: Arguments, R: Returned>(&self, arguments: &A) -> Result<Option<R>, FunctionError> {
        if !R::fits(self.result()) {
            return Err(self.result_type::<R>());
        }
        if arguments.check(&self.signature)? {
            return Ok(None);
        }
        R::null().map(Some).ok_or_else(|| self.null_result())
    }

    #[inline]
    fn call<A: Arguments, R: Returned>(&self, instance: &mut Instance, arguments: &A) -> Result<R, FunctionError> {
        let result = self.result();
        let found = instance.call_with(self.export, |call| {
            let mut frame = Frame::new(call, self.placement);
            arguments.place(&mut frame, &self.signature)?;
            let slot = frame.call()?;
            take::<R>(frame.guest(), result, slot)
        });
        let found = found.map_err(|failure| self.named(failure))?;
        found.ok_or_else(|| self.null_result())
    }

    /// The failure with the function's own name, in place of its export's.
    #[cold]
    pub(crate) fn named(&self, mut failure: Failure) -> Failure {
        failure.function.clone_from(&self.signature.name);
        failure
    }

    #[cold]
    fn result_type<R: Returned>(&self) -> FunctionError {
        FunctionError::ResultType { function: self.signature.name.clone(), found: self.result(), asked: R::name() }
    }

    #[cold]
    fn null_result(&self) -> FunctionError {
        FunctionError::NullResult { function: self.signature.name.clone() }
    }
}

/// The [hash](Module::hash) of a module with these bytes.
#[must_use]
pub fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
