//! What a token says, as RabbitMQ understands it: for whom it is, who it is, until when, and which
//! scopes it has.
//!
//! Pure, with the time as an argument. A room of `auth::oauth2`. Stays true: every refusal is a
//! sentence that an operator can act on, and repeats no token.

use serde_json::{Map, Value};

use super::keys::shown;
use crate::config::OAuth2;

/// RabbitMQ: a token with more scopes than these is refused.
const SCOPES_MAX: usize = 2048;
/// Claims that name the user, unless others are configured.
const NAME_CLAIMS: [&str; 2] = ["sub", "client_id"];

/// A token that was verified, and is for this broker.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    /// The user's name.
    pub name: String,
    /// What it may administrate.
    pub tags: Vec<String>,
    /// What it may do, without the prefix.
    pub scopes: Vec<String>,
    /// When it is over, in seconds since the Unix epoch; `None` for never.
    pub expires: Option<u64>,
    /// All it says, for variables in scopes.
    pub claims: Map<String, Value>,
}

/// A token of a good signature is refused. A sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadClaims {
    /// It is for others.
    #[error("its audience is {found}, and not '{wanted}' (auth_oauth2.resource_server_id)")]
    Audience {
        /// For whom it is.
        found: String,
        /// For whom it should be.
        wanted: String,
    },
    /// Its time is up.
    #[error("it has expired at timestamp {0} (validated at {1})")]
    Expired(u64, u64),
    /// Its end cannot be read.
    #[error("its exp claim is no number")]
    NoNumber,
    /// It has no end.
    #[error("it has no exp claim (auth_oauth2.require_exp)")]
    NoExpiry,
    /// Too many scopes.
    #[error("it has more than 2048 scopes")]
    TooManyScopes,
}

impl Token {
    /// Understands the claims of a token whose signature is good. `now` is in seconds since the Unix
    /// epoch.
    ///
    /// # Errors
    /// It is for others, or its time is up.
    pub(crate) fn of(
        claims: Map<String, Value>,
        settings: &OAuth2,
        now: u64,
    ) -> Result<Self, BadClaims> {
        assert_audience(&claims, settings)?;
        let scopes = scopes(&claims, settings);
        if scopes.len() > SCOPES_MAX {
            return Err(BadClaims::TooManyScopes);
        }
        let expires = expiry(&claims, settings, now)?;
        let tags = scopes.iter().filter_map(|scope| scope.strip_prefix("tag:"));
        let tags = tags.map(str::to_owned).collect();
        Ok(Self { name: name(&claims, settings), tags, scopes, expires, claims })
    }
}

impl BadClaims {
    /// What RabbitMQ says of a token that is over, or has no end that can be read.
    pub(super) fn over(&self) -> Option<String> {
        match self {
            Self::Expired(end, now) => Some(format!(
                "Provided JWT token has expired at timestamp {end} (validated at {now})"
            )),
            Self::NoNumber => Some(
                "Provided JWT token has an invalid exp claim: value is not a number".to_owned(),
            ),
            Self::NoExpiry => Some("Provided JWT token has no exp claim".to_owned()),
            Self::Audience { .. } | Self::TooManyScopes => None,
        }
    }
}

/// RabbitMQ: text is a list of words.
pub(super) fn assert_audience(
    claims: &Map<String, Value>,
    settings: &OAuth2,
) -> Result<(), BadClaims> {
    let audience = match claims.get("aud") {
        Some(Value::String(words)) => words.split(' ').collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(_) | None => Vec::new(),
    };
    let wanted = settings.resource_server_id.as_str();
    if !settings.verify_audience || (!wanted.is_empty() && audience.contains(&wanted)) {
        return Ok(());
    }
    let names: Vec<_> = audience.iter().take(8).map(|name| format!("'{}'", shown(name))).collect();
    let found = if names.is_empty() { "not given".to_owned() } else { names.join(", ") };
    Err(BadClaims::Audience { found, wanted: wanted.to_owned() })
}

fn expiry(
    claims: &Map<String, Value>,
    settings: &OAuth2,
    now: u64,
) -> Result<Option<u64>, BadClaims> {
    let Some(claimed) = claims.get("exp") else {
        return if settings.require_expiry { Err(BadClaims::NoExpiry) } else { Ok(None) };
    };
    let end = match claimed.as_u64() {
        Some(end) => end,
        None => {
            let number = claimed.as_f64().ok_or(BadClaims::NoNumber)?;
            std::time::Duration::try_from_secs_f64(number)
                .map_or(if number > 0.0 { u64::MAX } else { 0 }, |since| since.as_secs())
        }
    };
    if end <= now { Err(BadClaims::Expired(end, now)) } else { Ok(Some(end)) }
}

