//! `leveret auth explain`: who says what of a user, and why.
//!
//! Called by `main`, beside a running broker or without one. It asks the backends that the
//! configuration names, in their order, as a login does, and says each answer; what the broker's own
//! users may do it reads from the last export of the definitions in the data directory, which is a
//! second behind a running broker. The sentences
//! are those of the log (`auth::explain`). Stays true: nothing is written, and no password or token
//! is shown.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use leveret_storage::StorageError;
use leveret_storage::metadata::{MemoryMetadata, Snapshot, exported};
use thiserror::Error;

use crate::auth::authority::NO_PERMISSIONS;
use crate::auth::explain::{Because, Wish};
use crate::auth::rights::Permission;
use crate::auth::{BackendError, Http, Login, OAuth2, Question, Token, Users, Verdict, Who};
use crate::config::{Backend, Config, ConfigError, Link, ServeOptions};
use crate::definitions::parameters;
use crate::definitions::records::{self, DefinitionError};
use crate::definitions::store::DefinitionStore;

/// What is to be explained.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Explained {
    /// The user's name
    #[arg(long, required_unless_present_any = ["token", "token_file"])]
    pub user: Option<String>,
    /// The token that it logs in with
    #[arg(long, conflicts_with = "token_file")]
    pub token: Option<String>,
    /// The file that holds the token
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The vhost that it opens
    #[arg(long, default_value = "/")]
    pub vhost: String,
    /// The queue that it wants to use
    #[arg(long, conflicts_with = "exchange")]
    pub queue: Option<String>,
    /// The exchange that it wants to use
    #[arg(long)]
    pub exchange: Option<String>,
    /// The routing key, if that is a topic exchange
    #[arg(long, requires = "exchange")]
    pub routing_key: Option<String>,
    /// What it wants to do there: configure, write or read
    #[arg(long, default_value = "write", value_parser = ["configure", "write", "read"])]
    pub permission: String,
    /// Configuration file of the broker
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The broker's data directory
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Nothing can be explained. One line.
#[derive(Debug, Error)]
pub enum ExplainError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The token's file cannot be read.
    #[error("cannot read {0}: {1}")]
    Token(PathBuf, std::io::Error),
    /// A backend cannot be set up.
    #[error("{0}")]
    Backend(String),
    /// The definitions cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A definition cannot be understood.
    #[error("{0}")]
    Definition(String),
}

impl From<BackendError> for ExplainError {
    fn from(error: BackendError) -> Self {
        Self::Backend(error.to_string())
    }
}

impl From<DefinitionError> for ExplainError {
    fn from(error: DefinitionError) -> Self {
        Self::Definition(error.to_string())
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Whether the user gets in, and may do what it wants.
    pub granted: bool,
    /// The steps, a line each.
    pub lines: Vec<String>,
}

/// Asks all that a broker with this configuration would ask.
///
/// # Errors
/// The configuration, the token's file or the definitions cannot be read.
pub async fn explain(
    asked: &Explained,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Explanation, ExplainError> {
    let (config, data_dir) = (asked.config.clone(), asked.data_dir.clone());
    let options = ServeOptions { config, data_dir, ..ServeOptions::default() };
    let config = Config::load(&options, environment)?;
    let token = match (&asked.token, &asked.token_file) {
        (Some(token), _) => Some(token.clone()),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path);
            Some(text.map_err(|error| ExplainError::Token(path.clone(), error))?)
        }
        (None, None) => None,
    };
    let mut asking = Asking { asked, config: &config, token, lines: Vec::new() };
    let links = &config.authentication.backends.links;
    let mut granted = false;
    for (n, link) in links.iter().enumerate() {
        let by = match link.authn == link.authz {
            true => String::new(),
            false => format!(", and {} says what it may do", link.authz.name()),
        };
        asking.say(0, format!("{} of {}: {}{by}", n + 1, links.len(), link.authn.name()));
        if let Some(answer) = asking.follow(*link).await? {
            granted = answer;
            break;
        }
    }
    asking.say(0, if granted { "granted" } else { "refused" });
    Ok(Explanation { granted, lines: asking.lines })
}

struct Asking<'a> {
    asked: &'a Explained,
    config: &'a Config,
    token: Option<String>,
    lines: Vec<String>,
}

