//! The types a setting may have: how each is written, read and described.
//!
//! `keys` names one for every key. A parser's error says what was expected and
//! never repeats the value.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use leveret_storage::messages::{Engine, FsyncPolicy};
use regex::Regex;
use tracing_subscriber::EnvFilter;

use crate::password::HashingAlgorithm;

/// How values of type `T` are written.
pub(super) struct Type<T> {
    /// Completes "expected ...".
    pub(super) name: &'static str,
    pub(super) parse: fn(&str) -> Option<T>,
}

/// A SASL mechanism the broker can offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// The table form of AMQP 0-8.
    AmqPlain,
    /// RFC 4422, appendix A: who the client's certificate says it is.
    External,
}

impl Mechanism {
    /// The mechanism a client names; case counts, as in RabbitMQ.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Plain, Self::AmqPlain, Self::External];
        all.into_iter().find(|mechanism| mechanism.name() == name)
    }

    /// The name in connection.start and connection.start-ok.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::AmqPlain => "AMQPLAIN",
            Self::External => "EXTERNAL",
        }
    }
}

pub(super) const BOOLEAN: Type<bool> =
    Type { name: "true or false", parse: |text| text.parse().ok() };

pub(super) const TEXT: Type<String> = Type { name: "text", parse: |text| Some(text.to_owned()) };

pub(super) const NAME: Type<String> =
    Type { name: "a name", parse: |text| (!text.is_empty()).then(|| text.to_owned()) };

/// Blanks around a name do not belong to it.
pub(super) const NAMES: Type<Vec<String>> =
    Type { name: "names separated by commas", parse: names };

pub(super) const DIRECTORY: Type<PathBuf> =
    Type { name: "a path", parse: |text| (!text.is_empty()).then(|| text.into()) };

pub(super) const ENGINE: Type<Engine> = Type { name: "log or sled", parse: engine };

pub(super) const FSYNC_POLICY: Type<FsyncPolicy> = Type {
    name: "group, os, or interval: and a number of milliseconds from 1 to 60000",
    parse: fsync_policy,
};

/// RabbitMQ's names for files; the other backend is HTTPS.
pub(super) const IMPORT_BACKEND: Type<()> = Type {
    name: "local_filesystem",
    parse: |text| {
        let known = [
            "local_filesystem",
            "local",
            "rabbit_definitions_import_local_filesystem",
            "rabbitmq_definitions_import_local_filesystem",
        ];
        known.contains(&text).then_some(())
    },
};

pub(super) const NONE: Type<()> =
    Type { name: "the word none", parse: |text| (text == "none").then_some(()) };

pub(super) const SECONDS: Type<u16> =
    Type { name: "a number of seconds up to 65535", parse: |text| text.parse().ok() };

pub(super) const MINUTES: Type<Duration> = Type {
    name: "a number of minutes from 1",
    parse: |text| at_least(text, 1).map(|minutes| Duration::from_secs(minutes.saturating_mul(60))),
};

pub(super) const MILLISECONDS: Type<Duration> = Type {
    name: "a number of milliseconds from 1",
    parse: |text| at_least(text, 1).map(Duration::from_millis),
};

pub(super) const PORT: Type<u16> = Type { name: "a port", parse: |text| text.parse().ok() };

pub(super) const PORT_OR_NONE: Type<Option<u16>> = Type {
    name: "a port, or none",
    parse: |text| match text {
        "none" => Some(None),
        port => port.parse().ok().map(Some),
    },
};

pub(super) const ADDRESS: Type<IpAddr> =
    Type { name: "an IP address", parse: |text| text.parse().ok() };

pub(super) const BACKLOG: Type<u16> = Type {
    name: "a number from 1 to 65535",
    parse: |text| text.parse().ok().filter(|backlog| *backlog > 0),
};

pub(super) const CHANNELS: Type<u16> =
    Type { name: "a number up to 65535, 0 for no limit", parse: |text| text.parse().ok() };

pub(super) const COUNT: Type<usize> = Type { name: "a number", parse: |text| text.parse().ok() };

/// Counts that RabbitMQ writes as `infinity` when there is no limit.
pub(super) const LIMIT: Type<Option<usize>> = Type {
    name: "a number or infinity",
    parse: |text| if text == "infinity" { Some(None) } else { text.parse().ok().map(Some) },
};

