//! Requests that call functions of guests, or ask for their files.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use guest_functions::wire::{self, Encoding};
use guest_functions::{FunctionError, Signature, Value};
use guest_host::Cause;
use http_body_util::{Either, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::sleep_until;

use super::exchange::{self, Target};
use super::refusal::{self, Refusal};
use super::{Handler, Peer, SlowLane, body, encodings, path, response};
use crate::call::{Call, Input, Instances, Kind, Output};
use crate::config::Format;
use crate::deployment::{Deployment, Loaded, RouteFunction};
use crate::http::streams::{Entrance as Streams, Job, ResponseBody};
use crate::monitor::Ended;
use crate::programs::{Entrance, ManageError, Upgrade, is_upgrade};
use crate::rate::Rate;
use crate::registry::{Reader, Registry};

/// How long a call that reached the limit of its memory takes at most longer than it would.
const LONGEST_REST: Duration = Duration::from_millis(50);

/// What all threads that answer requests have in common.
#[derive(Debug, Clone)]
pub struct CallOptions {
    /// The guests.
    pub registry: Registry,
    /// The rates of tenants.
    pub rate: Rate,
    /// The slow lane.
    pub slow: SlowLane,
    /// The thread of calls with streams.
    pub streams: Streams,
    /// How long a call may hold up other requests of its thread.
    pub slice: Duration,
    /// Instances that a thread keeps at most.
    pub instances: usize,
    /// How long a body may take.
    pub body_time: Duration,
    /// The way to the programs and the records of tenants, if there are any.
    pub programs: Option<Entrance>,
}

/// Answers requests on one thread.
#[derive(Debug)]
pub struct Calls {
    pub(super) options: CallOptions,
    reader: RefCell<Reader>,
    instances: RefCell<Instances>,
}

/// A request for a function with streams.
struct Streaming {
    deployment: Arc<Deployment>,
    route: usize,
    tenant: String,
    /// The request without its body, as the function gets it.
    request: Vec<u8>,
}

/// The facts of a request that are recorded when it has ended.
#[derive(Default)]
pub(super) struct Record {
    /// When the last byte of the request was read.
    pub(super) read: Option<Instant>,
    slow: bool,
}

impl Calls {
    /// For one thread.
    #[must_use]
    pub fn new(options: CallOptions) -> Self {
        let reader = RefCell::new(options.registry.reader());
        let instances = RefCell::new(Instances::new(options.instances, Kind::Fast { slice: options.slice }));
        Self { options, reader, instances }
    }

    /// The response to a request, or the route with streams that it has.
    ///
    /// Futures that few requests need are boxed, so that the others do not carry room for them.
    async fn answer(&self, request: &mut Request<Incoming>) -> Result<Response<Full<Bytes>>, Box<Streaming>> {
        let table = Arc::clone(self.reader.borrow_mut().table());
        let uri = request.uri().clone();
        let Some((deployment, rest)) = table.find(uri.path()) else {
            return Ok(Refusal::NoGuest.response());
        };
        if let (Some(programs), Some(key)) = (&self.options.programs, socket(deployment, request, rest)) {
            let key = match key.map_or_else(|| Ok(deployment.name.to_string()), path::tenant) {
                Ok(key) => key,
                Err(refusal) => return Ok(refusal.response()),
            };
            return Ok(match Box::pin(programs.admits(deployment, &key)).await {
                Ok(true) => self.upgrade(programs.clone(), request, Arc::clone(deployment), key),
                Ok(false) => {
                    let refusal = Refusal::TooManyTenants;
                    deployment.monitor.limited(&key, &refusal.to_string());
                    refusal.response()
                }
                Err(ManageError::Stopping) => Refusal::Stopping.response(),
                Err(_) => Refusal::WaitedTooLong.response(),
            });
        }
        let (route, key) = match find(deployment, request.method(), rest) {
            Ok(found) => found,
            Err(allowed) => return Ok(no_route(deployment, rest, request, allowed)),
        };
        let tenant = match key.map(path::tenant) {
            Some(Ok(tenant)) => Cow::Owned(tenant),
            Some(Err(refusal)) => return Ok(refusal.response()),
            None => Cow::Borrowed(deployment.name.as_str()),
        };
        if deployment.config.routes[route].stream {
            let target = Target { mount: &deployment.config.mount, rest, tenant: &tenant };
            let bytes = exchange::write(request, target, b"");
            let (deployment, tenant) = (Arc::clone(deployment), tenant.into_owned());
            return Err(Box::new(Streaming { deployment, route, tenant, request: bytes }));
        }
        let function = deployment.config.routes[route].function.as_str();
        let mut record = Record::default();
        let answered = self.call(request, deployment, route, &tenant, rest, &mut record).await;
        let took = record.read.map(|read| read.elapsed()).unwrap_or_default();
        let ended = Ended { tenant: &tenant, function, status: 200, took, slow: record.slow, error: None };
        let status = answered.as_ref().map(|response| response.status().as_u16());
        refusal::record(&deployment.monitor, &ended, status);
        Ok(answered.unwrap_or_else(|refusal| refusal.response()))
    }

    /// Has a function with streams called, and returns its response as soon as that has begun.
    async fn stream(&self, mut request: Request<Incoming>, streaming: Streaming) -> Response<ResponseBody> {
        let Streaming { deployment, route, tenant, request: bytes } = streaming;
        let refuse = |refusal: &Refusal| {
            let (function, took) = (deployment.config.routes[route].function.as_str(), Duration::ZERO);
            let ended = Ended { tenant: &tenant, function, status: 200, took, slow: false, error: None };
            refusal::record(&deployment.monitor, &ended, Err(refusal));
            refusal.response().map(Either::Left)
        };
        let per_second = deployment.config.limits.calls_per_second;
        let admitted = self.options.rate.admit(&deployment.monitor, &tenant, per_second, Instant::now());
        let admitted = admitted.map_err(|after| Refusal::Rate { per_second, after });
        let admitted = admitted.and_then(|()| body::check_length(request.body(), deployment.config.limits.body));
        let permit = match admitted.and_then(|()| self.options.streams.permit(&deployment, &tenant)) {
            Ok(permit) => permit,
            Err(refusal) => {
                let response = refuse(&refusal);
                body::finish(&mut request, response.status()).await;
                return response;
            }
        };
        let loaded = match self.options.slow.loaded(&deployment, &tenant).await {
            Ok(loaded) => loaded,
            Err(refusal) => {
                let response = refuse(&refusal);
                body::finish(&mut request, response.status()).await;
                return response;
            }
        };
        let (reply, response) = oneshot::channel();
        let method = request.method().clone();
        let expects = request.headers().contains_key(EXPECT);
        let mut body = request.into_body();
        // Before the response can begin: a client that gets its head without the word to go on may never send the body.
        let received = if expects { body::ask_for(&mut body).await } else { Bytes::new() };
        let (of_job, tenant) = (Arc::clone(&deployment), tenant.as_str().into());
        let job =
            Job { deployment: of_job, loaded, route, tenant, method, request: bytes, received, body, reply, permit };
        let entered = self.options.streams.enter(job);
        match entered {
            Ok(()) => response.await.unwrap_or_else(|_| Refusal::Stopping.response().map(Either::Left)),
            Err(refusal) => refuse(&refusal),
        }
    }

    /// Makes a WebSocket of the request's connection.
    fn upgrade(
        &self,
        programs: Entrance,
        request: &mut Request<Incoming>,
        deployment: Arc<Deployment>,
        key: String,
    ) -> Response<Full<Bytes>> {
        let peer = request.extensions().get::<Peer>().cloned();
        let address = peer.as_ref().map_or_else(String::new, |peer| peer.address.to_string());
        match Upgrade::of(request) {
            Ok(upgrade) => {
                let reader = self.options.registry.reader();
                let (response, serve) = upgrade.serve(programs, deployment, key, address, reader);
                spawn_local(async move {
                    serve.await;
                    drop(peer);
                });
                response
            }
            Err(message) => Refusal::NoWebSocket(message).response(),
        }
    }

    async fn call(
        &self,
        request: &mut Request<Incoming>,
        deployment: &Arc<Deployment>,
        route: usize,
        tenant: &str,
        rest: &str,
        record: &mut Record,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        let limits = &deployment.config.limits;
        let per_second = limits.calls_per_second;
        let admitted = self.options.rate.admit(&deployment.monitor, tenant, per_second, Instant::now());
        admitted.map_err(|after| Refusal::Rate { per_second, after })?;
        let loaded = self.options.slow.loaded(deployment, tenant).await?;
        if deployment.config.routes[route].format == Format::Http {
            let target = Target { mount: &deployment.config.mount, rest, tenant };
            return Box::pin(self.exchange(request, deployment, loaded, route, target, record)).await;
        }
        let RouteFunction::Typed(function) = &loaded.functions[route] else {
            return Box::pin(self.extension(request, deployment, loaded, route, tenant, record)).await;
        };
        let signature = function.signature();
        let of_request = match has_query(request, signature) {
            true => Encoding::Json,
            false => encodings::of_body(request.headers())?,
        };
        let encoding = encodings::of_response(request.headers(), of_request);
        let arguments = self.arguments(request, of_request, signature, limits.body).await?;
        let deployment = Arc::clone(deployment);
        let call = Call { deployment, loaded, route, tenant: tenant.into(), input: Input::Arguments(arguments) };
        let Output::Value(value) = self.make(call, record).await? else {
            unreachable!("a typed function has a result");
        };
        let mut bytes = Vec::new();
        wire::write(encoding, &value, &mut bytes);
        if bytes.len() > limits.response {
            return Err(Refusal::ResponseTooLarge { bytes: bytes.len(), most: limits.response });
        }
        if encoding == Encoding::Json {
            // For people at a terminal.
            bytes.push(b'\n');
        }
        Ok(response(StatusCode::OK, encoding.media_type(), bytes))
    }

    /// Gives a function the request, and returns its response.
    async fn exchange(
        &self,
        request: &mut Request<Incoming>,
        deployment: &Arc<Deployment>,
        loaded: Arc<Loaded>,
        route: usize,
        target: Target<'_>,
        record: &mut Record,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        let limits = &deployment.config.limits;
        let body = body::read(request, limits.body, self.options.body_time).await?;
        let input = Input::Arguments(vec![Value::Bytes(exchange::write(request, target, &body))]);
        let tenant = target.tenant.into();
        let call = Call { deployment: Arc::clone(deployment), loaded, route, tenant, input };
        match self.make(call, record).await? {
            Output::Value(Value::Bytes(bytes)) => exchange::read(bytes, request.method(), limits.response),
            // The function's type was checked when it was deployed.
            _ => Err(Refusal::Response("it is not bytes".to_owned())),
        }
    }

    async fn arguments(
        &self,
        request: &mut Request<Incoming>,
        encoding: Encoding,
        signature: &Signature,
        most: usize,
    ) -> Result<Vec<Value>, Refusal> {
        if has_query(request, signature) {
            return path::arguments(signature, request.uri().query().unwrap_or_default());
        }
        let headers = request.headers();
        let says_length = headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING);
        if !says_length && !signature.params.is_empty() {
            return Err(Refusal::NoBody);
        }
        let bytes = body::read(request, most, self.options.body_time).await?;
        Ok(wire::arguments(encoding, signature, &bytes)?)
    }

    /// Makes a call: on this thread, and on the slow lane if it does not end within the slice or calls before it did not.
    pub(super) async fn make(&self, call: Call, record: &mut Record) -> Result<Output, Refusal> {
        let begin = *record.read.get_or_insert_with(Instant::now);
        let attempted = self.instances.borrow_mut().attempt(&call, begin);
        if let Some(Ok(output)) = attempted {
            return Ok(output);
        }
        let deployment = Arc::clone(&call.deployment);
        let ends = async {
            match attempted {
                Some(result) => Ok(result?),
                None => self.make_slowly(call, record).await,
            }
        };
        Box::pin(unhurried(&deployment, begin, ends)).await
    }

    /// Makes a call on the slow lane.
    pub(super) async fn make_slowly(&self, call: Call, record: &mut Record) -> Result<Output, Refusal> {
        record.slow = true;
        self.options.slow.call(call).await
    }
}

