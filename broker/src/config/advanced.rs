//! What Erlang terms say in rabbitmq.conf's words: `advanced.config`, the older `rabbitmq.config`, and
//! `-rabbit key value` among the arguments of the Erlang runtime.
//!
//! `sources`, `variables` and `check` bring the text. Stays true: what means the same here is set and
//! checked as any setting, what does not is named in one warning a file, and a value that is encrypted is
//! refused, since nobody would notice that it was passed over. See
//! <https://www.rabbitmq.com/docs/configure#advanced-config-file>.

use std::path::Path;

use super::error::{ConfigError, Origin};
use super::settings::Settings;
use super::terms::{self, Term};

/// What the settings of an application begin with in rabbitmq.conf.
const APPLICATIONS: &[(&str, &str)] = &[
    ("rabbit", ""),
    ("rabbitmq_auth_backend_cache", "auth_cache"),
    ("rabbitmq_auth_backend_http", "auth_http"),
    ("rabbitmq_management", "management"),
    ("rabbitmq_prometheus", "prometheus"),
];

/// Keys that have another name in rabbitmq.conf, and so have those below them.
const RENAMED: &[(&str, &str)] = &[
    ("disk_free_limit.mem_relative", "disk_free_limit.relative"),
    ("log.categories", "log"),
    ("log.console.enabled", "log.console"),
    ("log.file.count", "log.file.rotation.count"),
    ("log.file.file", "log.file"),
    ("log.file.size", "log.file.rotation.size"),
    ("log.level", "log.default.level"),
    ("management.cors_allow_origins", "management.cors.allow_origins"),
    ("management.cors_max_age", "management.cors.max_age"),
    ("management.disable_management_stats", "management.disable_stats"),
    ("management.ssl.ssl_opts", "management.ssl"),
    ("management.ssl_config", "management.ssl"),
    ("management.tcp_config", "management.tcp"),
    ("prometheus.tcp_config", "prometheus.tcp"),
    ("ssl_listeners", "listeners.ssl"),
    ("tcp_listeners", "listeners.tcp"),
];

/// Keys of which a single value is one of several that there may be.
const OF_A_KIND: &[(&str, &str)] = &[
    ("disk_free_limit", "disk_free_limit.absolute"),
    ("vm_memory_high_watermark", "vm_memory_high_watermark.relative"),
];

/// One setting in rabbitmq.conf's words, as far as it has them.
struct Said {
    line: usize,
    path: Vec<String>,
    /// Nothing if it cannot be said there.
    value: Option<String>,
}

/// Applies a file.
pub(super) fn apply_file(
    settings: &mut Settings,
    path: &Path,
    text: &str,
) -> Result<(), ConfigError> {
    let origin = |line| Origin::File { path: path.to_owned(), line };
    let wrong = |line, detail: &str| ConfigError::Syntax {
        origin: origin(line),
        detail: detail.to_owned(),
    };
    let term = terms::file(text).map_err(|error| wrong(error.number, &error.detail))?;
    let Some(term) = term else { return Ok(()) };
    let Term::List(applications) = term else {
        return Err(wrong(1, "expected a list of applications and their settings"));
    };
    let mut ignored = Vec::new();
    for application in &applications {
        match application.pair() {
            Some((_, name, Term::List(pairs))) => {
                apply(settings, name, pairs, &origin, &mut ignored)?;
            }
            _ => return Err(wrong(1, "expected {application, [settings]}")),
        }
    }
    warn_of(settings, &path.display().to_string(), ignored);
    Ok(())
}

