//! What a client says about itself in connection.start-ok (AMQP 0-9-1 §1.4.2.2):
//! PLAIN (RFC 4616), AMQPLAIN, and EXTERNAL (RFC 4422, appendix A), which leaves it to the client's
//! certificate. Pure; whether it is true is for `Users` to say.

use std::fmt;

use leveret_protocol::types::{FieldValue, RawTable};

use crate::config::Mechanism;

/// A user's name and password as a client gave them, not verified.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The user's name.
    pub user: String,
    /// The password, any bytes.
    pub password: Vec<u8>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Who a client claims to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claim {
    /// By its password.
    Password(Identity),
    /// By its certificate, which was verified and names this user.
    Certificate(String),
    /// By a certificate that it has not, or that names no user.
    Unproved(&'static str),
}

impl Claim {
    /// The user's name; empty if there is none.
    pub(crate) fn user(&self) -> &str {
        match self {
            Self::Password(identity) => &identity.user,
            Self::Certificate(user) => user,
            Self::Unproved(_) => "",
        }
    }

    /// The password, if that is how the user proves to be itself.
    pub(crate) fn password(&self) -> Option<&[u8]> {
        match self {
            Self::Password(identity) => Some(&identity.password),
            Self::Certificate(_) | Self::Unproved(_) => None,
        }
    }

    /// Why it is refused, as RabbitMQ's event has it.
    pub(crate) fn event_reason(&self) -> String {
        match self {
            Self::Password(_) | Self::Certificate(_) => {
                format!("user '{}' - invalid credentials", self.user())
            }
            Self::Unproved(reason) => (*reason).to_owned(),
        }
    }
}

/// The response cannot be understood. The text does not repeat it: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SaslError {
    /// There is no such mechanism here.
    #[error("unknown authentication mechanism")]
    UnknownMechanism,
    /// Not an authorisation identity, a name and a password between zero bytes.
    #[error("PLAIN response invalid")]
    MalformedPlain,
    /// The client asks to act as another user than the one it proves to be.
    #[error("PLAIN response asks for the rights of another user")]
    OtherAuthorisation,
    /// Not a field table.
    #[error("AMQPLAIN response invalid")]
    MalformedAmqPlain,
    /// The table has not both fields, as long strings.
    #[error("AMQPLAIN auth info is missing LOGIN or PASSWORD field")]
    MissingLoginOrPassword,
}

/// Reads a response. `certificate` is what the client's names, if it has one.
///
/// # Errors
/// The mechanism is not known, or the response is not one of it.
pub(crate) fn parse(
    mechanism: &str,
    response: &[u8],
    certificate: Option<Option<&str>>,
) -> Result<Claim, SaslError> {
    match Mechanism::from_name(mechanism).ok_or(SaslError::UnknownMechanism)? {
        Mechanism::Plain => plain(response).map(Claim::Password),
        Mechanism::AmqPlain => amqplain(response).map(Claim::Password),
        Mechanism::External => Ok(external(certificate)),
    }
}

/// RabbitMQ does not look at the response, which would name whom to act as.
fn external(certificate: Option<Option<&str>>) -> Claim {
    match certificate {
        Some(Some(user)) => Claim::Certificate(user.to_owned()),
        Some(None) => Claim::Unproved("no name found"),
        None => Claim::Unproved("connection peer presented no TLS (x.509) certificate"),
    }
}

fn plain(response: &[u8]) -> Result<Identity, SaslError> {
    let mut parts = response.split(|byte| *byte == 0);
    let (Some(authorisation), Some(user), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(SaslError::MalformedPlain);
    };
    // RabbitMQ wants the first to be empty. Some libraries repeat the name there.
    if !authorisation.is_empty() && authorisation != user {
        return Err(SaslError::OtherAuthorisation);
    }
    let user = String::from_utf8(user.to_vec()).map_err(|_| SaslError::MalformedPlain)?;
    Ok(Identity { user, password: password.to_vec() })
}

/// A field table without its length in front.
fn amqplain(response: &[u8]) -> Result<Identity, SaslError> {
    let table = RawTable::new(response);
    table.validate().map_err(|_| SaslError::MalformedAmqPlain)?;
    let field = |name| match table.get(name) {
        Some(FieldValue::LongString(bytes)) => Ok(bytes),
        Some(_) | None => Err(SaslError::MissingLoginOrPassword),
    };
    let user = String::from_utf8(field("LOGIN")?).map_err(|_| SaslError::MalformedAmqPlain)?;
    Ok(Identity { user, password: field("PASSWORD")? })
}

#[cfg(test)]
mod tests {
    use leveret_protocol::types::FieldTable;
    use proptest::prelude::*;

    use super::*;

