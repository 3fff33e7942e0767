//! An HTTP client of few lines: one connection for each request.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longer than anything that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Response {
    /// Reads one from its text; one that was cut short is an error.
    fn parse(text: &str) -> io::Result<Self> {
        let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, format!("cut short: {text:?}"));
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(cut)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
        let response = Self { status, head: head.to_owned(), body: body.to_owned() };
        let length = response.header("content-length").and_then(|length| length.parse().ok());
        if length.is_none_or(|length: usize| length == body.len()) { Ok(response) } else { Err(cut()) }
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// The status, and the kind of the error in the body.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status, self.json()["error"]["kind"].as_str().unwrap_or_default().to_owned())
    }

    /// The message of the error in the body.
    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// A request that is put together.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: Vec<(&'a str, String)>,
    pub(crate) body: &'a [u8],
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: &'a str, path: &'a str) -> Self {
        Self { method, path, headers: Vec::new(), body: b"" }
    }

    pub(crate) fn header(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(self, body: &'a [u8]) -> Self {
        Self { body, ..self }
    }

    /// Sends it, without waiting for the response.
    pub(crate) fn send(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let (method, path, length) = (self.method, self.path, self.body.len());
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n").as_bytes())?;
        stream.write_all(self.body)?;
        Ok(stream)
    }

    /// Sends it, and reads the response.
    pub(crate) fn ask(&self, address: SocketAddr) -> io::Result<Response> {
        let mut text = String::new();
        self.send(address)?.read_to_string(&mut text)?;
        Response::parse(&text)
    }
}
