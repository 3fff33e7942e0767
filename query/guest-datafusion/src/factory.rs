//! `CREATE FUNCTION ... LANGUAGE WASM`.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::execution::context::{FunctionFactory, RegisterFunction};
use datafusion::logical_expr::{CreateFunction, Expr, Volatility};
use datafusion::prelude::SessionContext;
use guest_functions::guest_host::module_info::ContractKind;
use guest_functions::{Field, Kind, Module, ModuleConfig, Signature, Type};

use crate::describe::volatility;
use crate::error::RegisterError;
use crate::modules::{WasmModules, exists};
use crate::resolver::ModuleResolver;
use crate::types::{declared, is_declared_as};

/// Creates functions from modules by SQL.
///
/// ```sql
/// CREATE FUNCTION levenshtein(a TEXT, b TEXT) RETURNS BIGINT LANGUAGE WASM AS 'text.wasm';
/// CREATE OR REPLACE FUNCTION distance() LANGUAGE WASM AS 'text.wasm#levenshtein';
/// DROP FUNCTION distance;
/// ```
///
/// The types and the volatility of a statement are compared with those that the module declares; what a statement leaves out is the
/// module's. The function takes the place of a built-in one of its name. A module without signatures is called as the statement declares the function: its parameters are never null,
/// nor is its result, and the function is immutable unless the statement says otherwise.
///
/// `DROP FUNCTION` removes a function. Its module is unloaded with the last function and the last plan that calls one.
#[derive(Debug)]
pub struct WasmFunctionFactory {
    modules: WasmModules,
    resolver: Arc<dyn ModuleResolver>,
    config: ModuleConfig,
}

impl WasmFunctionFactory {
    /// A factory of functions of modules that `resolver` finds, loaded as `config` says. [`ModuleConfig::declarations`] are those of the
    /// statements.
    #[must_use]
    pub fn new(modules: &WasmModules, resolver: Arc<dyn ModuleResolver>, config: ModuleConfig) -> Self {
        Self { modules: modules.clone(), resolver, config }
    }

    /// Lets a session create functions of modules that `resolver` finds.
    ///
    /// # Errors
    /// [`RegisterError::Engine`].
    pub fn install(
        ctx: &SessionContext,
        resolver: Arc<dyn ModuleResolver>,
        config: ModuleConfig,
    ) -> Result<(), RegisterError> {
        let factory = Self::new(&WasmModules::of(ctx)?, resolver, config);
        ctx.state_ref().write().set_function_factory(Arc::new(factory));
        Ok(())
    }

    /// The module with the function, loaded with its declaration where the module has none.
    async fn module(&self, wanted: &Wanted, bytes: Vec<u8>) -> Result<Arc<Module>, RegisterError> {
        let plain = self.load(wanted, bytes.clone(), None).await?;
        let is_foreign = plain.guest().info().contract() == ContractKind::Bare;
        let known = plain.signatures().find(|signature| signature.name == wanted.export);
        match known {
            Some(found) if wanted.agrees_with(found, is_foreign) => Ok(plain),
            Some(found) if !is_foreign => Err(RegisterError::Signature {
                declared: wanted.to_string(),
                module: wanted.module.clone(),
                found: shown(found),
            }),
            // The error offers similar names.
            None if !is_foreign => plain.function(&wanted.export).map(|_| plain).map_err(RegisterError::from),
            _ => self.load(wanted, bytes, Some(wanted.declaration()?)).await,
        }
    }

    /// Compiles on another thread, as it takes some milliseconds.
    async fn load(
        &self,
        wanted: &Wanted,
        bytes: Vec<u8>,
        declaration: Option<String>,
    ) -> Result<Arc<Module>, RegisterError> {
        let (modules, name) = (self.modules.clone(), wanted.module.clone());
        let config = self.config.clone().with_declarations(declaration);
        let loaded = tokio::task::spawn_blocking(move || modules.load(&name, &bytes, config)).await;
        let lost = |error| RegisterError::Resolve { name: wanted.module.clone(), reason: format!("{error}") };
        Ok(loaded.map_err(lost)??)
    }
}

