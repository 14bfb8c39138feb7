//! The broker's management API as commands ask it: over the socket in its data directory, or a URL.
//!
//! A room of `ctl`. Stays true: a connection for each question; a command waits as long as its timeout.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::failure::{DATA, Failed};
use crate::http_client::{
    self, Conversation, HttpClient, HttpError, Response, Take, Times, converse,
};
use crate::url::Url;

/// The longest answer, in bytes: definitions of a million queues.
const BODY_MAX: usize = 1 << 30;
/// How long the broker may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Where the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On this machine; whoever may open this may do everything.
    Socket(PathBuf),
    /// There, for this user and password.
    Url(Box<Url>, String),
}

impl Place {
    /// Reads a URL that may have a user and a password before its host.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) => (decoded(login)?, rest),
            None => ("guest:guest".to_owned(), rest),
        };
        Some(Self::Url(Box::new(Url::parse(&format!("{scheme}://{rest}"))?), login))
    }
}

/// With every `%xx` as what it stands for.
fn decoded(text: &str) -> Option<String> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet == b'%' {
            let hex = [rest.next()?, rest.next()?];
            octets.push(u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?);
        } else {
            octets.push(octet);
        }
    }
    String::from_utf8(octets).ok()
}

/// A segment of a path, so that nothing in it means anything.
pub(crate) fn segment(text: &str) -> String {
    let plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"-._~".contains(octet);
    let octet = |octet: u8| match plain(&octet) {
        true => char::from(octet).to_string(),
        false => format!("%{octet:02X}"),
    };
    text.bytes().map(octet).collect()
}

/// Whose certificates count, with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Those that the system trusts.
    System,
    /// Those of a file.
    Authorities(PathBuf),
    /// Whoever answers.
    Anybody,
}

/// See the module documentation.
pub(crate) struct Client {
    place: Place,
    trust: Trust,
    patience: Duration,
    runtime: Runtime,
}

impl Client {
    /// One that waits so long for each answer.
    pub(crate) fn new(place: Place, patience: Duration) -> Result<Self, Failed> {
        Self::trusting(place, patience, Trust::System)
    }

    /// The same, of a broker whose certificate others vouch for.
    pub(crate) fn trusting(place: Place, patience: Duration, trust: Trust) -> Result<Self, Failed> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failed::refused(error.to_string()))?;
        Ok(Self { place, trust, patience, runtime })
    }

    /// Asks for what is at a path below `/api`, whatever becomes of it.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Response, HttpError> {
        self.ask_for(method, path, body, None)
    }

    fn ask_for(
        &self,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
        why: Option<&str>,
    ) -> Result<Response, HttpError> {
        self.exchange(self.request(method, path, body, why)?)
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
        why: Option<&str>,
    ) -> Result<Request<Full<Bytes>>, HttpError> {
        let server = self.server();
        let unreadable =
            |error: hyper::http::Error| HttpError::Unreadable(server.clone(), error.to_string());
        let mut request = Request::builder().method(method).header(ACCEPT, "*/*");
        request = match &self.place {
            Place::Socket(_) => request.uri(format!("/api{path}")).header(HOST, "localhost"),
            Place::Url(url, login) => {
                let login = format!("Basic {}", STANDARD.encode(login));
                let path = format!("{}/api{path}", url.target("").trim_end_matches('/'));
                request.uri(path).header(HOST, url.authority()).header(AUTHORIZATION, login)
            }
        };
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(why) = why.and_then(|why| HeaderValue::from_bytes(why.as_bytes()).ok()) {
            request = request.header("x-reason", why);
        }
        let body = Full::new(Bytes::copy_from_slice(body.unwrap_or_default()));
        request.body(body).map_err(unreadable)
    }

    /// Takes what there is at a path below `/api` piece by piece: `take` hears how many bytes are to come,
    /// if that is known, and has a piece.
    ///
    /// # Errors
    /// The broker cannot be reached, says no, or ends before the end; or `take` goes no further.
    pub(super) fn download(&self, path: &str, take: Take<'_>) -> Result<(), Failed> {
        let request = self.request("GET", path, None, None)?;
        let answer = self.runtime.block_on(async {
            let stream: Box<dyn Conversation> = match &self.place {
                Place::Socket(path) => {
                    let failed = |error: std::io::Error| {
                        HttpError::Connect(self.server(), error.to_string())
                    };
                    Box::new(UnixStream::connect(path).await.map_err(failed)?)
                }
                Place::Url(url, _) => self.over_network(url)?.open(url).await?,
            };
            http_client::download(&self.server(), stream, request, self.patience, take).await
        })?;
        answer.map_or(Ok(()), |refused| Err(refusal(&refused)))
    }

    fn over_network(&self, url: &Url) -> Result<HttpClient, HttpError> {
        let times = Times { connect: CONNECT.min(self.patience), request: self.patience };
        let failed =
            |error: http_client::RootsError| HttpError::Tls(url.authority(), error.to_string());
        let client = match &self.trust {
            Trust::Anybody if url.with_tls() => HttpClient::trusting_anybody(times),
            Trust::Authorities(path) if url.with_tls() => HttpClient::new(Some(Some(path)), times),
            Trust::System | Trust::Authorities(_) | Trust::Anybody => {
                HttpClient::new(url.with_tls().then_some(None), times)
            }
        };
        client.map_err(failed)
    }

    fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response, HttpError> {
        match &self.place {
            Place::Socket(path) => self.runtime.block_on(async {
                let late = |_| HttpError::Late(self.server(), self.patience.as_millis());
                timeout(self.patience, over_socket(path, request)).await.map_err(late)?
            }),
            Place::Url(url, _) => {
                let client = self.over_network(url)?;
                self.runtime.block_on(client.exchange(url, request, BODY_MAX))
            }
        }
    }

    /// What there is at a path below `/api`.
    ///
    /// # Errors
    /// The broker cannot be reached, or says no.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Failed> {
        let response = self.ask("GET", path, None)?;
        let value = serde_json::from_slice(&response.body);
        match response.status {
            200 => value.map_err(|error| Failed::refused(format!("no JSON: {error}"))),
            _ => Err(refusal(&response)),
        }
    }

    /// Has something done; whether it was there.
    ///
    /// # Errors
    /// As there; what is not there is no error.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Sent, Failed> {
        let body = body.map(Value::to_string);
        sent(self.ask(method, path, body.as_deref().map(str::as_bytes))?)
    }

    /// The same for a reason that is told to whom it concerns.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn send_for(
        &self,
        method: &str,
        path: &str,
        why: Option<&str>,
    ) -> Result<Sent, Failed> {
        sent(self.ask_for(method, path, None, why)?)
    }

    /// Waits for something else, as long as that takes.
    pub(crate) fn wait<T>(&self, task: impl Future<Output = T>) -> T {
        self.runtime.block_on(task)
    }

    /// Where the broker is.
    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// The broker's name in what is told of it.
    pub(crate) fn server(&self) -> String {
        match &self.place {
            Place::Socket(path) => path.display().to_string(),
            Place::Url(url, _) => url.authority(),
        }
    }
}

