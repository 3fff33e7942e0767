//! An HTTP client of few lines.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longer than anything that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The values of all headers of a name.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// A result in JSON, without the end of its line.
    pub(crate) fn result(&self) -> &str {
        self.text().strip_suffix('\n').unwrap_or_else(|| panic!("{self:?}"))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The kind and the message of the error in the body.
    pub(crate) fn error(&self) -> (String, String) {
        let answer = self.json();
        let text = |name: &str| answer["error"][name].as_str().unwrap_or_default().to_owned();
        (text("kind"), text("message"))
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self::try_new(address).unwrap_or_else(|| panic!("nobody listens at {address}"))
    }

    /// A connection, if somebody listens.
    pub(crate) fn try_new(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Some(Self { stream: BufReader::new(stream) })
    }

    /// The stream, of which nothing was read.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream.into_inner()
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    /// Sends bytes as they are.
    pub(crate) fn send_raw(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        // Where the other side does not read on, its response says why.
        let _ = self.stream.get_mut().write_all(bytes.as_ref());
        self
    }

    /// Sends a request with these lines of headers.
    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &str, body: impl AsRef<[u8]>) -> &mut Self {
        let body = body.as_ref();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        self.send_raw([head.as_bytes(), body].concat())
    }

    /// Reads a response.
    pub(crate) fn receive(&mut self) -> io::Result<Response> {
        let cut = |head: &str| io::Error::new(io::ErrorKind::UnexpectedEof, format!("cut short: {head:?}"));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Err(cut(&head));
            }
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(|| cut(&head))?;
        let mut response = Response { status, head, body: Vec::new() };
        let length: usize = response.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        response.body.resize(length, 0);
        self.stream.read_exact(&mut response.body)?;
        Ok(response)
    }

    /// Reads the head of a response without a body, such as one to HEAD.
    pub(crate) fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.stream.read_line(&mut head).unwrap() > 0, "cut short: {head:?}");
        }
        head
    }

    /// Sends a request with a body of JSON, and reads the response.
    pub(crate) fn post(&mut self, path: &str, body: impl AsRef<[u8]>) -> Response {
        self.send("POST", path, "", body).receive().unwrap()
    }

    /// The stream, behind what was read of it.
    pub(crate) fn into_reader(self) -> BufReader<TcpStream> {
        self.stream
    }

    /// Whether the other side has closed the connection, without another byte.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0))
            || self.stream.get_ref().take_error().is_ok_and(|error| error.is_some())
    }
}
