//! The names that log lines have for programs (`event`), which stay what they are when sentences
//! change. A test holds the sources to this list, and the list to the sources.

/// Every name, and when such a line is written.
pub const EVENTS: &[(&str, &str)] = &[
    ("alarm.cleared", "a resource alarm is over"),
    ("alarm.set", "memory or disk space is low, and publishers are blocked"),
    ("channel.closed", "a channel was closed for what its client did"),
    ("config.changed", "a setting was changed while the broker runs"),
    ("config.ignored", "a setting has no effect"),
    ("config.refused", "the configuration cannot be read again, and nothing changed"),
    ("config.reloaded", "the configuration was read again"),
    ("connection.accepted", "a client connected"),
    ("connection.closed", "a client closed its connection"),
    ("connection.error", "a connection was closed for what its client did"),
    ("connection.forced", "the broker closed a connection"),
    ("connection.heartbeat_missed", "a connection was closed for want of heartbeats"),
    ("connection.lost", "a client went without closing its connection"),
    (
        "connection.made_room",
        "connections that were not open yet were closed, for there are too many",
    ),
    ("connection.opened", "a user logged in and opened a vhost"),
    ("connection.panicked", "a connection met a fault of the broker, and was closed"),
    ("connection.refused", "a client did not come so far as to open a vhost"),
    ("connection.send_timeout", "a client did not read what it was sent"),
    ("definitions.imported", "somebody imported definitions"),
    ("definitions.passed_over", "something that was imported has no effect"),
    ("limits.changed", "somebody limited a user or a vhost"),
    ("login.oauth_denied", "the provider that people sign in at let nobody in"),
    ("login.oauth_unreachable", "the provider that people sign in at does not answer"),
    ("login.refused", "a user was not let in"),
    ("permission.changed", "somebody gave a user rights in a vhost, or took them"),
    ("permission.refused", "a user wanted what it has no permission for"),
    ("token.keys_unreadable", "the issuer of tokens cannot be asked for its keys"),
    ("token.renewal_refused", "a client brought a new token that is not good"),
    ("user.changed", "somebody made or changed a user"),
    ("user.deleted", "somebody deleted a user"),
    ("vhost.changed", "somebody described a vhost otherwise"),
    ("vhost.created", "somebody made a vhost"),
    ("vhost.deleted", "nothing is left of a vhost"),
    ("vhost.deleting", "a vhost is being deleted"),
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn sources(directory: &Path, all: &mut String) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, all);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                all.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }

    #[test]
    fn the_sources_have_these_names_and_no_others() {
        let mut all = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
        let named = all.split(concat!("event", " = \"")).skip(1);
        for (name, _) in named.filter_map(|rest| rest.split_once('"')) {
            let is_listed = EVENTS.iter().any(|(listed, _)| *listed == name);
            assert!(is_listed || name == "a.test", "{name} is not in the list");
        }
        for (name, _) in EVENTS {
            // Once in the list, and where it is said.
            assert!(all.matches(&format!("\"{name}\"")).count() > 1, "{name} is said nowhere");
        }
        assert!(EVENTS.is_sorted(), "keep it so that it can be read");
    }
}
