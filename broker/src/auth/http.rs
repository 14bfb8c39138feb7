//! The HTTP backend: a service of the operator's says who may log in, and what everybody may do.
//!
//! Asked by `backends` at a login and by `remote` for a connection. Form fields and answers are those of RabbitMQ's plugin
//! (<https://github.com/rabbitmq/rabbitmq-server/tree/main/deps/rabbitmq_auth_backend_http>). What a
//! connection was told it remembers (`remote`); with the backend `cache` in front, connections share
//! what they were told. Stays true: a service that is down or answers nonsense refuses.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::auth::rights::Permission;
use crate::config::{HttpAuth, HttpMethod};
use crate::http_client::{Form, HttpClient, RootsError, Times};
use crate::url::Url;

/// Answers that connections share; the cache is emptied when it is full.
const SHARED_MAX: usize = 16_384;

/// See the module documentation.
pub(crate) struct Http {
    client: HttpClient,
    options: HttpAuth,
    /// Shared among connections, with the backend `cache`.
    shared: Option<Shared>,
}

/// For whom something is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Who {
    /// The user's name.
    pub name: String,
    /// Its tags, separated by spaces.
    pub tags: String,
    /// The vhost it enters or has entered.
    pub vhost: String,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// Whether the user may enter the vhost, from this address.
    Enter(IpAddr),
    /// Whether it may do this with a queue or an exchange.
    Resource {
        /// `queue` or `exchange`.
        kind: &'static str,
        /// The default exchange is `amq.default`.
        name: String,
        /// What it wants to do.
        permission: Permission,
    },
    /// Whether it may use a routing key with a topic exchange.
    Topic {
        /// The exchange.
        name: String,
        /// `write` to publish, `read` to bind.
        permission: Permission,
        /// The routing key.
        key: String,
    },
}

/// What the service says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may.
    Allowed,
    /// It may not; the reason, if clients are to be told.
    Denied(Option<String>),
    /// There was no answer, or none that can be understood. A line for people.
    Failed(String),
}

/// What the service said of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Login {
    /// The user has these tags.
    Known(Vec<String>),
    /// Why not.
    Refused(String),
}

struct Shared {
    key: [u8; 32],
    lifetime: Duration,
    refusals: bool,
    logins: Mutex<Answers<[u8; 32], Login>>,
    verdicts: Mutex<Answers<(Who, Question), Verdict>>,
}

impl Http {
    /// A backend that asks anew each time, unless `shared` says how long answers are good.
    ///
    /// # Errors
    /// A URL is of https, and nobody's certificate can be trusted.
    pub(crate) fn new(
        options: &HttpAuth,
        shared: Option<(Duration, bool)>,
    ) -> Result<Self, RootsError> {
        let paths = [&options.user, &options.vhost, &options.resource, &options.topic];
        let trust = paths.into_iter().any(Url::with_tls).then_some(options.cacertfile.as_deref());
        let times = Times { connect: options.connection_timeout, request: options.request_timeout };
        let shared = shared.map(|(lifetime, refusals)| Shared {
            key: rand::random(),
            lifetime,
            refusals,
            logins: Mutex::default(),
            verdicts: Mutex::default(),
        });
        Ok(Self { client: HttpClient::new(trust, times)?, options: options.clone(), shared })
    }

    /// Whether the password is the user's; without one, whether there is such a user.
    pub(crate) async fn login(&self, user: &str, password: Option<&[u8]>) -> Login {
        let known = self.shared.as_ref().map(|shared| (shared, shared.login_key(user, password)));
        if let Some((shared, key)) = &known
            && let Some(login) = shared.logins.lock().get(key)
        {
            return login;
        }
        let mut form = Form::default();
        form.add("username", user.as_bytes());
        if let Some(password) = password {
            form.add("password", password);
        }
        let login = match self.ask(&self.options.user, form).await {
            Ok(answer) => read_login(&answer),
            Err(error) => Login::Refused(error),
        };
        if let Some((shared, key)) = known {
            let is_refusal = matches!(login, Login::Refused(_));
            if !is_refusal || shared.refusals {
                shared.logins.lock().put(key, login.clone(), shared.lifetime);
            }
        }
        login
    }

