//! A client of HTTP that hides nothing: one request a connection, and the answer as it came.
//!
//! For the management API, over TCP or the socket of the data directory.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::Value;

use crate::deadline::{Deadline, PATIENCE};

/// Where requests go.
#[derive(Debug, Clone)]
pub enum Place {
    /// To a port.
    Tcp(SocketAddr),
    /// To a socket in the file system.
    Local(PathBuf),
}

/// A server, and who asks it.
#[derive(Debug, Clone)]
pub struct HttpClient {
    /// Where it is.
    pub place: Place,
    /// The header `authorization`, if there is one.
    pub authorization: Option<String>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpClient {
    /// Asks with a method, a path and a body of JSON, if there is one.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        self.ask_with(method, path, &[], body.as_bytes())
    }

    /// The same with further headers.
    #[must_use]
    pub fn ask_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        if let Some(authorization) = &self.authorization {
            request += &format!("Authorization: {authorization}\r\n");
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        let has_type = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !body.is_empty() && !has_type {
            request += "Content-Type: application/json\r\n";
        }
        request += &format!("Content-Length: {}\r\n\r\n", body.len());
        let request = [request.as_bytes(), body].concat();
        let what = format!("the answer to {method} {path}");
        match &self.place {
            Place::Tcp(address) => {
                let stream = TcpStream::connect(address).expect("somebody listens");
                stream.set_read_timeout(Some(PATIENCE)).expect("the socket takes options");
                exchange(&what, stream, &request)
            }
            Place::Local(path) => {
                let stream = UnixStream::connect(path).expect("somebody listens");
                stream.set_read_timeout(Some(PATIENCE)).expect("the socket takes options");
                exchange(&what, stream, &request)
            }
        }
    }
}

/// An answer that does not end, as it comes: its head, and the parts of its body with their sizes.
#[derive(Debug)]
pub struct Unending {
    stream: TcpStream,
    read: Vec<u8>,
}

impl HttpClient {
    /// `GET`, over TCP.
    pub fn open(&self, path: &str) -> Unending {
        let Place::Tcp(address) = &self.place else { panic!("a stream is read over TCP") };
        let mut stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("the socket takes options");
        let authorization = self.authorization.as_deref().unwrap_or_default();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("the request goes out");
        Unending { stream, read: Vec::new() }
    }
}

impl Unending {
    /// Reads until this has come, and returns all up to it.
    pub fn until(&mut self, end: &str) -> String {
        let what = format!("{end:?} in a stream");
        let deadline = Deadline::of(&what);
        let mut part = [0; 4096];
        loop {
            let found = self.read.windows(end.len()).position(|part| part == end.as_bytes());
            if let Some(at) = found {
                let all: Vec<u8> = self.read.drain(..at + end.len()).collect();
                return String::from_utf8_lossy(&all).into_owned();
            }
            deadline.check();
            match self.stream.read(&mut part).unwrap_or_else(|error| panic!("{what}: {error}")) {
                0 => panic!("{what}: it ended"),
                count => self.read.extend_from_slice(&part[..count]),
            }
        }
    }
}

fn exchange(what: &str, mut stream: impl Read + Write, request: &[u8]) -> Reply {
    // Who refuses a request may close before it has all come.
    stream.write_all(request).ok();
    let (mut all, deadline) = (Vec::new(), Deadline::of(what));
    let mut part = [0; 65_536];
    loop {
        deadline.check();
        match stream.read(&mut part).unwrap_or_else(|error| panic!("{what}: {error}")) {
            0 => return Reply::read(what, &all),
            count => all.extend_from_slice(&part[..count]),
        }
    }
}

impl Reply {
    fn read(what: &str, all: &[u8]) -> Self {
        let end = all.windows(4).position(|part| part == b"\r\n\r\n");
        let end =
            end.unwrap_or_else(|| panic!("{what}: no end of its head in {} bytes", all.len()));
        let head = String::from_utf8_lossy(&all[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let pair = |line: &str| {
            let (name, value) = line.split_once(':').expect("a header has a colon");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        let mut reply = Self {
            status: status.unwrap_or_else(|| panic!("{what}: {first}")),
            headers: lines.map(pair).collect(),
            body: all[end + 4..].to_vec(),
        };
        if reply.header("transfer-encoding") == Some("chunked") {
            reply.body = unchunked(&reply.body);
        }
        reply
    }

    /// A header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}: {}", self.status, self.text()))
    }

    /// Asserts the status.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

/// RFC 9112, 7.1.
fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|part| part == b"\r\n") {
        let size = String::from_utf8_lossy(&rest[..end]);
        let size = usize::from_str_radix(size.trim(), 16).expect("the size of a chunk");
        let from = end + 2;
        if size == 0 || rest.len() < from + size + 2 {
            break;
        }
        body.extend_from_slice(&rest[from..from + size]);
        rest = &rest[from + size + 2..];
    }
    body
}
