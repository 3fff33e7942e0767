//! Finding, starting and ending the browser.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use chromiumoxide::{BrowserConfig, Page};
use futures::StreamExt;

/// Names under which Chromium and its siblings are installed.
const PROGRAMS: [&str; 5] =
    ["chromium", "chromium-browser", "chromium-headless-shell", "google-chrome", "google-chrome-stable"];

/// How long the browser may take to start, and to answer.
const LIMIT: Duration = Duration::from_secs(60);

/// Where the browser is: what the variable `CHROMIUM` names, or the first one on the path.
#[must_use]
pub fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found = |name: &&str| folders.iter().map(|folder| folder.join(name)).find(|program| program.is_file());
    PROGRAMS.iter().find_map(found)
}

/// A browser that runs, with a profile of its own. Dropping it ends the process, also while a test panics.
#[derive(Debug)]
pub struct Browser {
    inner: chromiumoxide::Browser,
    /// Lets the library read what the browser says.
    reader: tokio::task::JoinHandle<()>,
    /// The profile; it is removed last.
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser.
    ///
    /// # Errors
    /// There is none, or it does not start.
    pub async fn start() -> Result<Self> {
        let program = program().context("no Chromium: install it, or name it in the variable CHROMIUM")?;
        Self::start_at(&program).await
    }

    async fn start_at(program: &Path) -> Result<Self> {
        let profile = tempfile::tempdir().context("making a folder for the profile")?;
        // The pages are this project's own, and as root, as in containers, there is no sandbox.
        let config = BrowserConfig::builder()
            .chrome_executable(program)
            .no_sandbox()
            .new_headless_mode()
            .user_data_dir(profile.path())
            .viewport(None)
            .args(["disable-gpu", "hide-scrollbars", "force-prefers-reduced-motion", "no-proxy-server"])
            .launch_timeout(LIMIT)
            .request_timeout(LIMIT)
            .build()
            .map_err(|reason| anyhow!("the browser's configuration: {reason}"))?;
        let (inner, mut handler) =
            chromiumoxide::Browser::launch(config).await.with_context(|| format!("starting {}", program.display()))?;
        let reader = tokio::spawn(async move { while handler.next().await.is_some() {} });
        Ok(Self { inner, reader, _profile: profile })
    }

    /// Opens an empty page.
    ///
    /// # Errors
    /// The browser has ended.
    pub async fn page(&self) -> Result<Page> {
        self.inner.new_page("about:blank").await.context("opening a page")
    }

    /// The browser's process, while it runs.
    #[must_use]
    pub fn process(&mut self) -> Option<u32> {
        self.inner.get_mut_child()?.as_mut_inner().id()
    }

    /// Ends the browser and waits until it has ended.
    ///
    /// # Errors
    /// It does not end in time.
    pub async fn end(mut self) -> Result<()> {
        // One that does not listen any more is ended the hard way.
        if self.inner.close().await.is_err() || tokio::time::timeout(LIMIT, self.inner.wait()).await.is_err() {
            self.inner.kill().await.transpose().context("ending the browser")?;
        }
        self.reader.abort();
        Ok(())
    }
}
