//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Runs a guest for many tenants over HTTP, and keeps their records in one file.
///
/// POST /tenants/TENANT/FUNCTION calls a function of the guest with the JSON event in the body. The answer comes when
/// everything that the call wrote is durable. PUT /tenants/TENANT makes a tenant, GET /tenants/TENANT/records lists its
/// records, GET /metrics is for Prometheus, GET /health for load balancers.
#[derive(Debug, Clone, Parser)]
#[command(version, max_term_width = 100, args_override_self = true)]
pub struct Arguments {
    /// The guest: a WebAssembly module, or an artefact that was compiled ahead of time.
    #[arg(long, value_name = "FILE")]
    pub guest: PathBuf,

    /// The file with the records of all tenants. It is made if it does not exist.
    #[arg(long, value_name = "FILE")]
    pub store: PathBuf,

    /// Address and port to listen on. Port 0 takes a free one; standard output says which.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// How long a call may take, at least 1ms.
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = positive_duration)]
    pub deadline: Duration,

    /// Memory that a call may have.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    pub memory_limit: u64,

    /// Bytes of the region of memory through which guest and host pass values, such as 1MiB [default: 64KiB]
    ///
    /// An event, in the compact form in which the guest reads it, must fit three quarters of it.
    #[arg(long, value_name = "SIZE", value_parser = region)]
    pub exchange_size: Option<u32>,

    /// Calls that run at the same time.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub instances: u32,

    /// Requests that wait or run at the same time. More are refused with status 503.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    pub queue: u32,

    /// Requests of one tenant that wait or run at the same time, so that no tenant takes all places. They are served one
    /// after the other.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub tenant_queue: u32,

    /// How long a request waits for its turn and for an instance [default: 4 times --deadline, at least 2s]
    ///
    /// It may wait behind calls of the same tenant, each of which may take as long as --deadline says. With less than that,
    /// one slow call makes the tenant's next request fail.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub wait: Option<Duration>,

    /// Bytes that a request's body may have.
    #[arg(long, value_name = "SIZE", default_value = "256KiB", value_parser = size)]
    pub body_limit: u64,

    /// How long a client may read nothing of an answer that is being sent. The connection is closed then.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = positive_duration)]
    pub send_time: Duration,

    /// How long a connection may take for the head of a request, and how long it may be idle. It is closed then.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = positive_duration)]
    pub head_time: Duration,

    /// How long requests may go on after SIGTERM or Ctrl-C. A second signal ends them at once.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub shutdown_time: Duration,
}

/// The shortest wait that is a default: longer than a commit takes on a slow disk.
const LEAST_WAIT: Duration = Duration::from_secs(2);

/// Calls of one tenant that a request can wait for by default, if each of them takes until its deadline.
const CALLS_TO_WAIT_FOR: u32 = 4;

impl Arguments {
    /// How long a request waits for its turn and for an instance.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.wait.unwrap_or_else(|| self.deadline.saturating_mul(CALLS_TO_WAIT_FOR).max(LEAST_WAIT))
    }
}

/// Reads a time that is not 0.
fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("0 is too short: give at least 1ms".to_owned()),
        time => Ok(time),
    }
}

/// Reads a time such as `100ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time: write a whole number and ms or s, such as 100ms");
    let (number, milliseconds) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 1),
        (None, Some(number)) => (number, 1000),
        (None, None) => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    Ok(Duration::from_millis(u64::from(number) * milliseconds))
}

/// Reads the size of a region.
fn region(text: &str) -> Result<u32, String> {
    u32::try_from(size(text)?).map_err(|_| format!("`{text}` is more memory than a guest can have"))
}

/// Reads a size such as `64MiB`.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size: write a number of bytes, or one with KiB or MiB, such as 64MiB");
    let (number, unit) = match (text.strip_suffix("KiB"), text.strip_suffix("MiB")) {
        (Some(number), _) => (number, 1 << 10),
        (_, Some(number)) => (number, 1 << 20),
        (None, None) => (text, 1),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    Ok(u64::from(number) * unit)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    fn parsed(options: &[&str]) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from([&["example-service", "--guest", "g", "--store", "s"], options].concat())
    }

    #[test]
    fn a_request_can_wait_for_longer_than_the_calls_before_it_take() {
        let wait = |options: &[&str]| parsed(options).unwrap().wait();
        assert_eq!(wait(&[]), Duration::from_secs(2));
        assert_eq!(wait(&["--deadline", "2s"]), Duration::from_secs(8));
        assert_eq!(wait(&["--deadline", "2s", "--wait", "50ms"]), Duration::from_millis(50), "as it was asked for");
        let error = parsed(&["--deadline", "0s"]).unwrap_err().to_string();
        assert!(error.contains("--deadline") && error.contains("at least 1ms"), "{error}");
    }

    #[test]
    fn the_last_of_equal_options_counts() {
        assert_eq!(parsed(&["--store", "t"]).unwrap().store, PathBuf::from("t"));
    }

    #[test]
    fn times_and_sizes_have_units() {
        assert_eq!(duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        assert!(duration("2").is_err() && duration("ms").is_err() && duration("-1s").is_err());
        assert_eq!((size("17"), size("2KiB"), size("3MiB")), (Ok(17), Ok(2 << 10), Ok(3 << 20)));
        assert!(size("1GB").is_err() && size("").is_err());
    }
}
