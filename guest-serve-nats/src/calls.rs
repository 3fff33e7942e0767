//! Functions of guests, called by requests: each is answered by one of the processes. Nothing is kept of a call.

use std::sync::Arc;
use std::time::Instant;

use async_nats::header::HeaderMap;
use async_nats::{Message, Subscriber};
use futures_util::StreamExt as _;
use guest_functions::wire::{self, Encoding};
use guest_serve::call::{Call, Input, Output};
use guest_serve::config::{Format, Route};
use guest_serve::deployment::{Deployment, RouteFunction};
use guest_serve::http::{self, Refusal, SlowLane};
use guest_serve::monitor::Ended;
use guest_serve::rate::Rate;
use guest_serve::registry::Registry;
use tokio::sync::{Semaphore, watch};

use crate::connect::Nats;
use crate::error::Unavailable;
use crate::outputs::put_error;
use crate::partition::stopped;

/// Requests that are answered at the same time, at most.
const TOGETHER: usize = 4096;

/// The header that tells the encoding of a body.
const CONTENT_TYPE: &str = "Content-Type";

/// Answers requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Calls {
    /// The connection.
    pub nats: Nats,
    /// The guests.
    pub registry: Registry,
    /// Where calls wait for their turn.
    pub slow: SlowLane,
    /// The rates of tenants.
    pub rate: Rate,
}

impl Calls {
    /// Takes requests until it is stopped. Those that were taken are answered.
    ///
    /// # Errors
    /// [`Unavailable`] if requests cannot be asked for.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), Unavailable> {
        let prefix = &self.nats.prefix;
        // One process of the group gets each request.
        let subscribed = self.nats.client.queue_subscribe(prefix.calls(), prefix.to_string()).await;
        let mut requests: Subscriber = subscribed.map_err(Unavailable::of)?;
        let room = Arc::new(Semaphore::new(TOGETHER));
        loop {
            let request = tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                request = requests.next() => request,
            };
            let Some(request) = request else { break };
            // Further ones wait in the connection, which drops those that are too many.
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
            let calls = self.clone();
            tokio::spawn(async move {
                calls.answer(request).await;
                drop(permit);
            });
        }
        let _ = requests.unsubscribe().await;
        let all = u32::try_from(TOGETHER).unwrap_or(u32::MAX);
        let _ = room.acquire_many(all).await;
        Ok(())
    }

    async fn answer(&self, request: Message) {
        // A request without this is an order, and a function gives nothing but its answer.
        let Some(reply) = request.reply.clone() else { return };
        let mut headers = HeaderMap::new();
        let body = match self.call(&request).await {
            Ok((encoding, body)) => {
                headers.insert(CONTENT_TYPE, encoding.media_type());
                body
            }
            Err(refusal) => {
                put_error(&mut headers, refusal.status().1, &refusal.to_string());
                Vec::new()
            }
        };
        // If the answer is lost, the client sends the request again.
        let _ = self.nats.client.publish_with_headers(reply, headers, body.into()).await;
    }

    async fn call(&self, request: &Message) -> Result<(Encoding, Vec<u8>), Refusal> {
        let prefix = &self.nats.prefix;
        let named = prefix.call_of(&request.subject);
        let (tenant, function) = named.ok_or_else(|| {
            Refusal::Tenant(format!("the subject is not `{prefix}.call.GUEST.TENANT.FUNCTION` with the name of a guest and the key of a tenant"))
        })?;
        let table = self.registry.table();
        let deployment = table.get(tenant.guest()).ok_or(Refusal::NoGuest)?;
        let guest = || deployment.name.to_string();
        let is_called = |route: &Route| route.function == function && route.format == Format::Values;
        let route = deployment.config.routes.iter().position(is_called);
        let route = route.ok_or_else(|| Refusal::NoRoute { guest: guest() })?;
        let began = Instant::now();
        let name = tenant.key();
        let result = self.make(name, Arc::clone(deployment), route, request).await;
        let ended = Ended { tenant: name, function, status: 200, took: began.elapsed(), slow: true, error: None };
        http::record(&deployment.monitor, &ended, result.as_ref().map(|_| 200));
        result
    }

    async fn make(
        &self,
        key: &str,
        deployment: Arc<Deployment>,
        route: usize,
        request: &Message,
    ) -> Result<(Encoding, Vec<u8>), Refusal> {
        let encoding = encoding(request.headers.as_ref())?;
        let limits = deployment.config.limits;
        let per_second = limits.calls_per_second;
        let admitted = self.rate.admit(&deployment.monitor, key, per_second, Instant::now());
        admitted.map_err(|after| Refusal::Rate { per_second, after })?;
        if request.payload.len() > limits.body {
            return Err(Refusal::BodyTooLarge { most: limits.body });
        }
        let loaded = self.slow.loaded(&deployment, key).await?;
        let RouteFunction::Typed(function) = &loaded.functions[route] else {
            // Its intents need records, which are a server's own.
            return Err(Refusal::NoRoute { guest: deployment.name.to_string() });
        };
        let signature = function.signature();
        let arguments = match signature.params.is_empty() && request.payload.is_empty() {
            true => Vec::new(),
            false => wire::arguments(encoding, signature, &request.payload)?,
        };
        let input = Input::Arguments(arguments);
        let call = Call { deployment, loaded: Arc::clone(&loaded), route, tenant: key.into(), input };
        let Output::Value(value) = self.slow.call(call).await? else {
            unreachable!("a typed function has a result");
        };
        let mut bytes = Vec::new();
        wire::write(encoding, &value, &mut bytes);
        let most = limits.response.min(self.nats.message_size());
        match bytes.len() > most {
            true => Err(Refusal::ResponseTooLarge { bytes: bytes.len(), most }),
            false => Ok((encoding, bytes)),
        }
    }
}

/// The encoding of a request, and of its answer.
fn encoding(headers: Option<&HeaderMap>) -> Result<Encoding, Refusal> {
    match headers.and_then(|headers| headers.get(CONTENT_TYPE)).map(|value| value.as_str()) {
        None => Ok(Encoding::Json),
        Some(text) if text == Encoding::Json.media_type() => Ok(Encoding::Json),
        Some(text) if text == Encoding::Cbor.media_type() => Ok(Encoding::Cbor),
        Some(other) => Err(Refusal::MediaType(guest_host::text::printable_within(other, 100).into_owned())),
    }
}
