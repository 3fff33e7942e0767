//! The checks of a page.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use chromiumoxide::Page;
use chromiumoxide::cdp::browser_protocol::emulation::{MediaFeature, SetDeviceMetricsOverrideParams};
use chromiumoxide::page::ScreenshotParams;

use crate::browser::Browser;
use crate::events::Told;
use crate::{questions, sorting};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// An error in the console.
    Console,
    /// A request for something that is not the page's own.
    Requests,
    /// A page that is wider than a phone's screen.
    Width,
    /// Text that is hard to read.
    Contrast,
    /// A chart that is broken, or that not everybody can read.
    Charts,
    /// A table that does not sort.
    Sorting,
    /// Questions that do not lead to the answer that their table has.
    Questions,
}

/// A fault that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Its kind.
    pub check: Check,
    /// The fault in words.
    pub text: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.check, self.text)
    }
}

/// Where pictures of a page go.
#[derive(Debug, Clone)]
pub struct Screenshots {
    /// The folder, which exists.
    pub folder: PathBuf,
    /// The beginning of the files' names.
    pub name: String,
}

/// A wide screen, in CSS pixels.
const WIDE: (i64, i64) = (1400, 900);

/// A phone's screen.
const PHONE: (i64, i64) = (360, 740);

/// Waits until scripts that begin with the page have run and it is drawn.
const SETTLED: &str = "async () => { await document.fonts.ready; \
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))); return true; }";

/// Unfolds everything.
const UNFOLD: &str =
    "() => { document.querySelectorAll('details').forEach((part) => { part.open = true; }); return true; }";

/// Opens a page and returns every fault that it has. `home` is the folder from which it may load parts of it, if any.
///
/// # Errors
/// The browser or the page failed in another way.
pub async fn complaints(
    browser: &Browser,
    file: &Path,
    home: Option<&Path>,
    screenshots: Option<&Screenshots>,
) -> Result<Vec<Complaint>> {
    let address = address(file)?;
    let home = home.map(self::address).transpose()?.unwrap_or_else(|| address.clone());
    let page = browser.page().await?;
    let told = Told::by(&page, &home).await?;
    let found = found(&page, &address, screenshots).await.with_context(|| format!("checking {address}"));
    page.close().await.context("closing a page")?;
    let mut all = told.take();
    all.extend(found?);
    Ok(all)
}

async fn found(page: &Page, address: &str, screenshots: Option<&Screenshots>) -> Result<Vec<Complaint>> {
    screen(page, WIDE).await?;
    scheme(page, "light").await?;
    page.goto(address).await?;
    settled(page).await?;
    picture(page, screenshots, "light").await?;
    scheme(page, "dark").await?;
    picture(page, screenshots, "dark").await?;
    screen(page, PHONE).await?;
    picture(page, screenshots, "phone").await?;

    let mut all = run(page, Check::Width, include_str!("scripts/width.js")).await?;
    page.evaluate_function(UNFOLD).await?;
    for complaint in run(page, Check::Width, include_str!("scripts/width.js")).await? {
        if !all.contains(&complaint) {
            all.push(complaint);
        }
    }
    screen(page, WIDE).await?;
    all.extend(run(page, Check::Charts, include_str!("scripts/charts.js")).await?);
    for name in ["dark", "light"] {
        scheme(page, name).await?;
        let complaints = run(page, Check::Contrast, include_str!("scripts/contrast.js")).await?;
        all.extend(complaints.into_iter().map(|found| Complaint { text: format!("{name}: {}", found.text), ..found }));
    }
    let unsorted = sorting::complaints(page).await?;
    all.extend(unsorted.into_iter().map(|text| Complaint { check: Check::Sorting, text }));
    let unanswered = questions::complaints(page).await?;
    all.extend(unanswered.into_iter().map(|text| Complaint { check: Check::Questions, text }));
    Ok(all)
}

/// Runs a script that returns faults.
async fn run(page: &Page, check: Check, script: &str) -> Result<Vec<Complaint>> {
    let texts: Vec<String> =
        page.evaluate_function(script).await.with_context(|| format!("the script of {check:?}"))?.into_value()?;
    Ok(texts.into_iter().map(|text| Complaint { check, text }).collect())
}

async fn screen(page: &Page, (width, height): (i64, i64)) -> Result<()> {
    let is_phone = width < 600;
    page.execute(SetDeviceMetricsOverrideParams::new(width, height, 1.0, is_phone)).await?;
    settled(page).await
}

async fn scheme(page: &Page, name: &str) -> Result<()> {
    page.emulate_media_features(vec![MediaFeature::new("prefers-color-scheme", name)]).await?;
    settled(page).await
}

async fn settled(page: &Page) -> Result<()> {
    page.evaluate_function(SETTLED).await?;
    Ok(())
}

async fn picture(page: &Page, screenshots: Option<&Screenshots>, look: &str) -> Result<()> {
    let Some(Screenshots { folder, name }) = screenshots else { return Ok(()) };
    let file = folder.join(format!("{name}-{look}.png"));
    page.save_screenshot(ScreenshotParams::builder().build(), &file)
        .await
        .with_context(|| format!("writing {}", file.display()))?;
    Ok(())
}

/// The address of a file or of a folder.
fn address(path: &Path) -> Result<String> {
    let path = path.canonicalize().with_context(|| format!("there is no {}", path.display()))?;
    let mut address = "file://".to_owned();
    for byte in path.to_string_lossy().bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) => address.push(byte.into()),
            byte => address.push_str(&format!("%{byte:02X}")),
        }
    }
    if path.is_dir() {
        address.push('/');
    }
    Ok(address)
}
