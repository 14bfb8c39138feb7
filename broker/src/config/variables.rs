//! The environment: RabbitMQ's variables, those of the images people come from, and one for each of our
//! keys.
//!
//! `sources` and `Config::load` call it. Stays true: an empty variable counts as none, every variable may
//! name a file with `_FILE` behind it, ours go before RabbitMQ's, and what has no effect is said in one
//! warning. See <https://www.rabbitmq.com/docs/configure#supported-environment-variables>.

use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::advanced;
use super::error::{ConfigError, Origin};
use super::keys::{
    DATA_DIR, DEFAULT_ADMINISTRATOR, DEFAULT_PASS, DEFAULT_USER, DEFAULT_VHOST, DISK_FREE_ABSOLUTE,
    DISK_FREE_RELATIVE, LOAD_DEFINITIONS, LOG_CONSOLE_FORMATTER, LOG_CONSOLE_STDIO,
    LOG_DEFAULT_LEVEL, LOG_DIR, LOG_FILE, MANAGEMENT_CACERTFILE, MANAGEMENT_CERTFILE,
    MANAGEMENT_DEPTH, MANAGEMENT_FAIL_IF_NO_PEER_CERT, MANAGEMENT_KEYFILE, MANAGEMENT_PORT,
    MANAGEMENT_SSL_PORT, MANAGEMENT_VERIFY, MEMORY_ABSOLUTE, MEMORY_RELATIVE, Row, SSL_DEFAULT,
    TABLE, TCP_DEFAULT, TLS_CACERTFILE, TLS_CERTFILE, TLS_DEPTH, TLS_FAIL_IF_NO_PEER_CERT,
    TLS_KEYFILE, TLS_VERIFY,
};
use super::settings::Settings;

/// RabbitMQ's own variables for keys of the table, and those of Bitnami's images. Later ones win.
const RABBITMQ_VARIABLES: &[(&str, &str)] = &[
    ("RABBITMQ_USERNAME", DEFAULT_USER.name),
    ("RABBITMQ_PASSWORD", DEFAULT_PASS.name),
    ("RABBITMQ_VHOST", DEFAULT_VHOST.name),
    ("RABBITMQ_DISK_FREE_ABSOLUTE_LIMIT", DISK_FREE_ABSOLUTE.name),
    ("RABBITMQ_DISK_FREE_RELATIVE_LIMIT", DISK_FREE_RELATIVE.name),
    ("RABBITMQ_MANAGEMENT_PORT_NUMBER", MANAGEMENT_PORT.name),
    ("RABBITMQ_DEFAULT_USER", DEFAULT_USER.name),
    ("RABBITMQ_DEFAULT_PASS", DEFAULT_PASS.name),
    ("RABBITMQ_DEFAULT_VHOST", DEFAULT_VHOST.name),
    ("RABBITMQ_LOG_BASE", LOG_DIR.name),
    ("RABBITMQ_SSL_CACERTFILE", TLS_CACERTFILE.name),
    ("RABBITMQ_SSL_CERTFILE", TLS_CERTFILE.name),
    ("RABBITMQ_SSL_KEYFILE", TLS_KEYFILE.name),
    ("RABBITMQ_SSL_VERIFY", TLS_VERIFY.name),
    ("RABBITMQ_SSL_FAIL_IF_NO_PEER_CERT", TLS_FAIL_IF_NO_PEER_CERT.name),
    ("RABBITMQ_SSL_DEPTH", TLS_DEPTH.name),
    ("RABBITMQ_MANAGEMENT_SSL_CACERTFILE", MANAGEMENT_CACERTFILE.name),
    ("RABBITMQ_MANAGEMENT_SSL_CERTFILE", MANAGEMENT_CERTFILE.name),
    ("RABBITMQ_MANAGEMENT_SSL_KEYFILE", MANAGEMENT_KEYFILE.name),
    ("RABBITMQ_MANAGEMENT_SSL_VERIFY", MANAGEMENT_VERIFY.name),
    ("RABBITMQ_MANAGEMENT_SSL_FAIL_IF_NO_PEER_CERT", MANAGEMENT_FAIL_IF_NO_PEER_CERT.name),
    ("RABBITMQ_MANAGEMENT_SSL_DEPTH", MANAGEMENT_DEPTH.name),
];