/// A user as a backend knows it.
enum Known {
    Internal(String),
    Http(Who),
    Token(Box<Token>),
}

impl Asking<'_> {
    fn say(&mut self, depth: usize, line: impl AsRef<str>) {
        self.lines.push(format!("{:width$}{}", "", line.as_ref(), width = depth * 2));
    }

    fn say_because(&mut self, because: Because) -> bool {
        self.say(1, because.sentence);
        because.granted
    }

    /// Whether the user may do what it wants; `None` if the next backend is asked.
    async fn follow(&mut self, link: Link) -> Result<Option<bool>, ExplainError> {
        let Some(known) = self.know(link.authn).await? else { return Ok(None) };
        let known = match link.authz == link.authn {
            true => Some(known),
            false => self.know(link.authz).await?,
        };
        let Some(known) = known else { return Ok(None) };
        match known {
            Known::Internal(name) => self.by_permissions(&name).map(Some),
            Known::Http(who) => self.by_service(&who).await.map(Some),
            Known::Token(token) => self.by_scopes(&token).map(Some),
        }
    }

    async fn know(&mut self, backend: Backend) -> Result<Option<Known>, ExplainError> {
        match backend {
            Backend::Internal => self.known_here(),
            Backend::Http => self.known_to_service().await,
            Backend::OAuth2 => self.known_by_token().await,
        }
    }

    fn known_here(&mut self) -> Result<Option<Known>, ExplainError> {
        let Some(name) = self.asked.user.clone() else {
            self.say(1, "it takes users with passwords, and none is named: say --user");
            return Ok(None);
        };
        let Some(user) = self.users()?.user(&name) else {
            self.say(1, format!("user '{name}' is not known"));
            return Ok(None);
        };
        let tags = shown(&user.tags);
        self.say(1, format!("user '{name}' is known; tags: {tags}; its password is not looked at"));
        Ok(Some(Known::Internal(name)))
    }

    async fn known_to_service(&mut self) -> Result<Option<Known>, ExplainError> {
        let name = self.asked.user.clone().unwrap_or_default();
        let password = self.token.clone();
        match self.service()?.login(&name, password.as_deref().map(str::as_bytes)).await {
            Login::Known(tags) => {
                self.say(1, format!("the service knows user '{name}'; tags: {}", shown(&tags)));
                let vhost = self.asked.vhost.clone();
                Ok(Some(Known::Http(Who { name, tags: tags.join(" "), vhost })))
            }
            Login::Refused(why) => {
                self.say(1, why);
                Ok(None)
            }
        }
    }

    async fn known_by_token(&mut self) -> Result<Option<Known>, ExplainError> {
        let Some(token) = self.token.clone() else {
            self.say(1, "it takes tokens, and there is none: say --token or --token-file");
            return Ok(None);
        };
        match self.tokens()?.verify(token.trim().as_bytes()).await {
            Ok(token) => {
                let end =
                    token.expires.map_or_else(|| "never".to_owned(), |end| format!("at {end}"));
                let (name, tags) = (&token.name, shown(&token.tags));
                let line = format!(
                    "the token is good: user '{name}'; tags: {tags}; it expires {end}; scopes: {}",
                    shown(&token.scopes)
                );
                self.say(1, line);
                Ok(Some(Known::Token(Box::new(token))))
            }
            Err(why) => {
                self.say(1, why.to_string());
                Ok(None)
            }
        }
    }

    fn by_permissions(&mut self, name: &str) -> Result<bool, ExplainError> {
        let vhost = &self.asked.vhost;
        let Some(permissions) = self.users()?.permissions(name, vhost) else {
            self.say(1, format!("it may not enter vhost '{vhost}': {NO_PERMISSIONS}"));
            return Ok(false);
        };
        self.say(1, format!("it has permissions in vhost '{vhost}'"));
        let wishes = wishes(self.asked);
        Ok(wishes.iter().all(|wish| self.say_because(permissions.explain(wish))))
    }

    fn by_scopes(&mut self, token: &Token) -> Result<bool, ExplainError> {
        let tokens = self.tokens()?;
        let mut granted = self.say_because(tokens.explain_entry(token, &self.asked.vhost));
        for wish in wishes(self.asked) {
            granted = granted && self.say_because(tokens.explain(token, &wish));
        }
        Ok(granted)
    }

    async fn by_service(&mut self, who: &Who) -> Result<bool, ExplainError> {
        let service = self.service()?;
        let here = std::net::Ipv4Addr::LOCALHOST.into();
        let mut questions = vec![(format!("vhost '{}'", who.vhost), Question::Enter(here))];
        let kind = if self.asked.queue.is_some() { "queue" } else { "exchange" };
        for wish in wishes(self.asked) {
            let (name, permission) = (wish.name.to_owned(), wish.permission);
            let question = match wish.key {
                None => Question::Resource { kind, name, permission },
                Some(key) => Question::Topic { name, permission, key: key.to_owned() },
            };
            questions.push((wish.to_string(), question));
        }
        for (what, question) in questions {
            let verdict = service.judge(who, &question).await;
            self.say(1, format!("{what}: the service says {}", said(&verdict)));
            if verdict != Verdict::Allowed {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn service(&self) -> Result<Http, ExplainError> {
        let http = &self.config.authentication.backends.http;
        Http::new(http, None).map_err(|error| ExplainError::Backend(format!("auth_http: {error}")))
    }

    fn tokens(&self) -> Result<OAuth2, ExplainError> {
        let oauth2 = OAuth2::new(&self.config.authentication.backends.oauth2);
        oauth2.map_err(|error| ExplainError::Backend(error.to_string()))
    }

    /// The users of the last export.
    fn users(&self) -> Result<Users, ExplainError> {
        let snapshot: Snapshot = exported(&self.config.data_dir)?;
        let topics = parameters::topic_permissions(&snapshot)?;
        let stored = records::load(&snapshot)?;
        let definitions = Arc::new(DefinitionStore::new(Arc::new(MemoryMetadata::new()), 1));
        Ok(Users::new(definitions, &stored, &topics, &[]))
    }
}

/// What the user wants to do, beside entering the vhost.
fn wishes(asked: &Explained) -> Vec<Wish<'_>> {
    let permission = match asked.permission.as_str() {
        "configure" => Permission::Configure,
        "read" => Permission::Read,
        _ => Permission::Write,
    };
    let Some(name) = asked.queue.as_deref().or(asked.exchange.as_deref()) else {
        return Vec::new();
    };
    let name = if name.is_empty() { "amq.default" } else { name };
    let wish = Wish { permission, vhost: &asked.vhost, name, key: None };
    let topic = asked.routing_key.as_deref().map(|key| Wish { key: Some(key), ..wish });
    [wish].into_iter().chain(topic).collect()
}

fn shown(words: &[String]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn said(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allowed => "allow".to_owned(),
        Verdict::Denied(None) => "deny".to_owned(),
        Verdict::Denied(Some(reason)) => format!("deny: {reason}"),
        Verdict::Failed(why) => format!("nothing: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::signature::Ed25519KeyPair;
    use serde_json::{Value, json};

    use super::*;
    use crate::clock;
    use crate::startup;

    /// A broker's directory and configuration.
    struct Rig {
        directory: tempfile::TempDir,
        key: rcgen::KeyPair,
    }

    impl Rig {
        fn new(lines: &str) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
            let file = directory.path().join("key.pem");
            std::fs::write(&file, key.public_key_pem()).unwrap();
            let keys = format!(
                "auth_oauth2.resource_server_id = rabbitmq\nauth_oauth2.signing_keys.k = {}\n",
                file.display()
            );
            std::fs::write(directory.path().join("leveret.conf"), keys + lines).unwrap();
            Self { directory, key }
        }

        fn token(&self, claims: &Value) -> String {
            let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let signed =
                format!("{}.{}", encode(&json!({"alg": "EdDSA", "kid": "k"})), encode(claims));
            let signer = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&self.key.serialize_der());
            let signature = signer.unwrap().sign(signed.as_bytes());
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        }

        async fn explain(&self, asked: Explained) -> (bool, String) {
            let config = Some(self.directory.path().join("leveret.conf"));
            let data_dir = Some(self.directory.path().join("data"));
            let asked = Explained { config, data_dir, ..asked };
            let explanation = explain(&asked, |_| None).await.unwrap();
            (explanation.granted, explanation.lines.join("\n"))
        }
    }

    fn writes(exchange: &str) -> Explained {
        Explained {
            user: None,
            token: None,
            token_file: None,
            vhost: "/".to_owned(),
            queue: None,
            exchange: Some(exchange.to_owned()),
            routing_key: None,
            permission: "write".to_owned(),
            config: None,
            data_dir: None,
        }
    }

    #[tokio::test]
    async fn users_are_explained_beside_a_running_broker_and_without_one() {
        let lines = "default_users.bob.password = secret\ndefault_users.bob.write = ^own-\n";
        let rig = Rig::new(lines);
        let of =
            |user: &str, exchange| Explained { user: Some(user.to_owned()), ..writes(exchange) };
        let options = ServeOptions {
            config: Some(rig.directory.path().join("leveret.conf")),
            data_dir: Some(rig.directory.path().join("data")),
            ..ServeOptions::default()
        };
        let start = || startup::start(&Config::load(&options, |_| None).unwrap()).unwrap();
        start().close().unwrap();
        let stopped = rig.explain(of("guest", "x")).await;
        let running = start();
        assert_eq!(rig.explain(of("guest", "x")).await, stopped);
        running.close().unwrap();
        let guest = "1 of 1: internal\n  user 'guest' is known; tags: administrator; its password is \
                     not looked at\n  it has permissions in vhost '/'\n  the write permission '.*' \
                     matches the name 'x'\ngranted";
        assert_eq!(stopped, (true, guest.to_owned()));
        let (granted, lines) = rig.explain(of("bob", "x")).await;
        let sentence = "the write permission '^own-' does not match the name 'x'\nrefused";
        assert!(!granted && lines.ends_with(sentence), "{lines}");
        let (granted, lines) = rig.explain(of("eve", "x")).await;
        assert!(!granted && lines.contains("user 'eve' is not known"), "{lines}");
        let elsewhere = Explained { vhost: "v".to_owned(), ..of("guest", "x") };
        let (granted, lines) = rig.explain(elsewhere).await;
        assert!(!granted && lines.contains(NO_PERMISSIONS), "{lines}");
    }

    #[tokio::test]
    async fn tokens_are_explained_scope_by_scope() {
        let rig = Rig::new("auth_backends.1 = oauth2\n");
        let end = clock::unix_millis() / 1000 + 60;
        let claims =
            |scope: &str| json!({"sub": "bob", "aud": "rabbitmq", "scope": scope, "exp": end});
        let of = |claims: Value| Explained { token: Some(rig.token(&claims)), ..writes("x") };
        let good = claims("rabbitmq.write:*/x rabbitmq.tag:monitoring");
        let (granted, lines) = rig.explain(of(good.clone())).await;
        assert!(granted, "{lines}");
        assert!(lines.contains("user 'bob'; tags: monitoring"), "{lines}");
        assert!(
            lines.contains("the scope 'write:*/x' permits write on 'x' in vhost '/'"),
            "{lines}"
        );
        let topic = Explained { routing_key: Some("a.b".to_owned()), ..of(good.clone()) };
        let (granted, lines) = rig.explain(topic).await;
        assert!(!granted && lines.contains("'write:*/x' says nothing of routing keys"), "{lines}");
        for (claims, sentence) in [
            (
                claims("rabbitmq.read:*/*"),
                "no scope permits write on 'x' in vhost '/': 'read:*/*' is about read",
            ),
            (claims("rabbitmq.write:v/x"), "to enter vhost '/': 'write:v/x' is about other vhosts"),
            (claims("other.write:*/*"), "the token has none for this broker"),
            (json!({"aud": "else", "exp": end}), "its audience is 'else', and not 'rabbitmq'"),
            (json!({"aud": "rabbitmq", "exp": 7}), "it has expired at timestamp 7"),
        ] {
            let (granted, lines) = rig.explain(of(claims)).await;
            assert!(!granted && lines.contains(sentence), "{lines}");
        }
        let mut forged = rig.token(&good);
        forged.replace_range(forged.len() - 4..forged.len() - 2, "AA");
        let (granted, lines) = rig.explain(Explained { token: Some(forged), ..writes("x") }).await;
        assert!(!granted && lines.contains("its signature is not of this key"), "{lines}");
    }
}
