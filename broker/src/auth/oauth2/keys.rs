//! Keys that tokens are signed with: from files in PEM, and from sets in JSON (RFC 7517).
//!
//! A room of `auth::oauth2`. Signatures are ring's. Stays true: an algorithm is used with keys of its
//! own kind only, so that nobody signs with what everybody knows.

use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use ring::{hmac, signature as sig};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use super::jwt::decoded;

/// A key that verifies.
#[derive(Clone)]
pub(crate) enum Key {
    /// Modulus and exponent.
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    /// The same as PKCS#1 has it, in DER.
    RsaDer(Vec<u8>),
    /// A point on P-256.
    P256(Vec<u8>),
    /// A point on P-384.
    P384(Vec<u8>),
    /// A point of Ed25519.
    Ed25519(Vec<u8>),
    /// What both sides know.
    Shared(Vec<u8>),
}

/// A signature does not hold. A sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadSignature {
    /// The token names an algorithm that the key is not made for.
    #[error("its algorithm {0} is not one for this key, which is {1}")]
    Algorithm(String, &'static str),
    /// Somebody else signed it, or it was changed.
    #[error("its signature is not of this key")]
    Signature,
}

impl Key {
    /// A public key in PEM: PUBLIC KEY or RSA PUBLIC KEY.
    ///
    /// # Errors
    /// The end of a sentence that begins with the file's name.
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Self, &'static str> {
        let text = String::from_utf8_lossy(pem);
        if text.contains("-----BEGIN CERTIFICATE-----") {
            return Err("holds a certificate: take its key out with 'openssl x509 -pubkey -noout'");
        }
        if text.contains("PRIVATE KEY-----") {
            return Err("holds a private key: take its public key out with 'openssl pkey -pubout'");
        }
        if let Some(der) = pkcs1(&text) {
            return Ok(Self::RsaDer(der));
        }
        let info = SubjectPublicKeyInfoDer::from_pem_slice(pem);
        let info = info.map_err(|_| "holds no public key in PEM")?;
        Self::from_spki(&info).ok_or("holds a key that is neither RSA, P-256, P-384 nor Ed25519")
    }

    fn from_spki(der: &[u8]) -> Option<Self> {
        let (0x30, info, _) = element(der)? else { return None };
        let (0x30, algorithm, rest) = element(info)? else { return None };
        let (0x03, bits, _) = element(rest)? else { return None };
        let key = bits.strip_prefix(&[0])?.to_vec();
        let (0x06, kind, parameters) = element(algorithm)? else { return None };
        match kind {
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01] => Some(Self::RsaDer(key)),
            [0x2b, 0x65, 0x70] => Some(Self::Ed25519(key)),
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01] => match element(parameters)?.1 {
                [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07] => Some(Self::P256(key)),
                [0x2b, 0x81, 0x04, 0x00, 0x22] => Some(Self::P384(key)),
                _ => None,
            },
            _ => None,
        }
    }

    /// A key of a set. `None` if it is of a kind that is not known here.
    pub(crate) fn from_jwk(jwk: &Value) -> Option<Self> {
        let text = |name| jwk.get(name).and_then(Value::as_str);
        let bytes = |name| text(name).and_then(decoded);
        match text("kty")? {
            "RSA" => {
                let unpadded = |mut number: Vec<u8>| {
                    let zeros = number.iter().take_while(|byte| **byte == 0).count();
                    number.drain(..zeros);
                    number
                };
                let (n, e) = (unpadded(bytes("n")?), unpadded(bytes("e")?));
                Some(Self::Rsa(RsaPublicKeyComponents { n, e }))
            }
            "EC" => {
                let point = [vec![4], bytes("x")?, bytes("y")?].concat();
                match text("crv")? {
                    "P-256" => Some(Self::P256(point)),
                    "P-384" => Some(Self::P384(point)),
                    _ => None,
                }
            }
            "OKP" if text("crv") == Some("Ed25519") => Some(Self::Ed25519(bytes("x")?)),
            "oct" => Some(Self::Shared(bytes("k")?)),
            // What UAA calls it.
            "MAC" => Some(Self::Shared(text("value")?.as_bytes().to_vec())),
            _ => None,
        }
    }

    /// Its kind, for people.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Rsa(_) | Self::RsaDer(_) => "RSA",
            Self::P256(_) => "of the curve P-256",
            Self::P384(_) => "of the curve P-384",
            Self::Ed25519(_) => "of the curve Ed25519",
            Self::Shared(_) => "a shared secret",
        }
    }

    /// Whether the signature was made with this key, by this algorithm.
    ///
    /// # Errors
    /// It was not.
    pub(crate) fn verify(
        &self,
        algorithm: &str,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        let wrong = || BadSignature::Algorithm(shown(algorithm), self.kind());
        let verified = match self {
            Self::Rsa(key) => key.verify(rsa(algorithm).ok_or_else(wrong)?, signed, signature),
            Self::RsaDer(key) => {
                let algorithm = rsa(algorithm).ok_or_else(wrong)?;
                UnparsedPublicKey::new(algorithm, key).verify(signed, signature)
            }
            Self::P256(key) if algorithm == "ES256" => {
                UnparsedPublicKey::new(&sig::ECDSA_P256_SHA256_FIXED, key).verify(signed, signature)
            }
            Self::P384(key) if algorithm == "ES384" => {
                UnparsedPublicKey::new(&sig::ECDSA_P384_SHA384_FIXED, key).verify(signed, signature)
            }
            Self::Ed25519(key) if algorithm == "EdDSA" => {
                UnparsedPublicKey::new(&sig::ED25519, key).verify(signed, signature)
            }
            Self::Shared(secret) => {
                let algorithm = match algorithm {
                    "HS256" => hmac::HMAC_SHA256,
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => return Err(wrong()),
                };
                hmac::verify(&hmac::Key::new(algorithm, secret), signed, signature)
            }
            Self::P256(_) | Self::P384(_) | Self::Ed25519(_) => return Err(wrong()),
        };
        verified.map_err(|_| BadSignature::Signature)
    }
}