/// Waits for a call that began at `begin`. One that reached the limit of its memory ends no sooner than one that reaches its deadline
/// does: otherwise its client sends the next one at once, and a client with many connections takes the thread.
pub(super) async fn unhurried<T>(
    deployment: &Deployment,
    begin: Instant,
    call: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let result = call.await;
    if let Err(Refusal::Failed(FunctionError::Call(failure))) = &result
        && matches!(failure.cause, Cause::OutOfMemory { .. })
    {
        let earliest = begin + deployment.config.limits.deadline.min(LONGEST_REST);
        sleep_until(earliest.into()).await;
    }
    result
}

impl Handler for Calls {
    #[expect(clippy::manual_async_fn, reason = "its future has room for its parameters twice")]
    fn respond(self: Rc<Self>, mut request: Request<Incoming>) -> impl Future<Output = Response<ResponseBody>> {
        async move {
            match self.answer(&mut request).await {
                Ok(response) => {
                    body::finish(&mut request, response.status()).await;
                    response.map(Either::Left)
                }
                Err(streaming) => Box::pin(self.stream(request, *streaming)).await,
            }
        }
    }

    fn tidy(&self) {
        let table = Arc::clone(self.reader.borrow_mut().table());
        self.instances.borrow_mut().keep_current(&table);
    }
}