pub(super) const SIZE: Type<u64> = Type { name: "a size such as 500KB, 50MB or 2GiB", parse: size };

/// Spec: the smallest frame_max a peer may ask for is 4096.
pub(super) const FRAME_MAX: Type<u32> = Type {
    name: "a size of at least 4096, 0 for no limit",
    parse: |text| frame_size(text).filter(|size| *size == 0 || *size >= 4096),
};

pub(super) const INITIAL_FRAME_MAX: Type<u32> = Type {
    name: "a size of at least 4096",
    parse: |text| frame_size(text).filter(|size| *size >= 4096),
};

/// RabbitMQ: 512 MiB is the most that can be configured.
pub(super) const MESSAGE_SIZE: Type<usize> = Type {
    name: "a size from 1 to 512MiB",
    parse: |text| {
        let size = usize::try_from(size(text)?).ok()?;
        (1..=512 * 1024 * 1024).contains(&size).then_some(size)
    },
};

pub(super) const RATIO: Type<f64> = Type {
    name: "a number above 0 and up to 1",
    parse: |text| text.parse().ok().filter(|ratio| *ratio > 0.0 && *ratio <= 1.0),
};

pub(super) const MULTIPLE: Type<f64> = Type {
    name: "a number above 0",
    parse: |text| {
        text.parse().ok().filter(|multiple: &f64| *multiple > 0.0 && multiple.is_finite())
    },
};

pub(super) const PATTERN: Type<String> = Type {
    name: "a regular expression (look-around and back-references are not supported)",
    parse: |text| Regex::new(text).ok().map(|_| text.to_owned()),
};

pub(super) const LISTENER: Type<Option<SocketAddr>> = Type {
    name: "port, address:port or none",
    parse: |text| if text == "none" { Some(None) } else { listen_address(text).map(Some) },
};

pub(super) const MECHANISM: Type<Mechanism> =
    Type { name: "PLAIN, AMQPLAIN or EXTERNAL", parse: Mechanism::from_name };

pub(super) const HASHING: Type<HashingAlgorithm> = Type {
    name: "rabbit_password_hashing_sha256, rabbit_password_hashing_sha512, \
           rabbit_password_hashing_md5 or argon2id",
    parse: HashingAlgorithm::from_name,
};

/// The level names of RabbitMQ, or filter directives such as `info,leveret=debug`.
pub(super) const LOG_FILTER: Type<String> = Type {
    name: "debug, info, notice, warning, error, critical or none",
    parse: |text| match level(text) {
        Some(directive) => Some(directive.to_owned()),
        None if text.contains('=') && EnvFilter::try_new(text).is_ok() => Some(text.to_owned()),
        None => None,
    },
};

/// The filter directive of a level by RabbitMQ's name, of which some are one here.
pub(crate) fn level(name: &str) -> Option<&'static str> {
    match name {
        "debug" => Some("debug"),
        "info" | "notice" => Some("info"),
        "warning" => Some("warn"),
        "error" | "critical" | "alert" | "emergency" => Some("error"),
        "none" => Some("off"),
        _ => None,
    }
}

fn names(text: &str) -> Option<Vec<String>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    let name = |name: &str| Some(name.trim().to_owned()).filter(|name| !name.is_empty());
    text.split(',').map(name).collect()
}

fn at_least(text: &str, least: u64) -> Option<u64> {
    text.parse().ok().filter(|number| *number >= least)
}

fn frame_size(text: &str) -> Option<u32> {
    size(text).and_then(|size| size.try_into().ok())
}

/// RabbitMQ: `kB MB GB TB` count in thousands; `k KiB M MiB G GiB T TiB` in 1024s.
pub(crate) fn size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// A port alone is every address: `[::]`, which takes IPv4 as well.
fn listen_address(text: &str) -> Option<SocketAddr> {
    if let Ok(port) = text.parse() {
        return Some((Ipv6Addr::UNSPECIFIED, port).into());
    }
    // An IPv6 address may come without brackets, so the port is after the last colon.
    let (address, port) = text.rsplit_once(':')?;
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address: IpAddr = match bare.unwrap_or(address) {
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        address => address.parse().ok()?,
    };
    Some((address, port.parse().ok()?).into())
}

/// `log` or `sled`.
fn engine(text: &str) -> Option<Engine> {
    match text {
        "log" => Some(Engine::Log),
        "sled" => Some(Engine::Sled),
        _ => None,
    }
}

