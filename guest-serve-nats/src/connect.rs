//! The connection to NATS, and the streams and buckets there.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use async_nats::jetstream::context::{ContextBuilder, GetStreamErrorKind};
use async_nats::jetstream::kv::{self, CreateErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, Stream, SubjectTransform};
use async_nats::jetstream::{Context, ErrorCode};
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use guest_host::text;

use crate::error::NatsError;
use crate::names::Prefix;
use crate::told::Told;

/// How long an answer of NATS may take, before the request counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two attempts to connect again, at most.
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// For how long the server knows the ids of messages.
const DUPLICATES: Duration = Duration::from_secs(120);

/// At what faults come up that the server tells.
const SERVER: &str = "server";

/// The key that has the time at which the stream of events was made, in the bucket of processes and partitions.
const CREATED: &str = "events";

/// Which NATS, and where there.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "NATS")]
#[non_exhaustive]
pub struct NatsOptions {
    /// Address of a NATS server with JetStream, or several separated by commas. `tls://` asks for encryption, and
    /// `nats://USER:PASSWORD@HOST` or `nats://TOKEN@HOST` has a user. Write a character that addresses cannot have as its code:
    /// `%40` for `@`.
    #[arg(long = "nats", value_name = "URL", default_value = "nats://127.0.0.1:4222")]
    pub url: String,
    /// A file with credentials, as `nsc` writes it.
    #[arg(long, value_name = "FILE")]
    pub credentials: Option<PathBuf>,
    /// Where subjects and streams begin. Processes with the same prefix share the tenants.
    #[arg(long, value_name = "WORD", default_value = "serve", value_parser = prefix)]
    pub prefix: Prefix,
}

/// How the streams are made, where they do not exist yet.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Streams, where they are made")]
#[non_exhaustive]
pub struct StreamOptions {
    /// Partitions of the tenants. Each is owned by one process, so set it to several times the largest number of processes.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub partitions: u32,
    /// Servers of a cluster that keep each stream.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=5))]
    pub replicas: u32,
    /// Events that wait, at most. Further ones are refused until there is room.
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = text::size)]
    pub events_size: u64,
    /// Events of one tenant that wait, at most, so that no tenant takes the room of others. Further ones are refused.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub tenant_events: u32,
    /// Outputs of one tenant that are kept, at most. Older ones are dropped.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub tenant_outputs: u32,
    /// Outputs that are kept, at most. Older ones are dropped.
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = text::size)]
    pub outputs_size: u64,
    /// How long outputs are kept.
    #[arg(long, value_name = "TIME", default_value = "60min", value_parser = text::duration)]
    pub outputs_time: Duration,
}

fn prefix(word: &str) -> Result<Prefix, String> {
    word.parse().map_err(|error: NatsError| error.to_string())
}

/// Addresses as people may see them: without users, passwords and tokens.
#[must_use]
pub fn shown(url: &str) -> String {
    let shown = |address: &str| {
        let address = address.trim();
        let (scheme, rest) = address.find("://").map_or(("", address), |at| address.split_at(at + 3));
        // A password may have an `@`, and a host has none.
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        format!("{scheme}{host}")
    };
    url.split(',').map(shown).collect::<Vec<_>>().join(",")
}

/// The user and the password of an address; a token has no password.
fn user_of(address: &str) -> Option<(String, Option<String>)> {
    let address: ServerAddr = address.parse().ok()?;
    let user = address.username()?;
    Some((decoded(user), address.password().map(decoded)))
}

/// A part of an address with the characters in place of their codes, such as `%40`.
fn decoded(part: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(part.len()), part.as_bytes());
    while let Some((&first, behind)) = rest.split_first() {
        let digits =
            behind.first_chunk::<2>().filter(|digits| first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let code = digits.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| part.to_owned())
}

/// A connection to NATS.
#[derive(Debug, Clone)]
pub struct Nats {
    /// The connection.
    pub client: Client,
    /// JetStream.
    pub context: Context,
    /// Where subjects and streams begin.
    pub prefix: Prefix,
}

/// The streams and buckets.
#[derive(Debug, Clone)]
pub struct Streams {
    /// Events that were not applied yet.
    pub events: Stream,
    /// Partitions of the events.
    pub partitions: u32,
    /// Outputs of programs, and events that failed.
    pub outputs: Stream,
    /// The records of tenants.
    pub tenants: kv::Store,
    /// Processes and partitions.
    pub owners: kv::Store,
}

