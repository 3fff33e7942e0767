//! Clients for a terminal: one sends an event, one prints outputs.

use std::io::{self, Read as _};

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use clap::Parser;
use futures_util::StreamExt as _;
use guest_host::text::printable;
use guest_serve::error::ServeError;
use guest_serve::folder::GuestName;
use guest_serve::server::say;

use crate::connect::{Nats, NatsOptions};
use crate::error::NatsError;
use crate::names::Tenant;
use crate::outputs::{KIND, MESSAGE};

/// Bytes of an event's id, at most. A message has few KiB for all its headers.
const LONGEST_ID: usize = 1000;

/// The tenant that a client is for.
#[derive(Debug, clap::Args)]
struct TenantArguments {
    /// The guest.
    #[arg(value_name = "GUEST", value_parser = guest)]
    guest: GuestName,
    /// The key of the tenant.
    #[arg(value_name = "TENANT")]
    key: String,
}

/// Send an event to a tenant of a program, and print its sequence when NATS has it.
#[derive(Debug, Parser)]
#[command(
    name = "host-harness serve-nats send",
    bin_name = "host-harness serve-nats send",
    version,
    max_term_width = 100
)]
pub(super) struct SendEvent {
    #[command(flatten)]
    tenant: TenantArguments,
    /// The bytes of the event [default: all of standard input]
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// The event's id: one that comes twice within two minutes counts once.
    #[arg(long, value_name = "WORD", value_parser = id)]
    id: Option<String>,
    #[command(flatten)]
    nats: NatsOptions,
}

/// Print what the program of a tenant writes, a line for each output. Events that failed go to standard error.
#[derive(Debug, Parser)]
#[command(
    name = "host-harness serve-nats outputs",
    bin_name = "host-harness serve-nats outputs",
    version,
    max_term_width = 100
)]
pub(super) struct Outputs {
    #[command(flatten)]
    tenant: TenantArguments,
    /// Go on with outputs that come.
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    nats: NatsOptions,
}

fn guest(word: &str) -> Result<GuestName, String> {
    word.parse().map_err(|error: ServeError| error.to_string())
}

/// The id of an event: the value of a header, which is one line.
fn id(word: &str) -> Result<String, String> {
    match !word.trim().is_empty() && word.len() <= LONGEST_ID && !word.chars().any(char::is_control) {
        true => Ok(word.to_owned()),
        false => Err(format!("give one line of 1 to {LONGEST_ID} bytes without control characters")),
    }
}

/// Runs a client to its end.
pub(super) fn run(client: impl Future<Output = Result<(), NatsError>>) -> Result<(), NatsError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| ServeError::System { what: "start the connection", source })?;
    runtime.block_on(client)
}

impl SendEvent {
    pub(super) async fn run(self) -> Result<(), NatsError> {
        let tenant = Tenant::new(self.tenant.guest, &self.tenant.key)?;
        let bytes = match self.text {
            Some(text) => text.into_bytes(),
            None => {
                let mut bytes = Vec::new();
                let read = io::stdin().lock().read_to_end(&mut bytes);
                read.map_err(|source| ServeError::System { what: "read standard input", source })?;
                bytes
            }
        };
        let nats = Nats::connect(&self.nats, "send").await?;
        let mut headers = HeaderMap::new();
        if let Some(id) = &self.id {
            headers.insert(NATS_MESSAGE_ID, id.as_str());
        }
        let sent = nats.context.publish_with_headers(nats.prefix.input(&tenant), headers, bytes.into()).await;
        let acknowledged = match sent {
            Ok(waiting) => waiting.await,
            Err(error) => Err(error),
        };
        let ack = acknowledged.map_err(|error| NatsError::NotAcknowledged(error.into()))?;
        Ok(say(format!("{}\n", ack.sequence).as_bytes())?)
    }
}

impl Outputs {
    pub(super) async fn run(self) -> Result<(), NatsError> {
        let tenant = Tenant::new(self.tenant.guest, &self.tenant.key)?;
        let nats = Nats::connect(&self.nats, "outputs").await?;
        let name = nats.prefix.outputs();
        let fault = |source| NatsError::Stream { what: "read", kind: "stream", name: name.clone(), source };
        let stream = nats.context.get_stream(&name).await.map_err(|error| fault(error.into()))?;
        let config = pull::OrderedConfig {
            filter_subjects: vec![nats.prefix.output(&tenant), nats.prefix.failed(&tenant)],
            deliver_policy: DeliverPolicy::All,
            ..pull::OrderedConfig::default()
        };
        let consumer = stream.create_consumer(config).await.map_err(|error| fault(error.into()))?;
        if consumer.cached_info().num_pending == 0 && !self.follow {
            return Ok(());
        }
        let mut messages = consumer.messages().await.map_err(|error| fault(error.into()))?;
        while let Some(message) = messages.next().await {
            let message = message.map_err(|error| fault(error.into()))?;
            let header =
                |name| message.headers.as_ref().and_then(|headers| headers.get(name)).map(|value| value.as_str());
            match header(KIND) {
                Some(kind) => {
                    eprintln!("failed: {}: {}", printable(kind), printable(header(MESSAGE).unwrap_or_default()))
                }
                None => {
                    let mut line = message.payload.to_vec();
                    if !line.ends_with(b"\n") {
                        line.push(b'\n');
                    }
                    say(&line)?;
                }
            }
            let is_last = message.info().is_ok_and(|info| info.pending == 0);
            if is_last && !self.follow {
                return Ok(());
            }
        }
        Ok(())
    }
}