/// `group`, `os`, or `interval:` and milliseconds.
fn fsync_policy(text: &str) -> Option<FsyncPolicy> {
    match text {
        "group" => Some(FsyncPolicy::Group),
        "os" => Some(FsyncPolicy::Os),
        other => {
            let millis: u64 = other.strip_prefix("interval:")?.parse().ok()?;
            let policy = FsyncPolicy::Interval(Duration::from_millis(millis));
            (1..=60_000).contains(&millis).then_some(policy)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_know_both_kinds_of_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("131072", Some(131_072)),
            ("500KB", Some(500_000)),
            ("500kB", Some(500_000)),
            ("50MB", Some(50_000_000)),
            ("2GiB", Some(2 << 30)),
            ("2G", Some(2 << 30)),
            ("1 TB", Some(1_000_000_000_000)),
            ("16mib", Some(16 << 20)),
            ("", None),
            ("MB", None),
            ("1.5GB", None),
            ("-1", None),
            ("1 parsec", None),
            ("99999999999TB", None),
        ] {
            assert_eq!(size(text), expected, "{text}");
        }
    }

    #[test]
    fn lists_of_names_have_no_holes() {
        let owned = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect());
        for (text, expected) in [
            ("a", owned(&["a"])),
            ("a,b", owned(&["a", "b"])),
            (" a , b c ", owned(&["a", "b c"])),
            ("", owned(&[])),
            ("a,,b", None),
            ("a,", None),
        ] {
            assert_eq!(names(text), expected, "{text}");
        }
    }

    #[test]
    fn listeners_are_ports_or_addresses_with_ports() {
        for (text, shown) in [
            ("5672", Some("[::]:5672")),
            ("0", Some("[::]:0")),
            ("127.0.0.1:5673", Some("127.0.0.1:5673")),
            ("localhost:5673", Some("127.0.0.1:5673")),
            ("[::1]:5672", Some("[::1]:5672")),
            ("::1:5672", Some("[::1]:5672")),
            ("0.0.0.0:5672", Some("0.0.0.0:5672")),
            ("65536", None),
            ("127.0.0.1", None),
            ("somewhere:5672", None),
            (":5672", None),
        ] {
            let address = listen_address(text).map(|address| address.to_string());
            assert_eq!(address.as_deref(), shown, "{text}");
        }
    }

    #[test]
    fn limits_have_their_bounds() {
        assert_eq!((LIMIT.parse)("infinity"), Some(None));
        assert_eq!((LIMIT.parse)("7"), Some(Some(7)));
        assert_eq!((LIMIT.parse)("-7"), None);
        assert_eq!((FRAME_MAX.parse)("0"), Some(0));
        assert_eq!((FRAME_MAX.parse)("4095"), None);
        assert_eq!((FRAME_MAX.parse)("128KiB"), Some(131_072));
        assert_eq!((INITIAL_FRAME_MAX.parse)("0"), None);
        assert_eq!((MESSAGE_SIZE.parse)("513MiB"), None);
        assert_eq!((RATIO.parse)("0"), None);
        assert_eq!((RATIO.parse)("NaN"), None);
        assert_eq!((RATIO.parse)("0.4"), Some(0.4));
        assert_eq!((PATTERN.parse)("a(?=b)"), None);
    }

    #[test]
    fn log_levels_are_rabbitmqs_or_directives() {
        for (text, filter) in [
            ("notice", Some("info")),
            ("warning", Some("warn")),
            ("critical", Some("error")),
            ("none", Some("off")),
            ("info,leveret::queue=debug", Some("info,leveret::queue=debug")),
            ("loud", None),
            ("leveret=loud", None),
        ] {
            assert_eq!((LOG_FILTER.parse)(text).as_deref(), filter, "{text}");
        }
    }

    #[test]
    fn a_policy_is_a_word_or_an_interval() {
        let interval = FsyncPolicy::Interval(Duration::from_millis(250));
        assert_eq!(fsync_policy("interval:250"), Some(interval));
        assert_eq!(fsync_policy("group"), Some(FsyncPolicy::Group));
        for wrong in ["", "always", "interval", "interval:", "interval:0", "interval:1s"] {
            assert_eq!(fsync_policy(wrong), None, "{wrong}");
        }
    }
}