impl Nats {
    /// Connects. A connection that breaks later is made again, however long that takes.
    ///
    /// # Errors
    /// [`NatsError`] if no server answers, or one that lacks something.
    pub async fn connect(options: &NatsOptions, name: &str) -> Result<Self, NatsError> {
        let url = options.url.clone();
        let (away, told) = (Arc::new(AtomicBool::new(false)), Arc::new(Told::default()));
        let mut connect = ConnectOptions::new()
            .name(name)
            .connection_timeout(PATIENCE)
            .ping_interval(PATIENCE)
            .reconnect_delay_callback(|attempt| LONGEST_DELAY.min(Duration::from_millis(1 << attempt.min(10))))
            .event_callback(move |event| {
                let (away, told) = (Arc::clone(&away), Arc::clone(&told));
                async move {
                    // Once each time, also where it could not be reached on several addresses.
                    match event {
                        Event::Disconnected if !away.swap(true, Relaxed) => {
                            eprintln!("NATS is away: events wait until it is back");
                        }
                        Event::Connected if away.swap(false, Relaxed) => {
                            told.works(SERVER);
                            eprintln!("NATS is back");
                        }
                        // Such as a subject that the user may not publish to: the request itself only has no answer.
                        Event::ServerError(error) => told.fault(SERVER, &format!("NATS refuses something: {error}")),
                        _ => {}
                    }
                }
            });
        if let Some(path) = &options.credentials {
            let read = connect.credentials_file(path).await;
            connect = read.map_err(|source| NatsError::Credentials { path: path.clone(), source })?;
        }
        let addresses: Vec<&str> = url.split(',').map(str::trim).collect();
        // The client leaves out what an address says of its user.
        match addresses.iter().find_map(|address| user_of(address)) {
            Some((user, Some(password))) => connect = connect.user_and_password(user, password),
            Some((token, None)) => connect = connect.token(token),
            None => {}
        }
        let connected = connect.connect(addresses.as_slice()).await;
        let client = connected.map_err(|source| NatsError::Connect { url: shown(&url), source: source.into() })?;
        let info = client.server_info();
        if !info.jetstream {
            return Err(NatsError::NoJetStream { url: shown(&url) });
        }
        if !client.is_server_compatible(2, 10, 0) {
            return Err(NatsError::TooOld { url: shown(&url), version: info.version });
        }
        let context = ContextBuilder::new().timeout(PATIENCE).ack_timeout(PATIENCE).build(client.clone());
        Ok(Self { client, context, prefix: options.prefix.clone() })
    }

    /// Bytes that a message may have.
    #[must_use]
    pub fn message_size(&self) -> usize {
        // Headers count, too.
        self.client.server_info().max_payload.saturating_sub(4 << 10)
    }

    /// Opens the streams and buckets, and makes those that do not exist yet.
    ///
    /// # Errors
    /// [`NatsError::Stream`], and [`NatsError::OtherStream`] if one of them is something else.
    pub async fn streams(&self, options: &StreamOptions) -> Result<Streams, NatsError> {
        let prefix = &self.prefix;
        let limit = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
        let events = Config {
            name: prefix.events(),
            subjects: vec![prefix.inputs()],
            subject_transform: Some(SubjectTransform {
                source: prefix.inputs(),
                destination: prefix.partitioned(options.partitions),
            }),
            // An event is removed when it is acknowledged; and no two consumers have the events of one partition.
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::New,
            discard_new_per_subject: true,
            max_messages_per_subject: options.tenant_events.into(),
            max_bytes: limit(options.events_size),
            max_message_size: i32::try_from(self.message_size() / 4).unwrap_or(i32::MAX),
            duplicate_window: DUPLICATES,
            storage: StorageType::File,
            num_replicas: options.replicas as usize,
            ..Config::default()
        };
        let outputs = Config {
            name: prefix.outputs(),
            subjects: vec![format!("{prefix}.out.*.*"), format!("{prefix}.failed.*.*")],
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::Old,
            max_messages_per_subject: options.tenant_outputs.into(),
            max_bytes: limit(options.outputs_size),
            max_age: options.outputs_time,
            duplicate_window: DUPLICATES.min(options.outputs_time),
            storage: StorageType::File,
            num_replicas: options.replicas as usize,
            allow_direct: true,
            ..Config::default()
        };
        let events = self.stream(events).await?;
        let transform = events.cached_info().config.subject_transform.as_ref();
        let partitions = transform.and_then(|transform| prefix.partitions_of(&transform.destination));
        let partitions = partitions.ok_or_else(|| NatsError::OtherStream {
            name: prefix.events(),
            fault: "does not divide subjects into partitions".to_owned(),
        })?;
        if events.cached_info().config.retention != RetentionPolicy::WorkQueue {
            let fault = "does not drop what is acknowledged".to_owned();
            return Err(NatsError::OtherStream { name: prefix.events(), fault });
        }
        let streams = Streams {
            events,
            partitions,
            outputs: self.stream(outputs).await?,
            tenants: self.bucket(prefix.tenants(), options.replicas).await?,
            owners: self.bucket(prefix.owners(), options.replicas).await?,
        };
        self.check(&streams).await?;
        Ok(streams)
    }