/// The old images of RabbitMQ listened with TLS as soon as they had a certificate: the variable, and the
/// listener with its port.
const WITH_TLS: &[(&str, &str, &str)] = &[
    ("RABBITMQ_SSL_CERTFILE", SSL_DEFAULT.name, "5671"),
    ("RABBITMQ_MANAGEMENT_SSL_CERTFILE", MANAGEMENT_SSL_PORT.name, "15671"),
];

/// What RabbitMQ gives to the Erlang runtime, settings of the broker among it.
const RUNTIME_ARGUMENTS: &[&str] =
    &["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "RABBITMQ_SERVER_START_ARGS"];

/// Variables that mean nothing here.
const INAPPLICABLE: &[&str] = &[
    "RABBITMQ_CTL_ERL_ARGS",
    "RABBITMQ_DIST_PORT",
    "RABBITMQ_ERLANG_COOKIE",
    "RABBITMQ_ERL_COOKIE",
    "RABBITMQ_FEATURE_FLAGS",
    "RABBITMQ_HIPE_COMPILE",
    "RABBITMQ_PID_FILE",
    "RABBITMQ_PLUGINS_DIR",
    "RABBITMQ_SERVER_ERL_ARGS",
    "RABBITMQ_USE_LONGNAME",
];

/// What data are called in the directory that `RABBITMQ_MNESIA_BASE` names. RabbitMQ takes the name of
/// the node, which changes with the host's.
const DATA_NAME: &str = "leveret";

/// How a variable is looked up; tests give their own.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Applies the environment: RabbitMQ's names first, ours win.
pub(super) fn apply(
    settings: &mut Settings,
    environment: Environment<'_>,
) -> Result<(), ConfigError> {
    for name in RUNTIME_ARGUMENTS {
        if let Some(said) = variable(environment, name) {
            advanced::apply_arguments(settings, name, &said)?;
        }
    }
    for (name, key) in RABBITMQ_VARIABLES {
        apply_variable(settings, environment, name, key)?;
    }
    definitions_file(settings, environment)?;
    memory_watermark(settings, environment)?;
    data_directory(settings, environment)?;
    for name in ["RABBITMQ_DEFAULT_USER_TAGS", "LEVERET_DEFAULT_USER_TAGS"] {
        user_tags(settings, environment, name)?;
    }
    node_address(settings, environment)?;
    log_levels(settings, environment)?;
    log_places(settings, environment)?;
    for (name, key, port) in WITH_TLS {
        if variable(environment, name).is_some() && !settings.is_set(key) {
            let origin = Origin::Environment((*name).to_owned());
            settings.set_key(key, (*port).to_owned(), origin)?;
        }
    }
    warn_of_inapplicable(settings, environment);
    for row in TABLE.iter().filter(|row| row.is_literal()) {
        apply_variable(settings, environment, &variable_name(row), row.name)?;
    }
    for n in 1..=9 {
        let (name, key) = (format!("LEVERET_AUTH_MECHANISMS_{n}"), format!("auth_mechanisms.{n}"));
        apply_variable(settings, environment, &name, &key)?;
    }
    Ok(())
}

/// The environment variable of a key: `LEVERET_LISTENERS_TCP_DEFAULT`.
fn variable_name(row: &Row) -> String {
    format!("LEVERET_{}", row.name.replace('.', "_").to_ascii_uppercase())
}

/// The value of a variable. An empty one counts as not set: that is what compose
/// files make of a variable that is missing outside.
pub(super) fn variable(environment: Environment<'_>, name: &str) -> Option<String> {
    environment(name).filter(|value| !value.is_empty())
}

/// Applies a variable, or the file that `<name>_FILE` names: that is how secrets
/// are given to containers.
fn apply_variable(
    settings: &mut Settings,
    environment: Environment<'_>,
    name: &str,
    key: &str,
) -> Result<(), ConfigError> {
    match value_or_file(environment, name)? {
        Some((value, origin)) => settings.set_key(key, value, origin),
        None => Ok(()),
    }
}

fn value_or_file(
    environment: Environment<'_>,
    name: &str,
) -> Result<Option<(String, Origin)>, ConfigError> {
    if let Some(value) = variable(environment, name) {
        return Ok(Some((value, Origin::Environment(name.to_owned()))));
    }
    let name = format!("{name}_FILE");
    let Some(path) = variable(environment, &name).map(PathBuf::from) else { return Ok(None) };
    let text = fs::read_to_string(&path)
        .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
    let value = text.trim_end_matches(['\r', '\n']).to_owned();
    Ok(Some((value, Origin::Environment(name))))
}

/// All tags of the default user in one variable, separated by commas; what is not among them, it has
/// not.
fn user_tags(
    settings: &mut Settings,
    environment: Environment<'_>,
    name: &str,
) -> Result<(), ConfigError> {
    let Some((tags, origin)) = value_or_file(environment, name)? else { return Ok(()) };
    settings.forget(&["default_user_tags"]);
    settings.set_key(DEFAULT_ADMINISTRATOR.name, "false".to_owned(), origin.clone())?;
    for tag in tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
        let path = vec!["default_user_tags".to_owned(), tag.to_owned()];
        settings.set(path, "true".to_owned(), origin.clone())?;
    }
    Ok(())
}

