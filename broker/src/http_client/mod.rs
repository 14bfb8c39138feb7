//! Questions to HTTP servers, one connection each: authentication services and issuers of tokens.
//!
//! Called by `auth::backends`, and by `ctl`, which asks a broker. Knows HTTP/1.1, without and with TLS (`roots` says whose certificates
//! count). Stays true: an answer comes within [`Times::request`] or not at all, and is at most
//! [`BODY_MAX`] long, or as long as its asker says; redirections are not followed, since they would take what was asked elsewhere.

mod download;
mod form;
mod roots;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use hyper::http::request::Builder;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::url::Url;
pub(crate) use download::{Take, download};
pub(crate) use form::Form;
pub(crate) use roots::RootsError;

/// The longest answer, in bytes.
const BODY_MAX: usize = 1 << 20;

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// Until the server is reached.
    pub connect: Duration,
    /// Until the whole answer is here.
    pub request: Duration,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    /// 200 is success.
    pub status: u16,
    /// Whole.
    pub body: Vec<u8>,
}

/// There is no answer. One line that names the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HttpError {
    /// Nobody listens, or the name is unknown.
    #[error("cannot connect to {0}: {1}")]
    Connect(String, String),
    /// TLS came to nothing.
    #[error("TLS with {0} failed: {1}")]
    Tls(String, String),
    /// It took too long.
    #[error("no answer from {0} within {1} ms")]
    Late(String, u128),
    /// What came is no HTTP, or too much.
    #[error("the answer of {0} cannot be read: {1}")]
    Unreadable(String, String),
}

/// What HTTP is spoken over.
pub(crate) trait Conversation: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Conversation for T {}

/// See the module documentation.
#[derive(Clone)]
pub(crate) struct HttpClient {
    tls: Option<TlsConnector>,
    times: Times,
}

impl HttpClient {
    /// One that does not speak TLS, or does with servers whose certificates come from a file of
    /// authorities or, without one, from those that the system trusts.
    pub(crate) fn new(tls: Option<Option<&Path>>, times: Times) -> Result<Self, RootsError> {
        let tls = tls.map(roots::client).transpose()?;
        Ok(Self { tls: tls.map(|config| TlsConnector::from(Arc::new(config))), times })
    }

    /// One that speaks TLS with whoever answers: for those who say that they want that.
    pub(crate) fn trusting_anybody(times: Times) -> Result<Self, RootsError> {
        let tls = roots::anybody()?;
        Ok(Self { tls: Some(TlsConnector::from(Arc::new(tls))), times })
    }

    /// GET, with this query behind the URL's own.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn get(&self, url: &Url, query: &str) -> Result<Response, HttpError> {
        let request = Request::builder().method(Method::GET).uri(url.target(query));
        self.ask(url, request, Full::default()).await
    }

    /// POST of a form.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn post(&self, url: &Url, form: String) -> Result<Response, HttpError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(url.target(""))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.ask(url, request, Full::from(form)).await
    }

    async fn ask(
        &self,
        url: &Url,
        request: Builder,
        body: Full<Bytes>,
    ) -> Result<Response, HttpError> {
        let unreadable =
            |error: &dyn fmt::Display| HttpError::Unreadable(url.authority(), error.to_string());
        let host = HeaderValue::try_from(url.authority()).map_err(|error| unreadable(&error))?;
        let request = request
            .header(HOST, host)
            .header(ACCEPT, "*/*")
            .body(body)
            .map_err(|error| unreadable(&error))?;
        self.exchange(url, request, BODY_MAX).await
    }

    /// Asks what somebody else has put together, whose answer is at most so long.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn exchange(
        &self,
        url: &Url,
        request: Request<Full<Bytes>>,
        body_max: usize,
    ) -> Result<Response, HttpError> {
        let late = |_| HttpError::Late(url.authority(), self.times.request.as_millis());
        let asked = self.connect_and_ask(url, request, body_max);
        timeout(self.times.request, asked).await.map_err(late)?
    }

    async fn connect_and_ask(
        &self,
        url: &Url,
        request: Request<Full<Bytes>>,
        body_max: usize,
    ) -> Result<Response, HttpError> {
        let stream = self.open(url).await?;
        converse(&url.authority(), stream, request, body_max).await
    }

    /// A connection to the server of a URL.
    ///
    /// # Errors
    /// It cannot be reached, or TLS comes to nothing.
    pub(crate) async fn open(&self, url: &Url) -> Result<Box<dyn Conversation>, HttpError> {
        let socket = self.connect(url).await?;
        if !url.with_tls() {
            return Ok(Box::new(socket));
        }
        let failed = |reason: String| HttpError::Tls(url.authority(), reason);
        let Some(tls) = &self.tls else { return Err(failed("it is not set up".to_owned())) };
        let name =
            ServerName::try_from(url.host().to_owned()).map_err(|e| failed(e.to_string()))?;
        let session = tls.connect(name, socket).await.map_err(|e| failed(e.to_string()))?;
        Ok(Box::new(session))
    }

    async fn connect(&self, url: &Url) -> Result<TcpStream, HttpError> {
        let connecting = TcpStream::connect((url.host(), url.port()));
        match timeout(self.times.connect, connecting).await {
            Ok(Ok(socket)) => Ok(socket),
            Ok(Err(error)) => Err(HttpError::Connect(url.authority(), error.to_string())),
            Err(_) => Err(HttpError::Late(url.authority(), self.times.connect.as_millis())),
        }
    }
}