fn name(claims: &Map<String, Value>, settings: &OAuth2) -> String {
    let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
    let configured = &settings.username_claims;
    let found = match configured.is_empty() {
        true => NAME_CLAIMS.into_iter().find_map(text),
        false => configured.iter().find_map(|claim| text(claim)),
    };
    found.unwrap_or("unknown").to_owned()
}

/// All scopes that are for this broker, without the prefix, each once.
fn scopes(claims: &Map<String, Value>, settings: &OAuth2) -> Vec<String> {
    let id = &settings.resource_server_id;
    let mut all = found_at(claims, "authorization.permissions.scopes", id);
    for path in settings.additional_scopes_key.split(' ').filter(|path| !path.is_empty()) {
        all.extend(found_at(claims, path, id));
    }
    all.extend(match claims.get("scope") {
        Some(Value::String(text)) => words(text),
        Some(Value::Array(list)) => texts(list),
        Some(_) | None => Vec::new(),
    });
    let aliased: Vec<String> = settings
        .scope_aliases
        .iter()
        .filter(|(alias, _)| all.contains(alias))
        .flat_map(|(_, meaning)| words(meaning))
        .collect();
    all.extend(aliased);
    let prefix = settings.scope_prefix.clone();
    let prefix =
        prefix.unwrap_or_else(|| if id.is_empty() { String::new() } else { format!("{id}.") });
    let mut own: Vec<String> =
        all.iter().filter_map(|scope| scope.strip_prefix(&prefix)).map(str::to_owned).collect();
    own.sort();
    own.dedup();
    own
}

/// The scopes under a path of names between dots, through objects and lists of objects.
fn found_at(claims: &Map<String, Value>, path: &str, id: &str) -> Vec<String> {
    let names: Vec<&str> = path.split('.').filter(|name| !name.is_empty()).collect();
    let mut found = Vec::new();
    if let Some((first, rest)) = names.split_first()
        && let Some(value) = claims.get(*first)
    {
        collect(value, rest, id, &mut found);
    }
    found
}

fn collect(value: &Value, path: &[&str], id: &str, found: &mut Vec<String>) {
    match (value, path.split_first()) {
        (Value::Array(list), Some(_)) => {
            list.iter().for_each(|value| collect(value, path, id, found));
        }
        (Value::Object(object), Some((name, rest))) => {
            if let Some(value) = object.get(*name) {
                collect(value, rest, id, found);
            }
        }
        (Value::Array(list), None) => found.extend(texts(list)),
        (Value::String(text), None) => found.extend(words(text)),
        // Of an object the scopes for this broker, which stand there without the prefix.
        (Value::Object(object), None) => {
            let own = match object.get(id) {
                Some(Value::Array(list)) => texts(list),
                Some(Value::String(text)) => words(text),
                Some(_) | None => Vec::new(),
            };
            found.extend(own.into_iter().map(|scope| format!("{id}.{scope}")));
        }
        (Value::Null | Value::Bool(_) | Value::Number(_), _) | (Value::String(_), Some(_)) => {}
    }
}