/// Applies arguments of the Erlang runtime: `-rabbit key value key value`. Others mean nothing.
pub(super) fn apply_arguments(
    settings: &mut Settings,
    variable: &str,
    text: &str,
) -> Result<(), ConfigError> {
    let origin = |_| Origin::Environment(variable.to_owned());
    let mut ignored = Vec::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let application = word.trim_start_matches(['-', '+']);
        let is_known = APPLICATIONS.iter().any(|(name, _)| *name == application);
        let mut pairs = Vec::new();
        while let Some(key) = words.next_if(|word| !word.starts_with(['-', '+'])) {
            let value = words.next_if(|word| !word.starts_with('-'));
            let value = value.and_then(|value| terms::term(value).ok());
            match value {
                Some(value) => pairs.push(Term::Tuple(1, vec![Term::Atom(key.to_owned()), value])),
                None if is_known => ignored.push(format!("{application} {key}")),
                None => {}
            }
        }
        apply(settings, application, &pairs, &origin, &mut ignored)?;
    }
    warn_of(settings, &format!("environment variable {variable}"), ignored);
    Ok(())
}

fn warn_of(settings: &mut Settings, place: &str, ignored: Vec<String>) {
    if !ignored.is_empty() {
        settings
            .warnings
            .push(format!("{place}: no effect in this broker: {}", ignored.join(", ")));
    }
}

fn apply(
    settings: &mut Settings,
    application: &str,
    pairs: &[Term],
    origin: &dyn Fn(usize) -> Origin,
    ignored: &mut Vec<String>,
) -> Result<(), ConfigError> {
    let known = APPLICATIONS.iter().find(|(name, _)| *name == application);
    let Some((_, prefix)) = known else {
        ignored.push(application.to_owned());
        return Ok(());
    };
    let prefix: Vec<String> = Some(prefix)
        .filter(|prefix| !prefix.is_empty())
        .map(|it| (*it).to_owned())
        .into_iter()
        .collect();
    let mut said = Vec::new();
    for pair in pairs {
        match pair.pair() {
            Some((line, key, value)) => say(line, &joined(&prefix, key), value, &mut said),
            None => ignored.push(application.to_owned()),
        }
    }
    for Said { line, path, value } in said {
        let key = path.join(".");
        if key.split('.').any(|segment| segment == "encrypted") {
            let detail = "encrypted values cannot be read".to_owned();
            return Err(ConfigError::Value { origin: origin(line), key, detail });
        }
        match value.filter(|_| Settings::knows(&path)) {
            Some(value) => settings.set(path, value, origin(line))?,
            None => ignored.push(key),
        }
    }
    Ok(())
}

fn joined(path: &[String], segment: &str) -> Vec<String> {
    path.iter().cloned().chain([segment.to_owned()]).collect()
}

/// Says a key and its value, in as many settings as that takes.
fn say(line: usize, path: &[String], value: &Term, into: &mut Vec<Said>) {
    let name = path.join(".");
    match (name.as_str(), value) {
        (_, Term::Atom(nothing)) if nothing == "undefined" => {}
        ("tcp_listeners" | "ssl_listeners", Term::List(places)) => {
            listeners(line, path, places, into)
        }
        ("default_user_tags", Term::List(tags)) => {
            into.push(set(line, &["default_user_tags", "administrator"], "false"));
            flags(line, "default_user_tags", tags, into);
        }
        ("loopback_users", Term::List(users)) if users.is_empty() => {
            into.push(set(line, &["loopback_users"], "none"));
        }
        ("loopback_users", Term::List(users)) => {
            into.push(set(line, &["loopback_users", "guest"], "false"));
            flags(line, "loopback_users", users, into);
        }
        ("default_permissions", Term::List(rights)) => {
            let names = ["configure", "write", "read"];
            for (name, right) in
                names.iter().zip(rights).filter_map(|(name, right)| Some((name, right.scalar()?)))
            {
                into.push(set(line, &["default_permissions", name], right));
            }
        }
        ("auth_backends", Term::List(backends)) => auth_backends(line, backends, into),
        ("log_levels", Term::List(levels)) => {
            for (line, category, level) in levels.iter().filter_map(Term::pair) {
                say(line, &["log", category, "level"].map(str::to_owned), level, into);
            }
        }
        ("management.listener", Term::List(pairs)) => {
            let with_tls = pairs
                .iter()
                .filter_map(Term::pair)
                .any(|(_, key, value)| key == "ssl" && value.scalar() == Some("true"));
            let place = if with_tls { "ssl" } else { "tcp" };
            let about = pairs.iter().filter(|it| it.pair().is_none_or(|(_, key, _)| key != "ssl"));
            let path = ["management", place].map(str::to_owned);
            about.for_each(|pair| say_element(line, &path, 1, pair, into));
        }
        (_, Term::List(elements)) => {
            for (number, element) in elements.iter().enumerate() {
                say_element(line, path, number + 1, element, into);
            }
        }
        (_, Term::Tuple(..)) => say_element(line, path, 1, value, into),
        (_, Term::Atom(text) | Term::Text(text) | Term::Number(text)) => {
            let several = OF_A_KIND.iter().find(|(key, _)| *key == name);
            let name = several.map_or(name.as_str(), |(_, one)| one);
            into.push(Said { line, path: renamed(name, path), value: Some(text.clone()) });
        }
    }
}