    fn identity(user: &str, password: &[u8]) -> Result<Claim, SaslError> {
        Ok(Claim::Password(Identity { user: user.to_owned(), password: password.to_vec() }))
    }

    fn parse(mechanism: &str, response: &[u8]) -> Result<Claim, SaslError> {
        super::parse(mechanism, response, None)
    }

    #[test]
    fn plain_responses() {
        for (response, expected) in [
            (b"\0guest\0secret".as_slice(), identity("guest", b"secret")),
            (b"guest\0guest\0secret", identity("guest", b"secret")),
            (b"\0\xc3\xa9\0\xff", identity("é", b"\xff")),
            (b"\0guest\0", identity("guest", b"")),
            (b"root\0guest\0secret", Err(SaslError::OtherAuthorisation)),
            (b"\0guest", Err(SaslError::MalformedPlain)),
            (b"", Err(SaslError::MalformedPlain)),
            (b"\0guest\0se\0cret", Err(SaslError::MalformedPlain)),
            (b"\0\xff\0secret", Err(SaslError::MalformedPlain)),
        ] {
            assert_eq!(parse("PLAIN", response), expected, "{}", response.escape_ascii());
        }
    }

    fn table(fields: &[(&str, FieldValue)]) -> Vec<u8> {
        let table: FieldTable =
            fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let mut bytes = Vec::new();
        table.encode(&mut bytes);
        bytes.split_off(4)
    }

    #[test]
    fn amqplain_responses() {
        let both = [("LOGIN", "guest".into()), ("PASSWORD", "secret".into())];
        assert_eq!(parse("AMQPLAIN", &table(&both)), identity("guest", b"secret"));
        let [login, password] = both;
        let swapped = table(&[("other", FieldValue::I32(1)), password.clone(), login.clone()]);
        assert_eq!(parse("AMQPLAIN", &swapped), identity("guest", b"secret"));
        for incomplete in [
            vec![],
            vec![login.clone()],
            vec![password],
            vec![login.clone(), ("PASSWORD", FieldValue::I32(1))],
        ] {
            let answer = parse("AMQPLAIN", &table(&incomplete));
            assert_eq!(answer, Err(SaslError::MissingLoginOrPassword), "{incomplete:?}");
        }
        let mut cut = table(&[login]);
        cut.pop();
        assert_eq!(parse("AMQPLAIN", &cut), Err(SaslError::MalformedAmqPlain));
    }

    #[test]
    fn other_mechanisms_are_unknown() {
        assert_eq!(parse("SCRAM-SHA-256", b""), Err(SaslError::UnknownMechanism));
        assert_eq!(parse("plain", b"\0a\0b"), Err(SaslError::UnknownMechanism));
    }

    #[test]
    fn external_is_what_the_certificate_names() {
        let external = |certificate| super::parse("EXTERNAL", b"anything", certificate);
        let claim = external(Some(Some("CN=client"))).unwrap();
        assert_eq!(claim, Claim::Certificate("CN=client".to_owned()));
        for certificate in [None, Some(None)] {
            let claim = external(certificate).unwrap();
            assert!(matches!(claim, Claim::Unproved(_)) && claim.user().is_empty(), "{claim:?}");
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        let shown = format!("{:?}", identity("guest", b"hunter2"));
        assert!(shown.contains("guest") && !shown.contains("hunter2") && !shown.contains("104"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_response_or_none(
            mechanism in "PLAIN|AMQPLAIN|EXTERNAL|[A-Z0-9-]{0,20}",
            response in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            if let Err(error) = parse(&mechanism, &response) {
                let text = error.to_string();
                prop_assert!(!text.contains(char::is_control), "{}", text);
            }
        }

        #[test]
        fn whoever_is_named_is_understood(
            user in "[^\\x00]{0,20}", password in prop::collection::vec(1..=255_u8, 0..20),
        ) {
            let response = [b"\0", user.as_bytes(), b"\0", &password].concat();
            prop_assert_eq!(parse("PLAIN", &response), identity(&user, &password));
            let login = FieldValue::LongString(user.clone().into_bytes());
            let secret = FieldValue::LongString(password.clone());
            let response = table(&[("PASSWORD", secret), ("LOGIN", login)]);
            prop_assert_eq!(parse("AMQPLAIN", &response), identity(&user, &password));
        }

        #[test]
        fn a_cut_or_flipped_table_is_another_or_none(cut in 0..60_usize, flip in any::<u8>()) {
            let whole = table(&[("LOGIN", "guest".into()), ("PASSWORD", "secret".into())]);
            let cut = cut % whole.len();
            let _ = parse("AMQPLAIN", &whole[..cut]);
            let mut flipped = whole;
            flipped[cut] ^= flip;
            let _ = parse("AMQPLAIN", &flipped);
        }
    }
}
