//! The modules of a query.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use datafusion::prelude::SessionContext;
use guest_datafusion::WasmModules;
use guest_datafusion::guest_functions::ModuleConfig;
use guest_datafusion::guest_functions::guest_host::module_info::{ContractKind, ModuleInfo};
use guest_datafusion::guest_functions::guest_host::{CompileCache, Engine, EngineConfig, Guest, InstanceAllocation};

use crate::arguments::Arguments;

/// A module, and the functions of it that were declared.
struct File<'a> {
    path: &'a Path,
    bytes: Vec<u8>,
    /// `None` of an artefact, and of what is no module: loading it says so.
    info: Option<ModuleInfo>,
    declarations: Vec<String>,
}

/// Makes the functions of the modules known to the session.
pub(crate) fn register(ctx: &SessionContext, arguments: &Arguments) -> Result<()> {
    let mut files = arguments.modules.iter().map(|path| File::read(path)).collect::<Result<Vec<_>>>()?;
    for declaration in &arguments.declarations {
        let name = declaration.split('(').next().unwrap_or_default().trim();
        let mut having = files.iter_mut().filter(|file| file.exports(name));
        match (having.next(), having.next()) {
            (Some(file), None) => file.declarations.push(declaration.clone()),
            (Some(one), Some(other)) => bail!(
                "`{declaration}`: {} and {} export `{name}`; give one of them",
                one.path.display(),
                other.path.display()
            ),
            (None, _) => bail!("`{declaration}`: no module without signatures exports a function `{name}`"),
        }
    }
    let mut engine = EngineConfig::default().with_allocation(InstanceAllocation::OnDemand);
    if let Some(folder) = &arguments.compile_cache {
        engine = engine.with_compile_cache(CompileCache::Folder(folder.clone()));
    }
    let modules = WasmModules::with_engine(ctx, &Engine::new(&engine)?);
    for file in files {
        let config = ModuleConfig::default();
        let instance =
            config.instance.clone().with_memory_limit(arguments.memory_limit).with_deadline(arguments.deadline.0);
        let config = config
            .with_instance(instance)
            .with_pristine(arguments.pristine.into())
            .with_declarations(file.declarations);
        let name = file.path.file_stem().unwrap_or_default().to_string_lossy();
        let registered = modules.register(ctx, &name, &file.bytes, config);
        registered.map_err(|error| anyhow!("{}: {error}", file.path.display()))?;
    }
    Ok(())
}

impl<'a> File<'a> {
    fn read(path: &'a Path) -> Result<Self> {
        let bytes = Guest::read_file(path)?;
        let info = ModuleInfo::analyse(&bytes).ok();
        Ok(Self { path, bytes, info, declarations: Vec::new() })
    }

    /// Whether it has no signatures of its own, and exports a function of this name.
    fn exports(&self, name: &str) -> bool {
        self.info
            .as_ref()
            .is_some_and(|info| info.contract() == ContractKind::Bare && info.exported_function(name).is_some())
    }
}
