//! Where a broker is: an `amqp://` or `amqps://` URL taken apart.
//!
//! Used by every part of the load generator that opens a connection. The form is RabbitMQ's
//! (<https://www.rabbitmq.com/docs/uri-spec>): percent-encoded parts, port 5672 or 5671, user and
//! password `guest`, and a virtual host that is `/` when no path is given. With TLS, `?cacertfile=FILE`
//! or `?verify=verify_none` says whom to trust.

use crate::client::tls::Trust;
use std::fmt;
use std::str::FromStr;

/// A broker's address and how to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Name or IP address.
    pub(crate) host: String,
    /// TCP port.
    pub(crate) port: u16,
    /// User name for PLAIN.
    pub(crate) user: String,
    /// Password for PLAIN.
    pub(crate) password: String,
    /// Virtual host.
    pub(crate) vhost: String,
    /// With TLS, whom to trust.
    pub(crate) tls: Option<Trust>,
}

impl Address {
    /// A broker of this machine as it is when nothing was configured but the port.
    pub(crate) fn local(port: u16) -> Self {
        let guest = || "guest".to_owned();
        let (host, vhost) = ("127.0.0.1".to_owned(), "/".to_owned());
        Self { host, port, user: guest(), password: guest(), vhost, tls: None }
    }
}

/// Why a URL is none of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    /// Neither `amqp://` nor `amqps://`.
    #[error("expected a URL that begins with amqp:// or amqps://")]
    Scheme,
    /// Nothing says whom to trust.
    #[error("amqps:// needs ?cacertfile=FILE, or ?verify=verify_none to trust anybody")]
    Trust,
    /// A key of RabbitMQ's that is not known here, or one without TLS.
    #[error("'{0}' is neither cacertfile nor verify of an amqps:// URL")]
    Key(String),
    /// Not a number below 65536.
    #[error("the port '{0}' is not a number below 65536")]
    Port(String),
    /// A `%` without two hexadecimal digits, or bytes that are no UTF-8.
    #[error("'{0}' is not percent-encoded UTF-8")]
    Encoding(String),
    /// More path than a virtual host.
    #[error("a '/' within the virtual host must be written %2F")]
    Path,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(url: &str) -> Result<Self, AddressError> {
        let (rest, encrypted) = match (url.strip_prefix("amqp://"), url.strip_prefix("amqps://")) {
            (Some(rest), _) => (rest, false),
            (None, Some(rest)) => (rest, true),
            (None, None) => return Err(AddressError::Scheme),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let tls = trust(query, encrypted)?;
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(path)),
            None => (rest, None),
        };
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (login, place),
            None => ("guest:guest", authority),
        };
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (host, port) = split_port(place, if encrypted { 5671 } else { 5672 })?;
        let vhost = match path {
            None => "/".to_owned(),
            Some(path) if path.contains('/') => return Err(AddressError::Path),
            Some("") => "/".to_owned(),
            Some(path) => decode(path)?,
        };
        Ok(Self { host, port, user: decode(user)?, password: decode(password)?, vhost, tls })
    }
}

impl fmt::Display for Address {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.user, self.host, self.port)?;
        if self.vhost == "/" { Ok(()) } else { write!(f, " vhost {}", self.vhost) }
    }
}

/// Whom the keys behind a `?` say to trust.
fn trust(query: &str, encrypted: bool) -> Result<Option<Trust>, AddressError> {
    let mut trust = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        trust = match pair.split_once('=') {
            _ if !encrypted => return Err(AddressError::Key(pair.to_owned())),
            Some(("cacertfile", path)) => Some(Trust::Authorities(decode(path)?.into())),
            Some(("verify", "verify_none")) => Some(Trust::Anybody),
            Some(("verify", "verify_peer")) => trust,
            _ => return Err(AddressError::Key(pair.to_owned())),
        };
    }
    match trust {
        None if encrypted => Err(AddressError::Trust),
        trust => Ok(trust),
    }
}

/// Splits `host:port`, `host`, `[v6]:port` or `[v6]`.
fn split_port(place: &str, usual: u16) -> Result<(String, u16), AddressError> {
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match place.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    let port = match port {
        None => usual,
        Some(port) => port.parse().map_err(|_| AddressError::Port(port.to_owned()))?,
    };
    Ok((host.to_owned(), port))
}

fn decode(part: &str) -> Result<String, AddressError> {
    let wrong = || AddressError::Encoding(part.to_owned());
    let mut bytes = part.bytes();
    let mut decoded = Vec::with_capacity(part.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digits = [bytes.next().ok_or_else(wrong)?, bytes.next().ok_or_else(wrong)?];
        let digits = std::str::from_utf8(&digits).map_err(|_| wrong())?;
        decoded.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
    }
    String::from_utf8(decoded).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, port: u16, user: &str, password: &str, vhost: &str) -> Address {
        Address {
            host: host.to_owned(),
            port,
            user: user.to_owned(),
            password: password.to_owned(),
            vhost: vhost.to_owned(),
            tls: None,
        }
    }

    #[test]
    fn tls_needs_somebody_to_trust() {
        let parse = |url: &str| url.parse::<Address>();
        let trusting =
            |port, tls| Address { tls: Some(tls), ..address("h", port, "guest", "guest", "/") };
        assert_eq!(parse("amqps://h/?verify=verify_none"), Ok(trusting(5671, Trust::Anybody)));
        let authorities = Trust::Authorities("/a b".into());
        let url = "amqps://h:1?verify=verify_peer&cacertfile=/a%20b";
        assert_eq!(parse(url), Ok(trusting(1, authorities)));
        assert_eq!(parse("amqps://h"), Err(AddressError::Trust));
        assert_eq!(parse("amqps://h?depth=1"), Err(AddressError::Key("depth=1".to_owned())));
        let plain = "verify=verify_none".to_owned();
        assert_eq!(parse("amqp://h?verify=verify_none"), Err(AddressError::Key(plain)));
    }

    #[test]
    fn urls_are_taken_apart() {
        for (url, expected) in [
            ("amqp://", address("127.0.0.1", 5672, "guest", "guest", "/")),
            ("amqp://h", address("h", 5672, "guest", "guest", "/")),
            ("amqp://h:1/", address("h", 1, "guest", "guest", "/")),
            ("amqp://u:p@h:1/v", address("h", 1, "u", "p", "v")),
            ("amqp://u@h/%2f", address("h", 5672, "u", "", "/")),
            ("amqp://a%40b:p%3Aq@h/v%20w", address("h", 5672, "a@b", "p:q", "v w")),
            ("amqp://[::1]:7/x", address("::1", 7, "guest", "guest", "x")),
        ] {
            assert_eq!(url.parse(), Ok(expected), "{url}");
        }
    }

    #[test]
    fn wrong_urls_say_what_is_wrong() {
        let error = |url: &str| url.parse::<Address>().unwrap_err();
        assert_eq!(error("http://h"), AddressError::Scheme);
        assert_eq!(error("amqp://h:99999"), AddressError::Port("99999".to_owned()));
        assert_eq!(error("amqp://h/%4"), AddressError::Encoding("%4".to_owned()));
        assert_eq!(error("amqp://h/%zz"), AddressError::Encoding("%zz".to_owned()));
        assert_eq!(error("amqp://h/a/b"), AddressError::Path);
    }
}
