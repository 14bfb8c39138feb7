//! Names the broker makes up: its own, server-named queues and consumer tags.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Characters of a name that are drawn: 16 random bytes in base 64.
pub(crate) const DRAWN: usize = 22;

/// `prefix` and 22 characters for 16 random bytes, as RabbitMQ builds `amq.gen-…`.
pub(crate) fn generated(prefix: &str) -> String {
    let random: [u8; 16] = rand::random();
    let mut name = prefix.to_owned();
    URL_SAFE_NO_PAD.encode_string(random, &mut name);
    name
}

/// A name as RabbitMQ takes it: without carriage returns and line feeds.
pub(crate) fn cleaned(name: &str) -> std::borrow::Cow<'_, str> {
    if name.contains(['\r', '\n']) {
        return name.replace(['\r', '\n'], "").into();
    }
    name.into()
}

/// The name of this node: what `RABBITMQ_NODENAME` says, or made of the host's, as RabbitMQ makes its
/// own. It is shown; nothing that is kept goes by it.
pub(crate) fn node() -> &'static str {
    static NODE: OnceLock<String> = OnceLock::new();
    NODE.get_or_init(|| {
        let named = std::env::var("RABBITMQ_NODENAME").unwrap_or_default();
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        node_name(named.trim(), host.trim())
    })
}

fn node_name(named: &str, host: &str) -> String {
    let host = if host.is_empty() { "localhost" } else { host };
    match named {
        "" => format!("rabbit@{host}"),
        whole if whole.contains('@') => whole.to_owned(),
        name => format!("{name}@{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_long_and_differ() {
        let (a, b) = (generated("amq.gen-"), generated("amq.gen-"));
        assert_ne!(a, b);
        assert_eq!(a.len(), "amq.gen-".len() + DRAWN);
    }

    #[test]
    fn a_node_is_named_as_somebody_says_or_by_its_host() {
        assert_eq!(node_name("", "h"), "rabbit@h");
        assert_eq!(node_name("", ""), "rabbit@localhost");
        assert_eq!(node_name("rabbit", "h"), "rabbit@h");
        assert_eq!(node_name("rabbit@other", "h"), "rabbit@other");
    }

    #[test]
    fn line_ends_are_stripped() {
        assert_eq!(cleaned("a\r\nb"), "ab");
        assert_eq!(cleaned("ab"), "ab");
    }
}
