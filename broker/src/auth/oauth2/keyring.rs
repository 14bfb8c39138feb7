//! The keys that are known: those from files, and those that the issuer of tokens publishes.
//!
//! A room of `auth::oauth2`. A token that names a key which is not known has the issuer's asked
//! again, since issuers change theirs. Stays true: the issuer is asked by one login at a time and
//! every ten seconds at most, whoever sends tokens that name what does not exist; keys that are
//! known stay so while it cannot be reached.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::keys::{Key, shown};
use crate::config::OAuth2;
use crate::http_client::{HttpClient, RootsError, Times};
use crate::url::Url;

/// Between two times at which the issuer is asked.
const PAUSE: Duration = Duration::from_secs(10);
/// Until the issuer has answered.
const PATIENCE: Duration = Duration::from_secs(5);
/// Keys of a set; a set with more is cut off.
const KEYS_MAX: usize = 1024;

type Keys = HashMap<Option<String>, Key>;

/// See the module documentation.
pub(super) struct Keyring {
    from_files: Keys,
    published: ArcSwap<Keys>,
    source: Source,
    client: HttpClient,
    /// When the issuer was asked last, and what came of it.
    asked: Mutex<Option<(Instant, Result<(), String>)>>,
}

enum Source {
    Nowhere,
    Set(Url),
    Discovery(Url, String),
}

/// Keys cannot be set up. One line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyringError {
    /// A file cannot be read, or holds no key.
    #[error("auth_oauth2.signing_keys.{0}: {1} {2}")]
    File(String, String, String),
    /// The certificates of issuers cannot be verified.
    #[error("auth_oauth2.https: {0}")]
    Roots(#[from] RootsError),
    /// The issuer's URL makes no sense together with the path.
    #[error("auth_oauth2.discovery_endpoint_path makes no URL of the issuer's")]
    Discovery,
}

impl Keyring {
    /// The keys of files. Nobody is asked yet.
    pub(super) fn new(settings: &OAuth2) -> Result<Self, KeyringError> {
        let mut from_files = Keys::new();
        for (id, path) in &settings.signing_keys {
            let wrong = |why: &str| {
                KeyringError::File(id.clone(), path.display().to_string(), why.to_owned())
            };
            let pem = fs::read(path).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
            from_files.insert(Some(id.clone()), Key::from_pem(&pem).map_err(wrong)?);
        }
        let source = match (&settings.jwks, &settings.issuer) {
            (Some(url), _) => Source::Set(url.clone()),
            (None, Some(issuer)) => {
                let url = issuer.join(&settings.discovery_path).ok_or(KeyringError::Discovery)?;
                let query = settings.discovery_parameters.iter();
                let query: Vec<_> = query.map(|(name, value)| format!("{name}={value}")).collect();
                Source::Discovery(url, query.join("&"))
            }
            (None, None) => Source::Nowhere,
        };
        let with_tls = [&settings.jwks, &settings.issuer].into_iter().flatten().any(Url::with_tls);
        let tls = with_tls.then_some(settings.cacertfile.as_deref());
        let client = HttpClient::new(tls, Times { connect: PATIENCE, request: PATIENCE })?;
        let (published, asked) = (ArcSwap::default(), Mutex::default());
        Ok(Self { from_files, published, source, client, asked })
    }

    /// The key of that id; `None` is a key without one.
    ///
    /// # Errors
    /// There is none. A sentence.
    pub(super) async fn key(&self, id: Option<&str>) -> Result<Key, String> {
        let id = id.map(str::to_owned);
        if let Some(key) = self.known(&id) {
            return Ok(key);
        }
        let asked = self.ask().await;
        self.known(&id).ok_or_else(|| {
            let name = id.as_deref().map_or_else(
                || "no key, and auth_oauth2.default_key names none".to_owned(),
                |id| format!("the key '{}', which is not known", shown(id)),
            );
            match asked {
                Ok(()) => format!("it names {name}"),
                Err(why) => format!("it names {name}; {why}"),
            }
        })
    }

    fn known(&self, id: &Option<String>) -> Option<Key> {
        self.published.load().get(id).or_else(|| self.from_files.get(id)).cloned()
    }

    /// Reads the published keys again, unless that was done a moment ago.
    async fn ask(&self) -> Result<(), String> {
        if matches!(self.source, Source::Nowhere) {
            return Ok(());
        }
        let mut asked = self.asked.lock().await;
        if let Some((when, outcome)) = &*asked
            && when.elapsed() < PAUSE
        {
            return outcome.clone();
        }
        let outcome = self.read().await.map(|keys| self.published.store(Arc::new(keys)));
        if let Err(why) = &outcome {
            tracing::error!(
                event = "token.keys_unreadable",
                "keys of tokens cannot be read: {why}"
            );
        }
        *asked = Some((Instant::now(), outcome.clone()));
        outcome
    }

    async fn read(&self) -> Result<Keys, String> {
        let url = match &self.source {
            Source::Nowhere => return Ok(Keys::new()),
            Source::Set(url) => url.clone(),
            Source::Discovery(url, query) => {
                let about = self.json(url, query).await?;
                let named = about.get("jwks_uri").and_then(Value::as_str).and_then(Url::parse);
                let safe = named.filter(Url::is_secure);
                safe.ok_or_else(|| format!("{url} names no jwks_uri that can be trusted"))?
            }
        };
        let set = self.json(&url, "").await?;
        let keys = key_set(&set);
        if keys.is_empty() {
            Err(format!("{url} has no keys that are known here"))
        } else {
            Ok(keys)
        }
    }

    async fn json(&self, url: &Url, query: &str) -> Result<Value, String> {
        let response = self.client.get(url, query).await.map_err(|error| error.to_string())?;
        if response.status != 200 {
            return Err(format!("{url} answered with status {}", response.status));
        }
        serde_json::from_slice(&response.body).map_err(|_| format!("{url} answered with no JSON"))
    }
}

/// The keys of a set (RFC 7517, 5). Those of kinds that are not known, or that encrypt, are passed
/// over.
fn key_set(set: &Value) -> Keys {
    let keys = set.get("keys").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let signs = |jwk: &&Value| jwk.get("use").and_then(Value::as_str).is_none_or(|to| to == "sig");
    let keys = keys.iter().filter(signs).take(KEYS_MAX).filter_map(|jwk| {
        let id = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
        Some((id, Key::from_jwk(jwk)?))
    });
    keys.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_set_has_the_keys_that_sign() {
        let key = |id: &str, to: &str| json!({"kty": "oct", "k": "AAAA", "kid": id, "use": to});
        let set = json!({"keys": [
            key("a", "sig"), key("b", "enc"), {"kty": "oct", "k": "AAAA"}, {"kty": "new", "kid": "c"}, 7,
        ]});
        let mut ids: Vec<_> = key_set(&set).into_keys().collect();
        ids.sort();
        assert_eq!(ids, [None, Some("a".to_owned())]);
        for none in [json!({}), json!([]), json!({"keys": 7})] {
            assert_eq!(key_set(&none).len(), 0, "{none}");
        }
    }
}
