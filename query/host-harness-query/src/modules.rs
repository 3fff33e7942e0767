//! The modules of a query.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use guest_datafusion::guest_functions::ModuleConfig;
use guest_datafusion::guest_functions::guest_host::Guest;
use guest_datafusion::guest_functions::guest_host::guest_abi::function::read_section;
use guest_datafusion::guest_functions::guest_host::module_info::{ContractKind, ModuleInfo};

use crate::arguments::QueryArguments;

/// A module of a query, read from its file.
#[derive(Debug)]
pub struct ModuleFile<'a> {
    path: &'a Path,
    /// The module's name: that of its file, without the extension.
    pub name: String,
    /// The contents of the file.
    pub bytes: Vec<u8>,
    /// How to load it: with the limits of the command line, and the declarations of its functions.
    pub config: ModuleConfig,
    /// `None` of an artefact, and of what is no module: loading it says so.
    info: Option<ModuleInfo>,
}

impl<'a> ModuleFile<'a> {
    /// Reads the modules of a query, and finds the module of each declaration.
    ///
    /// # Errors
    /// A file cannot be read, or a declaration is for none or for several of the modules.
    pub fn read_all(arguments: &'a QueryArguments) -> Result<Vec<Self>> {
        let mut files = arguments.modules.iter().map(|path| Self::read(path, arguments)).collect::<Result<Vec<_>>>()?;
        let mut declared = HashMap::new();
        for file in &files {
            for name in file.declared() {
                if let Some(other) = declared.insert(name.clone(), file.path) {
                    let (one, other) = (other.display(), file.path.display());
                    bail!("{one} and {other} both have a function `{name}`; give one of them, or rename the function");
                }
            }
        }
        let mut declarations = vec![Vec::new(); files.len()];
        for declaration in &arguments.declarations {
            let name = declaration.split('(').next().unwrap_or_default().trim();
            let mut having = files.iter().zip(&mut declarations).filter(|(file, _)| file.exports(name));
            match (having.next(), having.next()) {
                (Some((_, declarations)), None) => declarations.push(declaration.clone()),
                (Some((one, _)), Some((other, _))) => bail!(
                    "`{declaration}`: {} and {} export `{name}`; give one of them",
                    one.path.display(),
                    other.path.display()
                ),
                (None, _) => bail!("`{declaration}`: no module without signatures exports a function `{name}`"),
            }
        }
        for (file, declarations) in files.iter_mut().zip(declarations) {
            file.config = file.config.clone().with_declarations(declarations);
        }
        Ok(files)
    }

    fn read(path: &'a Path, arguments: &QueryArguments) -> Result<Self> {
        let bytes = Guest::read_file(path)?;
        let info = ModuleInfo::analyse(&bytes).ok();
        let config = ModuleConfig::default();
        let instance =
            config.instance.clone().with_memory_limit(arguments.memory_limit).with_deadline(arguments.deadline.0);
        let config = config.with_instance(instance).with_pristine(arguments.pristine.into());
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { path, name, bytes, config, info })
    }

    /// An error of this module, with its path before it.
    pub fn error(&self, error: impl Display) -> anyhow::Error {
        anyhow!("{}: {error}", self.path.display())
    }

    /// The names of the functions that it declares; of a section that cannot be read, loading it says so.
    fn declared(&self) -> Vec<String> {
        let section = self.info.as_ref().map(|info| info.function_section.as_slice()).unwrap_or_default();
        let signatures = read_section(section).unwrap_or_default();
        signatures.into_iter().map(|signature| signature.name).collect()
    }

    /// Whether it has no signatures of its own, and exports a function of this name.
    fn exports(&self, name: &str) -> bool {
        self.info
            .as_ref()
            .is_some_and(|info| info.contract() == ContractKind::Bare && info.exported_function(name).is_some())
    }
}