/// A name that the token has for something, as far as it can be shown.
pub(super) fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

fn rsa(algorithm: &str) -> Option<&'static sig::RsaParameters> {
    Some(match algorithm {
        "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
        "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
        "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// What stands between the lines of an RSA PUBLIC KEY.
fn pkcs1(text: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    let (_, rest) = text.split_once("-----BEGIN RSA PUBLIC KEY-----")?;
    let (body, _) = rest.split_once("-----END")?;
    let body: String = body.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(body).ok()
}

/// The first element of DER: its tag, its content and what stands behind it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::rand::SystemRandom;
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _,
    };
    use serde_json::json;

    use super::*;

    fn b64(bytes: &[u8]) -> String {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
    }

    #[test]
    fn elliptic_keys_verify_what_they_signed_and_nothing_else() {
        let random = SystemRandom::new();
        for (algorithm, curve, with, length) in [
            ("ES256", "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING, 32),
            ("ES384", "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING, 48),
        ] {
            let pair = EcdsaKeyPair::generate_pkcs8(with, &random).unwrap();
            let pair = EcdsaKeyPair::from_pkcs8(with, pair.as_ref(), &random).unwrap();
            let signed = pair.sign(&random, b"text").unwrap();
            let point = pair.public_key().as_ref();
            let (x, y) = point[1..].split_at(length);
            let jwk = json!({"kty": "EC", "crv": curve, "x": b64(x), "y": b64(y)});
            let key = Key::from_jwk(&jwk).unwrap();
            assert_eq!(key.verify(algorithm, b"text", signed.as_ref()), Ok(()));
            let forged = key.verify(algorithm, b"test", signed.as_ref());
            assert_eq!(forged, Err(BadSignature::Signature));
            for other in ["ES256", "ES384", "RS256", "PS256", "EdDSA", "HS256", "none"] {
                if other == algorithm {
                    continue;
                }
                let refused = key.verify(other, b"text", signed.as_ref()).unwrap_err();
                assert!(matches!(refused, BadSignature::Algorithm(..)), "{other}");
            }
        }
    }

    #[test]
    fn keys_in_pem_are_read_whatever_their_kind() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let key = Key::from_pem(pair.public_key_pem().as_bytes()).unwrap();
        let signer = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pair.serialize_der()).unwrap();
        assert_eq!(key.verify("EdDSA", b"text", signer.sign(b"text").as_ref()), Ok(()));
        for (algorithm, kind) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, "of the curve P-256"),
            (&rcgen::PKCS_ECDSA_P384_SHA384, "of the curve P-384"),
        ] {
            let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let key = Key::from_pem(pair.public_key_pem().as_bytes()).unwrap();
            assert_eq!(key.kind(), kind);
            assert!(
                Key::from_pem(pair.serialize_pem().as_bytes())
                    .is_err_and(|why| why.contains("private"))
            );
        }
        let certified = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
        let refused = Key::from_pem(certified.cert.pem().as_bytes()).map(|_| ()).unwrap_err();
        assert!(refused.contains("openssl x509"), "{refused}");
        assert!(Key::from_pem(b"nothing").is_err());
    }

    /// Made by `openssl genrsa 2048`, `openssl rsa -pubout`, and `openssl dgst -sha256 -sign` of `text`.
    #[test]
    fn keys_of_rsa_verify() {
        let key = Key::from_pem(include_bytes!("rsa_test_key.pem")).unwrap();
        let signature = decoded(include_str!("rsa_test_signature.txt").trim()).unwrap();
        assert_eq!(key.verify("RS256", b"text", &signature), Ok(()));
        assert_eq!(key.verify("RS256", b"test", &signature), Err(BadSignature::Signature));
        assert_eq!(key.verify("PS256", b"text", &signature), Err(BadSignature::Signature));
        // What everybody knows is no shared secret.
        let confused = key.verify("HS256", b"text", &signature).unwrap_err();
        assert_eq!(
            confused.to_string(),
            "its algorithm HS256 is not one for this key, which is RSA"
        );
        assert!(key.verify("none", b"text", b"").is_err());
    }

    #[test]
    fn shared_secrets_verify() {
        let key = Key::from_jwk(&json!({"kty": "oct", "k": b64(b"secret")})).unwrap();
        let uaa = Key::from_jwk(&json!({"kty": "MAC", "value": "secret"})).unwrap();
        let made = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"secret"), b"text");
        for key in [key, uaa] {
            assert_eq!(key.verify("HS256", b"text", made.as_ref()), Ok(()));
            assert_eq!(key.verify("HS512", b"text", made.as_ref()), Err(BadSignature::Signature));
            assert!(key.verify("none", b"text", b"").is_err());
        }
    }

    #[test]
    fn keys_that_lack_something_are_none() {
        for jwk in [
            json!({}),
            json!("RSA"),
            json!({"kty": "RSA", "n": "AQAB"}),
            json!({"kty": "RSA", "n": "!", "e": "AQAB"}),
            json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}),
            json!({"kty": "OKP", "crv": "X25519", "x": "AA"}),
            json!({"kty": "new"}),
        ] {
            assert!(Key::from_jwk(&jwk).is_none(), "{jwk}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_key_or_none(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = Key::from_spki(&bytes);
            let _ = Key::from_pem(&bytes);
            let key = Key::RsaDer(bytes.clone());
            prop_assert!(key.verify("RS256", b"text", &bytes).is_err());
        }
    }
}
