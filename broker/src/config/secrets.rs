//! What nobody outside may see: which settings are secrets, and texts without them.
//!
//! Asked by `doctor` and by management. Pure. Stays true: a value that was set and is secret is in no text
//! that comes out.

/// What stands in a secret's place.
const HIDDEN: &str = "(hidden)";

/// Parts of names of settings whose values are secrets.
const SECRET: [&str; 12] = [
    "pass",
    "secret",
    "token",
    "cookie",
    "salt",
    "credential",
    "private",
    "signing_key",
    "api_key",
    "endpoint_params",
    "bind.dn",
    "hash",
];
/// And of those that only sound so.
const OPEN: [&str; 4] =
    ["password_hashing_module", "keyfile", "credential_validator", "auth_cache"];
/// A value that everybody knows, or so short that it is everywhere, is no secret to be looked for.
const LEAST: usize = 5;

/// Whether the value of a setting is a secret, by its name.
pub(crate) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET.iter().any(|part| key.contains(part)) && !OPEN.iter().any(|part| key.contains(part))
}

/// A setting as it may be seen.
pub(crate) fn shown(key: &str, value: &str) -> String {
    match is_secret(key) {
        true => HIDDEN.to_owned(),
        false => without_logins(value),
    }
}

/// URLs without the user and password before their host, and without what is behind `?`.
fn without_logins(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let ends = |letter: char| letter.is_whitespace() || "\"'<>,;)".contains(letter);
        let (url, behind) = after.split_at(after.find(ends).unwrap_or(after.len()));
        let authority = url.find(['/', '?', '#']).unwrap_or(url.len());
        let (authority, path) = url.split_at(authority);
        // A password may have an @ in it, and even a slash.
        let (login, url) = match (authority.rsplit_once('@'), url.rsplit_once('@')) {
            (Some((_, host)), _) => (true, format!("{host}{path}")),
            (None, Some((_, host))) if authority.contains(':') => (true, host.to_owned()),
            (None, _) => (false, url.to_owned()),
        };
        if login {
            shown.push_str(HIDDEN);
            shown.push('@');
        }
        match url.split_once('?') {
            Some((url, _)) => shown.push_str(&format!("{url}?{HIDDEN}")),
            None => shown.push_str(&url),
        }
        rest = behind;
    }
    shown + rest
}

/// A text without any of these values, and without logins in URLs.
pub(crate) fn cleaned(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        text = text.replace(secret.as_str(), HIDDEN);
    }
    without_logins(&text)
}

/// The values to look for, the longest first: one may be a part of another.
pub(crate) fn to_look_for(values: impl Iterator<Item = String>) -> Vec<String> {
    let is_known = |value: &String| value.len() < LEAST || value == "guest";
    let mut secrets: Vec<_> = values.filter(|value| !is_known(value)).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for key in [
            "default_pass",
            "default_users.bob.password",
            "ssl_options.password",
            "management.oauth_client_secret",
            "auth_oauth2.discovery_endpoint_params.key",
            "erlang.cookie",
            "LEVERET_DEFAULT_PASS",
        ] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["ssl_options.keyfile", "password_hashing_module", "heartbeat", "default_user"] {
            assert!(!is_secret(key), "{key}");
        }
    }

    #[test]
    fn urls_lose_their_logins() {
        for (text, expected) in [
            ("http://host:1/path", "http://host:1/path"),
            ("a http://u:p@host/x b", "a http://(hidden)@host/x b"),
            ("amqp://u:p@ss@h, http://h/?k=v", "amqp://(hidden)@h, http://h/?(hidden)"),
            ("amqp://u:p/w@h/v", "amqp://(hidden)@h/v"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(without_logins(text), expected, "{text}");
        }
    }

    #[test]
    fn values_are_found_wherever_they_stand() {
        let values = ["hunter2", "hunter22", "guest", "x"].map(str::to_owned);
        let secrets = to_look_for(values.into_iter());
        assert_eq!(secrets, ["hunter22", "hunter2"]);
        let text = cleaned("a hunter22 b hunter2 guest", &secrets);
        assert_eq!(text, "a (hidden) b (hidden) guest");
        assert_eq!(shown("default_pass", "hunter2"), HIDDEN);
        assert_eq!(shown("auth_http.user_path", "http://a:b@h/u"), "http://(hidden)@h/u");
    }
}
