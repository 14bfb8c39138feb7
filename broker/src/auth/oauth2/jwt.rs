//! JSON Web Tokens in compact form (RFC 7515, RFC 7519), taken apart and not believed.
//!
//! Pure. A room of `auth::oauth2`. Stays true: whatever the bytes are, nothing here panics, and what is
//! told of a token repeats nothing of it but names of keys and algorithms.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The longest token, in bytes.
const LENGTH_MAX: usize = 256 * 1024;

/// A token, whoever made it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Jwt {
    /// How it is signed, as it says itself.
    pub algorithm: String,
    /// The key it is signed with, if it says so.
    pub key: Option<String>,
    /// What it says.
    pub claims: Map<String, Value>,
    /// What was signed.
    pub signed: Vec<u8>,
    /// The signature over that.
    pub signature: Vec<u8>,
}

/// These bytes are no token. A sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// Not three parts between dots.
    #[error("it is no JWT: it has not three parts between dots")]
    Parts,
    /// Longer than any token is.
    #[error("it is longer than 256 KiB")]
    Length,
    /// A part is not base64url, or no JSON object.
    #[error("it is no JWT: its {0} cannot be read")]
    Part(&'static str),
}

impl Jwt {
    /// Takes a token apart.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn parse(token: &[u8]) -> Result<Self, Malformed> {
        if token.len() > LENGTH_MAX {
            return Err(Malformed::Length);
        }
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Malformed::Parts);
        };
        let signed = token.get(..header.len() + 1 + claims.len()).unwrap_or_default().to_vec();
        let header = object(header).ok_or(Malformed::Part("header"))?;
        let claims = object(claims).ok_or(Malformed::Part("payload"))?;
        let signature = decoded(signature).ok_or(Malformed::Part("signature"))?;
        let text = |name| header.get(name).and_then(Value::as_str).map(str::to_owned);
        let algorithm = text("alg").ok_or(Malformed::Part("header"))?;
        // RFC 7515, 4.1.11: what must be understood and is not is no valid token.
        if header.contains_key("crit") {
            return Err(Malformed::Part("header"));
        }
        Ok(Self { algorithm, key: text("kid"), claims, signed, signature })
    }
}

pub(super) fn decoded(part: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

fn object(part: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(&decoded(part)?) {
        Ok(Value::Object(object)) => Some(object),
        Ok(_) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(text: &str) -> String {
        URL_SAFE_NO_PAD.encode(text)
    }

    fn token(header: &str, claims: &str) -> Vec<u8> {
        format!("{}.{}.{}", encoded(header), encoded(claims), encoded("sig")).into_bytes()
    }

    #[test]
    fn a_token_is_taken_apart() {
        let token = token(r#"{"alg":"RS256","kid":"k","typ":"JWT"}"#, r#"{"sub":"bob"}"#);
        let parsed = Jwt::parse(&token).unwrap();
        assert_eq!((parsed.algorithm.as_str(), parsed.key.as_deref()), ("RS256", Some("k")));
        assert_eq!(parsed.claims.get("sub"), Some(&"bob".into()));
        assert_eq!(parsed.signature, b"sig");
        let end = token.iter().rposition(|byte| *byte == b'.').unwrap();
        assert_eq!(parsed.signed, token[..end]);
    }

    #[test]
    fn what_is_none_is_told_without_repeating_it() {
        for (wrong, expected) in [
            (b"".to_vec(), Malformed::Parts),
            (b"secret".to_vec(), Malformed::Parts),
            (b"a.b".to_vec(), Malformed::Parts),
            (b"a.b.c.d".to_vec(), Malformed::Parts),
            (b"..".to_vec(), Malformed::Part("header")),
            (b"!.!.!".to_vec(), Malformed::Part("header")),
            (token("[]", "{}"), Malformed::Part("header")),
            (token("{}", "{}"), Malformed::Part("header")),
            (token(r#"{"alg":1}"#, "{}"), Malformed::Part("header")),
            (token(r#"{"alg":"RS256","crit":["b64"]}"#, "{}"), Malformed::Part("header")),
            (token(r#"{"alg":"RS256"}"#, "7"), Malformed::Part("payload")),
            (vec![b'a'; LENGTH_MAX + 1], Malformed::Length),
        ] {
            assert_eq!(Jwt::parse(&wrong), Err(expected), "{}", wrong.escape_ascii());
            assert!(!expected.to_string().contains("secret"));
        }
        let mut padded = token(r#"{"alg":"RS256"}"#, "{}");
        padded.push(b'=');
        assert_eq!(Jwt::parse(&padded), Err(Malformed::Part("signature")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_token_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Jwt::parse(&bytes);
        }

        #[test]
        fn any_json_is_a_token_or_none(header in "[{}\\[\\]\",:a-z0-9]{0,40}", claims in ".{0,40}") {
            let token = token(&header, &claims);
            if let Ok(parsed) = Jwt::parse(&token) {
                prop_assert!(token.starts_with(&parsed.signed));
            }
        }

        #[test]
        fn a_flipped_byte_is_another_token_or_none(at in 0..100_usize, flip in 1..=255_u8) {
            let whole = token(r#"{"alg":"RS256","kid":"k"}"#, r#"{"sub":"bob"}"#);
            let mut other = whole.clone();
            let at = at % other.len();
            other[at] ^= flip;
            if let Ok(parsed) = Jwt::parse(&other) {
                prop_assert_ne!(parsed, Jwt::parse(&whole).unwrap());
            }
        }
    }
}