#[async_trait]
impl FunctionFactory for WasmFunctionFactory {
    async fn create(&self, state: &SessionState, statement: CreateFunction) -> Result<RegisterFunction> {
        let wanted = Wanted::of(&statement)?;
        let bytes = self.resolver.resolve(&wanted.module).await?;
        let module = self.module(&wanted, bytes).await?;
        let mut signatures = module.signatures();
        let kind = signatures.find(|found| found.name == wanted.export).map_or(Kind::Scalar, |found| found.kind);
        if exists(state, &wanted.name, kind, statement.or_replace) {
            return Err(RegisterError::Exists { name: wanted.name }.into());
        }
        let function = self.modules.function(state, &module, &wanted.export, &wanted.name, wanted.volatility);
        function.map_err(|error| DataFusionError::from(RegisterError::from(error)))
    }
}

/// The function that a statement asks for.
struct Wanted {
    name: String,
    module: String,
    export: String,
    params: Option<Vec<Field>>,
    result: Option<Type>,
    volatility: Option<Volatility>,
}

impl Wanted {
    fn of(statement: &CreateFunction) -> Result<Self, RegisterError> {
        let function = || statement.name.clone();
        let language = statement.params.language.as_ref().map(|language| language.value.clone());
        if !language.as_deref().is_some_and(|language| language.eq_ignore_ascii_case("wasm")) {
            return Err(RegisterError::Language { function: function(), language });
        }
        let body = match &statement.params.function_body {
            Some(Expr::Literal(
                ScalarValue::Utf8(Some(body)) | ScalarValue::Utf8View(Some(body)) | ScalarValue::LargeUtf8(Some(body)),
                _,
            )) => body,
            _ => return Err(RegisterError::Body { function: function() }),
        };
        let (module, export) = body.rsplit_once('#').unwrap_or((body, &statement.name));
        if module.is_empty() || export.is_empty() {
            return Err(RegisterError::Body { function: function() });
        }
        let ty = |given: &datafusion::arrow::datatypes::DataType| {
            declared(given).ok_or_else(|| RegisterError::Type { function: function(), given: given.to_string() })
        };
        let mut params = Vec::new();
        for (at, arg) in statement.args.iter().flatten().enumerate() {
            if arg.default_expr.is_some() {
                return Err(RegisterError::Default { function: function(), parameter: at + 1 });
            }
            let name = arg.name.as_ref().map_or_else(|| format!("p{at}"), |name| name.value.clone());
            params.push(Field::new(name, ty(&arg.data_type)?));
        }
        let result = statement.return_type.as_ref().map(ty).transpose()?;
        Ok(Self {
            name: function(),
            module: module.to_owned(),
            export: export.to_owned(),
            // `f()` with a result takes no arguments, and without one it is a name.
            params: (!params.is_empty()).then_some(params),
            result,
            volatility: statement.params.behavior,
        })
    }

    /// Whether the module's function is as the statement says. A module without signatures knows no volatility.
    fn agrees_with(&self, found: &Signature, is_foreign: bool) -> bool {
        let params = self.params.as_ref().is_none_or(|params| {
            params.len() == found.params.len()
                && params.iter().zip(&found.params).all(|(declared, of)| is_declared_as(of.ty, declared.ty))
        });
        // A table function has columns, and no result that a statement could declare.
        let is_result = |declared| found.kind != Kind::Table && is_declared_as(found.results[0].ty, declared);
        let result = self.result.is_none_or(is_result);
        params && result && (is_foreign || self.volatility.is_none_or(|declared| declared == volatility(found)))
    }

    /// The declaration of a function of a module without signatures.
    fn declaration(&self) -> Result<String, RegisterError> {
        let undeclared = || RegisterError::Undeclared { module: self.module.clone(), function: self.export.clone() };
        let result = self.result.ok_or_else(undeclared)?;
        let mut signature = Signature::new(Kind::Scalar, self.export.as_str());
        signature.params = self.params.clone().unwrap_or_default();
        signature.results = vec![Field::new("", result)];
        Ok(signature.to_string())
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let params: Vec<String> =
            self.params.iter().flatten().map(|param| format!("{}: {}", param.name, param.ty)).collect();
        write!(f, "{}({})", self.export, if self.params.is_some() { params.join(", ") } else { "...".to_owned() })?;
        if let Some(result) = self.result {
            write!(f, " -> {result}")?;
        }
        if let Some(volatility) = self.volatility {
            write!(f, " {}", format!("{volatility:?}").to_lowercase())?;
        }
        Ok(())
    }
}

/// A signature with its volatility, in the form of [`Wanted`].
fn shown(signature: &Signature) -> String {
    format!("{signature} {}", signature.volatility.name())
}