    /// Asks whether the user may do something.
    pub(crate) async fn judge(&self, who: &Who, question: &Question) -> Verdict {
        let key = self.shared.as_ref().map(|shared| (shared, (who.clone(), question.clone())));
        if let Some((shared, key)) = &key
            && let Some(verdict) = shared.verdicts.lock().get(key)
        {
            return verdict;
        }
        let verdict = match self.ask(self.path(question), form(who, question)).await {
            Ok(answer) => self.read_verdict(&answer),
            Err(error) => Verdict::Failed(error),
        };
        if let Some((shared, key)) = key {
            let is_kept = match verdict {
                Verdict::Allowed => true,
                Verdict::Denied(_) => shared.refusals,
                Verdict::Failed(_) => false,
            };
            if is_kept {
                shared.verdicts.lock().put(key, verdict.clone(), shared.lifetime);
            }
        }
        verdict
    }

    fn path(&self, question: &Question) -> &Url {
        match question {
            Question::Enter(_) => &self.options.vhost,
            Question::Resource { .. } => &self.options.resource,
            Question::Topic { .. } => &self.options.topic,
        }
    }

    async fn ask(&self, url: &Url, form: Form) -> Result<String, String> {
        let response = match self.options.method {
            HttpMethod::Get => self.client.get(url, &form.into_text()).await,
            HttpMethod::Post => self.client.post(url, form.into_text()).await,
        };
        let response = response.map_err(|error| error.to_string())?;
        if !matches!(response.status, 200 | 201) {
            return Err(format!("{url} answered with status {}", response.status));
        }
        let text = String::from_utf8_lossy(&response.body);
        Ok(text.trim().to_owned())
    }

    fn read_verdict(&self, answer: &str) -> Verdict {
        if let Some(reason) = answer.strip_prefix("deny ") {
            tracing::info!("the HTTP backend refuses: {reason}");
            return Verdict::Denied(self.options.discloses.then(|| reason.to_owned()));
        }
        match answer.to_lowercase().as_str() {
            "allow" => Verdict::Allowed,
            "deny" => Verdict::Denied(None),
            _ => Verdict::Failed(unknown_answer(answer)),
        }
    }
}

/// RabbitMQ takes the words behind `allow` for tags.
fn read_login(answer: &str) -> Login {
    let denied = "Denied by the backing HTTP service";
    if let Some(reason) = answer.strip_prefix("deny ") {
        return Login::Refused(format!("{denied}: {reason}"));
    }
    let lower = answer.to_lowercase();
    let mut words = lower.split_ascii_whitespace();
    match words.next() {
        Some("allow") => Login::Known(words.map(str::to_owned).collect()),
        Some("deny") => Login::Refused(denied.to_owned()),
        _ => Login::Refused(unknown_answer(answer)),
    }
}

fn unknown_answer(answer: &str) -> String {
    let beginning: String =
        answer.chars().take(40).map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("the HTTP backend answered neither allow nor deny, but '{beginning}'")
}

fn form(who: &Who, question: &Question) -> Form {
    let mut form = Form::default();
    form.add("username", who.name.as_bytes());
    form.add("vhost", who.vhost.as_bytes());
    match question {
        Question::Enter(address) => form.add("ip", address.to_canonical().to_string().as_bytes()),
        Question::Resource { kind, name, permission } => {
            form.add("resource", kind.as_bytes());
            form.add("name", name.as_bytes());
            form.add("permission", permission.name().as_bytes());
        }
        Question::Topic { name, permission, .. } => {
            form.add("resource", b"topic");
            form.add("name", name.as_bytes());
            form.add("permission", permission.name().as_bytes());
        }
    }
    form.add("tags", who.tags.as_bytes());
    if let Question::Topic { key, .. } = question {
        form.add("routing_key", key.as_bytes());
        form.add("variable_map.username", who.name.as_bytes());
        form.add("variable_map.vhost", who.vhost.as_bytes());
    }
    form
}