/// RabbitMQ: RABBITMQ_LOG has levels, `debug` or `connection=debug`, and `+json`, between commas.
fn log_levels(settings: &mut Settings, environment: Environment<'_>) -> Result<(), ConfigError> {
    let name = "RABBITMQ_LOG";
    let said = variable(environment, name).unwrap_or_default();
    for word in said.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let (key, value) = match word.split_once('=') {
            Some((category, level)) => (format!("log.{category}.level"), level),
            None if word == "+json" => (LOG_CONSOLE_FORMATTER.name.to_owned(), "json"),
            // Colours and the like.
            None if word.starts_with(['+', '-']) => continue,
            None => (LOG_DEFAULT_LEVEL.name.to_owned(), word),
        };
        settings.set_key(&key, value.to_owned(), Origin::Environment(name.to_owned()))?;
    }
    Ok(())
}

/// RabbitMQ: RABBITMQ_LOGS is a file, or `-` for standard output, `-stderr` for standard error.
fn log_places(settings: &mut Settings, environment: Environment<'_>) -> Result<(), ConfigError> {
    let name = "RABBITMQ_LOGS";
    let Some(place) = variable(environment, name) else { return Ok(()) };
    let (key, value) = match place.as_str() {
        "-" => (LOG_CONSOLE_STDIO.name, "stdout".to_owned()),
        "-stderr" => (LOG_CONSOLE_STDIO.name, "stderr".to_owned()),
        _ => (LOG_FILE.name, place),
    };
    settings.set_key(key, value, Origin::Environment(name.to_owned()))
}

/// RabbitMQ: RABBITMQ_MNESIA_DIR is where data are, RABBITMQ_MNESIA_BASE the directory that it is in.
fn data_directory(
    settings: &mut Settings,
    environment: Environment<'_>,
) -> Result<(), ConfigError> {
    let (base, directory) = ("RABBITMQ_MNESIA_BASE", "RABBITMQ_MNESIA_DIR");
    let of_base = variable(environment, base).map(|path| PathBuf::from(path).join(DATA_NAME));
    let found = match variable(environment, directory) {
        Some(path) => Some((path, directory)),
        None => of_base.map(|path| (path.to_string_lossy().into_owned(), base)),
    };
    let Some((path, name)) = found else { return Ok(()) };
    settings.set_key(DATA_DIR.name, path, Origin::Environment(name.to_owned()))
}