/// Whether a request asks for a WebSocket of the guest's program, and the key of its tenant.
fn socket<'p>(deployment: &Deployment, request: &Request<Incoming>, rest: &'p str) -> Option<Option<&'p str>> {
    let path = deployment.config.program.as_ref()?.websocket.as_ref()?;
    let asks = *request.method() == Method::GET && is_upgrade(request.headers());
    path.capture(rest).filter(|_| asks).map(|capture| capture.tenant)
}

/// Whether the arguments stand in the query: where a method has no body.
fn has_query(request: &Request<Incoming>, signature: &Signature) -> bool {
    let without_body = matches!(*request.method(), Method::GET | Method::HEAD | Method::DELETE);
    without_body && request.body().is_end_stream() && !signature.params.is_empty()
}

/// The route of a request and the key of its tenant, or else the methods that its path has.
fn find<'p>(deployment: &Deployment, method: &Method, rest: &'p str) -> Result<(usize, Option<&'p str>), Vec<Method>> {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let mut allowed = Vec::new();
    let mut found: Option<(usize, Option<&str>)> = None;
    for (at, route) in deployment.config.routes.iter().enumerate() {
        let Some(capture) = route.path.capture(rest) else { continue };
        if route.method != *method {
            allowed.push(route.method.clone());
        } else {
            let before = found.map(|(before, _)| deployment.config.routes[before].path.precedence());
            if before.is_none_or(|before| route.path.precedence() < before) {
                found = Some((at, capture.tenant));
            }
        }
    }
    found.ok_or(allowed)
}

/// The file at a path that has no route for the method, or the reason why there is none.
fn no_route(
    deployment: &Deployment,
    rest: &str,
    request: &Request<Incoming>,
    mut allowed: Vec<Method>,
) -> Response<Full<Bytes>> {
    let mount = &deployment.config.mount;
    let file = |method: &Method| deployment.files.respond(method, mount, rest, request.headers());
    if let Some(file) = file(request.method()) {
        return file.map(Full::new);
    }
    if file(&Method::HEAD).is_some() {
        allowed.push(Method::GET);
    }
    if allowed.contains(&Method::GET) {
        allowed.push(Method::HEAD);
    }
    if allowed.is_empty() {
        return Refusal::NoRoute { guest: deployment.name.to_string() }.response();
    }
    allowed.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    allowed.dedup();
    let allowed = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    Refusal::WrongMethod { allowed }.response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<F>(_: impl FnOnce(Rc<Calls>, Request<Incoming>) -> F) -> usize {
        size_of::<F>()
    }

    /// It is moved to a place of its own for each request: where few need much room, that is in a box.
    #[test]
    fn the_future_of_a_request_is_small() {
        let size = size(Calls::respond);
        assert!(size <= 1280, "{size} bytes");
    }
}