impl Shared {
    /// No password is kept, in whatever form that helps to guess it.
    fn login_key(&self, user: &str, password: Option<&[u8]>) -> [u8; 32] {
        let inner = Sha256::new()
            .chain_update(self.key)
            .chain_update((user.len() as u64).to_be_bytes())
            .chain_update(user)
            .chain_update([u8::from(password.is_some())])
            .chain_update(password.unwrap_or_default())
            .finalize();
        Sha256::new().chain_update(self.key).chain_update(inner).finalize().into()
    }
}

struct Answers<K, V>(HashMap<K, (V, Instant)>);

impl<K, V> Default for Answers<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash, V: Clone> Answers<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        let (answer, until) = self.0.get(key)?;
        (Instant::now() < *until).then(|| answer.clone())
    }

    fn put(&mut self, key: K, answer: V, lifetime: Duration) {
        let now = Instant::now();
        if self.0.len() >= SHARED_MAX {
            self.0.retain(|_, (_, until)| now < *until);
            if self.0.len() >= SHARED_MAX {
                self.0.clear();
            }
        }
        self.0.insert(key, (answer, now + lifetime));
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("user", &self.options.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_have_rabbitmqs_fields() {
        let who = Who { name: "a b".to_owned(), tags: "x y".to_owned(), vhost: "/".to_owned() };
        let enter = form(&who, &Question::Enter([127, 0, 0, 1].into()));
        assert_eq!(enter.into_text(), "username=a+b&vhost=%2F&ip=127.0.0.1&tags=x+y");
        let name = "q&=é".to_owned();
        let permission = Permission::Configure;
        let resource = Question::Resource { kind: "queue", name, permission };
        assert_eq!(
            form(&who, &resource).into_text(),
            "username=a+b&vhost=%2F&resource=queue&name=q%26%3D%C3%A9&permission=configure&tags=x+y"
        );
        let (name, key) = ("amq.topic".to_owned(), "a.b".to_owned());
        let topic = Question::Topic { name, permission: Permission::Write, key };
        assert_eq!(
            form(&who, &topic).into_text(),
            "username=a+b&vhost=%2F&resource=topic&name=amq.topic&permission=write&tags=x+y&\
             routing_key=a.b&variable_map.username=a+b&variable_map.vhost=%2F"
        );
    }

    #[test]
    fn logins_are_answered_in_words() {
        let tags = |tags: &[&str]| Login::Known(tags.iter().map(ToString::to_string).collect());
        for (answer, expected) in [
            ("allow", tags(&[])),
            ("ALLOW", tags(&[])),
            ("allow administrator management", tags(&["administrator", "management"])),
            ("deny", Login::Refused("Denied by the backing HTTP service".to_owned())),
            ("Deny", Login::Refused("Denied by the backing HTTP service".to_owned())),
            (
                "deny no such user",
                Login::Refused("Denied by the backing HTTP service: no such user".to_owned()),
            ),
        ] {
            assert_eq!(read_login(answer), expected, "{answer}");
        }
        for nonsense in ["", "yes", "allowed", "<html>\n\u{1b}[0m"] {
            let Login::Refused(reason) = read_login(nonsense) else { panic!("{nonsense}") };
            assert!(reason.contains("neither") && !reason.contains(char::is_control), "{reason}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn shared_answers_have_an_end_and_a_bound() {
        let mut answers = Answers::default();
        let lifetime = Duration::from_secs(15);
        answers.put(1, "a", lifetime);
        tokio::time::advance(Duration::from_secs(14)).await;
        assert_eq!(answers.get(&1), Some("a"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(answers.get(&1), None);
        for n in 0..SHARED_MAX * 2 + 5 {
            answers.put(n, "b", lifetime);
            assert!(answers.0.len() <= SHARED_MAX);
        }
    }
}
