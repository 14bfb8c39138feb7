//! Argon2id hashes (RFC 9106) in the PHC string format, with the parameters that OWASP recommends:
//! 19 MiB, two passes, one lane.
//!
//! A room of `password`. Stays true: a hash that asks for more memory or time than a login may cost
//! is not computed, whoever brought it along.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{ARGON2ID_IDENT, Argon2, Params};

/// Of memory, in KiB.
const MEMORY_MAX: u32 = 64 * 1024;
/// Passes times memory, in KiB.
const WORK_MAX: u64 = 16 * MEMORY_MAX as u64;
const LANES_MAX: u32 = 16;

type Salt = [u8; 16];

pub(super) fn hash(salt: Salt, password: &[u8]) -> String {
    let hashed = SaltString::encode_b64(&salt)
        .and_then(|salt| Ok(Argon2::default().hash_password(password, &salt)?.to_string()));
    // Only a password of gigabytes could fail; what is no hash lets nobody in.
    hashed.unwrap_or_default()
}

pub(super) fn verify(hash: &str, password: &[u8]) -> bool {
    match affordable(hash) {
        Ok(parsed) => Argon2::default().verify_password(password, &parsed).is_ok(),
        Err(_) => {
            // As slow as a wrong password.
            drop(self::hash(Salt::default(), password));
            false
        }
    }
}

pub(super) fn assert_affordable(hash: &str) -> Result<(), &'static str> {
    affordable(hash).map(drop)
}

fn affordable(hash: &str) -> Result<PasswordHash<'_>, &'static str> {
    let parsed = PasswordHash::new(hash).map_err(|_| "is not in the PHC string format")?;
    if parsed.algorithm != ARGON2ID_IDENT || parsed.salt.is_none() || parsed.hash.is_none() {
        return Err("is not a hash of argon2id");
    }
    let params = Params::try_from(&parsed).map_err(|_| "has parameters that argon2id has not")?;
    let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
    if params.m_cost() > MEMORY_MAX || work > WORK_MAX || params.p_cost() > LANES_MAX {
        return Err("would take more than 64 MiB, 16 passes over them, or 16 lanes");
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by the reference implementation:
    /// `printf password | argon2 somesalt -id -t 2 -m 16 -p 1 -e`.
    const REFERENCE: &str = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
                             CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

    #[test]
    fn hashes_of_others_verify() {
        assert!(verify(REFERENCE, b"password"));
        assert!(!verify(REFERENCE, b"Password"));
    }

    #[test]
    fn ours_say_how_they_were_made() {
        let made = hash([7; 16], b"secret");
        assert!(made.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{made}");
        assert!(verify(&made, b"secret"));
    }

    #[test]
    fn what_costs_too_much_is_not_computed() {
        for (parameters, expected) in [
            ("argon2id$v=19$m=65536,t=2,p=1", Ok(())),
            ("argon2id$v=19$m=65537,t=1,p=1", Err("would take more")),
            ("argon2id$v=19$m=65536,t=17,p=1", Err("would take more")),
            ("argon2id$v=19$m=4194304,t=1,p=1", Err("would take more")),
            ("argon2id$v=19$m=65536,t=1,p=17", Err("would take more")),
            ("argon2id$v=19$m=1,t=1,p=1", Err("has parameters")),
            ("argon2i$v=19$m=65536,t=2,p=1", Err("is not a hash")),
            ("argon2d$v=19$m=65536,t=2,p=1", Err("is not a hash")),
        ] {
            let (_, salt_and_hash) = REFERENCE.split_once("p=1").unwrap();
            let answer = assert_affordable(&format!("${parameters}{salt_and_hash}"));
            match expected {
                Ok(()) => assert_eq!(answer, Ok(()), "{parameters}"),
                Err(begins) => assert!(answer.unwrap_err().starts_with(begins), "{parameters}"),
            }
        }
        assert!(assert_affordable("secret").is_err());
        assert!(assert_affordable("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ").is_err());
    }
}
