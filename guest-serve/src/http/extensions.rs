//! Requests that call extension functions.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use guest_functions::wire::Encoding;
use guest_host::guest_abi::cbor::Reader;
use guest_host::guest_abi::value::ValueRef;
use guest_host::guest_state::record::definite;
use guest_host::guest_state::state_file::value_from_json;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::{Method, Request, StatusCode};

use super::calls::{Calls, Record, unhurried};
use super::refusal::Refusal;
use super::{body, encodings, path, response};
use crate::call::{Call, Input, Output};
use crate::deployment::{Deployment, Loaded};
use crate::programs::{Entrance, Settled, WriteCall, tenant_of};
use crate::records::{self, CallState, IdempotencyKey, RecordsError, Response, query_response};

/// The header by which a client names a request.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

impl Calls {
    /// Calls an extension function: for a query here, and else on the thread of its tenant.
    pub(super) async fn extension(
        &self,
        request: &mut Request<Incoming>,
        deployment: &Arc<Deployment>,
        loaded: Arc<Loaded>,
        route: usize,
        key: &str,
        record: &mut Record,
    ) -> Result<hyper::Response<Full<Bytes>>, Refusal> {
        let Some(entrance) = &self.options.programs else { return Err(Refusal::Stopping) };
        let is_query = matches!(*request.method(), Method::GET | Method::HEAD);
        let without_body = is_query || (*request.method() == Method::DELETE && request.body().is_end_stream());
        let of_request = if without_body { Encoding::Json } else { encodings::of_body(request.headers())? };
        let encoding = encodings::of_response(request.headers(), of_request);
        let bytes = match without_body {
            true => path::object(request.uri().query().unwrap_or_default())?.into(),
            false => body::read(request, deployment.config.limits.body, self.options.body_time).await?,
        };
        record.read = Some(Instant::now());
        let event: Arc<[u8]> = event(of_request, &bytes)?.into();
        let tenant = tenant_of(&deployment.name, key);
        let Response { encoding, bytes } = if is_query {
            let view =
                records::view(entrance.records_reader()).map_err(|error| RecordsError::Store(error.to_string()))?;
            let input = Input::State(CallState::new(&tenant, event, view));
            let call = Call { deployment: Arc::clone(deployment), loaded, route, tenant: key.into(), input };
            let Output::Intents(intents) = self.make(call, record).await? else {
                unreachable!("an extension function leaves intents");
            };
            query_response(&intents, encoding, deployment.config.limits.response)?
        } else {
            let idempotency_key = idempotency_key(request, of_request, &bytes)?;
            let entered = Instant::now();
            let call = WriteCall {
                request: records::Request { tenant, event, encoding, idempotency_key },
                deployment: Arc::clone(deployment),
                loaded,
                route,
                key: key.into(),
                entered,
                entrance: Entrance::clone(entrance),
            };
            unhurried(deployment, entered, self.write(call, record)).await?
        };
        Ok(response(StatusCode::OK, encoding.media_type(), bytes))
    }

    /// Makes a call that may write: on the thread of its tenant, and on the slow lane if it does not end within the slice there.
    async fn write(&self, call: WriteCall, record: &mut Record) -> Result<Response, Refusal> {
        let mut settled = call.enter().await;
        loop {
            let ticket = match settled {
                Ok(Settled::Ended(result)) => return Ok(result?),
                Ok(Settled::Slow(ticket)) => ticket,
                // The call was dropped without an answer.
                Err(_) => return Err(Refusal::Stopping),
            };
            let Some(slow) = ticket.call() else { return Err(Refusal::Stopping) };
            // If it fails, or its client goes away, the ticket is dropped and the tenant's next call begins.
            let Output::Intents(intents) = self.make_slowly(slow, record).await? else {
                unreachable!("an extension function leaves intents");
            };
            settled = ticket.end(intents).await;
        }
    }
}

/// The value that a body is.
fn event(encoding: Encoding, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    if encoding == Encoding::Cbor {
        let mut reader = Reader::new(bytes);
        let wrong = |error: &dyn fmt::Display| {
            let what = "the body is not a map of values that records can have";
            Refusal::Arguments(format!("{what}: {error}"))
        };
        let object = reader.map().map_err(|error| wrong(&error))?;
        if !reader.is_at_end() {
            return Err(wrong(&format!("it ends at byte {}, and there are more", object.len())));
        }
        return definite(ValueRef::new(object)).map_err(|error| wrong(&error));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Refusal::Arguments("the body is not UTF-8".to_owned()))?;
    // A request without a body has an event without fields.
    let text = if text.trim_ascii().is_empty() { "{}" } else { text };
    value_from_json(text).map_err(|error| Refusal::Arguments(error.to_string()))
}

/// The idempotency key of a request.
fn idempotency_key(
    request: &Request<Incoming>,
    encoding: Encoding,
    body: &[u8],
) -> Result<Option<IdempotencyKey>, Refusal> {
    let mut found = request.headers().get_all(IDEMPOTENCY_KEY).iter();
    let Some(text) = found.next() else { return Ok(None) };
    let uri = request.uri();
    let path = uri.path_and_query().map_or_else(|| uri.path(), |path| path.as_str());
    let parts = [request.method().as_str().as_bytes(), path.as_bytes(), encoding.media_type().as_bytes(), body];
    let key = IdempotencyKey::new(text.as_bytes(), &parts).filter(|_| found.next().is_none());
    key.map(Some).ok_or(Refusal::IdempotencyKey)
}
