//! Where `CREATE FUNCTION` finds modules.

use std::fmt::Debug;
use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;

use crate::error::RegisterError;

/// Finds the bytes of a module by the name that a statement gives it.
///
/// Whoever can run `CREATE FUNCTION` in a session can name anything here: return only modules that they may run.
#[async_trait]
pub trait ModuleResolver: Debug + Send + Sync {
    /// The bytes of the module.
    ///
    /// # Errors
    /// [`RegisterError::Resolve`] if there is none, or if it may not be read.
    async fn resolve(&self, name: &str) -> Result<Vec<u8>, RegisterError>;
}

/// Modules in a folder, by their paths in it. Paths that leave the folder are refused, also through symbolic links.
#[derive(Debug, Clone)]
pub struct FolderResolver {
    folder: PathBuf,
}

impl FolderResolver {
    /// Modules of this folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn read(folder: &Path, name: &str) -> Result<Vec<u8>, String> {
        let path = Path::new(name);
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err("a module is named by its path in the folder for modules, without `..`".to_owned());
        }
        let within = |error: std::io::Error| format!("{error}; modules lie in {}", folder.display());
        let folder = folder.canonicalize().map_err(within)?;
        let file = folder
            .join(path)
            .canonicalize()
            .map_err(|error| format!("{error}; modules lie in {}", folder.display()))?;
        if !file.starts_with(&folder) {
            return Err(format!("it lies outside of the folder for modules, {}", folder.display()));
        }
        std::fs::read(&file).map_err(|error| error.to_string())
    }
}

#[async_trait]
impl ModuleResolver for FolderResolver {
    async fn resolve(&self, name: &str) -> Result<Vec<u8>, RegisterError> {
        Self::read(&self.folder, name).map_err(|reason| RegisterError::Resolve { name: name.to_owned(), reason })
    }
}