/// RabbitMQ's old images: a share such as `0.4` or `40%`, or an amount.
fn memory_watermark(
    settings: &mut Settings,
    environment: Environment<'_>,
) -> Result<(), ConfigError> {
    let name = "RABBITMQ_VM_MEMORY_HIGH_WATERMARK";
    let Some((said, origin)) = value_or_file(environment, name)? else { return Ok(()) };
    let percent = said.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    let share = percent.map(|percent| percent / 100.0).or_else(|| said.parse().ok());
    let (key, value) = match share.filter(|share| *share <= 1.0) {
        Some(share) => (MEMORY_RELATIVE.name, share.to_string()),
        None => (MEMORY_ABSOLUTE.name, said),
    };
    settings.forget(&["vm_memory_high_watermark"]);
    settings.set_key(key, value, origin)
}

/// Bitnami's images: RABBITMQ_DEFINITIONS_FILE counts with RABBITMQ_LOAD_DEFINITIONS.
fn definitions_file(
    settings: &mut Settings,
    environment: Environment<'_>,
) -> Result<(), ConfigError> {
    let name = "RABBITMQ_DEFINITIONS_FILE";
    let wanted = variable(environment, "RABBITMQ_LOAD_DEFINITIONS").unwrap_or_default();
    let wanted = ["yes", "true", "1"].contains(&wanted.to_ascii_lowercase().as_str());
    match variable(environment, name).filter(|_| wanted) {
        Some(path) => {
            settings.set_key(LOAD_DEFINITIONS.name, path, Origin::Environment(name.to_owned()))
        }
        None => Ok(()),
    }
}

fn warn_of_inapplicable(settings: &mut Settings, environment: Environment<'_>) {
    let is_set = |name: &&&str| variable(environment, name).is_some();
    let names: Vec<&str> = INAPPLICABLE.iter().filter(is_set).copied().collect();
    if !names.is_empty() {
        let names = names.join(", ");
        settings.warnings.push(format!("environment: no effect in this broker: {names}"));
    }
}

/// RabbitMQ: RABBITMQ_NODE_IP_ADDRESS and RABBITMQ_NODE_PORT name the one listener.
fn node_address(settings: &mut Settings, environment: Environment<'_>) -> Result<(), ConfigError> {
    let ip_name = "RABBITMQ_NODE_IP_ADDRESS";
    // The latter is Bitnami's.
    let port_names = ["RABBITMQ_NODE_PORT", "RABBITMQ_NODE_PORT_NUMBER"];
    let is_set = |name: &&str| variable(environment, name).is_some();
    let port_name = port_names.into_iter().find(is_set).unwrap_or("RABBITMQ_NODE_PORT");
    let invalid = |name: &str, detail: &str| ConfigError::Value {
        origin: Origin::Environment(name.to_owned()),
        key: TCP_DEFAULT.name.to_owned(),
        detail: detail.to_owned(),
    };
    let address: Option<IpAddr> = variable(environment, ip_name)
        .map(|text| text.parse().map_err(|_| invalid(ip_name, "expected an address")))
        .transpose()?;
    let port: Option<u16> = variable(environment, port_name)
        .map(|text| text.parse().map_err(|_| invalid(port_name, "expected a port")))
        .transpose()?;
    let name = if port.is_some() { port_name } else { ip_name };
    if address.is_none() && port.is_none() {
        return Ok(());
    }
    replace_listeners(settings, address, port, Origin::Environment(name.to_owned()))
}

/// Makes the default listener the only one, keeping what is not given.
pub(super) fn replace_listeners(
    settings: &mut Settings,
    address: Option<IpAddr>,
    port: Option<u16>,
    origin: Origin,
) -> Result<(), ConfigError> {
    let before = settings.get(&TCP_DEFAULT)?;
    let before = before.unwrap_or_else(|| (Ipv6Addr::UNSPECIFIED, 5672).into());
    let listener = SocketAddr::new(
        address.unwrap_or_else(|| before.ip()),
        port.unwrap_or_else(|| before.port()),
    );
    settings.forget(&["listeners", "tcp"]);
    settings.set_key(TCP_DEFAULT.name, listener.to_string(), origin)
}
