//! A provider of OAuth 2 that signs everybody in: for tests of who is sent there and comes back.
//!
//! Serves its metadata, its keys, the page to sign in (which sends the browser back at once), and tokens in
//! exchange for codes. Stays true: a code is exchanged once, for the verifier that its challenge was made
//! of, by a client that shows the secret.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::hmac;
use serde_json::{Value, json};

use crate::deadline::{Deadline, PATIENCE};

/// What the client shows.
pub const SECRET: &str = "of the client";
/// What tokens are signed with.
const KEY: &str = "a key that everybody here knows";

/// See the module documentation.
#[derive(Debug, Clone)]
pub struct Provider {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// Codes and their challenges.
    codes: HashMap<String, String>,
    /// Codes that were given.
    given: u64,
    scopes: String,
    denies: bool,
}

impl Provider {
    /// One that gives these scopes to whoever comes. It lasts as long as the test.
    #[must_use]
    pub fn start(scopes: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let state =
            State { codes: HashMap::new(), given: 0, scopes: scopes.to_owned(), denies: false };
        let provider = Self { address, state: Arc::new(Mutex::new(state)) };
        let own = provider.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                thread::spawn(move || own.serve(stream));
            }
        });
        provider
    }

    /// What a broker is configured with.
    #[must_use]
    pub fn config(&self) -> String {
        format!(
            "auth_backends.1 = internal\nauth_backends.2 = oauth2\n\
             auth_oauth2.resource_server_id = rabbitmq\nauth_oauth2.issuer = {}\n\
             management.oauth_enabled = true\nmanagement.oauth_client_id = the page\n\
             management.oauth_client_secret = {SECRET}\n\
             management.oauth_disable_basic_auth = false\n",
            self.url()
        )
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What tokens permit from now on.
    pub fn gives(&self, scopes: &str) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).scopes = scopes.to_owned();
    }

    /// Whether it signs nobody in from now on.
    pub fn denies(&self, denies: bool) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).denies = denies;
    }

    fn serve(&self, mut stream: TcpStream) {
        stream.set_read_timeout(Some(PATIENCE)).expect("the socket takes options");
        let (mut request, mut part) = (Vec::new(), [0; 4096]);
        let deadline = Deadline::of("a request to the provider");
        let (head, body) = loop {
            deadline.check();
            if let Some(request) = split(&request) {
                break request;
            }
            match stream.read(&mut part) {
                Ok(0) | Err(_) => return,
                Ok(length) => request.extend_from_slice(&part[..length]),
            }
        };
        let target = head.split(' ').nth(1).unwrap_or_default();
        let answer = self.answer(target, &body);
        // Whoever asked may have gone.
        let _ = stream.write_all(answer.as_bytes());
    }

    fn answer(&self, target: &str, body: &str) -> String {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let url = self.url();
        match path {
            "/.well-known/openid-configuration" => told(&json!({
                "issuer": url, "jwks_uri": format!("{url}/keys"),
                "authorization_endpoint": format!("{url}/enter?realm=a"),
                "token_endpoint": format!("{url}/token"),
            })),
            "/keys" => {
                let key = URL_SAFE_NO_PAD.encode(KEY);
                told(&json!({"keys": [{"kty": "oct", "kid": "own", "k": key}]}))
            }
            "/enter" => self.enter(&fields(query)),
            "/token" => self.exchange(&fields(body)),
            _ => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
        }
    }

    fn enter(&self, asked: &HashMap<String, String>) -> String {
        assert_eq!((&*asked["response_type"], &*asked["realm"]), ("code", "a"));
        assert_eq!((&*asked["client_id"], &*asked["scope"]), ("the page", "openid profile"));
        assert_eq!(asked["code_challenge_method"], "S256");
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.given += 1;
        let code = format!("code-{}", state.given);
        let said =
            if state.denies { "error=access_denied".to_owned() } else { format!("code={code}") };
        state.codes.insert(code, asked["code_challenge"].clone());
        let back = format!("{}?{said}&state={}", asked["redirect_uri"], asked["state"]);
        format!("HTTP/1.1 302 Found\r\nlocation: {back}\r\ncontent-length: 0\r\n\r\n")
    }

    fn exchange(&self, asked: &HashMap<String, String>) -> String {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, asked["code_verifier"].as_bytes()));
        let is_good = asked["client_secret"] == SECRET
            && state.codes.remove(&asked["code"]).is_some_and(|of| of == challenge);
        match is_good {
            true => told(&json!({"token_type": "Bearer", "access_token": token(&state.scopes)})),
            false => "HTTP/1.1 400 Bad Request\r\ncontent-length: 25\r\n\r\n{\"error\":\"invalid_grant\"}"
                .to_owned(),
        }
    }
}

/// Head and body, once all of it is there.
fn split(request: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(request);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let lower = head.to_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.map_or(0, |length| length.trim().parse().expect("a length"));
    (body.len() >= length).then(|| (head.to_owned(), body.to_owned()))
}

fn told(what: &Value) -> String {
    let body = what.to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    format!("{head}content-length: {}\r\n\r\n{body}", body.len())
}

/// A token of somebody called ada, for an hour.
fn token(scopes: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"sub": "ada", "aud": "rabbitmq", "scope": scopes, "exp": now + 3600});
    let signed = format!("{}.{}", encode(&json!({"alg": "HS256", "kid": "own"})), encode(&claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes())))
}

/// The fields of a form.
fn fields(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let two: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&two, 16).expect("two digits")
            }
            other => other,
        });
    }
    String::from_utf8(bytes).expect("text")
}