/// An element of a list: a pair is a key below, a value stands under its number.
fn say_element(line: usize, path: &[String], number: usize, element: &Term, into: &mut Vec<Said>) {
    match (element.pair(), element.scalar()) {
        (Some((line, key, value)), _) => say(line, &joined(path, key), value, into),
        (None, Some(_)) => say(line, &joined(path, &number.to_string()), element, into),
        (None, None) => into.push(Said { line, path: path.to_vec(), value: None }),
    }
}

/// The path in rabbitmq.conf.
fn renamed(name: &str, path: &[String]) -> Vec<String> {
    let found = RENAMED.iter().find_map(|(old, new)| {
        let rest = name.strip_prefix(old)?;
        (rest.is_empty() || rest.starts_with('.')).then(|| (old.split('.').count(), *new))
    });
    match found {
        Some((count, new)) => {
            let beginning = new.split('.').map(str::to_owned);
            beginning.chain(path.iter().skip(count).cloned()).collect()
        }
        None if name == path.join(".") => path.to_vec(),
        None => name.split('.').map(str::to_owned).collect(),
    }
}

fn set(line: usize, path: &[&str], value: &str) -> Said {
    let path = path.iter().map(|segment| (*segment).to_owned()).collect();
    Said { line, path, value: Some(value.to_owned()) }
}

/// Names that are listed, each set to true.
fn flags(line: usize, key: &str, names: &[Term], into: &mut Vec<Said>) {
    let names = names.iter().filter_map(Term::scalar);
    into.extend(names.map(|name| set(line, &[key, name], "true")));
}

/// Ports, or addresses with ports. An empty list is none, which rabbitmq.conf has a word for.
fn listeners(line: usize, path: &[String], places: &[Term], into: &mut Vec<Said>) {
    let path = renamed(&path.join("."), path);
    if places.is_empty() {
        into.push(Said { line, path, value: Some("none".to_owned()) });
        return;
    }
    for (number, place) in places.iter().enumerate() {
        let value = match place {
            Term::Tuple(_, elements) => match elements.as_slice() {
                [Term::Text(address), Term::Number(port)] if address.contains(':') => {
                    Some(format!("[{address}]:{port}"))
                }
                [Term::Text(address), Term::Number(port)] => Some(format!("{address}:{port}")),
                _ => None,
            },
            Term::Atom(_) | Term::Text(_) | Term::Number(_) | Term::List(_) => {
                place.scalar().map(str::to_owned)
            }
        };
        into.push(Said { line, path: joined(&path, &(number + 1).to_string()), value });
    }
}

