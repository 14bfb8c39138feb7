//! Where a broker is: an `amqp://` URL taken apart.
//!
//! Used by every part of the load generator that opens a connection. The form is RabbitMQ's
//! (<https://www.rabbitmq.com/docs/uri-spec>): percent-encoded parts, port 5672, user and password
//! `guest`, and a virtual host that is `/` when no path is given.

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
}

impl Address {
    /// A broker of this machine as it is when nothing was configured but the port.
    pub(crate) fn local(port: u16) -> Self {
        let guest = || "guest".to_owned();
        let (host, vhost) = ("127.0.0.1".to_owned(), "/".to_owned());
        Self { host, port, user: guest(), password: guest(), vhost }
    }
}

/// Why a URL is none of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    /// Not `amqp://`.
    #[error("expected a URL that begins with amqp://")]
    Scheme,
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
        let rest = url.strip_prefix("amqp://").ok_or(AddressError::Scheme)?;
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(path)),
            None => (rest, None),
        };
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (login, place),
            None => ("guest:guest", authority),
        };
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (host, port) = split_port(place)?;
        let vhost = match path {
            None => "/".to_owned(),
            Some(path) if path.contains('/') => return Err(AddressError::Path),
            Some("") => "/".to_owned(),
            Some(path) => decode(path)?,
        };
        Ok(Self { host, port, user: decode(user)?, password: decode(password)?, vhost })
    }
}

impl fmt::Display for Address {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.user, self.host, self.port)?;
        if self.vhost == "/" { Ok(()) } else { write!(f, " vhost {}", self.vhost) }
    }
}

/// Splits `host:port`, `host`, `[v6]:port` or `[v6]`.
fn split_port(place: &str) -> Result<(String, u16), AddressError> {
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match place.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    let port = match port {
        None => 5672,
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
        }
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
