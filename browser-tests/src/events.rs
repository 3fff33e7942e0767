//! Events of the browser while a page is open: errors of the console, and requests.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use chromiumoxide::Page;
use chromiumoxide::cdp::browser_protocol::log::{EventEntryAdded, LogEntryLevel};
use chromiumoxide::cdp::browser_protocol::network::{EnableParams, EventRequestWillBeSent};
use chromiumoxide::cdp::js_protocol::runtime::{ConsoleApiCalledType, EventConsoleApiCalled, EventExceptionThrown};
use futures::StreamExt;

use crate::{Check, Complaint};

/// Complaints that are found while a page is open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<Complaint>>>);

impl Told {
    /// Listens to a page. `home` begins the addresses that it may ask for.
    pub(crate) async fn by(page: &Page, home: &str) -> Result<Self> {
        let told = Self::default();
        let home = home.to_owned();
        told.listen::<EventExceptionThrown>(page, |event| {
            let details = &event.exception_details;
            let thrown = details.exception.as_ref().and_then(|thrown| thrown.description.clone());
            Some((Check::Console, thrown.unwrap_or_else(|| details.text.clone())))
        })
        .await?;
        told.listen::<EventConsoleApiCalled>(page, |event| {
            let is_error = matches!(event.r#type, ConsoleApiCalledType::Error | ConsoleApiCalledType::Assert);
            let words = event.args.iter().filter_map(|word| word.value.as_ref()).map(ToString::to_string);
            is_error.then(|| (Check::Console, words.collect::<Vec<_>>().join(" ")))
        })
        .await?;
        told.listen::<EventEntryAdded>(page, |event| {
            let entry = &event.entry;
            let from = entry.url.as_deref().unwrap_or("the page");
            (entry.level == LogEntryLevel::Error).then(|| (Check::Console, format!("{} ({from})", entry.text)))
        })
        .await?;
        told.listen::<EventRequestWillBeSent>(page, move |event| {
            let address = &event.request.url;
            let is_own = ["about:", "data:", home.as_str()].iter().any(|begin| address.starts_with(begin));
            (!is_own).then(|| (Check::Requests, format!("asks for {address}")))
        })
        .await?;
        page.enable_log().await?;
        page.enable_runtime().await?;
        page.execute(EnableParams::default()).await?;
        Ok(told)
    }

    async fn listen<E>(
        &self,
        page: &Page,
        complain: impl Fn(&E) -> Option<(Check, String)> + Send + 'static,
    ) -> Result<()>
    where
        E: chromiumoxide::cdp::IntoEventKind + Unpin + Send + Sync + 'static,
    {
        let mut events = page.event_listener::<E>().await?;
        let found = Arc::clone(&self.0);
        // It ends with the page.
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                if let Some((check, text)) = complain(&event) {
                    found.lock().unwrap_or_else(PoisonError::into_inner).push(Complaint { check, text });
                }
            }
        });
        Ok(())
    }

    /// The findings so far.
    pub(crate) fn take(&self) -> Vec<Complaint> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