fn texts(list: &[Value]) -> Vec<String> {
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::config::{Config, ServeOptions};

    const NOW: u64 = 1_000_000;

    fn settings(lines: &str) -> OAuth2 {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("leveret.conf");
        std::fs::write(&file, format!("auth_oauth2.resource_server_id = rabbitmq\n{lines}"))
            .unwrap();
        let options = ServeOptions { config: Some(file), ..ServeOptions::default() };
        Config::load(&options, |_| None).unwrap().authentication.backends.oauth2
    }

    fn token(lines: &str, claims: Value) -> Result<Token, BadClaims> {
        let mut claims = claims.as_object().cloned().unwrap();
        claims.entry("aud").or_insert("rabbitmq".into());
        claims.entry("exp").or_insert((NOW + 60).into());
        Token::of(claims, &settings(lines), NOW)
    }

    fn scopes(lines: &str, claims: Value) -> Vec<String> {
        token(lines, claims).unwrap().scopes
    }

    #[test]
    fn a_token_is_for_its_audience() {
        for good in [json!("rabbitmq"), json!("a rabbitmq b"), json!(["a", "rabbitmq"])] {
            assert!(token("", json!({"aud": good})).is_ok(), "{good}");
        }
        for (bad, found) in [
            (json!("rabbit"), "'rabbit'"),
            (json!(["a", "b"]), "'a', 'b'"),
            (json!([]), "not given"),
            (json!(7), "not given"),
        ] {
            let error = token("", json!({"aud": bad.clone()})).unwrap_err().to_string();
            assert!(error.contains(found) && error.contains("'rabbitmq'"), "{error}");
            let unchecked = "auth_oauth2.verify_aud = false";
            assert!(token(unchecked, json!({"aud": bad})).is_ok());
        }
    }

    #[test]
    fn a_token_has_an_end() {
        assert_eq!(token("", json!({"exp": NOW})), Err(BadClaims::Expired(NOW, NOW)));
        assert_eq!(token("", json!({"exp": -1})), Err(BadClaims::Expired(0, NOW)));
        assert_eq!(token("", json!({"exp": "soon"})), Err(BadClaims::NoNumber));
        let end = |exp| token("", json!({"exp": exp})).unwrap().expires;
        assert_eq!(end(json!(NOW + 1)), Some(NOW + 1));
        assert_eq!(end(json!(1_000_001.9)), Some(NOW + 1));
        assert_eq!(end(json!(1e300)), Some(u64::MAX));
        let endless = json!({"aud": "rabbitmq"}).as_object().cloned().unwrap();
        assert_eq!(Token::of(endless.clone(), &settings(""), NOW), Err(BadClaims::NoExpiry));
        let allowed = settings("auth_oauth2.require_exp = false");
        assert_eq!(Token::of(endless, &allowed, NOW).unwrap().expires, None);
    }

    #[test]
    fn the_users_name_is_a_claim() {
        let name = |lines, claims| token(lines, claims).unwrap().name;
        assert_eq!(name("", json!({"sub": "bob", "client_id": "c"})), "bob");
        assert_eq!(name("", json!({"client_id": "c"})), "c");
        assert_eq!(name("", json!({"sub": 7})), "unknown");
        let lines = "auth_oauth2.preferred_username_claims.1 = user_name\n\
                     auth_oauth2.preferred_username_claims.2 = email";
        assert_eq!(name(lines, json!({"sub": "bob", "email": "b@c"})), "b@c");
        assert_eq!(name(lines, json!({"sub": "bob"})), "unknown");
    }

    #[test]
    fn scopes_are_those_with_the_prefix() {
        let text = json!({"scope": "rabbitmq.read:*/* openid rabbitmq.tag:management  other.x"});
        assert_eq!(scopes("", text.clone()), ["read:*/*", "tag:management"]);
        assert_eq!(token("", text).unwrap().tags, ["management"]);
        let list = json!({"scope": ["rabbitmq.read:*/*", 7, "rabbitmq.read:*/*"]});
        assert_eq!(scopes("", list), ["read:*/*"]);
        let plain = json!({"scope": "read:*/* my-write:*/*"});
        assert_eq!(scopes("auth_oauth2.scope_prefix = my-", plain.clone()), ["write:*/*"]);
        assert_eq!(scopes("", plain), [""; 0]);
        assert_eq!(scopes("", json!({"scope": 7})), [""; 0]);
    }

    #[test]
    fn scopes_stand_in_other_places_too() {
        let lines = "auth_oauth2.additional_scopes_key = roles realm.access groups";
        let claims = json!({
            "roles": {"rabbitmq": ["read:*/*"], "other": ["write:*/*"]},
            "realm": [{"access": "rabbitmq.write:*/*"}, {"access": ["rabbitmq.configure:*/*"]}],
            "groups": 7,
        });
        assert_eq!(scopes(lines, claims), ["configure:*/*", "read:*/*", "write:*/*"]);
        let keycloak = json!({"authorization": {"permissions": [
            {"scopes": ["rabbitmq.read:*/*"], "rsname": "x"}, {"rsname": "y"}, 7,
        ]}});
        assert_eq!(scopes("", keycloak), ["read:*/*"]);
    }

    #[test]
    fn aliases_mean_scopes() {
        let lines = "auth_oauth2.scope_aliases.admin = rabbitmq.tag:administrator rabbitmq.read:*/*\n\
                     auth_oauth2.scope_aliases.1.alias = api://writer\n\
                     auth_oauth2.scope_aliases.1.scope = rabbitmq.write:*/*\n";
        let both = json!({"scope": "admin api://writer"});
        assert_eq!(scopes(lines, both), ["read:*/*", "tag:administrator", "write:*/*"]);
        assert_eq!(scopes(lines, json!({"scope": "other"})), [""; 0]);
    }

    #[test]
    fn too_many_scopes_are_refused() {
        let many = |count: usize| {
            let all: Vec<_> = (0..count).map(|n| format!("rabbitmq.read:*/{n}")).collect();
            token("", json!({"scope": all})).map(|token| token.scopes.len())
        };
        assert_eq!(many(2048), Ok(2048));
        assert_eq!(many(2049), Err(BadClaims::TooManyScopes));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn any_claims_are_understood_or_refused(
            scope in ".{0,30}", exp in prop::num::f64::ANY, aud in ".{0,12}", path in "[a-c.]{0,6}",
        ) {
            let lines = format!("auth_oauth2.additional_scopes_key = {}a", path.trim());
            let claims = json!({
                "scope": scope, "exp": exp, "aud": aud, "a": {"b": [{"c": "x"}, [1]], "a": scope},
            });
            let _ = Token::of(claims.as_object().cloned().unwrap(), &settings(&lines), NOW);
        }
    }
}