/// Asks over a connection that is there, with `server`, whose answer is at most so long.
///
/// # Errors
/// There is no answer.
pub(crate) async fn converse(
    server: &str,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    body_max: usize,
) -> Result<Response, HttpError> {
    let unreadable =
        |error: &dyn fmt::Display| HttpError::Unreadable(server.to_owned(), error.to_string());
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreadable(&error))?;
    let answering = async {
        let answer = sender.send_request(request).await.map_err(|error| unreadable(&error))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), body_max).collect().await;
        let body = body.map_err(|error| unreadable(&error))?.to_bytes().to_vec();
        Ok(Response { status, body })
    };
    tokio::pin!(answering);
    tokio::select! {
        answer = &mut answering => answer,
        // The connection may end with the last byte of the answer.
        _ = connection => answering.await,
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("times", &self.times).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const TIMES: Times =
        Times { connect: Duration::from_secs(5), request: Duration::from_millis(700) };

    /// Answers one question with these bytes, and says what was asked.
    async fn answering(bytes: Vec<u8>) -> (Url, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/auth?a=b", listener.local_addr().unwrap()));
        let asked = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let count = socket.read(&mut asked).await.unwrap();
            asked.truncate(count);
            socket.write_all(&bytes).await.ok();
            socket.shutdown().await.ok();
            // Until the client has it.
            while socket.read(&mut [0; 512]).await.is_ok_and(|count| count > 0) {}
            String::from_utf8(asked).unwrap()
        });
        (url.unwrap(), asked)
    }

    #[tokio::test]
    async fn forms_are_posted_and_queries_are_in_the_url() {
        let client = HttpClient::new(None, TIMES).unwrap();
        let answer = || b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nallow".to_vec();
        let (url, asked) = answering(answer()).await;
        let response = client.post(&url, "user=bob".to_owned()).await.unwrap();
        assert_eq!(response, Response { status: 200, body: b"allow".to_vec() });
        let asked = asked.await.unwrap();
        assert!(asked.starts_with("POST /auth?a=b HTTP/1.1\r\n"), "{asked}");
        assert!(asked.ends_with("\r\n\r\nuser=bob") || asked.ends_with("\r\n\r\n"), "{asked}");
        let (url, asked) = answering(answer()).await;
        client.get(&url, "user=bob").await.unwrap();
        let asked = asked.await.unwrap();
        assert!(asked.starts_with("GET /auth?a=b&user=bob HTTP/1.1\r\n"), "{asked}");
    }

    #[tokio::test]
    async fn an_answer_may_end_with_its_connection() {
        let client = HttpClient::new(None, TIMES).unwrap();
        let (url, _asked) = answering(b"HTTP/1.1 404 Not Found\r\n\r\nnothing".to_vec()).await;
        let response = client.get(&url, "").await.unwrap();
        assert_eq!(response, Response { status: 404, body: b"nothing".to_vec() });
    }

    #[tokio::test]
    async fn what_is_no_answer_is_told_in_one_line() {
        let client = HttpClient::new(None, TIMES).unwrap();
        let mut long = b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n".to_vec();
        long.resize(BODY_MAX + 100_000, b'a');
        for bytes in [b"220 smtp.example.com ESMTP\r\n".to_vec(), Vec::new(), long] {
            let (url, _asked) = answering(bytes).await;
            let error = client.get(&url, "").await.unwrap_err().to_string();
            assert!(error.contains("cannot be read") && !error.contains('\n'), "{error}");
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = Url::parse(&format!("http://{address}/")).unwrap();
        let error = client.get(&url, "").await.unwrap_err();
        assert_eq!(error, HttpError::Late(address.to_string(), 700), "it listens and says nothing");
        drop(listener);
        let error = client.get(&url, "").await.unwrap_err();
        assert!(matches!(error, HttpError::Connect(..)), "{error}");
        let secret = Url::parse(&format!("https://{address}/")).unwrap();
        assert!(client.get(&secret, "").await.is_err());
    }

    #[tokio::test]
    async fn over_tls_a_server_is_asked_whose_certificate_is_trusted() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let Ok(mut session) = acceptor.accept(socket).await else { continue };
                let asked = session.read(&mut [0; 4096]).await;
                assert!(asked.is_ok_and(|count| count > 0));
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nallow";
                session.write_all(answer).await.ok();
                session.shutdown().await.ok();
            }
        });
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        std::fs::write(&file, made.cert.pem()).unwrap();
        let times = Times { connect: Duration::from_secs(20), request: Duration::from_secs(20) };
        let trusting = HttpClient::new(Some(Some(&file)), times).unwrap();
        let url = |host: &str| Url::parse(&format!("https://{host}:{port}/")).unwrap();
        let answer = trusting.get(&url("localhost"), "").await.unwrap();
        assert_eq!(answer, Response { status: 200, body: b"allow".to_vec() });
        let other_name = trusting.get(&url("127.0.0.1"), "").await.unwrap_err();
        assert!(matches!(other_name, HttpError::Tls(..)), "{other_name}");
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&file, other.cert.pem()).unwrap();
        let doubting = HttpClient::new(Some(Some(&file)), times).unwrap();
        let refused = doubting.get(&url("localhost"), "").await.unwrap_err();
        assert!(matches!(refused, HttpError::Tls(..)), "{refused}");
    }
}