/// Modules, or pairs of who is asked who a user is, and what it may do.
fn auth_backends(line: usize, backends: &[Term], into: &mut Vec<Said>) {
    for (number, backend) in backends.iter().enumerate() {
        let number = (number + 1).to_string();
        match (backend.pair(), backend.scalar()) {
            (Some((line, authn, authz)), _) => {
                into.push(set(line, &["auth_backends", &number, "authn"], authn));
                let authz = authz.scalar().unwrap_or("several");
                into.push(set(line, &["auth_backends", &number, "authz"], authz));
            }
            (None, Some(module)) => into.push(set(line, &["auth_backends", &number], module)),
            (None, None) => into.push(Said {
                line,
                path: vec!["auth_backends".to_owned(), number],
                value: None,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Settled};

    fn applied(text: &str) -> Result<(Settings, Vec<String>), String> {
        let mut settings = Settings::default();
        apply_file(&mut settings, Path::new("/advanced.config"), text)
            .map_err(|error| error.to_string())?;
        let warnings = std::mem::take(&mut settings.warnings);
        Ok((settings, warnings))
    }

    /// Settings of both forms come to the same configuration.
    fn assert_same(terms: &str, conf: &str) {
        let (settings, warnings) = applied(terms).unwrap();
        assert_eq!(warnings, [""; 0], "{terms}");
        let built = |settings| {
            let config = Config::build(settings, Vec::new()).unwrap();
            // RabbitMQ has several words for some values.
            Config { settled: Settled::default(), ..config }
        };
        let from_terms = built(settings);
        let mut settings = Settings::default();
        for line in super::super::syntax::parse(conf, &|_| None).unwrap() {
            settings.set(line.path, line.value, Origin::Default).unwrap();
        }
        assert_eq!(from_terms, built(settings), "{terms}");
    }

    #[test]
    fn listeners_and_tls_mean_the_same() {
        assert_same(
            r#"[{rabbit, [{tcp_listeners, [5673, {"127.0.0.1", 5674}, {"::1", 5675}]}]}]."#,
            "listeners.tcp.1 = 5673\nlisteners.tcp.2 = 127.0.0.1:5674\nlisteners.tcp.3 = [::1]:5675",
        );
        assert_same(
            r#"[{rabbit, [{tcp_listeners, []}, {ssl_listeners, [5671]},
                {ssl_options, [{cacertfile, "/ca"}, {certfile, "/c"}, {keyfile, "/k"}, {depth, 2},
                    {verify, verify_peer}, {fail_if_no_peer_cert, true},
                    {versions, ['tlsv1.3', 'tlsv1.2']}]}]}]."#,
            "listeners.tcp = none\nlisteners.ssl.1 = 5671\nssl_options.cacertfile = /ca\n\
             ssl_options.certfile = /c\nssl_options.keyfile = /k\nssl_options.depth = 2\n\
             ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n\
             ssl_options.versions.1 = tlsv1.3\nssl_options.versions.2 = tlsv1.2",
        );
    }

    #[test]
    fn users_and_limits_mean_the_same() {
        assert_same(
            r#"[{rabbit, [{default_user, <<"bob">>}, {default_pass, <<"p">>}, {default_vhost, <<"v">>},
                {default_user_tags, [management]}, {default_permissions, [<<"^c">>, <<"^w">>, <<".*">>]},
                {loopback_users, []}, {auth_mechanisms, ['AMQPLAIN', 'PLAIN']}, {heartbeat, 5},
                {auth_backends, [rabbit_auth_backend_internal,
                    {rabbit_auth_backend_internal, rabbit_auth_backend_http}]}]}]."#,
            "default_user = bob\ndefault_pass = p\ndefault_vhost = v\n\
             default_user_tags.management = true\ndefault_user_tags.administrator = false\n\
             default_permissions.configure = ^c\ndefault_permissions.write = ^w\n\
             loopback_users = none\nauth_mechanisms.1 = AMQPLAIN\nauth_mechanisms.2 = PLAIN\n\
             heartbeat = 5\nauth_backends.1 = internal\nauth_backends.2.authn = internal\n\
             auth_backends.2.authz = http\ndefault_permissions.read = .*",
        );
        assert_same(
            r#"[{rabbit, [{vm_memory_high_watermark, 0.5}, {disk_free_limit, {mem_relative, 1.5}},
                {loopback_users, [<<"bob">>]}, {consumer_timeout, undefined}]}]."#,
            "vm_memory_high_watermark.relative = 0.5\ndisk_free_limit.relative = 1.5\n\
             loopback_users.guest = false\nloopback_users.bob = true",
        );
        assert_same(
            r#"[{rabbit, [{vm_memory_high_watermark, {absolute, "2GB"}}, {disk_free_limit, "1GB"}]}]."#,
            "vm_memory_high_watermark.absolute = 2GB\ndisk_free_limit.absolute = 1GB",
        );
    }

    #[test]
    fn the_log_and_management_mean_the_same() {
        assert_same(
            r#"[{rabbit, [{log, [{console, [{enabled, true}, {level, debug}]}, {file, [{file, "/l"}, {level, info}]},
                {categories, [{connection, [{level, warning}]}]}]}, {log_levels, [{channel, error}]}]}]."#,
            "log.console = true\nlog.console.level = debug\nlog.file = /l\nlog.file.level = info\n\
             log.connection.level = warning\nlog.channel.level = error",
        );
        assert_same(
            r#"[{rabbitmq_management, [{listener, [{port, 15673}, {ip, "127.0.0.1"}, {ssl, false}]},
                {cors_allow_origins, ["https://a"]}]}, {rabbitmq_prometheus, [{tcp_config, [{port, 15692}]}]}]."#,
            "management.tcp.port = 15673\nmanagement.tcp.ip = 127.0.0.1\n\
             management.cors.allow_origins.1 = https://a\nprometheus.tcp.port = 15692",
        );
        assert_same(
            r#"[{rabbitmq_management, [{listener, [{port, 15671}, {ssl, true},
                {ssl_opts, [{certfile, "/c"}, {keyfile, "/k"}]}]}]}]."#,
            "management.ssl.port = 15671\nmanagement.ssl.certfile = /c\nmanagement.ssl.keyfile = /k",
        );
        assert_same("", "");
        assert_same("[].", "");
    }

    #[test]
    fn what_means_nothing_here_is_named_once() {
        let (_, warnings) = applied(
            r#"[{rabbit, [{queue_index_embed_msgs_below, 1}, {tcp_listen_options, [binary, {backlog, 5}]},
                {cluster_nodes, {['a@b'], disc}}]}, {kernel, [{net_ticktime, 60}]}]."#,
        )
        .unwrap();
        assert_eq!(
            warnings,
            ["/advanced.config: no effect in this broker: queue_index_embed_msgs_below, \
              tcp_listen_options.1, cluster_nodes, kernel"]
        );
    }

    #[test]
    fn a_mistake_is_one_line_with_its_place() {
        for (text, expected) in [
            (
                "[{rabbit,\n [{heartbeat, often}]}].",
                "/advanced.config:2: heartbeat: expected a number",
            ),
            ("[{rabbit, [}].", "/advanced.config:1: expected a term"),
            ("{rabbit, []}.", "/advanced.config:1: expected a list of applications"),
            ("[rabbit].", "/advanced.config:1: expected {application, [settings]}"),
            (
                r#"[{rabbit, [{default_pass, {encrypted, <<"x">>}}]}]."#,
                "/advanced.config:1: default_pass.encrypted: encrypted values cannot be read",
            ),
        ] {
            let error = applied(text).map(|_| ()).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn arguments_of_the_runtime_are_read() {
        let mut settings = Settings::default();
        let said = "-rabbit disk_free_limit 2147483648 tcp_listeners [5673] +P 1000 -rabbit heartbeat 7 \
                    -kernel inet_default x";
        apply_arguments(&mut settings, "ARGS", said).unwrap();
        assert_eq!(
            settings.warnings,
            ["environment variable ARGS: no effect in this broker: P, kernel"]
        );
        let config = Config::build(settings, Vec::new()).unwrap();
        assert_eq!(config.disk_free_limit, crate::config::DiskFreeLimit::Absolute(2_147_483_648));
        assert_eq!(config.negotiation.heartbeat, 7);
        assert_eq!(config.listeners.addresses, ["[::]:5673".parse().unwrap()]);
    }
}