/// What became of something that was to be done.
pub(crate) enum Sent {
    /// It was.
    Done(Response),
    /// There is nothing to do it with, or to, as the broker says.
    Missing(String),
}

fn sent(response: Response) -> Result<Sent, Failed> {
    match response.status {
        200..=299 => Ok(Sent::Done(response)),
        404 => Ok(Sent::Missing(reason(&response))),
        _ => Err(refusal(&response)),
    }
}

async fn over_socket(path: &Path, request: Request<Full<Bytes>>) -> Result<Response, HttpError> {
    let server = path.display().to_string();
    let stream = UnixStream::connect(path).await;
    let stream = stream.map_err(|error| HttpError::Connect(server.clone(), error.to_string()))?;
    converse(&server, stream, request, BODY_MAX).await
}

/// The broker's reason, as far as it says one.
fn reason(response: &Response) -> String {
    let said: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let said = said.get("reason").or_else(|| said.get("error"));
    match said {
        Some(Value::String(reason)) => reason.clone(),
        Some(other) => other.to_string(),
        None => format!("the broker answers {}", response.status),
    }
}

/// What the broker says no with.
pub(crate) fn refusal(response: &Response) -> Failed {
    match response.status {
        404 => Failed::Plain(reason(response), DATA),
        _ => Failed::refused(reason(response)),
    }
}

/// Where the socket of the broker is that has this data directory.
pub(crate) fn socket_in(directory: &OsStr) -> PathBuf {
    Path::new(directory).join("leveret.sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_may_have_a_login() {
        let Some(Place::Url(url, login)) = Place::parse("http://bob:a%2F%40b@host:15672/x") else {
            panic!("it is one")
        };
        assert_eq!((url.authority(), url.target("")), ("host:15672".to_owned(), "/x".to_owned()));
        assert_eq!(login, "bob:a/@b");
        let Some(Place::Url(_, login)) = Place::parse("https://host") else { panic!("it is one") };
        assert_eq!(login, "guest:guest");
        for wrong in ["host", "ftp://host", "http://a:%zz@host", "http://a:%2"] {
            assert_eq!(Place::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nothing_in_a_segment_means_anything() {
        assert_eq!(segment("/"), "%2F");
        assert_eq!(segment("a b%ü?#"), "a%20b%25%C3%BC%3F%23");
    }

    #[test]
    fn whoever_is_not_there_is_named() {
        let place = Place::Socket("/nowhere/leveret.sock".into());
        let client = Client::new(place, Duration::from_secs(5)).unwrap();
        let failed = client.get("/overview").unwrap_err();
        assert_eq!(failed.code(), super::super::failure::UNAVAILABLE);
        let Failed::Refused(text, _) = failed else { panic!("{failed:?}") };
        assert!(text.contains("/nowhere/leveret.sock"), "{text}");
    }
}