    /// Checks that the records of tenants count the events of this stream, and of no earlier one of its name.
    async fn check(&self, streams: &Streams) -> Result<(), NatsError> {
        let created = streams.events.cached_info().created.to_string();
        let (owners, name) = (&streams.owners, self.prefix.owners());
        let fault = |what, source| NatsError::Stream { what, kind: "bucket", name: name.clone(), source };
        match owners.create(CREATED, created.clone().into()).await {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == CreateErrorKind::AlreadyExists => {}
            Err(error) => return Err(fault("write", error.into())),
        }
        let known = owners.get(CREATED).await.map_err(|error| fault("read", error.into()))?;
        match known.is_none_or(|known| known == created) {
            true => Ok(()),
            false => {
                let prefix = &self.prefix;
                Err(NatsError::Remade { events: prefix.events(), tenants: prefix.tenants(), owners: prefix.owners() })
            }
        }
    }

    /// The stream of a name, which is made if there is none.
    async fn stream(&self, config: Config) -> Result<Stream, NatsError> {
        let name = config.name.clone();
        let fault = |what, source| NatsError::Stream { what, kind: "stream", name: name.clone(), source };
        match self.context.get_stream(&name).await {
            Ok(stream) => return Ok(stream),
            Err(error) if is_missing(&error.kind()) => {}
            Err(error) => return Err(fault("open", error.into())),
        }
        match self.context.create_stream(config).await {
            Ok(stream) => Ok(stream),
            // Another process may have made it meanwhile, with other options.
            Err(error) => self.context.get_stream(&name).await.map_err(|_| fault("make", error.into())),
        }
    }

    /// The bucket of a name, which is made if there is none.
    async fn bucket(&self, name: String, replicas: u32) -> Result<kv::Store, NatsError> {
        if let Ok(store) = self.context.get_key_value(&name).await {
            return Ok(store);
        }
        let config = kv::Config {
            bucket: name.clone(),
            history: 1,
            storage: StorageType::File,
            num_replicas: replicas as usize,
            ..kv::Config::default()
        };
        match self.context.create_key_value(config).await {
            Ok(store) => Ok(store),
            Err(error) => self.context.get_key_value(&name).await.map_err(|_| NatsError::Stream {
                what: "make",
                kind: "bucket",
                name,
                source: error.into(),
            }),
        }
    }
}

fn is_missing(error: &GetStreamErrorKind) -> bool {
    matches!(error, GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_secrets() {
        for (url, expected) in [
            ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
            ("nats://user:secret@host:4222", "nats://host:4222"),
            ("tls://secret@one, user:sec@ret@two:1,three", "tls://one,two:1,three"),
            ("nats://user:sec/ret@[::1]:4222", "nats://[::1]:4222"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }

    #[test]
    fn an_address_has_a_user_or_a_token() {
        let user = |user: &str, password: Option<&str>| Some((user.to_owned(), password.map(str::to_owned)));
        for (address, expected) in [
            ("nats://127.0.0.1:4222", None),
            ("nats://one:two@host", user("one", Some("two"))),
            ("nats://one:t%40w%C3%A4@host", user("one", Some("t@wä"))),
            ("tls://token@host:1", user("token", None)),
        ] {
            assert_eq!(user_of(address), expected, "{address}");
        }
        assert_eq!(["a%4", "%", "%zz%+1", "%ff"].map(decoded), ["a%4", "%", "%zz%+1", "%ff"]);
    }
}
